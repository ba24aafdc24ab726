"""What guards the portal from other sites and from the workspaces' own pages."""

import pytest

from portal import cookie_header, cookies, fetch, fetch_json, wait_for_lab


@pytest.fixture
def page(portal, ada):
    return portal.log_in(ada)


def csrf(page):
    return fetch_json(page, "/api/v1/me")["csrf"]


def test_csrf_token(portal, page):
    """A change without the token, or with a wrong one, is refused and changes nothing; with the token it works."""
    assert fetch(page, "/api/v1/logout", method="POST") == 403
    assert fetch(page, "/api/v1/logout", method="POST", headers={"X-Berth-CSRF": "0" * 64}) == 403
    assert fetch(page, "/api/v1/workspaces/ada/main/stop", method="POST") == 403
    assert fetch(page, "/api/v1/me") == 200
    assert fetch(page, "/api/v1/logout", method="POST", headers={"X-Berth-CSRF": csrf(page)}) == 200
    assert fetch(page, "/api/v1/me") == 401


def test_tokens_are_of_one_login(portal, ada, page):
    """The token of one login is worth nothing in another."""
    other = portal.log_in(ada)
    assert fetch(page, "/api/v1/logout", method="POST", headers={"X-Berth-CSRF": csrf(other)}) == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost", None])
def test_changes_of_other_origins(portal, page, origin):
    """A change whose Origin is not the portal's is refused, even with cookie and token."""
    headers = {"X-Berth-CSRF": csrf(page), "Cookie": cookie_header(page), **({"Origin": origin} if origin else {})}
    assert page.context.request.post(f"{portal.url}/api/v1/logout", headers=headers).status == 403
    assert fetch(page, "/api/v1/me") == 200


def test_the_workspace_origin_is_not_the_portal(portal, page):
    """The workspace origin serves no API, and its Origin may change nothing on the portal."""
    assert page.context.request.get(f"{portal.workspace_url}/api/v1/me").status == 404
    headers = {"X-Berth-CSRF": csrf(page), "Cookie": cookie_header(page), "Origin": portal.workspace_url}
    assert page.context.request.post(f"{portal.url}/api/v1/logout", headers=headers).status == 403


def test_a_workspaces_page_cannot_use_the_portal(portal, page):
    """A script in the workspace can neither read the portal's API nor change anything nor frame its pages."""
    inside = page.context.new_page()
    inside.goto(f"{portal.url}/w/ada/main/jupyter/lab")
    wait_for_lab(inside)
    assert inside.url.startswith(portal.workspace_url)
    assert fetch(inside, f"{portal.url}/api/v1/me", credentials="include") == "TypeError"
    assert fetch(inside, f"{portal.url}/api/v1/keys", credentials="include") == "TypeError"
    assert fetch(inside, f"{portal.url}/api/v1/logout", method="POST", credentials="include", mode="no-cors") in ("opaque", "TypeError")
    assert fetch(page, "/api/v1/me") == 200, "still logged in"
    framed = inside.evaluate("""(url) => new Promise((resolve) => {
      const frame = document.createElement('iframe');
      frame.onload = () => { try { resolve(frame.contentDocument ? 'same origin' : 'foreign'); } catch { resolve('foreign'); } };
      frame.src = url;
      document.body.append(frame);
    })""", f"{portal.url}/")
    assert framed == "foreign"
    assert inside.frames[-1].url.startswith("chrome-error:") or "Workspaces" not in inside.frames[-1].content()


def test_headers_of_the_pages(portal, page):
    """The pages come with a strict policy, are not framed, not sniffed, and leave no address behind."""
    answer = page.context.request.get(f"{portal.url}/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["referrer-policy"] == "no-referrer"
    api = page.context.request.get(f"{portal.url}/api/v1/me")
    assert api.headers["cache-control"] == "no-store"


def test_roles(portal, page):
    """A user is refused what is an administrator's."""
    for path in ("users", "audit", "status", "keys?all=1", "workspaces?all=1", "backup"):
        assert fetch(page, f"/api/v1/{path}") == 403, path
    token = csrf(page)
    headers = {"X-Berth-CSRF": token, "Content-Type": "application/json"}
    assert fetch(page, "/api/v1/users", method="POST", headers=headers, body='{"name":"mallory","role":"admin"}') == 403
    assert fetch(page, "/api/v1/users/ada", method="PATCH", headers=headers, body='{"role":"admin"}') == 403
    assert fetch(page, "/api/v1/workspaces/nobody-here/main/stop", method="POST", headers=headers) == 404


def test_a_planted_crossing(portal, box, new_user, page):
    """Another's crossing link does not put their workspace into this browser."""
    other = portal.log_in(new_user())
    user = other.locator(".who .name").inner_text()
    answer = other.context.request.get(f"{portal.url}/w/{user}/main/port/1/", max_redirects=0)
    crossing = answer.headers["location"]
    assert answer.status in (302, 303, 307) and crossing.startswith(f"{portal.workspace_url}/berth-cross?")
    assert page.context.request.get(crossing, max_redirects=0).status == 403
    assert not any(name.startswith(f"__Host-berth-w-{user}") for name in cookies(page))
