"""Clients that are there no more, without a word: found by keepalives. And key exchanges while data flows."""

import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from berthbox import Box, Client, wait_until
from test_upgrade import settings


@pytest.fixture(scope="module")
def impatient():
    """A Berth that asks silent clients every second, gives them up after two questions, and exchanges keys every second or mebibyte."""
    berth = Box(engine="process", prefix="berth-keepalive.")
    try:
        berth.up()
        with settings(berth, "ssh", keepalive_interval='"1s"', keepalive_limit=2, rekey_after='"1s"', rekey_bytes=1 << 20):
            berth.up("--upgrade")
        berth.client().run("true", timeout=180)
        yield berth
    finally:
        berth.destroy()


class Relay:
    """A TCP relay to Berth's SSH port that can begin to swallow everything, as a network that is gone does: no byte, no end."""

    def __init__(self, port):
        self.port, self.swallows = port, threading.Event()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.kept = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            self.kept += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self.copy, args=(source, sink), daemon=True).start()

    def copy(self, source, sink):
        while data := source.recv(65536):
            if not self.swallows.is_set():
                sink.sendall(data)

    def close(self):
        for each in (self.listening, *self.kept):
            each.close()


def is_gone(box):
    wait_until(lambda: box.sessions("ada") == [], "the client is given up", timeout=60)


def test_a_stopped_client(impatient):
    """A client that is stopped answers nothing: its connection ends, and with it what it ran."""
    client = impatient.client()
    stopped = client.popen("box", "echo $$; exec cat")
    pid = int(stopped.stdout.readline())
    began = time.monotonic()
    stopped.send_signal(signal.SIGSTOP)
    is_gone(impatient)
    print(f"a stopped client was given up after {time.monotonic() - began:.1f} s")
    wait_until(lambda: client.run(f"kill -0 {pid} 2>/dev/null; echo $?") == "1", "what it ran ends")
    stopped.kill()
    stopped.communicate(timeout=30)


def test_a_network_that_is_gone(impatient):
    """The way to the client loses everything from one moment on: given up just so. While it works, a client that says nothing by itself stays."""
    relay = Relay(impatient.ssh_port)
    client = Client(impatient, "ada", impatient.key)
    port = relay.listening.getsockname()[1]
    quiet = client.popen("-p", str(port), "-o", "ServerAliveInterval=0", "box", "echo there; exec cat")
    assert quiet.stdout.readline() == b"there\n"
    client.run("sleep 5")  # longer than a client that answers nothing would be let be
    quiet.stdin.write(b"still\n")
    quiet.stdin.flush()
    assert quiet.stdout.readline() == b"still\n"
    began = time.monotonic()
    relay.swallows.set()
    is_gone(impatient)
    print(f"a lost network was noticed after {time.monotonic() - began:.1f} s")
    relay.close()
    quiet.kill()
    quiet.communicate(timeout=30)


def test_key_exchanges_under_load(impatient):
    """Both sides ask for new keys, by bytes and by time, while data flows both ways: not a byte is lost."""
    data = bytes(range(256)) * 80_000
    for limit in ("default", "2M 1s"):
        client = impatient.client()
        done = subprocess.run(client.argv("-o", "LogLevel=DEBUG1", "-o", f"RekeyLimit={limit}", "box", "cat"), input=data, capture_output=True, timeout=300)
        assert done.returncode == 0 and done.stdout == data
        assert len(re.findall(rb"SSH2_MSG_NEWKEYS received", done.stderr)) > 5
