"""Keys, with real clients: self-service, an end of their own, exceptions, use after their end, security tokens."""

import json
import socket
import time

import paramiko
import pytest

from berthbox import fingerprint, make_key, wait_until
from key_life import audit, cut, held, key_of, told
from sk_signer import PRESENT, VERIFIED, SkKey


def test_a_key_that_runs_out_ends_its_session(box, new_user):
    """A key with an end cuts what runs on it at that moment, and the client is told why."""
    client = new_user()
    client.run("true", timeout=180)
    short = make_key(box.dir / f"id_{client.user}_short")
    end = time.time() + 8
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(end)) + f".{int(end % 1 * 1e6):06d}Z"
    status, key = box.api("POST", f"/users/{client.user}/keys", {"public_key": (short.parent / (short.name + ".pub")).read_text(), "expires_at": stamp})
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
    actions = [row["action"] for row in box.api("GET", "/audit?limit=10000")[1]["items"] if row["actor"] == client.user]
    assert {"key.add", "key.supersede", "key.revoke"} <= set(actions)


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
    status, user = box.api("PATCH", f"/users/{client.user}", {"key_exceptions": {"max_per_user": 1, "max_age_s": 86400, "reason": "a robot"}})
    assert status == 200 and user["key_exceptions"]["set_by"] == "admin-socket" and user["key_exceptions"]["reason"] == "a robot"
    assert client.user in [row["name"] for row in box.api("GET", "/users?exceptions=1")[1]["items"]]
    second = (make_key(box.dir / f"id_{client.user}_2").parent / f"id_{client.user}_2.pub").read_text()
    assert box.api("POST", f"/users/{client.user}/keys", {"public_key": second})[0] == 409
    assert key_of(box, client.key)["ends_at"] is not None
    running = held(client, "sleep 600")
    assert box.api("PATCH", f"/users/{client.user}", {"key_exceptions": {"allowed_types": ["ssh-rsa"], "max_age_s": 1, "reason": "gone"}})[0] == 200
    _, said = cut(running)
    assert "older than the policy allows" in said
    assert box.api("PATCH", f"/users/{client.user}", {"key_exceptions": None})[1]["key_exceptions"] is None
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
    status, added = box.api("POST", f"/users/{client.user}/keys", {"public_key": token.line()})
    assert status == 201 and added["fingerprint"] == token.fingerprint(), added
    assert log_in(box, client.user, token) is None
    token.flags = PRESENT | VERIFIED
    assert log_in(box, client.user, token) is None
    for flags in (0, VERIFIED):
        token.flags = flags
        assert log_in(box, client.user, token) is not None, "not touched"
    wait_until(lambda: any("not touched" in row["outcome"] for row in audit(box, "ssh.login") if row["key_fingerprint"] == token.fingerprint()), "it is audited")
    token.flags, token.forge = PRESENT, 0
    assert log_in(box, client.user, token) is not None, "says touched, signed untouched"
    token.forge = None
    assert box.api("PATCH", f"/users/{client.user}", {"key_exceptions": {"allow_untouched": True}})[0] == 200
    token.flags = 0
    assert log_in(box, client.user, token) is None, "an exception allows it"
