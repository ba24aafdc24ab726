"""Who may try how often, PROXY protocol, kinds of forward, message of the day: a Berth with settings of its own."""

import re
import socket
import subprocess
import sys

import pytest

from berthbox import Box, free_ports, make_key, wait_until
from clocked import ClockedBox

SETTINGS = '''[ssh]
proxy_protocol_from = ["127.0.0.1"]
tries_slow_after = 1000
tries_refuse_after = 5
tries_within = "1h"
max_sessions_per_user = 3
forwards = ["local", "remote"]
message_of_the_day = "Maintenance on Friday"
compression = true
permit_open = ["localhost:7000"]
'''

# A ProxyCommand that says for whom it connects, then copies.
PROXY = r'''
import os, socket, struct, sys, threading
port, client = int(sys.argv[1]), sys.argv[2]
s = socket.create_connection(("127.0.0.1", port))
body = socket.inet_aton(client) + socket.inet_aton("198.51.100.1") + struct.pack("!HH", 40000, 22)
s.sendall(b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H", len(body)) + body)
def up():
    while data := os.read(0, 65536):
        s.sendall(data)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := s.recv(65536):
    os.write(1, data)
'''


class LimitedBox(ClockedBox):
    def up(self, *extra, **kw):
        Box.up(self, *extra, **kw)
        file = self.state / "berth.toml"
        file.write_text(file.read_text().replace("[ssh]\n", SETTINGS))
        self.restart()


@pytest.fixture(scope="module")
def limited():
    berth = LimitedBox()
    try:
        berth.up()
        (berth.dir / "proxy.py").write_text(PROXY)
        yield berth
    finally:
        berth.destroy()


def through(box, address):
    """A client of `box` that comes through a balancer from `address`."""
    client = box.client()
    client.config.write_text(client.config.read_text() + f"  ProxyCommand {sys.executable} {box.dir}/proxy.py %p {address}\n")
    return client


def test_the_balancers_word_is_the_clients_address(limited):
    """Behind a balancer the sessions and $SSH_CONNECTION have the client's own address."""
    ada = through(limited, "203.0.113.7")
    assert ada.run("echo $SSH_CONNECTION", timeout=180).startswith("203.0.113.7 40000 198.51.100.1 22")
    assert any(session["client_address"] == "203.0.113.7:40000" for session in limited.items("session", "list", "--all"))


def test_without_the_header_a_balancer_is_not_served(limited):
    """A connection from the balancer without its header is closed, before any version is said."""
    for garbage in (b"SSH-2.0-OpenSSH_9.2p1\r\n", b"PROXY TCP4 203.0.113.7 198.51.100.1 1 2\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff" + b"x" * 100):
        with socket.create_connection(("127.0.0.1", limited.ssh_port), timeout=30) as s:
            s.sendall(garbage)
            try:
                assert s.recv(100) == b""
            except ConnectionResetError:
                pass


def test_sources_of_failed_logins_are_refused(limited):
    """After a few failed logins an address gets no more than a line; others log in as ever, and so does it through none of them."""
    wrong = through(limited, "203.0.113.66")
    stranger = make_key(limited.dir / "id_stranger")
    wrong.config.write_text(wrong.config.read_text().replace(str(limited.key), str(stranger)))

    def refused():
        return "Not allowed at this time" in wrong.ssh("-v", "box", "true", check=False).stderr
    for _ in range(5):
        assert not refused()
    wait_until(refused, "the source is refused")
    assert through(limited, "203.0.113.66").ssh("box", "true", check=False).returncode == 255, "the right key does not help now"
    assert through(limited, "203.0.113.67").run("echo in") == "in"
    assert "berth_ssh_refused_sources_total 0" not in limited.get("/metrics")


def test_sessions_of_one_user_have_a_limit(limited):
    """More sessions than a user may have are refused with a word; when one ends there is room again."""
    ada = through(limited, "203.0.113.8")
    held = [ada.popen("box", "echo up; cat") for _ in range(3)]
    try:
        assert [process.stdout.readline() for process in held] == [b"up\n"] * 3
        more = ada.ssh("-v", "box", "true", check=False)
        assert more.returncode == 255 and "too many sessions" in more.stderr
    finally:
        for process in held:
            process.stdin.close()
            process.wait(60)
    wait_until(lambda: ada.ssh("box", "true", check=False).returncode == 0, "there is room again")


def test_kinds_of_forward_that_the_site_does_not_allow(limited, tmp_path):
    """Unix sockets, agent and display are refused with a reason where the site switched them off; ports work."""
    ada = through(limited, "203.0.113.9")
    agent = str(tmp_path / "agent.sock")
    process = subprocess.Popen(["ssh-agent", "-D", "-a", agent], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: (tmp_path / "agent.sock").exists(), "ssh-agent listens")
        assert ada.run("echo ${SSH_AUTH_SOCK:-none}", env={"PATH": "/usr/bin:/bin", "SSH_AUTH_SOCK": agent}) == "none"
    finally:
        process.kill()
        process.wait()
    remote = ada.ssh("-o", "ExitOnForwardFailure=yes", "-R", "/tmp/no.sock:/tmp/no.sock", "box", "true", check=False)
    assert remote.returncode == 255
    port = free_ports()
    local = ada.popen("-v", "-N", "-L", f"{port}:/tmp/no.sock", "box", stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, "ssh listens")
        assert any(b"administratively prohibited: This server does not allow this kind of forward" in line for line in iter(local.stderr.readline, b""))
    finally:
        local.kill()
        local.communicate()
    assert ada.ssh("-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:9", "box", "echo ran").stdout == "ran\n"


def test_places_that_the_site_does_not_permit(limited):
    """ssh.permit_open names where local forwards may go, unless an administrator says otherwise of a user."""
    ada = through(limited, "203.0.113.11")

    def refused(target):
        return "forwards there" in ada.ssh("-o", "LogLevel=INFO", "-W", target, "box", check=False).stderr
    assert refused("localhost:7001") and not refused("localhost:7000")
    limited.berth("user", "forwards", "ada", "--permit-open", "localhost:7001")
    assert not refused("localhost:7001")
    limited.berth("user", "forwards", "ada", "--default")
    assert refused("localhost:7001")


def test_compression(limited):
    """Where the site has it on, ssh -C compresses after login, both ways and across key exchanges; others do not notice."""
    ada = through(limited, "203.0.113.12")
    up = b"".join(b"%08d a line that repeats\n" % i for i in range(100_000))

    def copied(*options):
        done = subprocess.run(ada.argv("-v", *options, "box", "cat; head -c 3000000 /dev/zero"), input=up, capture_output=True, timeout=120)
        assert done.returncode == 0 and done.stdout == up + bytes(3_000_000)
        return done.stderr.decode()
    said = copied("-C")
    for direction in ("outgoing", "incoming"):
        raw, compressed = re.search(rf"compress {direction}: raw data (\d+), compressed (\d+),", said).groups()
        assert int(raw) > len(up) > 4 * int(compressed)
    assert copied("-C", "-o", "RekeyLimit=64K").count("SSH2_MSG_NEWKEYS received") > 2
    assert "zlib@openssh.com" not in re.search("kex: server->client .*", copied()).group()


def test_message_of_the_day(limited):
    """Who opens a shell on a terminal reads the site's message; a command on a terminal and a script do not."""
    ada = through(limited, "203.0.113.10")
    shell = ada.ssh("-tt", "box", input="exit\n", check=False)  # not every machine gives this engine's workspaces terminals
    assert "Maintenance on Friday" in shell.stdout + shell.stderr
    script = ada.ssh("box", "echo only this")
    assert (script.stdout, script.stderr) == ("only this\n", "")
    command = ada.ssh("-tt", "box", "true", check=False)
    assert "Maintenance" not in command.stdout + command.stderr
    rows = wait_until(lambda: [row for row in limited.items("audit", "tail", "--user", "ada", "--action", "ssh.forward", "--limit", "100")
                               if row["outcome"] == "the site does not allow this kind of forward"], "the refusals are in the audit trail")
    assert {"ada on /tmp/no.sock", "ada to /tmp/no.sock"} <= {row["object"] for row in rows}
