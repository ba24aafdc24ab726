"""The life of keys: rotation, grace, expiry, revocation, campaigns, security tokens; with real clients and a clock that the tests move."""

import http.client
import json
import re
import socket
import ssl
import subprocess
import time
import urllib.parse

import paramiko
import pytest

from berthbox import fingerprint, free_ports, make_key, wait_until
from clocked import ClockedBox
from sk_signer import PRESENT, VERIFIED, SkKey


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("berth")
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def api(box, method, path, body=None):
    """The HTTP API on the admin socket: status and answer."""
    connection = UnixConnection(box.state / "admin.sock")
    connection.request(method, "/api/v1" + path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read() or b"{}")


def key_path(print_):
    return "/keys/" + urllib.parse.quote(print_, safe="")


def key_of(box, key):
    status, answer = api(box, "GET", key_path(fingerprint(key)))
    assert status == 200, answer
    return answer


def audit(box, action):
    return [row for row in api(box, "GET", "/audit?limit=10000")[1]["items"] if row["action"] == action]


def told(client):
    """What a login with a terminal says on stderr (whether the engine of the test can open one or not)."""
    return client.ssh("-tt", "box", "true", check=False).stderr


def held(client, command="read -r word; echo $word", *options):
    process = client.popen(*options, "box", f"echo up; {command}")
    assert process.stdout.readline().strip() == b"up"
    return process


def cut(process, within=15):
    """Waits for the end of a client; answers how long that took and what it said."""
    began = time.monotonic()
    if process.stdin and process.stdin.closed:
        process.stdin = None
    errors = process.communicate(timeout=within)[1]
    return time.monotonic() - began, errors.decode()


def rotate(box, user, key, **more):
    status, answer = api(box, "POST", f"/users/{user}/keys/rotate", {"public_key": (key.parent / (key.name + ".pub")).read_text(), **more})
    assert status == 201, answer
    return answer


@pytest.fixture(scope="module")
def clocked():
    berth = ClockedBox('\n[certificates]\nlifetime = "8h"\n')
    try:
        berth.up()
        yield berth
    finally:
        berth.destroy()


def test_rotation_on_a_moved_clock(clocked):
    """The old key works with a notice during its grace, the new one works, and the old one dies when the grace ends."""
    box = clocked
    old = box.add_user("rosa")
    new = box.client("rosa", make_key(box.dir / "id_rosa_new"))
    rotated = rotate(box, "rosa", new.key)
    assert rotated["superseded"][0]["state"] == "superseded" and rotated["superseded"][0]["successor"] == fingerprint(new.key)

    assert fingerprint(new.key) in told(old) and re.search(r"works until \d{4}-\d\d-\d\d", told(old))
    assert fingerprint(new.key) in old.ssh("box", input="exit 0\n").stderr, "a shell without a terminal is told too"
    assert old.ssh("box", "echo quiet; echo err >&2").stderr == "err\n", "scripts are not disturbed"
    assert "was replaced" not in told(new)

    running = held(old, "sleep 600")
    box.move(days=8)
    assert old.ssh("box", "true", check=False).returncode == 255
    assert new.ssh("box", "echo still").stdout == "still\n"
    _, said = cut(running, within=60)
    assert "was replaced by " + fingerprint(new.key) in said
    assert key_of(box, old.key)["state"] == "expired"
    wait_until(lambda: [row for row in audit(box, "key.expire") if fingerprint(old.key) in row["object"]], "the end of the grace is audited")


def test_retired_by_the_first_use(clocked):
    """With retire-on-first-use the old key and what runs on it end when the new one logs in."""
    box = clocked
    old = box.add_user("rita")
    new = box.client("rita", make_key(box.dir / "id_rita_new"))
    rotate(box, "rita", new.key, retire_on_first_use=True)
    running = held(old, "sleep 600")
    assert new.ssh("box", "echo in").stdout == "in\n"
    _, said = cut(running)
    assert "was replaced by " + fingerprint(new.key) in said
    assert old.ssh("box", "true", check=False).returncode == 255
    assert new.ssh("box", "echo in").stdout == "in\n"


def test_campaign_over_fifty_users(clocked):
    """A campaign tells users, shows who has rotated, and takes its action at the deadline exactly once, across restarts."""
    box = clocked
    clients = [box.add_user(f"camp{i:02}") for i in range(50)]
    box.move(days=91)
    fresh = box.add_user("campfresh")
    plan = {"older_than_s": 90 * 86400, "deadline_s": 30 * 86400, "message": "Please: new keys before the holidays.", "action": "expire"}
    status, preview = api(box, "POST", "/campaign", {**plan, "dry_run": True})
    names = {member["user"] for member in preview["items"]}
    assert status == 200 and {client.user for client in clients} <= names and "campfresh" not in names
    assert api(box, "GET", "/campaign")[1]["campaign"] is None
    assert api(box, "POST", "/campaign", plan)[0] == 201
    assert api(box, "POST", "/campaign", plan)[0] == 409

    said = told(clients[0])
    assert "holidays" in said and "must be replaced before" in said and "berth key rotate" in said
    assert "holidays" not in clients[0].ssh("box", "true").stderr
    assert "must be replaced" not in told(fresh)
    for client in clients[:20]:
        rotate(box, client.user, make_key(box.dir / f"id_{client.user}_new"))
    shown = box.berth("key", "campaign", "status")["campaign"]
    done = {member["user"] for member in shown["items"] if member["done"]}
    assert {client.user for client in clients[:20]} <= done and not {client.user for client in clients[20:]} & done
    assert shown["done"] == len(done) and shown["state"] == "running"

    box.restart()
    assert api(box, "GET", "/campaign")[1]["campaign"]["state"] == "running"
    running = held(clients[30], "sleep 600")
    box.move(days=31)
    _, said = cut(running, within=60)  # by the timer, without a restart
    assert "key is expired" in said
    over = api(box, "GET", "/campaign")[1]["campaign"]
    assert over["state"] == "done" and over["done"] == shown["done"]
    assert clients[40].ssh("box", "true", check=False).returncode == 255
    assert box.client(clients[3].user, box.dir / f"id_{clients[3].user}_new").ssh("box", "echo in").stdout == "in\n"
    rows = len(audit(box, "campaign.deadline")), len(audit(box, "key.expire"))
    assert rows[0] == 1
    box.restart()
    assert (len(audit(box, "campaign.deadline")), len(audit(box, "key.expire"))) == rows
    assert [len(audit(box, action)) for action in ("campaign.start", "campaign.end")] == [1, 0]


def test_certificates_for_hours(clocked):
    """`berth cert < key.pub` certifies a key that Berth has never seen: for its hours, and for as long as the key that asked is good."""
    box = clocked
    asker = box.add_user("cora")
    travel = make_key(box.dir / "id_cora_travel")
    public = travel.with_suffix(".pub").read_text()
    by_certificate = box.client("cora", travel)

    def certify():
        travel.with_name(travel.name + "-cert.pub").write_text(asker.ssh("box", "berth cert", input=public).stdout)

    assert by_certificate.ssh("box", "true", check=False).returncode == 255
    certify()
    assert by_certificate.ssh("box", "echo in").stdout == "in\n"
    longer = asker.ssh("box", "berth cert --lifetime 9h", input=public, check=False)
    assert longer.returncode != 0 and "at most 8h" in longer.stderr
    box.move(days=1)
    assert by_certificate.ssh("box", "true", check=False).returncode == 255
    certify()
    running = held(by_certificate, "sleep 600")
    impact = api(box, "GET", key_path(fingerprint(asker.key)) + "/impact")[1]
    assert {session["key_fingerprint"] for session in impact["sessions"]} >= {fingerprint(travel)}
    assert box.berth("key", "revoke", fingerprint(asker.key))["ended_sessions"] >= 1
    _, said = cut(running, within=60)
    assert "certificate is not accepted any more" in said
    assert by_certificate.ssh("box", "true", check=False).returncode == 255
    assert {"cora"} == {row["actor"] for row in audit(box, "ca.issue") if row["object"].startswith("cora ")}


def test_a_deadline_while_berthd_is_away(clocked):
    """A deadline that comes while berthd does not run is kept at its start, before anybody logs in."""
    box = clocked
    client = box.add_user("lateuser")
    box.move(days=10)
    status, campaign = api(box, "POST", "/campaign", {"older_than_s": 9 * 86400, "deadline_s": 86400, "action": "supersede"})
    assert status == 201, campaign
    box.move(days=2)
    box.restart()
    assert api(box, "GET", "/campaign")[1]["campaign"]["state"] == "done"
    assert key_of(box, client.key)["state"] == "superseded"
    assert "was replaced" in told(client)


def test_a_key_that_runs_out_ends_its_session(box, new_user):
    """A key with an end cuts what runs on it at that moment, and the client is told why."""
    client = new_user()
    client.run("true", timeout=180)
    short = make_key(box.dir / f"id_{client.user}_short")
    end = time.time() + 8
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(end)) + f".{int(end % 1 * 1e6):06d}Z"
    status, key = api(box, "POST", f"/users/{client.user}/keys", {"public_key": (short.parent / (short.name + ".pub")).read_text(), "expires_at": stamp})
    assert status == 201 and key["notice"] == "expires_soon"
    running = held(box.client(client.user, short), "sleep 600")
    _, said = cut(running, within=60)
    assert time.time() >= end - 0.1 and "key is expired" in said
    assert box.client(client.user, short).ssh("box", "true", check=False).returncode == 255
    assert client.ssh("box", "echo in").stdout == "in\n"


def test_self_service_by_ssh(box, new_user):
    """Users rotate, add, list and remove their own keys with `ssh box berth key …`, and cannot lock themselves out."""
    client = new_user()
    mine = fingerprint(client.key)
    refused = client.ssh("box", f"berth key remove {mine}", check=False)
    assert refused.returncode == 5 and "last key" in refused.stderr
    new = make_key(box.dir / f"id_{client.user}_new")
    said = client.ssh("box", "berth --json key rotate", input=(box.dir / f"{new.name}.pub").read_text())
    assert json.loads(said.stdout)["superseded"][0]["fingerprint"] == mine
    listed = {key["fingerprint"]: key for key in json.loads(client.ssh("box", "berth --json key list").stdout)["items"]}
    assert listed[mine]["state"] == "superseded" and listed[fingerprint(new)]["state"] == "active"
    assert fingerprint(new) in told(client)
    fresh = box.client(client.user, new)
    third = make_key(box.dir / f"id_{client.user}_third")
    assert fingerprint(third) in fresh.ssh("box", "berth key add", input=(box.dir / f"{third.name}.pub").read_text()).stdout
    assert "Its user keeps" in fresh.ssh("box", f"berth key impact {mine}").stdout
    assert "revoked" in fresh.ssh("box", f"berth key remove {mine}").stdout
    assert client.ssh("box", "berth whoami", check=False).returncode == 255
    again = fresh.ssh("box", "berth key add", input=(client.key.parent / (client.key.name + ".pub")).read_text(), check=False)
    assert again.returncode == 5 and "was revoked" in again.stderr
    other = new_user()
    assert fresh.ssh("box", f"berth key impact {fingerprint(other.key)}", check=False).returncode == 4
    assert fresh.ssh("box", f"berth key remove {fingerprint(other.key)}", check=False).returncode == 4
    actions = [row["action"] for row in api(box, "GET", "/audit?limit=10000")[1]["items"] if row["actor"] == client.user]
    assert {"key.add", "key.supersede", "key.revoke"} <= set(actions)


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

    status, impact = api(box, "GET", key_path(fingerprint(client.key)) + "/impact")
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


def test_use_after_revocation_is_audited(box, new_user):
    """A revoked key that is tried again is in the audit trail with its source; a hundred tries are not a hundred rows."""
    client = new_user()
    box.berth("key", "revoke", fingerprint(client.key))
    for _ in range(5):
        assert client.ssh("box", "true", check=False).returncode == 255
    rows = wait_until(lambda: [row for row in audit(box, "ssh.login") if row["key_fingerprint"] == fingerprint(client.key) and row["outcome"] != "ok"], "it is audited")
    assert len(rows) == 1 and rows[0]["source"].startswith("127.0.0.1:") and "key is revoked" in rows[0]["outcome"] and rows[0]["actor"] == client.user


def test_exceptions(box, new_user):
    """An exception is listed with who made it and why, changes what the user may do, and is audited."""
    client = new_user()
    status, user = api(box, "PATCH", f"/users/{client.user}", {"key_exceptions": {"max_per_user": 1, "max_age_s": 86400, "reason": "a robot"}})
    assert status == 200 and user["key_exceptions"]["set_by"] == "admin-socket" and user["key_exceptions"]["reason"] == "a robot"
    assert client.user in [row["name"] for row in api(box, "GET", "/users?exceptions=1")[1]["items"]]
    second = (make_key(box.dir / f"id_{client.user}_2").parent / f"id_{client.user}_2.pub").read_text()
    assert api(box, "POST", f"/users/{client.user}/keys", {"public_key": second})[0] == 409
    assert key_of(box, client.key)["ends_at"] is not None
    running = held(client, "sleep 600")
    assert api(box, "PATCH", f"/users/{client.user}", {"key_exceptions": {"allowed_types": ["ssh-rsa"], "max_age_s": 1, "reason": "gone"}})[0] == 200
    _, said = cut(running)
    assert "older than the policy allows" in said
    assert api(box, "PATCH", f"/users/{client.user}", {"key_exceptions": None})[1]["key_exceptions"] is None
    assert client.ssh("box", "echo in").stdout == "in\n"
    assert len([row for row in audit(box, "user.except") if row["object"].startswith(client.user + " ")]) == 3


def log_in(box, user, key):
    """Logs in with paramiko; None, or the exception that refused it."""
    transport = paramiko.Transport(socket.create_connection(("127.0.0.1", box.ssh_port)))
    try:
        transport.start_client(timeout=20)
        transport.auth_publickey(user, key)
        channel = transport.open_session(timeout=60)
        channel.exec_command("echo in")
        assert channel.makefile().read() == b"in\n"
        return None
    except paramiko.AuthenticationException as refusal:
        return refusal
    finally:
        transport.close()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_security_tokens(box, new_user, kind):
    """A hardware key opens the door when its signature is right and its user touched it; not otherwise."""
    client = new_user()
    client.run("true", timeout=180)
    token = SkKey(kind)
    status, added = api(box, "POST", f"/users/{client.user}/keys", {"public_key": token.line()})
    assert status == 201 and added["fingerprint"] == token.fingerprint(), added
    assert log_in(box, client.user, token) is None
    token.flags = PRESENT | VERIFIED
    assert log_in(box, client.user, token) is None
    for flags in (0, VERIFIED):
        token.flags = flags
        assert log_in(box, client.user, token) is not None, "not touched"
    assert any("not touched" in row["outcome"] for row in audit(box, "ssh.login") if row["key_fingerprint"] == token.fingerprint())
    token.flags, token.forge = PRESENT, 0
    assert log_in(box, client.user, token) is not None, "says touched, signed untouched"
    token.forge = None
    assert api(box, "PATCH", f"/users/{client.user}", {"key_exceptions": {"allow_untouched": True}})[0] == 200
    token.flags = 0
    assert log_in(box, client.user, token) is None, "an exception allows it"
