"""scripts/up and scripts/down as a new user meets them."""

import os
import re
import signal
import socket
import subprocess

import pytest

from berthbox import ROOT, SCRIPTS, Box, gone, wait_until


@pytest.fixture
def other():
    """A second Berth on the same machine, without containers."""
    box = Box(engine="process", prefix="berth-up.")
    yield box
    box.destroy()


def test_what_it_prints_is_what_to_type(other, tmp_path):
    """The printed ssh line works as it stands, with the demo key when the user has none; then `down` stops everything."""
    home = tmp_path / "home"
    home.mkdir()
    up = [SCRIPTS / "up", "--state", other.state, "--ssh-port", str(other.ssh_port), "--web-port", str(other.web_port), "--engine",
          "process", "--user", "eve", "--detach"]
    done = subprocess.run(up, capture_output=True, text=True, env={**os.environ, "HOME": str(home), "SUDO_USER": ""}, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    line = re.search(r"^\s*(ssh .*)$", done.stdout, re.M).group(1)
    assert f"-p {other.ssh_port}" in line and f"https://localhost:{other.web_port}" in done.stdout
    options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -o LogLevel=ERROR"
    said = subprocess.run(f"{line.replace('ssh ', f'ssh {options} ', 1)} 'echo works; id -un'", shell=True, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60)
    assert said.stdout.splitlines()[0] == "works", said.stderr
    assert "isolation" in done.stdout.lower() + done.stderr.lower()  # the process engine says loudly what it lacks

    again = subprocess.run(up, capture_output=True, text=True, env={**os.environ, "HOME": str(home), "SUDO_USER": ""}, timeout=60)
    assert again.returncode == 0 and "already running" in again.stdout

    pids = [other.pid(program) for program in ("berthd", "berth-keeper")]
    other.down()
    assert all(map(gone, pids))
    subprocess.run(up, check=True, capture_output=True, env={**os.environ, "HOME": str(home), "SUDO_USER": ""}, timeout=60)


def test_port_in_use(other):
    """A port that another program holds is named, with who holds it."""
    with socket.create_server(("0.0.0.0", other.ssh_port)):
        done = other.up(check=False)
    assert done.returncode != 0 and str(other.ssh_port) in done.stderr and "in use" in done.stderr and str(os.getpid()) in done.stderr


def test_stale_pid_files(other):
    """Pid files of a machine that lost power do not confuse up or down."""
    other.up()
    other.down()
    for program in ("berthd", "berth-keeper"):
        (other.state / f"{program}.pid").write_text(f"{os.getpid()}\n")
    other.up()
    assert other.client().run("echo up") == "up"
    other.down()
    other.down()


def test_foreground_and_control_c(other):
    """Without --detach it stays in the foreground, and Ctrl-C stops everything."""
    process = subprocess.Popen([SCRIPTS / "up", "--state", other.state, "--ssh-port", str(other.ssh_port), "--web-port", str(other.web_port),
                                "--engine", "process", "--user", "ada", "--key", f"{other.key}.pub"], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, start_new_session=True, cwd=ROOT,
                               # A shell that starts the tests in the background has them ignore Ctrl-C, and that is inherited.
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    try:
        for line in process.stdout:
            if "Ctrl-C" in line:
                break
        assert other.client().run("echo up") == "up"
        pid = other.pid("berthd")
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
        wait_until(lambda: gone(pid), "berthd ends")
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def test_wrong_options():
    """Wrong options are refused with a hint."""
    for arguments in (["--engine", "docker"], ["--ssh-port", "x"], ["--nonsense"], ["--key", "/nonexistent.pub"]):
        done = subprocess.run([SCRIPTS / "up", *arguments], capture_output=True, text=True, timeout=60)
        assert done.returncode != 0 and "scripts/up" in done.stderr, arguments


def test_full_disk(other, tmp_path):
    """With the state's disk full, a change is refused with a clear error, running sessions go on; with room again all works."""
    other.state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m,mode=755", "berth-test", other.state], check=True)
    try:
        other.up()
        client = other.client()
        session = client.popen("box", "while read -r line; do echo $line; done")
        session.stdin.write(b"one\n")
        session.stdin.flush()
        assert session.stdout.readline() == b"one\n"
        filler = other.state / "filler"
        subprocess.run(f"cat /dev/zero > {filler} 2>/dev/null", shell=True)
        refused = [other.berth("user", "add", f"full{i}", check=False) for i in range(40)]
        failed = [done for done in refused if done.returncode != 0]
        assert failed, "the disk was not full"
        assert re.search("full|space|storage", failed[-1].stderr + failed[-1].stdout, re.I), failed[-1].stderr
        session.stdin.write(b"two\n")
        session.stdin.flush()
        assert session.stdout.readline() == b"two\n"
        assert not gone(other.pid("berthd"))
        filler.unlink()
        wait_until(lambda: other.berth("user", "add", "after", check=False).returncode == 0, "it works again")
        assert client.run("echo again") == "again"
        acknowledged = {f"full{i}" for i, done in enumerate(refused) if done.returncode == 0} | {"after"}
        assert acknowledged <= {user["name"] for user in other.items("user", "list")}
        session.communicate()
    finally:
        other.down(check=False)
        subprocess.run(["umount", "-l", other.state], check=True)
