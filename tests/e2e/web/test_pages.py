"""The portal's pages: what they show, what their buttons do, how they look at a desk and on a phone."""

import json
import re

import pytest

from berthbox import fingerprint, make_key
from portal import DESKTOP, PHONE, faults, shoot, shown_code

PAGES = {"home": ("/", "Workspaces"), "connect": ("/connect", "Connect"), "keys": ("/keys", "My keys"), "sessions": ("/sessions", "Sessions"),
         "logins": ("/logins", "Logins and tokens")}
ADMIN_PAGES = {"overview": ("/admin", "Overview"), "users": ("/admin/users", "Users"), "user": ("/admin/users/ada", "ada"), "all-keys": ("/admin/keys", "Keys"),
               "all-sessions": ("/admin/sessions", "All sessions"), "audit": ("/admin/audit", "Audit"), "settings": ("/admin/settings", "Settings in force")}
SCREENS = {"desktop": DESKTOP, "phone": PHONE}


def look(page, name, path, heading, width):
    page.goto(path)
    page.get_by_role("heading", name=heading, exact=True, level=1).wait_for()
    page.locator(".loading").first.wait_for(state="detached")
    assert page.get_by_role("alert").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than the screen"
    shoot(page, f"{name}-{width}")
    assert faults(page) == [], f"{name} at {width} pixels"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_every_page(portal, ada, admin, screen, scheme):
    """Every page opens without an error, fits the screen, asks no other host for anything, breaks no content policy, and axe finds nothing serious."""
    viewport = SCREENS[screen]
    width = f"{scheme}-{viewport['width']}"
    stranger = portal.open(viewport=viewport, scheme=scheme, codes=True)
    stranger.goto("/login")
    shown_code(stranger)
    shoot(stranger, f"login-{width}")
    assert faults(stranger) == []
    boss = portal.log_in(admin, viewport=viewport, scheme=scheme)
    for name, (path, heading) in {**PAGES, **ADMIN_PAGES}.items():
        look(boss, name, path, heading, width)
    assert portal.complaints == []
    assert portal.hosts == {f"localhost:{portal.box.web_port}"}


def test_a_user_sees_no_admin_pages(portal, ada):
    """Who is no administrator is not shown the way to those pages, and is told so on their addresses."""
    page = portal.log_in(ada)
    assert page.get_by_role("link", name="Audit").count() == 0
    for path, _ in ADMIN_PAGES.values():
        page.goto(path)
        page.get_by_role("heading", name="Not for you").wait_for()


def test_menu_on_a_phone(portal, ada):
    """On a phone the pages are behind a button, which says whether they are shown; Escape hides them."""
    page = portal.log_in(ada, viewport=PHONE)
    menu = page.get_by_role("button", name="Pages")
    assert menu.get_attribute("aria-expanded") == "false"
    assert page.locator(".nav").is_hidden()
    menu.click()
    page.get_by_role("navigation").get_by_role("link", name="My keys").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("navigation").wait_for(state="hidden")
    menu.click()
    page.get_by_role("navigation").get_by_role("link", name="My keys").click()
    page.get_by_role("heading", name="My keys", level=1).wait_for()
    page.get_by_role("navigation").wait_for(state="hidden")


def test_first_load_is_small(portal, box):
    """Opening the portal moves less than 150 kB."""
    page = portal.open(codes=True)
    page.goto("/login")
    shown_code(page)
    size = page.evaluate("performance.getEntries().filter((e) => e.transferSize).reduce((sum, e) => sum + e.transferSize, 0)")
    assert 5_000 < size < 150_000


def test_connect_block(portal, box, ada, tmp_path):
    """The entry for ~/.ssh/config that Connect shows works, and its lines for known_hosts are the server's: `ssh berth` gets into the workspace; VS Code is opened by
    the same name."""
    page = portal.log_in(ada)
    page.get_by_role("navigation").get_by_role("link", name="Connect").click()
    assert page.get_by_role("link", name="Open in VS Code").get_attribute("href") == "vscode://vscode-remote/ssh-remote+berth/home/ada"
    entry = page.get_by_label("~/.ssh/config", exact=True).inner_text()
    (tmp_path / "known").write_text(page.get_by_label("~/.ssh/known_hosts", exact=True).inner_text() + "\n")
    config = tmp_path / "config"
    config.write_text(entry.rstrip("\n") + f"\n    IdentityFile {ada.key}\n    StrictHostKeyChecking yes\n    UserKnownHostsFile {tmp_path}/known\n    BatchMode yes\n")
    ada.config = config
    try:
        assert ada.ssh("berth", "id -un").stdout == "ada\n"
    finally:
        ada.config = box.client().config


def test_new_workspace_start_stop_remove(portal, box, ada):
    """A new workspace is made by name and shows its progress; Stop and Remove ask first and do what they say."""
    page = portal.log_in(ada)
    page.get_by_label("Name").fill("Bad Name")
    page.get_by_role("button", name="Make and start").click()
    page.get_by_role("alert").wait_for()
    page.get_by_label("Name").fill("webtest")
    page.get_by_role("button", name="Make and start").click()
    card = page.get_by_role("article", name="webtest", exact=True)
    card.get_by_text("Running").wait_for(timeout=120_000)
    assert box.client("ada+webtest").run("id -un") == "ada"
    card.get_by_role("button", name="Stop").click()
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    card.get_by_text("Running").wait_for()
    card.get_by_role("button", name="Stop").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    card.get_by_text("Stopped").wait_for(timeout=60_000)
    page.get_by_role("dialog").wait_for(state="detached")
    card.get_by_role("button", name="Start").click()
    card.get_by_text("Running").wait_for(timeout=120_000)
    card.get_by_role("button", name="Stop").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    page.get_by_role("dialog").wait_for(state="detached", timeout=60_000)
    card.get_by_role("button", name="Remove").click(timeout=60_000)
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    card.wait_for(state="detached", timeout=60_000)


def test_keys_are_shown(portal, ada):
    """My keys shows the key that logged in, active, with its use."""
    page = portal.log_in(ada)
    page.goto("/keys")
    row = page.get_by_role("table", name="My keys").get_by_role("row").filter(has_text=fingerprint(ada.key)[:17])
    row.wait_for()
    assert "Active" in row.inner_text() and "from 127.0.0.1" in row.inner_text()


def test_live_sessions_are_shown_and_ended(portal, box, ada):
    """A running command is in the list; End cuts it off."""
    process = ada.popen("box", "echo begun; exec sleep 7654")
    try:
        assert process.stdout.readline() == b"begun\n"
        page = portal.log_in(ada)
        page.goto("/sessions")
        row = page.get_by_role("table", name="Live now").get_by_role("row").filter(has_text="sleep 7654")
        row.get_by_role("button", name=re.compile("^End")).click()
        page.get_by_role("dialog").get_by_role("button", name="End").click()
        assert process.wait(10) != 0
        row.wait_for(state="detached")
    finally:
        process.kill()
        process.communicate()


def test_admin_adds_a_user_with_a_key(portal, box, admin):
    """An administrator adds a user and their key on the pages; the user gets in; the key is revoked, the user does not."""
    key = make_key(box.dir / "id_webby")
    page = portal.log_in(admin)
    page.goto("/admin/users")
    page.get_by_label("Name").fill("webby")
    page.get_by_role("button", name="Add user").click()
    page.get_by_role("heading", name="webby", exact=True, level=1).wait_for()
    page.get_by_label("Public key").fill("not a key")
    page.get_by_role("button", name="Add key").click()
    page.get_by_role("alert").wait_for()
    page.get_by_label("Public key").fill((box.dir / "id_webby.pub").read_text())
    page.get_by_role("button", name="Add key").click()
    row = page.get_by_role("table", name="Keys of webby").get_by_role("row").filter(has_text=fingerprint(key)[:17])
    row.wait_for()
    client = box.client("webby", key)
    assert "webby" in client.ssh("box", "berth whoami").stdout
    row.get_by_role("button", name=re.compile("Revoke")).click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    row.get_by_text("Revoked").wait_for()
    assert client.ssh("box", "berth whoami", check=False).returncode == 255
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    page.get_by_role("heading", name="Users", exact=True, level=1).wait_for()
    assert "webby" not in [user["name"] for user in box.items("user", "list")]


def test_disabling_a_user(portal, box, admin, new_user):
    """Disabling ends the user's browser; enabling lets them in again."""
    client = new_user()
    theirs, page = portal.log_in(client), portal.log_in(admin)
    page.goto("/admin/users")
    page.get_by_role("button", name=f"Disable {client.user}", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    enable = page.get_by_role("button", name=f"Enable {client.user}", exact=True)
    enable.wait_for()
    theirs.get_by_role("heading", name="Log in with your SSH key").wait_for()
    enable.click()
    page.get_by_role("button", name=f"Disable {client.user}", exact=True).wait_for()
    portal.log_in(client)


def test_audit_page(portal, admin, tmp_path):
    """The audit page shows the login that just happened, filters, exports what it shows, and says that the chain is whole."""
    page = portal.log_in(admin)
    page.goto("/admin/audit")
    table = page.get_by_role("table", name="Audit")
    table.get_by_role("row").filter(has_text="boss").first.wait_for()
    page.get_by_label("Did").select_option("user.add")
    page.get_by_label("Filter").fill("admin-socket")
    row = table.get_by_role("row").filter(has_text="boss")
    row.wait_for()
    assert "action=user.add" in page.url and "q=admin-socket" in page.url
    assert table.get_by_text("ssh.login").count() == 0
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    download.value.save_as(tmp_path / "audit.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert {row["action"] for row in rows} == {"user.add"} and "boss admin" in [row["object"] for row in rows]
    page.reload()
    row.wait_for()
    page.get_by_role("button", name="Verify the chain").click()
    page.get_by_text("The chain is whole.").wait_for()


def test_overview(portal, ada, admin):
    """The overview names who is on with what, from where, and the workspaces that run."""
    process = ada.popen("box", "echo begun; exec sleep 8642")
    try:
        assert process.stdout.readline() == b"begun\n"
        page = portal.log_in(admin)
        page.goto("/admin")
        row = page.get_by_role("table", name="Who is on").get_by_role("row").filter(has_text="ada")
        row.filter(has_text="exec").filter(has_text="127.0.0.1").wait_for()
        page.get_by_role("table", name="Workspaces").get_by_role("row").filter(has_text="ada").filter(has_text="Running").wait_for()
        assert re.search(r"Memory\s+[0-9.]+ [GM]iB", page.locator(".tiles").inner_text())
    finally:
        process.kill()
        process.communicate()


def test_settings_in_force(portal, box, admin):
    """The settings page shows what this berthd was started with, and marks what is not the default."""
    page = portal.log_in(admin)
    page.goto("/admin/settings")
    row = page.get_by_role("table", name="Settings in force").get_by_role("row").filter(has_text="ssh.listen")
    row.wait_for()
    assert str(box.ssh_port) in row.inner_text() and "not the default" in row.inner_text()
    page.get_by_label("Search").fill("keepalive")
    row.wait_for(state="detached")
    page.get_by_text("ssh.keepalive_interval").wait_for()


def test_host_keys_and_authorities_are_shown(portal, box, admin, tmp_path):
    """Admins see how clients recognize the server and whose certificates it accepts; a new authority appears by itself."""
    page = portal.log_in(admin)
    page.goto("/admin/settings")
    keys = page.get_by_role("table", name="Host keys")
    for key in box.items("hostkey", "list"):
        keys.get_by_text(key["fingerprint"]).wait_for()
    signer = make_key(tmp_path / "shown_ca")
    box.berth("ca", "add", "shown", f"{signer}.pub", "--principals", "%u@corp.example")
    row = page.get_by_role("table", name="Certificate authorities").get_by_role("row").filter(has_text=fingerprint(signer))
    row.wait_for()
    assert "%u@corp.example" in row.inner_text()
    box.berth("ca", "remove", "shown", "--yes")
    row.wait_for(state="detached")


def test_by_keyboard_alone(portal, ada):
    """From the top of the page the keyboard reaches the content, the dialog and back, and sees where it is."""
    page = portal.log_in(ada)
    page.reload()
    page.get_by_role("article", name="main", exact=True).wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    stop = page.get_by_role("article", name="main", exact=True).get_by_role("button", name="Stop")
    for _ in range(6):
        page.keyboard.press("Tab")
        if stop.evaluate("(button) => button === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    assert stop.evaluate("(button) => button === document.activeElement")


def test_in_chinese(portal, ada):
    """The pages speak the browser's language where they know it."""
    page = portal.open()
    page.context.add_init_script("Object.defineProperty(navigator, 'languages', {get: () => ['zh-CN', 'en']})")
    page.goto("/login")
    page.get_by_role("heading", name="使用 SSH 密钥登录").wait_for()
    assert page.evaluate("document.documentElement.lang") == "zh"
