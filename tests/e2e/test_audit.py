"""The audit trail: who did what, from where, with which key; and that nobody changed it since."""

import json
import sqlite3
import subprocess
import urllib.error
import urllib.request
import ssl

import pytest

from berthbox import fingerprint, make_key, wait_until


def rows_of(box, *words):
    return box.items("audit", "tail", "--limit", "200", *words)


def row_of(box, action, about, **fields):
    """The newest row with this action about this user, once it is there."""
    def find():
        found = [row for row in rows_of(box, "--action", action, "--user", about) if all(row[name] == value for name, value in fields.items())]
        return found[-1] if found else None
    return wait_until(find, f"{action} about {about} is in the trail")


def test_every_decision_is_a_row(box, new_user):
    """Logins good and bad, keys, tokens, workspaces, sessions, backups, refusals: who, from where, with which key, on whom, when."""
    client = new_user()
    key = fingerprint(client.key)
    client.run("true", timeout=180)
    login = row_of(box, "ssh.login", client.user, outcome="ok")
    assert login["key_fingerprint"] == key and login["source"].startswith("127.0.0.1:") and len(login["at"]) == len("2026-11-22T17:54:51.000123Z")
    client.run("berth web")
    assert row_of(box, "web.link", client.user)["key_fingerprint"] == key
    client.run("berth token create ci")
    row_of(box, "token.create", client.user)
    for verb in ("start", "stop", "reset"):
        client.run(f"berth workspace {verb}", timeout=180)
        stopped = row_of(box, f"workspace.{verb}", client.user)
        assert stopped["actor"] == client.user and stopped["object"] == f"{client.user}+main" and stopped["key_fingerprint"] == key
    assert client.ssh("box", "berth user list", check=False).returncode == 6
    assert row_of(box, "api.refused", client.user)["object"] == "GET /users"
    assert client.ssh("box", "berth approve ZZZZ-9999", check=False).returncode == 4
    assert row_of(box, "web.approve", client.user)["outcome"] != "ok"
    box.backup("audited.db").close()
    assert rows_of(box, "--action", "backup")[-1]["actor"] == "admin-socket"
    box.berth("key", "revoke", key)
    assert client.ssh("box", "true", check=False).returncode == 255
    refused = wait_until(lambda: [row for row in rows_of(box, "--action", "ssh.login", "--user", client.user) if row["outcome"].startswith("key is revoked")],
                         "the use of the revoked key is in the trail")
    assert refused[-1]["key_fingerprint"] == key


def test_strangers_are_rows_too(box):
    """A login as nobody and with an unknown key is a row with its source."""
    stranger = box.client("nobody-here", make_key(box.dir / "id_stranger_audit"))
    assert stranger.ssh("box", "true", check=False).returncode == 255
    row = row_of(box, "ssh.login", "nobody-here")
    assert row["actor"] == "-" and row["outcome"] == "unknown user" and row["source"].startswith("127.0.0.1:")
    request = urllib.request.Request(f"https://localhost:{box.web_port}/api/v1/me", headers={"Authorization": "Bearer berth_nonsense"})
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(request, timeout=30, context=ssl._create_unverified_context())
    wait_until(lambda: rows_of(box, "--action", "api.login"), "the bad token is in the trail")


def test_filters_export_and_show(box, ada):
    """The same rows by filter, by number and as JSON lines."""
    ada.run("berth whoami")
    row = row_of(box, "ssh.login", "ada", outcome="ok")
    assert box.berth("audit", "show", row["number"]) == row
    assert rows_of(box, "--since", "1h", "--action", "ssh") and not rows_of(box, "--until", "2020-01-01")
    done = subprocess.run([box.bin / "berth", "--admin-socket", box.state / "admin.sock", "audit", "export", "--jsonl"], capture_output=True, text=True, check=True)
    exported = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["number"] for each in exported] == list(range(1, len(exported) + 1)) and row in exported


def test_follow(box, new_user):
    """`audit tail -f` over SSH shows a row as it happens; leaving ends it."""
    client, other = new_user(), new_user()
    box.berth("user", "role", client.user, "auditor")
    follower = client.popen("box", "berth --json audit tail -f --limit 1")
    try:
        follower.stdout.readline()
        box.berth("user", "disable", other.user)
        seen = []
        while not any(row["action"] == "user.disable" and row["object"] == other.user for row in seen):
            seen.append(json.loads(follower.stdout.readline()))
    finally:
        follower.kill()
        follower.communicate(timeout=20)
    wait_until(lambda: not any(s["kind"] == "gateway" for s in box.sessions(client.user)), "it has ended")


def test_verify_names_what_was_changed(box):
    """Changing a row of a copy of the store is found by row; the anchor tells a trail that was rewritten."""
    verdict = box.berth("audit", "verify")
    head = verdict["head"]
    assert verdict["ok"] and head["number"] >= verdict["rows"] > 0
    assert box.berth("audit", "verify", "--anchor", f"{head['number']}:{head['hash']}")["anchor"] == "matches"
    other = box.berth("audit", "verify", "--anchor", f"{head['number']}:{'0' * 64}", check=False)
    assert other.returncode == 1 and "anchor" in other.stderr
    box.backup("tamper.db").close()
    with sqlite3.connect(box.dir / "tamper.db") as store:
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            store.execute("UPDATE audit SET actor = 'eve' WHERE number = 2")
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            store.execute("DELETE FROM audit WHERE number = 2")
