"""Logging in with the SSH key, by link and by code; logging out; what ends a login."""

import re

from berthbox import fingerprint, make_key, wait_until
from portal import cookies, fetch, settle, shown_code


def test_by_link(portal, ada):
    """`ssh … berth web` prints a link; opening it shows the user's workspaces, and the token is gone from the address bar."""
    page = portal.log_in(ada)
    assert page.locator(".who .name").inner_text() == "ada"
    assert page.url == f"{portal.url}/"
    assert "token" not in page.evaluate("location.href + document.referrer")


def test_a_link_works_once(portal, ada):
    """The second use of a link logs nobody in and says why."""
    portal.log_in(ada)
    second = portal.open()
    second.goto(portal.link)
    settle(second, second.get_by_role("alert").get_by_text("Links work once"), lambda: second.goto(portal.link))
    assert "__Host-berth" not in cookies(second)


def test_an_invented_link(portal, ada):
    """A token that nobody made logs nobody in."""
    page = portal.open()
    link = f"{portal.url}/login#token={'A' * 43}"
    page.goto(link)
    settle(page, page.get_by_role("alert").get_by_text("Links work once"), lambda: page.goto(link))
    assert "__Host-berth" not in cookies(page)


def test_by_code(portal, ada):
    """The page shows a code; `ssh -t … berth approve CODE` shows which browser asks, and logs it in when told so, without touching the page."""
    page = portal.open(codes=True)
    page.goto(portal.url)
    code = shown_code(page)
    command = page.locator(".snippet code").first.inner_text()
    assert command == f"ssh -t -p {portal.box.ssh_port} localhost berth approve {code}"
    unasked = ada.ssh("box", f"berth approve {code}", check=False)  # nobody can be asked: shown, and not approved
    assert unasked.returncode == 2 and re.search(r"the browser at (127\.0\.0\.1|::1) \(.*Chrome", unasked.stderr), unasked.stderr
    refused = ada.ssh("-tt", "box", f"berth approve {code}", input="n\n", check=False)
    assert refused.returncode == 1 and "Chrome" in refused.stderr, refused.stderr
    said = ada.ssh("-tt", "box", f"berth approve {code}", input="y\n").stdout
    assert "ada" in said and "Chrome" in said
    page.get_by_role("heading", name="Workspaces").wait_for()
    assert page.locator(".who .name").inner_text() == "ada"
    again = ada.ssh("box", f"berth approve --yes {code}", check=False)
    assert again.returncode != 0


def test_an_approved_code_is_of_one_browser(portal, ada):
    """Approving one browser's code does not log another browser in that waits with a code of its own."""
    one, other = portal.open(codes=True), portal.open(codes=True)
    one.goto("/login")
    other.goto("/login")
    code, other_code = shown_code(one), shown_code(other)
    assert code != other_code
    ada.ssh("box", f"berth approve --yes {code}")
    one.get_by_role("heading", name="Workspaces").wait_for()
    assert fetch(other, "/api/v1/me") == 401
    assert other.locator(".code strong").inner_text() == other_code


def test_a_wrong_code_is_refused(ada):
    """`berth approve` with a code that no page shows fails with a sentence."""
    done = ada.ssh("box", "berth approve ZZZZ-9999", check=False)
    assert done.returncode != 0 and len(done.stderr.strip()) > 10


def test_back_to_where_one_was(portal, ada):
    """Whoever opens a page without being logged in comes to the login page, and after logging in to that page."""
    page = portal.open(codes=True)
    page.goto(f"{portal.url}/keys")
    code = shown_code(page)
    assert page.url == f"{portal.url}/login?next=%2Fkeys"
    ada.ssh("box", f"berth approve --yes {code}")
    page.get_by_role("heading", name="My keys").wait_for()
    assert page.url == f"{portal.url}/keys"


def test_no_way_to_other_sites(portal, ada):
    """?next= leads to this site only."""
    page = portal.open(codes=True)
    page.goto(f"{portal.url}/login?next=//evil.example/")
    ada.ssh("box", f"berth approve --yes {shown_code(page)}")
    page.get_by_role("heading", name="Workspaces").wait_for()
    assert page.url == f"{portal.url}/"


def test_cookie_flags(portal, ada):
    """The login's cookie is __Host-, Secure, HttpOnly and SameSite, and scripts do not see it."""
    page = portal.log_in(ada)
    cookie = cookies(page)["__Host-berth"]
    assert cookie["secure"] and cookie["httpOnly"] and cookie["sameSite"] in ("Lax", "Strict")
    assert cookie["path"] == "/" and cookie["domain"] == "localhost"
    assert page.evaluate("document.cookie") == ""


def test_log_out(portal, ada):
    """Log out leads to the login page; the old cookie is worth nothing."""
    page = portal.log_in(ada)
    kept = page.context.cookies()
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("heading", name="Log in with your SSH key").wait_for()
    assert page.url.startswith(f"{portal.url}/login")
    thief = portal.open()
    thief.context.add_cookies([cookie for cookie in kept if cookie["name"] == "__Host-berth"])
    thief.goto("/login")
    assert fetch(thief, "/api/v1/me") == 401


def test_end_another_browser(portal, ada):
    """A browser that is logged in can be logged out from another, on the page of sessions."""
    here, there = portal.log_in(ada), portal.log_in(ada, user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
    here.goto("/logins")
    row = here.get_by_role("table", name="Browsers").get_by_role("row").filter(has_text="Firefox on Linux").first
    row.get_by_role("button", name=re.compile("Log out")).click()
    here.get_by_role("dialog").get_by_role("button", name="Log out").click()
    here.get_by_role("dialog").wait_for(state="detached")
    assert fetch(there, "/api/v1/me") == 401
    assert fetch(here, "/api/v1/me") == 200
    there.get_by_role("heading", name="Log in with your SSH key").wait_for()  # its next look at the workspaces leads there


def test_revoking_the_key_ends_the_login(portal, box, ada):
    """Revoking the key that approved a browser logs it out; a browser approved by another key stays."""
    key = make_key(box.dir / "id_ada_second")
    box.berth("key", "add", "ada", f"{key}.pub")
    page, other = portal.log_in(box.client("ada", key)), portal.log_in(ada)
    box.berth("key", "revoke", fingerprint(key))
    wait_until(lambda: fetch(page, "/api/v1/me") == 401, "the browser of the revoked key is logged out", timeout=1)
    assert fetch(other, "/api/v1/me") == 200
