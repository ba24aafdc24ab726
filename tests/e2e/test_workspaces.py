"""Workspaces: made at the first connection, kept, named, stopped, reset."""

import re
import subprocess

from berthbox import Client, wait_until


def containers(box, user):
    """Names of this user's containers, asked from the engine itself."""
    instance = re.search(r'^instance = "(.*)"', (box.state / "keeper.toml").read_text(), re.M).group(1)
    return subprocess.run(["podman", "ps", "-a", "--format", "{{.Names}}", "--filter", f"label=berth.owner={instance}", "--filter",
                           f"label=berth.user={user}"], capture_output=True, text=True, check=True, timeout=60).stdout.split()


def state_of(box, user, name="main"):
    return next((w["state"] for w in box.items("workspace", "list") if (w["user"], w["name"]) == (user, name)), None)


def test_first_connection_shows_progress_on_stderr(box, new_user):
    """The first connection says on stderr what happens; stdout holds only the command's output."""
    client = new_user()
    first = client.ssh("box", "echo ready")
    assert first.stdout == "ready\n" and "workspace" in first.stderr.lower()
    second = client.ssh("box", "echo ready")
    assert (second.stdout, second.stderr) == ("ready\n", "")
    assert state_of(box, client.user) == "running"


def test_two_first_connections_make_one_container(box, new_user):
    """Five first connections at once start one container, and all of them get in."""
    client = new_user()
    processes = [client.popen("box", "cat /proc/sys/kernel/random/boot_id >/dev/null; hostname", stdin=subprocess.DEVNULL) for _ in range(5)]
    answers = [(process.communicate(timeout=120)[0], process.returncode) for process in processes]
    assert len(set(answers)) == 1 and answers[0][1] == 0 and answers[0][0]
    if box.engine == "podman":
        assert len(containers(box, client.user)) == 1


def test_named_workspace(box, ada):
    """`USER+nlp` is another workspace of the same user with its own processes."""
    nlp = Client(box, "ada+nlp", ada.key)
    nlp.run("(sleep 4321 >/dev/null 2>&1 &)", timeout=180)
    assert nlp.run("pgrep -fx 'sleep 4321' | wc -l") == "1"
    assert ada.run("pgrep -fx 'sleep 4321' | wc -l") == "0"
    assert {w["name"] for w in box.items("workspace", "list") if w["user"] == "ada"} >= {"main", "nlp"}
    box.berth("workspace", "remove", "ada/nlp")


def test_what_runs_stays_between_connections(ada):
    """A program in the background and its files are still there at the next connection."""
    ada.run("echo kept > kept.txt; (setsid sleep 5432 >/dev/null 2>&1 &)")
    assert ada.run("cat kept.txt; pgrep -cfx 'sleep 5432'") == "kept\n1"
    ada.run("pkill -fx 'sleep 5432'; rm kept.txt")


def test_stop_and_start_keep_the_home(box, new_user):
    """`berth workspace stop` ends its programs; the next connection starts it again with the home as it was."""
    client = new_user()
    client.run("echo mine > file; (setsid sleep 6543 >/dev/null 2>&1 &)", timeout=180)
    box.berth("workspace", "stop", f"{client.user}/main")
    assert state_of(box, client.user) == "stopped"
    assert client.run("cat file; pgrep -cfx 'sleep 6543' || true", timeout=180) == "mine\n0"
    box.berth("workspace", "reset", f"{client.user}/main")
    assert client.run("cat file", timeout=180) == "mine"
    box.berth("workspace", "remove", f"{client.user}/main")
    wait_until(lambda: containers(box, client.user) == [], "the container is gone")
    assert client.run("cat file", timeout=180) == "mine"


def test_stop_hangs_up_live_sessions(box, new_user):
    """Stopping a workspace ends its programs with SIGHUP first, and the clients' sessions with them."""
    client = new_user()
    client.run("true", timeout=180)
    process = client.popen("box", "trap 'echo hup > hup; exit' HUP; echo up; while :; do sleep 0.1; done", stdin=subprocess.DEVNULL)
    assert process.stdout.readline() == b"up\n"
    box.berth("workspace", "stop", f"{client.user}/main")
    process.communicate(timeout=30)
    assert client.run("cat hup", timeout=180) == "hup"


def test_tools_are_there(ada, box):
    """The default image has what people expect: git, tmux, rsync, curl, python, JupyterLab, a shell with completion."""
    assert box.engine == "podman", "this needs containers"
    ada.run("for tool in git tmux rsync curl python3 jupyter nano; do command -v $tool >/dev/null || { echo $tool is missing; exit 1; }; done")
    assert ada.run("jupyter lab --version").startswith("4.")


def test_restart_of_the_engines_service(box, ada):
    """Podman's service dying and coming back leaves sessions, workspaces and new logins alone."""
    assert box.engine == "podman", "this needs containers"
    session = ada.popen("box", "cat")
    session.stdin.write(b"before\n")
    session.stdin.flush()
    assert session.stdout.readline() == b"before\n"
    subprocess.run(["kill", "-9", str(box.pid("podman-service"))], check=True)
    assert ada.run("echo works") == "works"
    box.up()
    session.stdin.write(b"after\n")
    session.stdin.flush()
    assert session.stdout.readline() == b"after\n"
    session.communicate()
    other = Client(box, "ada+again", ada.key)
    assert other.run("echo new", timeout=180) == "new"
    box.berth("workspace", "remove", "ada/again")
