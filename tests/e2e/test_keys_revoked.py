"""A key that is revoked: everything that rests on it ends, by SSH and in a browser."""

import http.client
import json
import re
import socket
import ssl
import subprocess
import time
import urllib.parse

from berthbox import fingerprint, free_ports, wait_until
from key_life import cut, held, key_path


# A WebSocket of the workspace that says something every tenth of a second, with nothing but the standard library.
TICKER = r"""
import base64, hashlib, socket, sys, threading, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("up", flush=True)
def serve(client):
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.recv(4096)
    key = [line.split(b":", 1)[1].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:")][0]
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    client.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    while True:
        client.sendall(b"\x81\x04tick")
        time.sleep(0.1)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""


class Browser:
    """A browser session by link, as plain HTTPS."""

    def __init__(self, box, client):
        self.box, self.cookie = box, ""
        token = re.search(r"token=([A-Za-z0-9_-]+)", client.ssh("box", "berth web").stdout).group(1)
        status, headers, _ = self.ask(box.web_port, "POST", "/api/v1/login/link", json.dumps({"token": token}), Origin=f"https://localhost:{box.web_port}")
        assert status == 200
        self.cookie = headers["Set-Cookie"].split(";")[0]

    def connect(self, port):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=60))

    def ask(self, port, method, path, body=None, **headers):
        connection = http.client.HTTPConnection(f"localhost:{port}")
        connection.sock = self.connect(port)
        connection.request(method, path, body, {"Cookie": self.cookie, **headers})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def cross(self, path):
        """The step to the workspaces' origin; answers the cookie there."""
        _, headers, _ = self.ask(self.box.web_port, "GET", path, **{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"})
        there = urllib.parse.urlsplit(headers["Location"])
        status, headers, body = self.ask(self.box.web_port + 1, "GET", f"{there.path}?{there.query}", **{"Sec-Fetch-Mode": "navigate"})
        assert status in (302, 303, 307), (status, body)
        return headers["Set-Cookie"].split(";")[0]

    def websocket(self, path):
        """An open WebSocket through the proxy, as a socket on which its frames arrive."""
        cookie = self.cross(path)
        port = self.box.web_port + 1
        sock = self.connect(port)
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                     f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://localhost:{port}\r\nCookie: {self.cookie}; {cookie}\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(4096)
        assert head.startswith(b"HTTP/1.1 101"), head
        return sock


def silent_after(sock):
    """Reads until the other side is gone; answers when the last byte came."""
    last = time.monotonic()
    sock.settimeout(20)
    try:
        while sock.recv(4096):
            last = time.monotonic()
    except (ConnectionError, ssl.SSLError):
        pass
    return last


def test_revocation_cuts_all(box, new_user, record_property):
    """Revoking a key cuts a running ssh, a running scp, a tunnel and a WebSocket; the SSH clients are told why. How fast is recorded."""
    client = new_user()
    client.run("true", timeout=180)
    port = 18311
    server = client.popen("box", f"exec python3 -u - {port}")
    server.stdin.write(TICKER.encode())
    server.stdin.close()
    assert server.stdout.readline() == b"up\n"
    browser = Browser(box, client)
    sock = browser.websocket(f"/w/{client.user}/main/port/{port}/")
    assert b"tick" in sock.recv(64)
    running = held(client, "sleep 600")
    tunnel = client.popen("-N", "-L", f"{free_ports()}:127.0.0.1:1", "box", stdin=subprocess.DEVNULL)
    big = box.dir / "big"
    with open(big, "wb") as file:
        file.truncate(1 << 30)
    copy = subprocess.Popen(["scp", "-F", str(client.config), "-l", "4000", str(big), "box:big"], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    wait_until(lambda: any(s["kind"] == "sftp" and s["bytes_in"] > 100_000 for s in box.sessions(client.user)), "the copy is under way")

    status, impact = box.api("GET", key_path(fingerprint(client.key)) + "/impact")
    assert status == 200 and impact["keeps_access"] is False and impact["uses_30d"] >= 4
    assert {"exec", "sftp", "web", "connection"} <= {session["kind"] for session in impact["sessions"]}
    assert len(impact["web_sessions"]) == 1 and impact["addresses"][0]["address"] == "127.0.0.1"

    began = time.monotonic()
    box.berth("key", "revoke", fingerprint(client.key))
    answered = time.monotonic()
    web = silent_after(sock) - began
    ended = {"revoke answered": answered - began, "WebSocket": web}
    for name, process in (("ssh", running), ("tunnel", tunnel), ("scp", copy), ("server", server)):
        _, said = cut(process)
        ended[name] = time.monotonic() - began
        assert process.returncode != 0
        assert name == "server" or "The key that you came with was revoked." in said, (name, said)
    record_property("seconds", ended)
    print("seconds after the revocation:", {name: round(value, 3) for name, value in ended.items()})
    assert all(value < 10 for value in ended.values()), ended
    assert browser.ask(box.web_port, "GET", "/api/v1/me")[0] == 401
    wait_until(lambda: box.sessions(client.user) == [], "nothing is left open")
