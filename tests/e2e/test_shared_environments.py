"""Conda environments of the team, quotas, images to choose from, and verification by the clock."""

import os
import re
import subprocess

import pytest

from berthbox import ROOT, Box, wait_until
from channelbox import BUILD, channels, copy_channel, env, yml

pytestmark = pytest.mark.skipif(os.environ.get("BERTH_E2E_ENGINE") == "process", reason="environments need containers")
OLD_IMAGE, CONDA_IMAGE = "localhost/berth/e2e-old:latest", "localhost/berth/e2e-conda:latest"


@pytest.fixture(scope="module")
def box():
    """A Berth of its own, which may use the channel of the tests, with a second image and quotas."""
    # The same image with a C library that says it is older, and lies behind a link as old ones do: a real one would have to be fetched.
    berth = Box()
    subprocess.run(["images/default/build"], cwd=ROOT, check=True, capture_output=True)
    (berth.dir / "image").mkdir()
    (berth.dir / "image/Containerfile").write_text(
        "FROM localhost/berth/default:latest\nRUN cd /usr/lib/*-linux-gnu && sed 's/release version 2[.]36/release version 2.20/' libc.so.6 >libc-2.20.so && "
        "chmod 755 libc-2.20.so && ln -s libc-2.20.so libc.new && mv -T libc.new libc.so.6\n")
    subprocess.run(["podman", "build", "--ulimit", "nofile=1024:1024", "-q", "-t", OLD_IMAGE, berth.dir / "image"], check=True, capture_output=True)
    # One with a conda installation, by the recipe for it; it stays for the next run, which makes it anew only when the recipe or the packages change.
    (berth.dir / "base.yml").write_text(f"channels:\n  - {channels.cached()}\ndependencies:\n  - python\n  - greeter >=2\n")
    made = subprocess.run(["images/conda/build", "--tag", CONDA_IMAGE, "--channels", channels.cached(), berth.dir / "base.yml"], cwd=ROOT, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    try:
        berth.up("--channels", copy_channel(berth))
        berth.restart("berth-keeper", lambda text: text + f'[quotas]\neve = "20m"\n[images]\nold = {{ image = "{OLD_IMAGE}", description = "an old one" }}\n'
                      f'conda = {{ image = "{CONDA_IMAGE}", description = "with conda" }}\n')
        yield berth
    finally:
        berth.destroy()
        subprocess.run(["podman", "rmi", "-f", OLD_IMAGE], capture_output=True)


@pytest.fixture(scope="module")
def ada(box):
    """Has shared an environment with everybody."""
    client = box.client()
    env(client, "create", "tool", "--yes", text=yml(box, "python", "greeter <2"))
    assert client.run("greet") == "hello from 1.0"
    env(client, "share", "tool", "--yes")
    return client


@pytest.fixture(scope="module")
def grace(box, ada):
    return box.add_user("grace")


def test_everybody_uses_what_one_has_shared(box, ada, grace):
    """It is in another user's list, kernel path and berth-env; it can be their default; nothing of it can be written."""
    listed = {e["name"]: e for e in box.items("env", "list", "grace")}
    assert listed["tool"]["scope"] == "team" and listed["tool"]["maintainers"] == ["ada"]
    assert "team/tool" in grace.run("berth-env list") and grace.run("berth-env run tool greet") == "hello from 1.0"
    assert grace.run('eval "$(berth-env use team/tool)"; greet; echo $BERTH_ENV') == "hello from 1.0\nteam/tool@1"
    prefix = grace.run("berth-env path team/tool")
    assert prefix.startswith("/opt/berth/envs/team/") and grace.ssh("box", f"touch {prefix}/x", check=False).returncode != 0
    env(grace, "default", "team/tool")
    assert grace.run("greet") == "hello from 1.0" and grace.run("bash -lc 'greet; berth-env list'").startswith("hello from 1.0\n* team/tool")
    # Its former owner goes on as before.
    assert ada.run("greet") == "hello from 1.0" and "maintained by ada" in env(ada, "show", "team/tool")


def test_only_maintainers_change_it(box, ada, grace):
    """Others are told who may; a maintainer updates it for everybody at once, and goes back."""
    new = yml(box, "python", "greeter >=2")
    assert "only its maintainers may change it: ada" in env(grace, "update", "team/tool", "--yes", text=new, code=6)
    for args in (("rollback", "team/tool"), ("remove", "team/tool", "--yes"), ("maintainer", "team/tool", "grace"), ("verify", "team/tool")):
        env(grace, *args, code=6)
    running = grace.popen("box", "python -c 'import greeter, sys; print(greeter.__version__, flush=True); sys.stdin.read(); print(greeter.main() or greeter.__version__)'", text=True)
    assert running.stdout.readline().strip() == "1.0"
    env(ada, "maintainer", "team/tool", "grace")
    env(grace, "update", "team/tool", "--yes", text=new)
    assert grace.run("greet") == "hello from 2.0" and ada.run("greet") == "hello from 2.0"
    env(grace, "rollback", "team/tool")
    assert ada.run("greet") == "hello from 1.0" and grace.run("greet") == "hello from 1.0"
    running.stdin.close()
    assert "1.0" in running.stdout.read()
    env(ada, "maintainer", "team/tool", "grace", "--remove")
    env(grace, "update", "team/tool", "--yes", text=new, code=6)
    actions = [(row["actor"], row["action"], row["object"]) for row in box.items("audit", "tail", "--action", "environment", "--limit", "100")]
    assert ("ada", "environment.share", "ada/tool@1") in actions and ("grace", "environment.update", "team/tool@2") in actions
    assert ("ada", "environment.maintainer", "grace team/tool") in actions


def test_a_personal_one_comes_first_and_stays_private(box, ada, grace):
    """One's own environment of the same name is the one that is meant; nobody else reaches its files."""
    env(grace, "create", "tool", "--yes", text=yml(box, "libdemo"))
    assert grace.run("berth-env path tool") == grace.run("readlink /opt/berth/envs/now/current/tool")
    assert grace.run("berth-env run team/tool greet") == "hello from 1.0"
    hidden = grace.run("basename $(berth-env path tool)")
    assert ada.ssh("box", f"ls /opt/berth/envs/{hidden} /opt/berth/envs/team/{hidden}", check=False).returncode != 0
    assert "there is no environment" in env(ada, "show", "grace/tool", code=4)


def test_clone_has_the_same_packages(box, ada, grace):
    """A copy of a shared one is one's own, with the same lock."""
    env(grace, "clone", "team/tool", "mine")
    locks = {e["user"] + "/" + e["name"]: e["lock_hash"] for e in box.items("env", "list", "grace")}
    assert locks["grace/mine"] == locks["team/tool"]
    env(grace, "remove", "mine", "--yes")


def test_quota_refuses_before_the_download(box):
    """What would be too much is told with figures, and nothing is fetched; what fits goes on."""
    eve = box.add_user("eve")
    said = env(eve, "create", "big", "--yes", text=yml(box, "big"), code=7)
    assert re.search(r"needs at least 24\.\d MiB of disk more; .* and 20\.0 MiB are allowed", said), said
    assert not list((box.state / "environments/builders/eve/archives").rglob("big*"))
    env(eve, "create", "small", "--yes", text=yml(box, "libdemo"))
    assert re.search(r"disk: \d+\S* \S+ of 20\.0 MiB", env(eve, "list"))
    # Python's archive is smaller than the quota, and its files are not: sealing counts those.
    assert "of disk, and 20.0 MiB are allowed" in env(eve, "create", "python", "--yes", text=yml(box, "python"), code=7)
    assert [e["name"] for e in box.items("env", "list", "eve") if e["user"] == "eve"] == ["small"]
    used = box.request("GET", "/environments-used?user=eve")
    assert 0 < used["used_bytes"] < used["quota_bytes"] == 20 << 20


def test_workspace_of_another_image_keeps_home_and_environments(box, ada):
    """The user picks an image; what it is too old for is said when it is chosen and again before the start."""
    ada.run("echo kept > ~/note")
    images = {i["name"]: i for i in box.berth("workspace", "image", "ada")["items"]}
    assert images["default"]["chosen"] and images["default"]["glibc"] == "2.36" and images["default"]["warnings"] == []
    assert images["old"]["glibc"] == "2.20" and images["old"]["description"] == "an old one"
    said = ada.run("berth workspace image main old")
    assert "needs glibc 2.34 and the image old has 2.20" in said and "the next start makes it anew" in said
    box.berth("workspace", "stop", "ada")
    started = ada.ssh("box", "cat ~/note; berth-env list", timeout=180)
    assert started.stdout.startswith("kept\n") and "team/tool" in started.stdout
    assert box.items("workspace", "list", "ada")[0]["image"] == OLD_IMAGE
    assert "no image 'none'" in ada.ssh("box", "berth workspace image main none", check=False).stderr
    # Another one was made for real: what it brings is there, one's environment comes first, and home and environments are the same.
    assert images["conda"]["glibc"] == "2.36" and "needs glibc" not in ada.run("berth workspace image main conda")
    box.berth("workspace", "stop", "ada")
    assert ada.run("cat ~/note; /opt/conda/bin/greet", timeout=180).splitlines() == ["kept", "hello from 2.0"]
    assert ada.run("berth-env run team/tool greet") == "hello from 1.0"
    assert ada.run("bash -lc 'berth-env off; command -v python; python -c \"import sys; print(sys.prefix)\"'") == "/opt/conda/bin/python\n/opt/conda"
    ada.run("berth workspace image main default")
    box.berth("workspace", "stop", "ada")
    assert ada.run("cat ~/note; ls /opt/conda 2>&1 | grep -c 'No such'", timeout=180) == "kept\n1"
    assert box.items("workspace", "list", "ada")[0]["image"] != OLD_IMAGE


def test_one_build_has_limits_of_time_disk_and_memory(box):
    """What goes over a limit is ended and told which; nothing of it is published, and the next build works."""
    max_ = box.add_user("max")
    settings = (box.state / "keeper.toml").read_text()
    limits = (("slow", ["minutes = 0.2"], ["postlink-sleeps"], 8, "takes longer than is allowed here"),
              ("fat", ['disk = "64m"', 'cache = "1m"'], ["python", "numpy"], 7, "more disk than is allowed|larger than"),
              ("eats", ['memory = "256m"'], ["postlink-eats"], 5, "exit 7|memory|[Kk]illed"))
    try:
        for name, lines, packages, code, said in limits:
            box.restart("berth-keeper", lambda _, lines=lines: settings.replace("[environments]\n", "\n".join(["[environments]", *lines, ""])))
            out = env(max_, "create", name, "--yes", text=yml(box, *packages), code=code)
            assert re.search(said, out), out
    finally:
        box.restart("berth-keeper", lambda _: settings)
    assert not [e for e in box.items("env", "list", "max") if e["user"] == "max"] and not list((box.state / "environments/users/max").glob("*/conda-meta"))
    env(max_, "create", "fits", "--yes", text=yml(box, "libdemo"))
    env(max_, "remove", "fits", "--yes")


def test_full_disk_leaves_nothing_half_published(box, ada):
    """The disk of the store is full in the middle of a build: it is told, nothing is published, and there is room again afterwards."""
    builders = box.state / "environments/builders/ada"
    env(ada, "create", "demo", "--yes", text=yml(box, "libdemo"))
    small = box.dir / "small"
    small.mkdir()
    box.berth("workspace", "stop", "ada")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=755", "berth-e2e", small], check=True)
    try:
        subprocess.run(["chown", "--reference", builders, small], check=True)
        subprocess.run(["mount", "--bind", small, builders], check=True)
        try:
            said = env(ada, "create", "big", "--yes", text=yml(box, "big"), code=8)
            assert "No space left" in said or "disk" in said, said
        finally:
            subprocess.run(["umount", builders], check=True)
    finally:
        subprocess.run(["umount", small], check=True)
    assert "big" not in [e["name"] for e in box.items("env", "list", "ada")] and not list((box.state / "environments/users/ada").glob(".new-*"))
    env(ada, "create", "big", "--yes", text=yml(box, "big"))
    env(ada, "remove", "big", "--yes")


def test_equal_builds_at_once_happen_once(box, ada, grace):
    """Two maintainers build the same for the team at once: one of them builds, and both have it."""
    env(ada, "maintainer", "team/tool", "grace")
    new = yml(box, "python", "greeter >=2", "libdemo")
    log = box.state / "log/berth-keeper.log"
    before = log.read_text().count("keeper.environment_sealed")
    builds = [c.popen("box", "berth env update team/tool --yes", text=True) for c in (ada, grace)]
    for build in builds:
        build.stdin.write(new)
        build.stdin.close()
    for build in builds:
        assert build.wait(BUILD) == 0, build.stderr.read()
    assert log.read_text().count("keeper.environment_sealed") == before + 1
    assert ada.run("greet") == "hello from 2.0"


def test_verification_in_turn_tells_what_has_changed(box, ada):
    """By the site's settings each environment is built again; one that comes out differently is told to its maintainers."""
    prefix = box.state / "environments/users/team" / ada.run("basename $(berth-env path team/tool)")
    target = prefix / "etc/demo.conf"
    target.unlink()
    target.write_text("changed")
    for other in [e for e in box.items("env", "list", "--everybody") if e["user"] != "team"]:
        box.berth("env", "remove", f"{other['user']}/{other['name']}", "--yes")  # this test waits for one only
    box.restart("berthd", lambda text: text + '[environments]\nverify_every = "1s"\n')
    found = wait_until(lambda: [e for e in box.items("env", "list", "ada") if e["user"] == "team" and e["verification"]], "it is verified", BUILD)
    box.restart("berthd", lambda text: text.replace('verify_every = "1s"', 'verify_every = "0s"'))
    assert found[0]["verification"]["result"] == "changed" and "etc/demo.conf" in found[0]["verification"]["detail"]
    assert "team/tool has changed: changed etc/demo.conf" in env(ada, "list")
    # Who maintains it reads so when they open a shell; others do not.
    for client, told in ((ada, True), (box.add_user("zoe"), False)):
        shell = client.popen("-tt", "box")
        said = b"".join(shell.communicate(b"exit\r", timeout=180))
        assert (b"Your environment team/tool has changed" in said) == told, said
    assert any(row["outcome"] == "changed" and row["actor"] == "berthd" for row in box.items("audit", "tail", "--action", "environment.verify"))
    assert re.search(r'berth_environments\{verified="changed"\} [1-9]', box.get("/metrics"))
