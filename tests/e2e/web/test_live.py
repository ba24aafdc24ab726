"""Pages follow what happens elsewhere, by one event stream and without asking again and again."""

import os
import re
import signal

from berthbox import gone, make_key, wait_until
from portal import faults


def test_sessions_come_and_go_by_themselves(portal, ada):
    """A command that starts appears on the open page, its traffic grows, and it goes when it ends; meanwhile the page asks only after changes."""
    page = portal.log_in(ada)
    page.goto("/sessions")
    page.get_by_role("heading", name="Sessions", level=1).wait_for()
    asked = []
    page.on("request", lambda request: asked.append(request.url) if re.search(r"/api/v1/sessions", request.url) else None)
    process = ada.popen("box", "echo begun; read line; head -c 3000000 /dev/zero; read line")
    try:
        assert process.stdout.readline() == b"begun\n"
        row = page.get_by_role("table", name="Live now").get_by_role("row").filter(has_text="head -c 3000000")
        row.wait_for()
        process.stdin.write(b"\n")
        process.stdin.flush()
        read = 0
        while read < 3_000_000:
            read += len(process.stdout.read1(65536))
        row.filter(has_text="2.9 MiB").wait_for()
        process.stdin.write(b"\n")
        process.stdin.close()
        process.wait(20)
        row.wait_for(state="detached")
        assert len(asked) < 40, asked  # some for each change, more of them on a loaded machine
    finally:
        process.kill()
        process.wait()


def test_workspace_state_is_followed(portal, box, new_user):
    """A workspace that an SSH login starts shows as running on the page that was open before, and as stopped when an admin stops it."""
    client = new_user()
    page = portal.log_in(client)
    card = page.get_by_role("article", name="main", exact=True)
    card.get_by_text("Stopped").wait_for()
    client.run("true", timeout=180)
    card.get_by_text("Running").wait_for()
    box.berth("workspace", "stop", client.user)
    card.get_by_text("Stopped").wait_for(timeout=60_000)


def test_use_is_drawn(portal, box, ada, admin):
    """A busy workspace shows its CPU and memory on Home and on the admin's Overview, with the box's; nothing is asked for again and again."""
    process = ada.popen("box", "exec timeout 300 sh -c 'while :; do :; done'")
    try:
        page = portal.log_in(ada)
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        card = page.get_by_role("article", name="main", exact=True)
        cpu = card.locator(".gauge").filter(has_text="CPU")
        cpu.get_by_role("img", name=re.compile("CPU in the last minutes, at most")).wait_for(timeout=60_000)
        wait_until(lambda: float(cpu.locator("strong").inner_text()) > 0.1, "the CPU's line rises", 60, 0.5)
        assert re.match(r"\d.* MiB", card.locator(".gauge").filter(has_text="Memory").locator("strong").inner_text())
        assert not [url for url in asked if "usage" in url and "/events" not in url]
        overview = portal.log_in(admin)
        overview.goto("/admin")
        overview.get_by_role("img", name=re.compile("^Load .* in the last minutes")).wait_for(timeout=60_000)
        overview.locator("dl.tiles div").filter(has_text="GPUs").wait_for()
        row = overview.get_by_role("table", name="Workspaces").get_by_role("row").filter(has_text="ada").first
        row.get_by_role("img").first.wait_for(timeout=60_000)
        assert faults(page) == [] and faults(overview) == []
    finally:
        process.kill()
        process.communicate()


def test_a_key_that_an_admin_adds_appears(portal, box, new_user):
    """My keys shows a key that was added elsewhere, without a reload."""
    client = new_user()
    page = portal.log_in(client)
    page.goto("/keys")
    table = page.get_by_role("table", name="My keys")
    table.wait_for()
    key = make_key(box.dir / f"id_{client.user}_second")
    (box.dir / f"{key.name}.pub").write_text((box.dir / f"{key.name}.pub").read_text().replace("test-ed25519", "second key"))
    box.berth("key", "add", client.user, f"{key}.pub")
    table.get_by_text("second key").wait_for()


def test_the_stream_ends_with_the_login(portal, box, new_user):
    """Revoking the key that approved a browser leads its open page to the login at once."""
    client = new_user()
    page = portal.log_in(client)
    [key] = box.items("key", "list", client.user)
    box.berth("key", "revoke", key["fingerprint"])
    page.get_by_role("heading", name="Log in with your SSH key").wait_for(timeout=5_000)


def test_a_page_comes_back_after_a_loss(portal, box, new_user):
    """When Berth goes away the page says so; when it is back, the same page follows again, without a reload."""
    client = new_user()
    page = portal.log_in(client)
    card = page.get_by_role("article", name="main", exact=True)
    card.get_by_text("Stopped").wait_for()
    page.evaluate("document.kept = true")
    berthd = box.pid("berthd")
    os.kill(berthd, signal.SIGKILL)
    wait_until(lambda: gone(berthd), "berthd has ended")
    page.get_by_text("No connection to Berth").wait_for()
    box.up()
    page.get_by_text("No connection to Berth").wait_for(state="detached", timeout=60_000)
    client.run("true", timeout=180)
    card.get_by_text("Running").wait_for()
    assert page.evaluate("document.kept")


def test_a_closed_page_holds_no_stream(portal, box, new_user):
    """Berth counts the pages that listen: one that is open, none when it is closed."""
    wait_until(lambda: metric(box, "berth_event_streams") == 0, "the streams of earlier tests end")
    page = portal.log_in(new_user())
    wait_until(lambda: metric(box, "berth_event_streams") == 1, "the page opens its stream")
    page.context.close()
    portal.contexts.remove(page.context)
    wait_until(lambda: metric(box, "berth_event_streams") == 0, "the closed page's stream ends")


def metric(box, name):
    """A value of /metrics."""
    return float(re.search(rf"^{name} (\S+)$", box.get("/metrics"), re.M).group(1))
