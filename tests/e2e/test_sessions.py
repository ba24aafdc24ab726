"""Sessions as the admin sees them; ending them; revoking what they rest on."""

import signal
import socket
import subprocess
import time

import pytest

from berthbox import fingerprint, free_ports, make_key, wait_until


def held(client, command="read -r word; echo $word"):
    """A live session that answers one line; answers the process."""
    process = client.popen("box", f"echo up; {command}")
    assert process.stdout.readline() == b"up\n"
    return process


def cut_off(process, what):
    """Waits for the end of a client that was cut off, and prints how long that took: a loaded machine may be late, so the time is not judged here."""
    began = time.monotonic()
    process.communicate(timeout=15)
    print(f"{what} ended after {time.monotonic() - began:.3f} s")
    assert process.returncode != 0


def test_live_session_fields(box, ada):
    """`berth session list` shows a live command with user, workspace, key, client, start, and the bytes that flowed."""
    process = held(ada, "head -c 100000; cat")
    try:
        process.stdin.write(b"i" * 100_000)
        process.stdin.flush()
        process.stdout.read(100_000)
        session = wait_until(lambda: next((s for s in box.sessions("ada") if "head -c" in s["detail"]), None), "it is listed")
        assert session["workspace"] == "main" and session["kind"] == "exec" and session["closed_at"] is None
        assert session["key_fingerprint"] == fingerprint(ada.key) and session["client_address"].startswith("127.0.0.1")
        live = wait_until(lambda: next((s for s in box.sessions("ada") if s["id"] == session["id"] and s["bytes_in"] >= 100_000), None),
                          "bytes are counted while it lives")
        assert live["bytes_out"] >= 100_000
    finally:
        process.stdin.close()
        process.wait(20)
    wait_until(lambda: not any(s["id"] == session["id"] for s in box.sessions("ada")), "it leaves the list")


def test_history_keeps_the_outcome(box, ada):
    """After its end a session is in the history with its exit code and exact byte counts."""
    ada.ssh("box", "cat | wc -c; exit 12 # history", input="x" * 54_321, check=False)
    def closed():
        return next((s for s in box.items("session", "list", "--all") if "# history" in s["detail"] and s["closed_at"]), None)
    session = wait_until(closed, "it is in the history")
    assert "12" in session["outcome"] and session["bytes_in"] == 54_321 and session["bytes_out"] == len("54321\n")
    def connection():
        return next((s for s in box.items("session", "list", "--all")
                     if s["kind"] == "connection" and s["client_address"] == session["client_address"] and s["closed_at"]), None)
    row = wait_until(connection, "the row of its connection is closed")
    assert row["bytes_in"] == 54_321 and row["bytes_out"] == len("54321\n"), "a connection counts what its channels carried"


def test_tunnel_is_listed(box, ada):
    """A tunnel in use is listed with its target."""
    local, remote = free_ports(), 18095
    server = ada.popen("box", f"exec python3 -c 'import socket\ns=socket.create_server((\"127.0.0.1\",{remote})); print(\"up\",flush=True)\n"
                       "while True:\n c,_=s.accept(); c.sendall(b\"hello\")\n try: c.recv(1)\n finally: c.close()'")
    assert server.stdout.readline() == b"up\n"
    tunnel = ada.popen("-N", "-L", f"{local}:127.0.0.1:{remote}", "box", stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: _open(local), "ssh listens")
        with socket.create_connection(("127.0.0.1", local)) as connection:
            assert connection.recv(5) == b"hello"
            row = wait_until(lambda: next((s for s in box.sessions("ada") if s["kind"] == "tunnel"), None), "it is listed")
            assert f"127.0.0.1:{remote}" in row["detail"]
    finally:
        for process in (tunnel, server):
            process.kill()
            process.communicate()


def _open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_session_kill(box, ada):
    """`berth session kill ID` ends that session at once, and only that one."""
    victim, other = held(ada, "sleep 600 # victim"), held(ada)
    session = wait_until(lambda: next((s for s in box.sessions("ada") if "victim" in s["detail"]), None), "it is listed")
    box.berth("session", "kill", session["id"])
    cut_off(victim, "the killed session")
    assert other.communicate(b"still here\n", timeout=20)[0] == b"still here\n"


def test_session_kill_of_a_client_that_does_not_read(box, ada):
    """A client that has stopped with its window full holds nothing open: its session ends, and the command with it."""
    process = ada.popen("box", "cat /dev/zero # stuck", stdin=subprocess.DEVNULL)
    try:
        assert process.stdout.read(1) == b"\0"
        process.send_signal(signal.SIGSTOP)
        session = wait_until(lambda: next((s for s in box.sessions("ada") if "# stuck" in s["detail"]), None), "it is listed")
        def sent():
            return next(s["bytes_out"] for s in box.sessions("ada") if s["id"] == session["id"])
        counts = [0, sent()]
        while counts[-1] != counts[-2]:  # until its window is full
            time.sleep(0.2)
            counts.append(sent())
        box.berth("session", "kill", session["id"])
        wait_until(lambda: not any(s["id"] == session["id"] for s in box.sessions("ada")), "its row is closed", 60)
        wait_until(lambda: ada.ssh("box", "pgrep -f 'cat /dev/zer[o] # stuck'", check=False).returncode == 1, "the command has ended", 60)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("how", ["key revoke", "user disable", "user remove"])
def test_taking_a_key_away_cuts_what_runs(box, how):
    """Revoking a key, disabling or removing its user ends running sessions and tunnels at once, and new logins."""
    name = "cut-" + how.replace(" ", "-")
    client = box.add_user(name)
    client.run("true", timeout=180)
    command, tunnel = held(client, "sleep 600"), client.popen("-N", "-L", f"{free_ports()}:127.0.0.1:1", "box", stdin=subprocess.DEVNULL)
    wait_until(lambda: len(box.sessions(name)) >= 1, "the session is listed")
    target = fingerprint(client.key) if how == "key revoke" else name
    box.berth(*how.split(), target)
    cut_off(command, "the command")
    cut_off(tunnel, "the tunnel")
    denied = client.ssh("box", "echo no", check=False)
    assert denied.returncode == 255 and "Permission denied (publickey)" in denied.stderr
    wait_until(lambda: box.sessions(name) == [], "no session is left open")
    if how != "user remove":
        box.berth("user", "remove", name)


def test_second_key_lives_on(box, new_user):
    """Revoking one of two keys ends only the sessions of that key."""
    client = new_user()
    second = make_key(box.dir / f"id_{client.user}_second")
    box.berth("key", "add", client.user, f"{second}.pub")
    client.run("true", timeout=180)
    first_session, second_session = held(client), held(box.client(client.user, second))
    box.berth("key", "revoke", fingerprint(client.key))
    cut_off(first_session, "the session of the revoked key")
    assert second_session.communicate(b"alive\n", timeout=20)[0] == b"alive\n"


def test_enable_again(box, new_user):
    """A disabled user who is enabled again gets in."""
    client = new_user()
    box.berth("user", "disable", client.user)
    assert client.ssh("box", "berth help", check=False).returncode == 255
    box.berth("user", "enable", client.user)
    assert client.ssh("box", "berth help").returncode == 0
