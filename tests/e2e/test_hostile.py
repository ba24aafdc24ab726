"""Garbage, half and slow clients on the SSH port: they are dropped, and nobody else notices."""

import contextlib
import os
import random
import socket
import threading

import pytest

from berthbox import wait_until


@pytest.fixture
def bystander(ada):
    """A live session that must survive, and a new login that must work, whatever the test does."""
    process = ada.popen("box", "while read -r line; do echo $line; done")
    process.stdin.write(b"one\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"one\n"
    yield process
    process.stdin.write(b"two\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"two\n", "the bystander was harmed"
    process.communicate(timeout=20)
    assert ada.run("echo new login") == "new login"


def raw(box):
    return socket.create_connection(("127.0.0.1", box.ssh_port), timeout=30)


def drain(connection):
    """Everything until the server closes."""
    data = b""
    with contextlib.suppress(OSError):
        while block := connection.recv(65536):
            data += block
    return data


GARBAGE = {
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "tls": bytes.fromhex("16030100c8010000c40303") + bytes(200),
    "long line without end": b"SSH-2.0-" + b"a" * 100_000,
    "endless lines before the version": b"hello\r\n" * 20_000,
    "old protocol": b"SSH-1.5-old\r\n",
    "nul bytes": bytes(10_000),
    "version then garbage": b"SSH-2.0-test\r\n" + bytes(range(256)) * 100,
    "version then a huge packet": b"SSH-2.0-test\r\n\xff\xff\xff\xff" + bytes(5000),
    "version then an empty packet": b"SSH-2.0-test\r\n\x00\x00\x00\x00" + bytes(5000),
    "format string": b"SSH-2.0-%s%n%n%n\r\n" + b"%n" * 1000 + bytes(1000),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage(box, ada, bystander, name):
    """Garbage on the port is dropped at once."""
    with raw(box) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(GARBAGE[name])
            connection.shutdown(socket.SHUT_WR)
        assert len(drain(connection)) < 10_000


def test_random_bytes(box, ada, bystander):
    """Two hundred connections with random bytes after a good version line."""
    source = random.Random(20261122)
    for _ in range(200):
        with raw(box) as connection, contextlib.suppress(OSError):
            connection.sendall(b"SSH-2.0-fuzz\r\n" + source.randbytes(source.randrange(2000)))
            connection.shutdown(socket.SHUT_WR)
            drain(connection)


def test_mutated_key_exchange(box, ada, bystander):
    """A real client's first packets with single bytes changed, fifty times."""
    # What a real client sends first, taken from this machine's own ssh.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = ada.popen("-o", f"Port={port}", "-o", "UserKnownHostsFile=/dev/null", "box", "true")
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"SSH-2.0-capture\r\n")
            hello = b""
            while len(hello) < 1000:
                block = connection.recv(65536)
                if not block:
                    break
                hello += block
        process.kill()
        process.communicate()
    source = random.Random(1)
    for _ in range(50):
        bad = bytearray(hello)
        for _ in range(source.randrange(1, 6)):
            bad[source.randrange(len(bad))] = source.randrange(256)
        with raw(box) as connection, contextlib.suppress(OSError):
            connection.sendall(bad)
            connection.shutdown(socket.SHUT_WR)
            drain(connection)


def test_half_banner_and_silence(box, ada, bystander):
    """Sixty connections that say half a version line, or nothing, and stay: others get in as quickly as ever."""
    with contextlib.ExitStack() as stack:
        for i in range(60):
            connection = stack.enter_context(raw(box))
            if i % 2:
                connection.sendall(b"SSH-2.0-ha")
        for _ in range(3):
            assert ada.run("echo in", timeout=15) == "in"


def test_slow_banner(box, ada, bystander):
    """A version line that trickles in byte by byte does not hold up anybody."""
    stop = threading.Event()

    def trickle():
        with raw(box) as connection, contextlib.suppress(OSError):
            for byte in b"SSH-2.0-slow" + b"x" * 200:
                if stop.wait(0.05):
                    return
                connection.send(bytes([byte]))

    threads = [threading.Thread(target=trickle) for _ in range(10)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            assert ada.run("echo in", timeout=15) == "in"
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_reset_in_the_middle(box, ada, bystander):
    """Clients that vanish with a TCP reset in the middle of everything leave nothing behind."""
    before = _descriptors(box)
    for i in range(60):
        connection = raw(box)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        with contextlib.suppress(OSError):
            if i % 3:
                connection.sendall(b"SSH-2.0-gone\r\n")
                connection.recv(10)
            connection.close()
    for _ in range(5):
        process = ada.popen("box", "cat /dev/zero")
        process.stdout.read(200_000)
        process.kill()
        process.communicate()
    wait_until(lambda: _descriptors(box) <= before + 3, "no descriptor is left open")


def _descriptors(box):
    return len(os.listdir(f"/proc/{box.pid('berthd')}/fd"))


def test_too_many_before_login(box, ada, bystander):
    """Hundreds of connections that never log in: the number that may wait is capped, and they are dropped in the end."""
    connections = []
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                connections.append(raw(box))
    finally:
        for connection in connections:
            connection.close()
    wait_until(lambda: ada.ssh("box", "echo in", check=False, timeout=30).stdout == "in\n", "logging in works", timeout=60)
