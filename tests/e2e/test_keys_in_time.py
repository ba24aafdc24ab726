"""What time does to keys: grace, campaigns, certificates for hours; with real clients and a clock that the tests move."""

import re

import pytest

from berthbox import fingerprint, make_key, wait_until
from clocked import ClockedBox
from key_life import audit, cut, held, key_of, key_path, rotate, told


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
    status, preview = box.api("POST", "/campaign", {**plan, "dry_run": True})
    names = {member["user"] for member in preview["items"]}
    assert status == 200 and {client.user for client in clients} <= names and "campfresh" not in names
    assert box.api("GET", "/campaign")[1]["campaign"] is None
    assert box.api("POST", "/campaign", plan)[0] == 201
    assert box.api("POST", "/campaign", plan)[0] == 409

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
    assert box.api("GET", "/campaign")[1]["campaign"]["state"] == "running"
    running = held(clients[30], "sleep 600")
    box.move(days=31)
    _, said = cut(running, within=60)  # by the timer, without a restart
    assert "key is expired" in said
    over = box.api("GET", "/campaign")[1]["campaign"]
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
    impact = box.api("GET", key_path(fingerprint(asker.key)) + "/impact")[1]
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
    status, campaign = box.api("POST", "/campaign", {"older_than_s": 9 * 86400, "deadline_s": 86400, "action": "supersede"})
    assert status == 201, campaign
    box.move(days=2)
    box.restart()
    assert box.api("GET", "/campaign")[1]["campaign"]["state"] == "done"
    assert key_of(box, client.key)["state"] == "superseded"
    assert "was replaced" in told(client)
