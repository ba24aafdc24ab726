"""Conda environments: from environment.yml to a shell and a kernel, with revisions; hostile packages; a killed build; shared disk."""

import json
import os
import pathlib
import re
import subprocess
import sys
import time

import pytest

from berthbox import ROOT, Box, gone, wait_until
from channelbox import BUILD, copy_channel, env, yml

sys.path.insert(0, str(ROOT / "tests" / "e2e" / "web"))

pytestmark = pytest.mark.skipif(os.environ.get("BERTH_E2E_ENGINE") == "process", reason="environments need containers")


@pytest.fixture(scope="module")
def box():
    """A Berth of its own, which may use the channel of the tests."""
    berth = Box()
    try:
        berth.up("--channels", copy_channel(berth))
        yield berth
    finally:
        berth.destroy()


@pytest.fixture(scope="module")
def ada(box):
    client = box.client()
    env(client, "create", "ml", "--yes", text=yml(box, "python", "numpy", "ipykernel", "bash-kernel", "greeter <2", "postlink", extra="variables:\n  MODE: fast\n"))
    return client


def paths(client):
    """name -> prefix, as the workspace sees it."""
    return {line.split()[1]: line.split()[3] for line in client.run("cat /opt/berth/envs/now/list").splitlines()}


def test_environment_is_there_in_every_shell(box, ada):
    """numpy is there in a command and in a login shell; the variables are set; python is the environment's."""
    assert ada.run("python -c 'import numpy, sys; print(numpy.arange(4).sum(), sys.prefix)'") == f"6 {paths(ada)['ml']}"
    assert ada.run("bash -lc 'python -c \"import numpy; print(1)\"; echo $MODE $CONDA_DEFAULT_ENV'") == "1\nfast ml"
    assert ada.run("greet") == "hello from 1.0"
    assert "* ml" in ada.run("berth-env list") and "revision 1" in ada.run("berth-env list")
    assert "ml" in env(ada, "list") and "numpy" in env(ada, "show", "ml")
    # It is read-only, and Python does not try to write to it.
    assert ada.ssh("box", f"touch {paths(ada)['ml']}/x", check=False).returncode != 0


def test_post_link_script_saw_nothing_but_its_prefix(box, ada):
    """What a package's own code can reach while it is installed: no network, no other path, no privilege."""
    seen = dict(line.replace(":", "=", 1).split("=", 1) for line in ada.run(f"cat {paths(ada)['ml']}/etc/postlink.txt").splitlines())
    assert seen["prefix"] == paths(ada)["ml"] and seen["uid"] == "1000"
    assert seen["CapEff"].strip() == "0000000000000000" and seen["NoNewPrivs"].strip() == "1" and seen["Seccomp"].strip() == "2"
    assert not {"wrote", "found", "route"} & seen.keys() and seen["sees"] == pathlib.Path(paths(ada)["ml"]).name


def run_in_kernel(client, name, code):
    """What a kernel, as JupyterLab starts it, prints for `code`."""
    program = ("from jupyter_client.manager import start_new_kernel\n"
               f"manager, client = start_new_kernel(kernel_name={name!r}, startup_timeout=120)\n"
               "def said(message):\n    print(message['content'].get('text', ''), end='') if message['msg_type'] == 'stream' else None\n"
               f"client.execute_interactive({code!r}, output_hook=said, timeout=120)\n"
               "manager.shutdown_kernel(now=True)\n")
    return client.ssh("box", "JUPYTER_PATH=/opt/berth/envs/jupyter /opt/python/bin/python -", input=program, timeout=300).stdout.strip()


def test_kernel_is_in_jupyter_and_runs(box, ada):
    """JupyterLab offers the environment as a kernel with name and revision, and it imports numpy."""
    specs = json.loads(ada.run("JUPYTER_PATH=/opt/berth/envs/jupyter /opt/python/bin/jupyter kernelspec list --json 2>/dev/null"))["kernelspecs"]
    assert specs["berth-ml"]["spec"]["display_name"] == "ml (python, revision 1)"
    assert run_in_kernel(ada, "berth-ml", "import numpy, sys, os; print(numpy.arange(4).sum(), sys.prefix, os.environ['MODE'])") == f"6 {paths(ada)['ml']} fast"


def test_kernels_of_other_languages_too(box, ada):
    """An environment's second kernel, bash, is offered beside its Python, with its language, and runs in the environment."""
    specs = json.loads(ada.run("JUPYTER_PATH=/opt/berth/envs/jupyter /opt/python/bin/jupyter kernelspec list --json 2>/dev/null"))["kernelspecs"]
    assert specs["berth-ml-bash"]["spec"]["display_name"] == "ml (bash, revision 1)" and specs["berth-ml-bash"]["spec"]["language"] == "bash"
    assert run_in_kernel(ada, "berth-ml-bash", "greet; echo $((6 * 7)) $CONDA_PREFIX $MODE") == f"hello from 1.0\n42 {paths(ada)['ml']} fast"


def test_update_shows_the_difference_and_rollback_is_at_once(box, ada):
    """An update is a new revision with its difference; what runs keeps the old one; rollback switches back."""
    running = ada.popen("box", "python -c 'import sys, time; print(sys.prefix, flush=True); time.sleep(900)'", text=True)
    before = running.stdout.readline().strip()
    said = env(ada, "update", "ml", text=yml(box, "python", "numpy", "ipykernel", "greeter >=2"), code=2)  # nobody to ask
    assert "^ greeter 1.0 -> 2.0" in said and "- postlink 1.0" in said and "--yes" in said
    assert ada.run("greet") == "hello from 1.0"
    env(ada, "update", "ml", "--yes", text=yml(box, "python", "numpy", "ipykernel", "greeter >=2"))
    assert ada.run("greet") == "hello from 2.0" and paths(ada)["ml"] != before
    assert running.poll() is None and ada.run(f"ls {before}/bin/python")
    assert "^ greeter 1.0 -> 2.0" in env(ada, "diff", "ml") and "current" in env(ada, "history", "ml")
    began = time.monotonic()
    box.berth("env", "rollback", "ada/ml")
    print(f"rollback, with the start of the program: {(time.monotonic() - began) * 1000:.0f} ms")
    assert ada.run("greet") == "hello from 1.0" and paths(ada)["ml"] == before
    running.kill()


@pytest.mark.parametrize("package, said", [("evil-hash", "SHA-256"), ("evil-path", "../../evil"), ("evil-link", "/etc/passwd"), ("evil-behind", "behind its own link")])
def test_hostile_package_is_refused(box, ada, package, said):
    """The sentence says which package and why; nothing is published."""
    before = [e["name"] for e in box.items("env", "list", "ada")]
    out = env(ada, "create", "evil", "--yes", text=yml(box, "greeter", "python", package), code=6)
    assert package in out and said in out
    assert [e["name"] for e in box.items("env", "list", "ada")] == before and "evil" not in paths(ada)


def test_faults_and_conflicts_are_explained(box, ada):
    """A mistake has its line; an impossible wish has the solver's words."""
    assert "line 2: unknown key 'dependencys'" in env(ada, "check", text="channels: [x]\ndependencys: [python]\n", code=7)
    out = env(ada, "create", "no", "--yes", text=yml(box, "python", "needs-old", "needs-new"), code=5)
    assert "needs-old" in out and "needs-new" in out and "greeter" in out
    assert "__glibc" in env(ada, "check", text=yml(box, "needs-glibc"), code=5)


def test_another_user_has_their_own(box, ada, new_user):
    """Another user sees nothing of it by name or by path, and shares the disk."""
    grace = new_user()
    objects = box.state / "environments" / "objects"
    size = lambda: int(subprocess.run(["du", "-sk", objects], check=True, capture_output=True, text=True).stdout.split()[0])  # noqa: E731
    before = size()
    assert "there is no environment" in env(grace, "show", "ada/ml", code=4)
    assert grace.run("ls /opt/berth/envs/now/current") == ""
    # From the lock that the first one exports: the same files, to the byte, built by another user.
    lock = ada.run("berth env export ml")
    checked = json.loads(grace.ssh("box", "berth --json env check", input=lock, timeout=BUILD).stdout)
    assert checked["packages"] == len(json.loads(lock)["packages"]) and checked["diff"]["added"]
    env(grace, "create", "ml", "--yes", text=lock)
    assert grace.run("python -c 'import numpy; print(2)'") == "2"
    mine, theirs = (next(r for r in box.request("GET", f"/environments/{owner}/ml")["revision_list"] if r["current"]) for owner in ("ada", grace.user))
    assert (mine["lock_hash"], mine["tree_hash"]) == (theirs["lock_hash"], theirs["tree_hash"])
    grown = size() - before
    print(f"the first takes {before} KiB, the same for another user {grown} KiB more")
    assert grown < before / 5


def test_ten_environments_cost_one_big_package_once(box, ada):
    """Ten environments with one package of 24 MiB take little more disk than one."""
    objects = box.state / "environments" / "objects"
    size = lambda: int(subprocess.run(["du", "-sk", objects], check=True, capture_output=True, text=True).stdout.split()[0])  # noqa: E731
    env(ada, "create", "big0", "--yes", text=yml(box, "big"))
    before = size()
    for n in range(1, 10):
        env(ada, "create", f"big{n}", "--yes", text=yml(box, "big", extra=f"variables:\n  N: '{n}'\n"))
    print(f"one: {before} KiB in all, nine more: {size() - before} KiB")
    assert size() - before < 10 * 1024
    for n in range(10):
        env(ada, "remove", f"big{n}", "--yes")


# What pixi and its like are made of, run by the user in their home.
OWN_TOOL = """
import asyncio, pathlib, sys
from rattler import Channel, MatchSpec, PrefixRecord, VirtualPackage, install, solve
channel, place, berths = sys.argv[1:]
async def main():
    records = await solve(sources=[Channel('file://' + channel)], specs=[MatchSpec('python'), MatchSpec('greeter <2', strict=False)],
                          virtual_packages=[p.into_generic() for p in VirtualPackage.detect()])
    await install(records, target_prefix=place)
asyncio.run(main())
print(*sorted(PrefixRecord.from_path(str(p)).name.normalized for p in pathlib.Path(berths, 'conda-meta').glob('*.json')))
"""


def test_tools_of_the_users_own_work_in_the_home(box, ada):
    """A conda tool that the user brings makes environments in the home, and reads Berth's as any other."""
    ada.tool("rsync", "-r", f"{ROOT}/environments/packages/rattler", "box:own/")
    ada.tool("rsync", "-r", f"{box.channel}/", "box:channel/")
    home = ada.run("echo ~")
    said = ada.ssh("box", f"PYTHONPATH=~/own /usr/bin/python3 - {home}/channel {home}/made {paths(ada)['ml']}", input=OWN_TOOL, timeout=BUILD).stdout
    assert {"greeter", "numpy", "python"} <= set(said.split())
    assert ada.run("~/made/bin/greet") == "hello from 1.0"
    ada.run("rm -rf ~/own ~/channel ~/made")


def test_progress_is_a_bar_on_a_terminal(box, ada):
    """On a terminal a build draws a bar with what is done; elsewhere it says a line for each phase."""
    typed = yml(box, "libdemo").replace("\n", "\r").encode() + b"\x04"
    drawn = ada.popen("-tt", "box", "berth env create bar --yes", stdin=subprocess.PIPE)
    said = b"".join(drawn.communicate(typed, timeout=BUILD)).decode(errors="replace")
    assert drawn.returncode == 0 and re.search(r"\[#+ *\] \d+/\d+", said), said
    env(ada, "remove", "bar", "--yes")
    said = env(ada, "create", "lines", "--yes", text=yml(box, "libdemo"))
    assert "Reading the channels\n" in said and "[#" not in said
    env(ada, "remove", "lines", "--yes")


def test_two_berthds_agree_during_an_upgrade(box, ada, tmp_path):
    """A connection that the replaced berthd still serves and a new one see and change the same environments."""
    env(ada, "create", "both", "--yes", text=yml(box, "libdemo"))
    env(ada, "update", "both", "--yes", text=yml(box, "libdemo", "postlink-plain"))
    master = tmp_path / "master"
    held = ada.popen("-M", "-S", str(master), "-N", "box")
    wait_until(master.exists, "the connection is there", timeout=60)
    old = box.pid("berthd")
    box.up("--channels", box.channel, "--upgrade")
    assert box.pid("berthd") != old and not gone(old)
    by_old = lambda command: ada.ssh("-S", str(master), "box", command, timeout=BUILD).stdout  # noqa: E731
    revision = lambda items: [e["revision"] for e in items if e["name"] == "both"]  # noqa: E731
    by_old("berth env rollback both 1")
    assert ada.ssh("box", "berth-env run both ls $(berth-env path both)/etc/plain.txt", check=False).returncode != 0 and revision(box.items("env", "list", "ada")) == [1]
    env(ada, "rollback", "both", "2")
    assert by_old("cat $(berth-env path both)/etc/plain.txt").startswith("postlink-plain 1.0") and revision(json.loads(by_old("berth --json env list"))["items"]) == [2]
    assert "removed" in by_old("berth env remove both --yes") and "both" not in env(ada, "list")
    held.terminate()
    held.wait(60)
    wait_until(lambda: gone(old), "the replaced berthd has ended", timeout=60)


def test_kill_in_mid_build_publishes_nothing(box, ada):
    """The keeper is killed while a package's script sleeps: nothing is published, and the next build works."""
    sleeping = ada.popen("box", "berth env create slow --yes", stdin=subprocess.PIPE)
    sleeping.stdin.write(yml(box, "postlink-sleeps").encode())
    sleeping.stdin.close()
    builders = box.state / "environments" / "builders" / "ada"
    wait_until(lambda: list(builders.glob("*/bin/.postlink-sleeps-post-link.sh")) and "post-link" in (box.state / "log/berth-keeper.log").read_text() or
               list(builders.glob("*/conda-meta/history")), "the build links", BUILD)
    os.kill(box.pid("berth-keeper"), 9)
    sleeping.wait(60)
    box.up("--channels", box.channel)
    users = box.state / "environments" / "users" / "ada"
    assert not list(users.glob(".new-*")) and "slow" not in env(ada, "list")
    wait_until(lambda: not [p for p in builders.iterdir() if p.name not in ("archives", "repodata")], "the staging folder is empty", 60)
    assert ada.run("python -c 'print(3)'") == "3"
    env(ada, "create", "after", "--yes", text=yml(box, "libdemo"))
    assert "after" in env(ada, "list")


def test_verify_finds_a_changed_file(box, ada):
    """Built again it is the same to the byte; a file changed behind Berth's back is named."""
    said = env(ada, "verify", "after")
    assert "the same to the byte" in said and "its file gives the same packages today" in said
    prefix = box.state / "environments" / "users" / "ada" / pathlib.Path(paths(ada)["after"]).name
    target = prefix / "etc/demo.conf"
    target.unlink()
    target.write_text("changed")
    assert "~ etc/demo.conf" in env(ada, "verify", "after", code=1)


def test_export_names_every_file_and_gc_waits_for_workspaces(box, ada):
    """The explicit export is conda's; files go only when nothing of the user's runs."""
    assert "@EXPLICIT" in env(ada, "export", "after", "--format", "explicit") and "#sha256:" in env(ada, "export", "after", "--format", "explicit")
    lock = json.loads(box.berth("env", "export", "ada/after")["text"])
    assert lock["version"] == 1 and all(len(p["sha256"]) == 64 for p in lock["packages"])
    prefix = box.state / "environments" / "users" / "ada" / pathlib.Path(paths(ada)["after"]).name
    env(ada, "remove", "after", "--yes")
    assert prefix.is_dir() and "wait" in env(ada, "gc")
    box.berth("workspace", "stop", "ada")
    box.berth("env", "gc", "ada")
    assert not prefix.exists()
