"""The terminal page: a shell in the workspace that outlives the page."""

import re

from berthbox import wait_until
from portal import DESKTOP, PHONE, faults, shoot


def screen(page):
    return page.locator(".xterm-rows").inner_text()


def type_line(page, line):
    page.keyboard.type(line + "\n")


def until_shown(page, text):
    wait_until(lambda: text in screen(page), f"{text!r} on the screen, which shows: {screen(page)!r}", timeout=30)


def open_terminal(portal, client, **options):
    page = portal.log_in(client, **options)
    page.goto("/terminal/main")
    page.locator(".xterm-rows").wait_for()
    wait_until(lambda: re.search(r"[$#] *$", screen(page).rstrip("\n \u00a0") + " "), "a prompt", timeout=60)
    return page


def test_a_shell(portal, ada):
    """What is typed runs in the workspace; the page breaks no content policy, asks no other host, and axe finds nothing serious."""
    for viewport, scheme in ((DESKTOP, "dark"), (PHONE, "light")):
        page = open_terminal(portal, ada, viewport=viewport, scheme=scheme)
        type_line(page, "echo $((6*7)) $USER; printf '\\033[38;2;200;30;30mred\\033[0m'; echo")
        until_shown(page, "42 ada")
        until_shown(page, "red")
        shoot(page, f"terminal-{scheme}-{viewport['width']}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert faults(page) == []
    assert portal.complaints == []
    assert portal.hosts == {f"localhost:{portal.box.web_port}"}


def test_size_follows_the_window(portal, ada):
    """The shell knows the size of the page, and hears when it changes."""
    page = open_terminal(portal, ada)
    type_line(page, "echo size=$(stty size)")
    wait_until(lambda: re.search(r"size=\d+ \d+", screen(page)), "the size")
    before = re.search(r"size=(\d+) (\d+)", screen(page)).groups()
    page.set_viewport_size({"width": 900, "height": 600})

    def after():
        type_line(page, "clear; echo size=$(stty size)")
        page.wait_for_timeout(300)
        found = re.search(r"size=(\d+) (\d+)", screen(page))
        return found and found.groups() != before

    wait_until(after, "another size", every=0.3)


def test_a_reload_attaches_again(portal, ada):
    """After a reload the same shell is there with what it had printed; its variables are."""
    page = open_terminal(portal, ada)
    type_line(page, "berth_mark=kept; echo first-$berth_mark")
    until_shown(page, "first-kept")
    page.reload()
    until_shown(page, "first-kept")
    type_line(page, "echo again-$berth_mark")
    until_shown(page, "again-kept")


def test_a_lost_connection_attaches_again(portal, ada):
    """When the connection is cut, the page attaches again by itself; nothing is lost or doubled."""
    page = portal.open()
    sockets = []

    def relay(socket):
        socket.connect_to_server()
        sockets.append(socket)

    page.route_web_socket(re.compile(r"/terminal\?"), relay)
    portal.log_in(ada, page)
    page.goto("/terminal/main")
    wait_until(lambda: "$" in screen(page), "a prompt", timeout=60)
    type_line(page, "for i in 1 2 3 4 5 6; do echo tick-$i-$((i*i)); sleep 0.7; done")
    until_shown(page, "tick-2-4")
    sockets[-1].close(code=1012)
    until_shown(page, "tick-6-36")
    assert len(sockets) >= 2
    assert [screen(page).count(f"tick-{i}-{i * i}") for i in range(1, 7)] == [1] * 6


def test_search_and_end(portal, ada):
    """Search finds what was printed; End asks, ends the shell, and offers a new one."""
    page = open_terminal(portal, ada)
    type_line(page, "seq 1 200 | sed 's/^/needle-/'")
    until_shown(page, "needle-200")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("searchbox", name="Search").fill("needle-17")
    page.get_by_role("button", name="Previous").click()
    wait_until(lambda: "needle-17" in screen(page), "the found line is scrolled to")
    page.get_by_role("button", name="End").click()
    page.get_by_role("dialog").get_by_role("button", name="End").click()
    page.get_by_text("The shell has ended").wait_for()
    page.get_by_role("button", name="New").last.click()
    wait_until(lambda: "$" in screen(page) and "needle-200" not in screen(page), "a new shell", timeout=60)


def test_copy_and_links(portal, ada):
    """What is selected is copied; an address that was printed opens apart, with no way back to this page."""
    page = open_terminal(portal, ada)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=portal.url)

    def place(text):  # of the line that begins so; the screen's own layers lie above its rows
        until_shown(page, text)
        box = page.locator(".xterm-rows > div").filter(has_text=re.compile(f"^{re.escape(text)}")).last.bounding_box()
        return box["x"] + 40, box["y"] + box["height"] / 2

    type_line(page, "printf 'copy-%s\\n' me-42")
    page.mouse.dblclick(*place("copy-me-42"))
    page.get_by_role("button", name="Copy").click()
    wait_until(lambda: page.evaluate("navigator.clipboard.readText()") == "copy-me-42", "the word is in the clipboard")
    address = f"{portal.url}/healthz"
    page.locator(".xterm-helper-textarea").focus()
    type_line(page, f"printf '%s{address[5:]}\\n' https")
    link = place(address)
    page.mouse.move(*link)
    with page.context.expect_page() as opened:
        page.mouse.click(*link)
    opened.value.wait_for_url(address)
    assert opened.value.evaluate("window.opener") is None


def test_the_keyboard_gets_out(portal, ada):
    """Ctrl+Shift+F6 hands the keyboard from the terminal back to the page."""
    page = open_terminal(portal, ada)
    page.locator(".xterm-helper-textarea").focus()
    page.keyboard.press("Control+Shift+F6")
    assert page.evaluate("document.activeElement.closest('[role=toolbar]') !== null")


def test_a_revoked_key_ends_it(portal, box, new_user):
    """Revoking the key behind the login cuts the terminal and leads to the login page."""
    client = new_user()
    client.run("true", timeout=180)
    page = open_terminal(portal, client)
    [key] = box.items("key", "list", client.user)
    box.berth("key", "revoke", key["fingerprint"])
    page.get_by_role("heading", name="Log in with your SSH key").wait_for(timeout=5_000)
