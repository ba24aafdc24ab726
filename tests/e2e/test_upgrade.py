"""A new berthd takes over while people work: nobody's connection ends, and what the new one decides holds for the old one too."""

import contextlib
import hashlib
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import time

import pytest
from websockets.exceptions import ConnectionClosed

from berthbox import fingerprint, free_ports, gone, make_key, wait_until
from test_attach import Page, Tab


def upgrade(box):
    """`scripts/up --upgrade`: the pids of the berthd that was replaced and of the one that serves now."""
    old = box.pid("berthd")
    box.up("--upgrade")
    new = box.pid("berthd")
    assert new != old and not gone(old)
    return old, new


def instances(box):
    return {row["pid"]: row for row in box.request("GET", "/status")["instances"]}


def ended(pid):
    wait_until(lambda: gone(pid), f"berthd {pid} has ended", timeout=60)


def nothing_is_open(box, user):
    """No row of theirs is open (that of a browser stays for a minute)."""
    def rows():
        return [row for row in box.sessions(user) if row["kind"] != "web"]
    try:
        wait_until(lambda: rows() == [], "no row is left open", timeout=60)
    except AssertionError:
        pytest.fail(f"open: {rows()}")


class Cat:
    """`ssh box cat`: says whether it still answers."""

    def __init__(self, client, *options):
        self.process = client.popen("-o", "LogLevel=INFO", *options, "box", "cat")  # INFO: the server's last words are shown
        self.answers("begin")

    def answers(self, word):
        self.process.stdin.write(f"{word}\n".encode())
        self.process.stdin.flush()
        assert self.process.stdout.readline() == f"{word}\n".encode()

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=30) == 0

    def said(self):
        """What it ended with."""
        code = self.process.wait(timeout=60)  # its input stays open: the other side ends it
        return code, self.process.communicate()[1].decode(errors="replace")


@contextlib.contextmanager
def settings(box, section="server", **keys):
    """More keys for the berthds that start meanwhile."""
    file = box.state / "berth.toml"
    before = file.read_text()
    lines = "".join(f"{name} = {value}\n" for name, value in keys.items())
    file.write_text(before.replace(f"[{section}]\n", f"[{section}]\n{lines}"))
    try:
        yield
    finally:
        file.write_text(before)


@pytest.fixture
def person(new_user):
    client = new_user()
    client.run("true", timeout=180)
    return client


@pytest.fixture
def terminals(box, person):
    """Not every machine lets a plain process of another user open a terminal (/dev/ptmx); containers have their own."""
    if box.engine == "process":
        tried = person.ssh("-tt", "box", "true", check=False)
        if "opening a terminal" in tried.stdout + tried.stderr:
            pytest.skip("engine process has no terminals on this machine")


@pytest.mark.timeout(300)
def test_nobody_is_dropped(box, person, terminals, tmp_path):
    """A command, a multiplexed connection, an scp, a forward and a terminal in the browser go on over the upgrade; new logins arrive at the new berthd."""
    payload = os.urandom(24_000_000)
    (tmp_path / "payload").write_bytes(payload)
    person.run("touch arrived; cat > serve.py <<'X'\nimport socket\ns = socket.create_server(('localhost', 7001))\nwhile True:\n"
               "    c = s.accept()[0]\n    while d := c.recv(100):\n        c.sendall(d)\nX\nsetsid python3 serve.py >/dev/null 2>&1 </dev/null &")
    port = free_ports()
    master = tmp_path / "master"
    tunnel = person.popen("-M", "-S", str(master), "-N", "-L", f"{port}:localhost:7001", "box")
    wait_until(master.exists, "the connection is there", timeout=60)

    def connected():
        with contextlib.suppress(OSError):
            there = socket.create_connection(("127.0.0.1", port), timeout=60)
            there.sendall(b"one")
            if there.recv(100) == b"one":
                return there
        return None
    forwarded = wait_until(connected, "the forward and the server behind it are there", timeout=60)
    cat = Cat(person)
    tab = Tab(Page(box, person))
    tab.socket.send(b"PS1='$ '; echo by''web\r")
    tab.expect(b"byweb")
    copy = subprocess.Popen(["scp", "-F", person.config, "-l", "24000", tmp_path / "payload", "box:arrived"], stdin=subprocess.DEVNULL)
    wait_until(lambda: int(person.ssh("-S", str(master), "box", "stat -c %s arrived").stdout) > 0, "the copy is under way", timeout=60)
    copy.send_signal(signal.SIGSTOP)  # half-way, however long the upgrade takes here
    assert int(person.run("stat -c %s arrived")) < len(payload)

    old, new = upgrade(box)
    copy.send_signal(signal.SIGCONT)
    states = instances(box)
    assert states[new]["state"] == "serving" and states[old]["state"] == "draining"
    wait_until(lambda: (row := instances(box)[old])["connections"] >= 4 and row["ends_by"], "status says what the old one has, and until when")
    text = subprocess.run([box.bin / "berth", "--admin-socket", box.state / "admin.sock", "status"], capture_output=True, text=True, check=True, timeout=30).stdout
    assert re.search(rf"process {new}\s.*serving", text) and re.search(rf"process {old}\s.*draining", text)

    # What was open goes on, and takes new channels.
    cat.answers("after the upgrade")
    forwarded.sendall(b"two")
    assert forwarded.recv(100) == b"two"
    assert person.ssh("-S", str(master), "box", "echo by the old one").stdout == "by the old one\n"
    tab.socket.send(b"echo still th''ere\r")
    tab.expect(b"still there")
    assert copy.wait(timeout=120) == 0
    assert person.run("sha256sum < arrived").split()[0] == hashlib.sha256(payload).hexdigest()
    # A new login and a new page are served by the new one.
    assert person.run("echo by the new one") == "by the new one"
    late = Cat(person)
    second = Tab(Page(box, person))
    second.socket.send(b"echo se''cond\r")
    second.expect(b"second")
    with box.backup("upgrade.db") as store:
        rows = store.execute("SELECT kind, instance FROM sessions WHERE user = ? AND closed_at = 0", (person.user,)).fetchall()
    assert len({instance for kind, instance in rows if kind == "connection"}) == 2, rows
    assert {row["kind"] for row in box.sessions(person.user)} >= {"connection", "exec", "terminal", "tunnel"}

    cat.close()
    forwarded.close()
    tunnel.terminate()
    tunnel.wait(timeout=30)
    tab.socket.close()
    ended(old)
    wait_until(lambda: list(instances(box)) == [new], "the old one is gone from the status")
    late.answers("and on")
    late.close()
    second.socket.close()
    nothing_is_open(box, person.user)


@pytest.mark.timeout(240)
def test_what_the_new_one_decides_holds_for_the_old_one(box, person, terminals, new_user):
    """A key revoked, an account disabled and a session ended after the upgrade: cut off at the old berthd too, terminals in the browser as well."""
    other = new_user()
    spare = make_key(box.dir / f"spare_{person.user}")
    box.berth("key", "add", person.user, f"{spare}.pub")
    revoked, stays = Cat(box.client(person.user, spare)), Cat(person)
    disabled, killed = Cat(other), Cat(person)
    tab = Tab(Page(box, other))
    page = Page(box, person)
    logged_out = Tab(page)
    of_killed = max((row for row in box.sessions(person.user) if row["kind"] == "exec"), key=lambda row: row["opened_at"])["id"]
    old, _ = upgrade(box)

    began = time.monotonic()
    box.berth("key", "revoke", fingerprint(f"{spare}.pub"))
    code, said = revoked.said()
    print(f"a key revoked at the new berthd ended the old one's connection after {time.monotonic() - began:.2f} s")
    assert code == 255 and "revoked" in said
    page.ask("POST", "logout")
    with pytest.raises(ConnectionClosed):
        while True:
            logged_out.socket.recv(timeout=60)
    box.berth("user", "disable", other.user)
    code, said = disabled.said()
    assert code == 255 and "disabled" in said
    with pytest.raises(ConnectionClosed):
        while True:
            tab.socket.recv(timeout=60)
    assert box.request("DELETE", f"/sessions/{of_killed}") == {"ended": 1}
    assert killed.said()[0] != 0
    stays.answers("not meant")
    stays.close()
    ended(old)
    with box.backup("decided.db") as store:
        assert store.execute("SELECT count(*) FROM sessions WHERE closed_at = 0 AND user IN (?, ?)", (person.user, other.user)).fetchone() == (0,)


@pytest.mark.timeout(240)
def test_the_limit(box, person):
    """What is still open when server.upgrade_drain is over is told to connect again."""
    cat = Cat(person)
    with settings(box, upgrade_drain='"2s"'):
        old, _ = upgrade(box)
    code, said = cat.said()
    assert code == 255 and "upgraded" in said
    ended(old)
    assert person.run("echo again") == "again"


@pytest.mark.timeout(300)
def test_kill_dash_nine_of_either(box, person):
    """The new one killed: the old one goes on, and the next start finds it. The old one killed: its rows are closed, the new one goes on."""
    at_old = Cat(person)
    old, new = upgrade(box)
    at_new = Cat(person)
    os.kill(new, signal.SIGKILL)
    assert at_new.said()[0] == 255
    at_old.answers("without the new one")
    box.up(timeout=60)
    newest = box.pid("berthd")
    assert {row["state"] for row in instances(box).values()} == {"serving", "draining"} and set(instances(box)) == {old, newest}
    at_old.answers("beside the newest")
    assert person.run("echo in") == "in"
    assert any(row["kind"] == "exec" for row in box.sessions(person.user))
    stays = Cat(person)
    os.kill(old, signal.SIGKILL)
    assert at_old.said()[0] == 255
    wait_until(lambda: list(instances(box)) == [newest], "it is noticed")
    stays.answers("on")
    stays.close()
    nothing_is_open(box, person.user)


@pytest.mark.timeout(240)
def test_an_upgrade_that_fails(box, person):
    """Settings that do not hold: the command says why, and the berthd that runs goes on as if nothing had been."""
    cat = Cat(person)
    before = box.pid("berthd")
    with settings(box, lanes='"many"'):
        done = box.up("--upgrade", check=False)
    assert done.returncode == 1 and "server.lanes" in done.stderr and "the old one goes on" in done.stderr
    assert box.pid("berthd") == before and list(instances(box)) == [before]
    cat.answers("as before")
    assert person.run("echo in") == "in"
    done = subprocess.run(["setpriv", "--reuid", "berth", "--regid", "berth", "--clear-groups", box.state / "bin/berthd", "--config", box.state / "berth.toml"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and f"another berthd (process {before}" in done.stderr and "--take-over" in done.stderr
    cat.answers("still")
    cat.close()


class Manager:
    """As systemd does: starts berthd with a notification socket, and hears who says what."""

    def __init__(self, box):
        self.box, self.path = box, box.dir / "notify.sock"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.path.chmod(0o777)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.settimeout(60)

    def command(self, *extra):
        return ["setpriv", "--reuid", "berth", "--regid", "berth", "--clear-groups", self.box.state / "bin/berthd", "--config", self.box.state / "berth.toml", *extra]

    def hear(self, wanted):
        """The pid that said `wanted`, and what it said."""
        while True:
            text, extra, _, _ = self.socket.recvmsg(1000, socket.CMSG_SPACE(12))
            pid = struct.unpack("3i", extra[0][2])[0]
            if wanted in text.decode():
                return pid, text.decode()


@pytest.mark.timeout(300)
def test_as_systemd_does_it(box, person):
    """`systemctl reload`: the command returns when the new berthd serves, the unit's main process is the new one, which answers the watchdog; a stop ends both."""
    os.kill(box.pid("berthd"), signal.SIGTERM)
    ended(box.pid("berthd"))
    manager = Manager(box)
    log = (box.state / "log/berthd.log").open("ab")
    # A session of its own: nothing of the tests' terminal is the daemon's.
    first = subprocess.Popen(manager.command(), env={"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "3000000"}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                             start_new_session=True)
    try:
        (box.state / "berthd.pid").write_text(f"{first.pid}\n")
        assert manager.hear("READY=1")[0] == first.pid
        cat = Cat(person)
        reload = subprocess.run(manager.command("--take-over", "--background"), env={}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=60)
        assert reload.returncode == 0
        sender, said = manager.hear("MAINPID=")
        main = int(said.removeprefix("MAINPID="))
        (box.state / "berthd.pid").write_text(f"{main}\n")
        assert sender == first.pid and list(instances(box)) == [main, first.pid]
        assert manager.hear("READY=1")[0] == main
        assert {manager.hear("WATCHDOG=1")[0] for _ in range(3)} == {main}
        cat.answers("over the reload")
        assert person.run("echo in") == "in"
        os.kill(main, signal.SIGTERM)
        assert manager.hear("STOPPING=1")[0] == main
        assert cat.said()[0] == 255
        ended(main)
        assert first.wait(timeout=60) == 0
        # Nothing serves: there is nothing to replace.
        done = subprocess.run(manager.command("--take-over", "--background"), env={}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and "nothing to take over" in done.stderr
    finally:
        first.kill()
        first.wait()
        log.close()
        manager.socket.close()
        with contextlib.suppress(FileNotFoundError):
            pathlib.Path(manager.path).unlink()
        box.up(timeout=60)
    assert person.run("echo back") == "back"
