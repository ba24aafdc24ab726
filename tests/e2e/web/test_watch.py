"""An administrator looks at a user's terminal: where the site allows it, and never more than look."""

import urllib.error

import pytest
from playwright.sync_api import expect

from berthbox import make_key, wait_until
from portal import PHONE, Portal, faults, shoot
from test_attach import Page, Tab


@pytest.fixture
def boss(wildcard_box):
    """A user of role admin there."""
    key = make_key(wildcard_box.dir / "id_boss")
    wildcard_box.berth("user", "add", "boss", "--role", "admin")
    wildcard_box.berth("key", "add", "boss", f"{key}.pub")
    yield wildcard_box.client("boss", key)
    wildcard_box.berth("user", "remove", "boss")


def looks(box):
    return [row for row in box.sessions("ada") if row["kind"] == "watch"]


@pytest.mark.timeout(300)
def test_looking_on(browser, wildcard_box, boss):
    """From the list of sessions to the user's screen; typing goes nowhere; the user sees the look and ends it; another ends with the role."""
    ada = wildcard_box.client()
    ada.run("true", timeout=180)
    own = Page(wildcard_box, ada)
    tab = Tab(own)
    tab.socket.send(b"PS1='$ '; echo on the scr''een\r")
    tab.expect(b"on the screen")
    site = Portal(wildcard_box, browser)
    try:
        page = site.log_in(boss)
        page.goto("/admin/sessions")
        page.get_by_role("link", name="Watch a terminal of ada").first.click()
        page.get_by_role("heading", name="Terminals of ada").wait_for()
        page.get_by_role("link", name="Watch").first.click()
        expect(page.locator(".xterm-rows")).to_contain_text("on the screen")
        assert faults(page) == []
        shoot(page, "watch")
        page.locator(".xterm").click()
        page.keyboard.type("echo by the b''oss\n")
        tab.socket.send(b"echo by a''da\r")
        expect(page.locator(".xterm-rows")).to_contain_text("by ada")
        tab.expect(b"by ada")
        assert "boss" not in page.locator(".xterm-rows").inner_text()
        page.set_viewport_size(PHONE)
        shoot(page, "watch-phone")
        [look] = looks(wildcard_box)
        assert look["detail"] == f"{tab.opened['id']} by boss"
        assert {row["workspace"] for row in wildcard_box.sessions("boss") if row["kind"] == "web"} == {"ada+main"}
        assert own.ask("DELETE", f"sessions/{look['id']}") == {"ended": 1}
        page.get_by_text("This look at the terminal has ended.").wait_for()
        page.reload()
        wait_until(lambda: looks(wildcard_box), "the boss looks again", timeout=60)
        wildcard_box.request("PATCH", "/users/boss", {"role": "user"})
        wait_until(lambda: not looks(wildcard_box), "without the role there is nothing to see", timeout=60)
        tab.socket.send(b"echo go''es on\r")
        tab.expect(b"goes on")
        assert wildcard_box.request("GET", "/audit?action=terminal.watch")["items"]
    finally:
        site.close()


def test_not_where_it_is_not_allowed(box, admin, ada):
    """Without web.watch_terminals an administrator sees no terminal of others, nor that there are any."""
    tab = Tab(Page(box, ada))
    page = Page(box, admin)
    assert page.ask("GET", "me")["watching"] is False
    with pytest.raises(urllib.error.HTTPError, match="404"):
        page.ask("GET", f"workspaces/{ada.user}/main/terminals")
    with pytest.raises(Exception) as refused:
        page.open(user=ada.user, id=tab.opened["id"], watch=1)
    assert refused.value.response.status_code == 404
    tab.socket.close()
