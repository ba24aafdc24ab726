"""The life of keys on the pages: adding, rotating, revoking with what would end, campaigns."""

import re

from berthbox import fingerprint, make_key, wait_until
from portal import DESKTOP, PHONE, faults, shoot


def public(key):
    return key.with_name(key.name + ".pub").read_text().strip()


def row_of(page, table, key):
    return page.get_by_role("table", name=table).get_by_role("row").filter(has_text=fingerprint(key)[:15])


def fresh_key(box, name):
    return make_key(box.dir / f"id_{name}")


def test_rotate_my_own_key(portal, box, new_user):
    """A user pastes a new key over their old one: the new one logs in, the old one still does and says so, the page shows both, with a banner."""
    client = new_user()
    key = fresh_key(box, f"{client.user}_new")
    page = portal.log_in(client)
    page.goto("/keys")
    page.get_by_role("button", name=re.compile("^Rotate")).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Public key").fill("-----BEGIN OPENSSH PRIVATE KEY-----")
    dialog.get_by_role("button", name="Rotate").click()
    dialog.get_by_text("This is a private key").wait_for()
    dialog.get_by_label("Public key").fill(public(key))
    assert faults(page) == []
    dialog.get_by_role("button", name="Rotate").click()
    page.get_by_text("The new key works").wait_for()
    row_of(page, "My keys", client.key).get_by_text("Superseded").wait_for()
    row_of(page, "My keys", key).get_by_text("Active").wait_for()
    page.get_by_text("This key was replaced:").wait_for()
    for viewport in (DESKTOP, PHONE):
        page.set_viewport_size(viewport)
        shoot(page, f"keys-rotated-{viewport['width']}")
    assert client.user in box.client(client.user, key).ssh("box", "berth whoami").stdout
    assert client.ssh("box", "berth whoami").returncode == 0


def test_add_and_revoke_my_own_key(portal, box, new_user):
    """A user adds a second key and revokes it; before, the page says what would end and that access stays."""
    client = new_user()
    key = fresh_key(box, f"{client.user}_more")
    page = portal.log_in(client)
    page.goto("/keys")
    page.get_by_label("Public key").fill(public(key))
    page.get_by_role("button", name="Add key").click()
    row = row_of(page, "My keys", key)
    row.get_by_text("Active").wait_for()
    process = box.client(client.user, key).popen("box", "echo begun; exec sleep 9753")
    try:
        assert process.stdout.readline() == b"begun\n"
        row.get_by_role("button", name=re.compile("^Revoke")).click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_text("The user keeps access").wait_for()
        assert re.search(r"[12] live SSH sessions", dialog.inner_text())
        assert faults(page) == []
        dialog.get_by_role("button", name="Revoke").click()
        row.get_by_text("Revoked").wait_for()
        assert process.wait(10) != 0
    finally:
        process.kill()
        process.communicate()


def test_keys_of_everybody(portal, box, admin, new_user):
    """An admin finds a key by its user and by its state, and revokes a last key after reading that its user is locked out."""
    client = new_user()
    page = portal.log_in(admin)
    page.goto("/admin/keys")
    page.get_by_label("Search").fill(client.user)
    row = row_of(page, "Keys", client.key)
    row.wait_for()
    wait_until(lambda: page.get_by_role("table", name="Keys").get_by_role("row").count() == 2, "only that user's key is listed")
    assert f"q={client.user}" in page.url
    row.get_by_role("button", name=re.compile("^Revoke")).click()
    page.get_by_role("dialog").get_by_text("is locked out").wait_for()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    row.get_by_text("Revoked").wait_for()
    page.get_by_label("State").select_option("active")
    page.get_by_text("Nothing matches.").wait_for()


def test_a_campaign(portal, box, admin, new_user):
    """An admin sees whom a campaign would ask, starts it, watches somebody rotate, and ends it; who is asked sees a banner."""
    client = new_user()
    theirs, page = portal.log_in(client), portal.log_in(admin)
    page.goto("/admin/campaign")
    page.get_by_label("Keys older than (days)").fill("0")
    page.get_by_label("Message (optional)").fill("Please <b>rotate</b> soon.")
    page.get_by_role("button", name="See whom it would ask").click()
    page.get_by_text(re.compile(r"It would ask \d+ user")).wait_for()
    assert box.request("GET", "/campaign")["campaign"] is None or box.request("GET", "/campaign")["campaign"]["state"] != "running"
    page.get_by_role("button", name="Start campaign").click()
    page.get_by_role("dialog").get_by_role("button", name="Start campaign").click()
    try:
        item = page.get_by_role("table", name="Who is asked").get_by_role("row").filter(has_text=client.user).first
        item.get_by_text("Not yet").wait_for()
        theirs.get_by_text("Please replace this key:").wait_for()
        theirs.get_by_role("link", name="To my keys").click()
        theirs.get_by_text("Please <b>rotate</b> soon.").first.wait_for()
        key = fresh_key(box, f"{client.user}_campaign")
        box.request("POST", f"/users/{client.user}/keys/rotate", {"public_key": public(key), "replaces": "all"})
        page.get_by_label("Show who has rotated").check()
        item.get_by_text("Rotated").wait_for()
        for viewport in (DESKTOP, PHONE):
            page.set_viewport_size(viewport)
            shoot(page, f"campaign-{viewport['width']}")
            assert faults(page) == []
        page.set_viewport_size(DESKTOP)
    finally:
        page.get_by_role("button", name="End campaign").click()
        page.get_by_role("dialog").get_by_role("button", name="End campaign").click()
        page.get_by_text("Ended").first.wait_for()
