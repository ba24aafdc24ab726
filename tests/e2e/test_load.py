"""Many channels on one connection, and a client that stops reading."""

import asyncio
import signal
import subprocess
import sys

import asyncssh
import pytest

from berthbox import SANITIZED, resident, wait_until

pytestmark = pytest.mark.timeout(300)


def test_two_hundred_channels_on_one_connection(ada, box):
    """200 commands at once on one connection, all alive together: each gets its own bytes and exit code."""
    async def run():
        async with asyncssh.connect("127.0.0.1", box.ssh_port, username="ada", client_keys=[str(ada.key)], known_hosts=None, config=None) as connection:
            processes = [await connection.create_process(f"read -r word; echo {i} $word; exit {i}") for i in range(200)]
            for i, process in enumerate(processes):
                process.stdin.write(f"w{i}\n")
            for i, process in enumerate(processes):
                done = await process.wait()
                assert (done.stdout, done.exit_status) == (f"{i} w{i}\n", i)
    asyncio.run(asyncio.wait_for(run(), 240))


def test_a_shell_begins_with_what_the_workspace_does(ada):
    """Who opens a shell on a terminal is told in one line what the workspace does; a script is not."""
    shell = ada.ssh("-tt", "box", input="exit\n")
    line = next(line for line in (shell.stdout + shell.stderr).splitlines() if line.startswith("Workspace main: "))
    assert line.rstrip().endswith(("of memory in use.", "nothing else runs in it.")), line
    assert "Workspace main" not in ada.ssh("box", "true").stderr


STOPPED = """
import asyncio, asyncssh, os, sys
class Silent(asyncssh.SSHClientSession):
    def connection_made(self, chan): chan.pause_reading()
async def run():
    connection = await asyncssh.connect("127.0.0.1", int(sys.argv[1]), username="ada", client_keys=[sys.argv[2]], known_hosts=None, config=None)
    for _ in range(100):
        await connection.create_session(Silent, "cat /dev/zero", encoding=None)
    print("ready", flush=True)
    await asyncio.sleep(3600)
asyncio.run(run())
"""


def test_a_stopped_client_costs_little_memory(ada, box):
    """A client with 100 channels, a program writing on each without end, is stopped: berthd grows by less than 20 MB, and serves others."""
    pid = box.pid("berthd")
    before = resident(pid)
    client = subprocess.Popen([sys.executable, "-c", STOPPED, str(box.ssh_port), str(ada.key)], stdout=subprocess.PIPE)
    try:
        assert client.stdout.readline() == b"ready\n"
        client.send_signal(signal.SIGSTOP)
        seen = [0]

        def steady():
            now = next(s for s in box.sessions("ada") if s["kind"] == "connection" and "AsyncSSH" in s["detail"])["bytes_out"]
            same, seen[0] = now == seen[0], now
            return same
        wait_until(steady, "nothing flows any more", timeout=120, every=0.5)
        assert resident(pid) - before < 20_000_000 * (10 if SANITIZED else 1)  # a sanitizer keeps books of its own
        assert ada.run("echo served") == "served"
    finally:
        client.kill()
        client.wait()
    wait_until(lambda: not any("/dev/zero" in s["detail"] for s in box.sessions("ada")), "its sessions are closed", timeout=60)


def test_an_answer_beside_a_bulk_copy(ada, box):
    """While one channel of a connection carries a copy without end, 20 commands beside it on the same connection are answered."""
    control = ["-o", f"ControlPath={box.dir}/cm-fair"]
    master = ada.popen("-M", *control, "box", "cat /dev/zero", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: (box.dir / "cm-fair").exists(), "the master is there")
        for i in range(20):
            assert ada.run("echo beside", timeout=60) == ada.ssh(*control, "box", "echo beside", timeout=60).stdout.strip()
        assert master.poll() is None
    finally:
        master.kill()
        master.communicate()
