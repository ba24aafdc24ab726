"""-L and -D: connections leave from inside the workspace, and reach only what the workspace reaches."""

import asyncio
import concurrent.futures
import contextlib
import hashlib
import http.server
import os
import socket
import subprocess
import threading

import asyncssh
import pytest

from berthbox import free_ports, wait_until

WEB = "python3 -m http.server --bind 127.0.0.1 {port} --directory served >/dev/null 2>&1 & echo $! > served.pid"


@pytest.fixture(scope="module")
def served(ada):
    """A web server inside the workspace with a 20 MB file: its port and the file's SHA-256."""
    port = 18080
    ada.run("mkdir -p served && head -c 20000000 /dev/urandom > served/data.bin")
    digest = ada.run("sha256sum served/data.bin").split()[0]
    ada.run(f"({WEB.format(port=port)})")
    wait_until(lambda: ada.ssh("box", f"curl -s -o /dev/null http://127.0.0.1:{port}/", check=False).returncode == 0, "the server answers")
    yield port, digest
    ada.run("kill $(cat served.pid); rm -rf served served.pid")


@contextlib.contextmanager
def forwarding(client, *options, port):
    """`ssh -N` with the given forward, ready to use on the local `port`."""
    process = client.popen("-N", "-o", "ExitOnForwardFailure=yes", *options, "box", stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: process.poll() is not None or _listens(port), "ssh listens")
        assert process.poll() is None, process.stderr.read()
        yield process
    finally:
        process.kill()
        process.communicate()


def _listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def fetch(*args):
    done = subprocess.run(["curl", "-sS", "--max-time", "60", *args], capture_output=True)
    return done.returncode, done.stdout


def test_local_forward(ada, served):
    """`ssh -L` to a web server in the workspace: the download's hash is equal, also four at once."""
    port, digest = served
    local = free_ports()
    with forwarding(ada, "-L", f"{local}:127.0.0.1:{port}", port=local):
        def one(_):
            code, data = fetch(f"http://127.0.0.1:{local}/data.bin")
            return code, hashlib.sha256(data).hexdigest()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            assert list(pool.map(one, range(4))) == [(0, digest)] * 4


def test_dynamic_forward(ada, served):
    """`ssh -D`: the same server through a SOCKS proxy, by name and by address."""
    port, digest = served
    local = free_ports()
    with forwarding(ada, "-D", str(local), port=local):
        for host in ("127.0.0.1", "localhost"):
            code, data = fetch("--socks5-hostname", f"127.0.0.1:{local}", f"http://{host}:{port}/data.bin")
            assert (code, hashlib.sha256(data).hexdigest()) == (0, digest)


def test_upload_and_half_close(ada):
    """A tunnel carries 30 MB up, the end of the upload, and the answer that follows it."""
    remote, local = 18081, free_ports()
    server = ada.popen("box", f"""exec python3 -c '
import hashlib, socket
listener = socket.create_server(("127.0.0.1", {remote}))
print("up", flush=True)
while True:
    connection, _ = listener.accept()
    digest = hashlib.sha256()
    while data := connection.recv(65536):
        digest.update(data)
    connection.sendall(digest.hexdigest().encode())
    connection.close()
'""")
    try:
        assert server.stdout.readline() == b"up\n"
        data = os.urandom(30_000_000)
        with forwarding(ada, "-L", f"{local}:127.0.0.1:{remote}", port=local):
            with socket.create_connection(("127.0.0.1", local), timeout=60) as tunnel:
                tunnel.sendall(data)
                tunnel.shutdown(socket.SHUT_WR)
                assert tunnel.makefile("rb").read().decode() == hashlib.sha256(data).hexdigest()
    finally:
        server.kill()
        server.communicate()


def test_refused_port(ada):
    """A tunnel to a port where nothing listens is closed at once; the connection lives on."""
    local = free_ports()
    with forwarding(ada, "-L", f"{local}:127.0.0.1:1", port=local) as process:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", local), timeout=10) as tunnel:
                assert tunnel.recv(10) == b""
        assert process.poll() is None


def test_no_way_to_the_hosts_loopback(ada, box):
    """A tunnel cannot reach services on the host's loopback, under any of the host's names seen from inside."""
    assert box.engine == "podman", "this needs containers"
    hits = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            hits.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        gateway = ada.run("python3 -c \"print([__import__('socket').inet_ntoa(bytes.fromhex(l.split()[2])[::-1]) "
                          "for l in open('/proc/net/route').read().splitlines()[1:] if l.split()[1]=='00000000'][0])\"")
        local = free_ports()
        with forwarding(ada, "-D", str(local), port=local):
            for host in ("127.0.0.1", "localhost", "[::1]", gateway, "host.containers.internal", "10.0.2.2"):
                code, _ = fetch("--max-time", "10", "--socks5-hostname", f"127.0.0.1:{local}",
                                f"http://{host}:{server.server_port}/")
                assert code != 0, host
        assert hits == []
    finally:
        server.shutdown()


def test_unix_socket_of_the_workspace(ada):
    """`ssh -L port:/path/to.sock` reaches a Unix socket inside the workspace."""
    local = free_ports()
    server = ada.popen("box", "rm -f u.sock; python3 -c 'import socket\n"
                       "s=socket.socket(socket.AF_UNIX); s.bind(\"u.sock\"); s.listen(); print(\"up\",flush=True)\n"
                       "while True:\n c,_=s.accept(); c.sendall(b\"hello from inside\"); c.close()'")
    assert server.stdout.readline() == b"up\n"
    home = ada.run("pwd")
    try:
        with forwarding(ada, "-L", f"{local}:{home}/u.sock", port=local):
            with socket.create_connection(("127.0.0.1", local), timeout=10) as tunnel:
                assert tunnel.makefile("rb").read() == b"hello from inside"
    finally:
        server.kill()
        server.communicate()


def test_remote_forward_says_no_or_works(ada):
    """`ssh -R` either works or is refused with a message; it never hangs."""
    process = ada.ssh("-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:9", "box", "echo ran", check=False, timeout=20)
    assert process.stdout == "ran\n" or "remote port forwarding failed" in process.stderr


def test_a_client_that_leaves_while_its_listener_opens(ada, box):
    """A connection that ends right after it asked for -R leaves nothing behind: no session row, and no listener in the workspace."""
    async def ask_and_leave():
        connection = await asyncssh.connect("127.0.0.1", box.ssh_port, username="ada", client_keys=[str(ada.key)], known_hosts=None, config=None)
        asked = [asyncio.ensure_future(connection.forward_remote_port("", 0, "127.0.0.1", 9)) for _ in range(5)]
        for _ in range(5):
            await asyncio.sleep(0)  # then the requests are on their way, and the answers are not
        connection.abort()
        await asyncio.gather(*asked, return_exceptions=True)
        await connection.wait_closed()
    before = ada.run("cat /proc/net/tcp /proc/net/tcp6 | grep -c ' 0A ' || true")
    for _ in range(10):
        asyncio.run(ask_and_leave())
    wait_until(lambda: [row for row in box.sessions("ada") if row["kind"] == "listen"] == [], "no listener has a row", 60)
    wait_until(lambda: ada.run("cat /proc/net/tcp /proc/net/tcp6 | grep -c ' 0A ' || true") == before, "no listener is left inside", 60)
