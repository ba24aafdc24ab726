"""kill -9 at random moments during use: nothing acknowledged is lost, nothing is left open, everybody gets back in."""

import itertools
import json
import os
import random
import signal
import subprocess
import threading

import pytest

from berthbox import fingerprint, gone, make_key, wait_until

KILLS = int(os.environ.get("BERTH_KILLS", 50))
NUMBERS = itertools.count()
VICTIMS = [["berthd"], ["berth-keeper"], ["berthd", "berth-keeper"]]


class Use:
    """Logins, sessions and admin changes until stopped; remembers what was acknowledged."""

    def __init__(self, box, client):
        self.box, self.client, self.stop = box, client, threading.Event()
        self.keys, self.files = [], []  # fingerprints that `key add` said yes to; numbers whose `echo` exited 0
        self.made = [make_key(box.dir / f"id_spare{next(NUMBERS)}") for _ in range(8)]
        self.threads = [threading.Thread(target=work) for work in (self.log_in, self.log_in, self.add_keys)]
        self.number, self.lock = 0, threading.Lock()

    def log_in(self):
        while not self.stop.is_set():
            with self.lock:
                self.number += 1
                number = self.number
            if self.client.ssh("box", f"echo {number} >> crash.log && sync crash.log && echo ok", check=False, timeout=60).stdout == "ok\n":
                self.files.append(number)

    def add_keys(self):
        for key in self.made:
            if self.stop.is_set():
                return
            if self.box.berth("key", "add", self.client.user, f"{key}.pub", check=False).returncode == 0:
                self.keys.append(fingerprint(key))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self.stop.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture(scope="module")
def crasher(box):
    """A user whose workspace runs a program that must live through everything."""
    client = box.add_user("crasher")
    pid = client.run("setsid sleep 1234567 >/dev/null 2>&1 </dev/null & echo $!", timeout=180)
    yield client, pid
    box.berth("user", "remove", "crasher", check=False)


@pytest.mark.timeout(60 + 40 * KILLS)
def test_kill_dash_nine(box, ada, crasher):
    """After each kill: one command brings it back, the same program still runs, keys and files are all there, no session is open."""
    client, pid = crasher
    source = random.Random(int(os.environ.get("BERTH_KILL_SEED", 20261122)))
    for round_number in range(KILLS):
        victims = VICTIMS[round_number % len(VICTIMS)]
        with Use(box, client) as use:
            wait_until(lambda: len(use.files) >= 2, "it is in use")
            threading.Event().wait(source.uniform(0.0, 0.8))  # the random moment
            for program in victims:
                os.kill(box.pid(program), signal.SIGKILL)
            box.up(timeout=60)
        where = f"round {round_number}, killed {victims}"
        # The same program is still there, in the same container: adopted, not made anew.
        assert client.run(f"cat /proc/{pid}/cmdline | tr '\\0' ' '").strip() == "sleep 1234567", where
        written = set(map(int, client.run("cat crash.log").split()))
        assert set(use.files) <= written, where
        known = {key["fingerprint"] for key in box.items("key", "list")}
        assert set(use.keys) <= known, where
        for print_ in use.keys:
            box.berth("key", "revoke", print_)
        wait_until(lambda: box.sessions("crasher") == [], f"no session is left open, {where}")
        with box.backup("after-crash.db") as copy:
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",), where


def test_readiness_without_the_keeper(box, ada):
    """While the keeper is away /readyz says so, what runs goes on, and the next scripts/up brings it back."""
    def ready():
        return subprocess.run(["curl", "-sS", "--max-time", "5", "--unix-socket", box.state / "admin.sock", "http://berth/readyz"],
                              capture_output=True, text=True, check=True, timeout=10).stdout
    ada.run("true", timeout=180)
    assert json.loads(ready()) == {"ready": True}
    os.kill(box.pid("berth-keeper"), signal.SIGKILL)
    said = wait_until(lambda: (told := json.loads(ready()))["ready"] is False and told, "it is noticed")
    assert "berth-keeper" in said["reasons"][0]
    assert ada.run("echo goes on") == "goes on"
    box.up(timeout=60)
    assert json.loads(ready()) == {"ready": True}


def test_graceful_stop_tells_clients(box, ada):
    """SIGTERM to berthd: clients are told, and the next start finds the workspace running."""
    marker = ada.run("setsid sleep 2345678 >/dev/null 2>&1 </dev/null & echo $!")
    session = ada.popen("-v", "box", "cat")
    session.stdin.write(b"x\n")
    session.stdin.flush()
    session.stdout.readline()
    pid = box.pid("berthd")
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: gone(pid), "berthd ends", timeout=30)
    _, said = session.communicate(timeout=10)
    assert session.returncode == 255 and b"disconnect" in said.lower()
    box.up(timeout=60)
    assert ada.run(f"kill {marker} && echo was there") == "was there"
