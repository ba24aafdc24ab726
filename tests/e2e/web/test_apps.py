"""Applications on origins of their own (web.wildcard_domain), in Chromium: *.localhost leads to this machine by itself."""

import re

import pytest

from berthbox import wait_until
from portal import DESKTOP, DOMAIN, PHONE, faults, fetch, fetch_json, shoot, wait_for_lab

# What people run: absolute paths, cookies, XSRF tokens, a WebSocket that compares Origin with Host (tornado's default).
APP = r'''
import asyncio, json, sys
import tornado.web, tornado.websocket
class Page(tornado.web.RequestHandler):
    def get(self):
        self.set_cookie("visits", str(int(self.get_cookie("visits", "0")) + 1))
        self.add_header("Set-Cookie", "wide%s=1; Domain=apps.localhost; Path=/" % sys.argv[1])
        self.add_header("Set-Cookie", "__Host-berth-app=forged; Path=/; Secure")
        self.write('<!doctype html><title>app</title><p id=who></p><form action="/sum" method=post>%s<input name=n value=6><button>Go</button></form>'
                   '<script src="/static.js"></script>' % self.xsrf_form_html())
class Script(tornado.web.RequestHandler):
    def get(self):
        self.set_header("Content-Type", "text/javascript")
        self.write("who.textContent = 'script of port %s';" % sys.argv[1])
class Sum(tornado.web.RequestHandler):
    def post(self):
        self.redirect("/result?n=%d" % (int(self.get_argument("n")) * 7))
class Result(tornado.web.RequestHandler):
    def get(self): self.write("<p>answer %s</p>" % self.get_argument("n"))
class Seen(tornado.web.RequestHandler):
    def get(self): self.write(json.dumps(dict(self.request.headers)))
class Echo(tornado.websocket.WebSocketHandler):
    def on_message(self, message): self.write_message("echo " + message)
async def main():
    tornado.web.Application([("/", Page), ("/static.js", Script), ("/sum", Sum), ("/result", Result), ("/seen", Seen), ("/echo", Echo)],
                            xsrf_cookies=True, websocket_ping_interval=5).listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()
asyncio.run(main())
'''


@pytest.fixture(scope="module")
def box(wildcard_box):
    return wildcard_box


@pytest.fixture(scope="module")
def ada(box):
    client = box.client()
    client.run("cat > app.py", input=APP, timeout=180)
    return client


@pytest.fixture(scope="module")
def apps(ada):
    """Two applications in ada's workspace; answers their ports."""
    running = [ada.popen("box", f"exec /opt/python/bin/python app.py {port}") for port in (8111, 8112)]
    for port in (8111, 8112):
        wait_until(lambda port=port: ada.ssh("box", f"curl -s -o /dev/null localhost:{port}/", check=False).returncode == 0, "the application listens", 60, 0.3)
    yield 8111, 8112
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def page(portal, ada):
    return portal.log_in(ada)


def open_app(portal, page, port):
    """Opens an application by its address on the portal, in a tab of its own."""
    tab = page.context.new_page()
    tab.goto(f"{portal.url}/w/ada/main/port/{port}/")
    tab.get_by_text(f"script of port {port}").wait_for()
    assert tab.url == portal.origin(port) + "/"
    return tab


ECHO = """() => new Promise((resolve) => {
  window.socket = new WebSocket(location.origin.replace('https', 'wss') + '/echo');
  window.cutOff = false;
  socket.onopen = () => socket.send('hello');
  socket.onmessage = (event) => resolve(event.data);
  socket.onclose = () => { window.cutOff = true; resolve('closed'); };
})"""


def test_absolute_paths_cookies_and_xsrf(portal, page, apps):
    """An application with absolute paths, cookies, an XSRF token and a WebSocket works as if it stood at its own root."""
    tab = open_app(portal, page, apps[0])
    tab.reload()
    assert "visits=2" in tab.evaluate("document.cookie")
    assert tab.evaluate(ECHO) == "echo hello"
    tab.get_by_role("button", name="Go").click()
    tab.get_by_text("answer 42").wait_for()
    assert tab.url == portal.origin(apps[0]) + "/result?n=42"


def test_cookies_stay_where_they_are(portal, page, apps):
    """Berth's cookies reach no application, an application's reach neither Berth nor another application, and all are host-only."""
    first = open_app(portal, page, apps[0])
    first.evaluate(f"document.cookie = '__Host-berth=x; Secure; Path=/; Domain={DOMAIN}'; document.cookie = 'up=1; Domain=localhost; Path=/'")
    seen = fetch_json(first, "/seen")
    assert "visits=" in seen["Cookie"] and "__Host" not in seen["Cookie"]
    assert seen["X-Forwarded-Host"] == portal.origin(apps[0]).removeprefix("https://") and seen["Host"] == f"localhost:{apps[0]}"
    second = open_app(portal, page, apps[1])
    seen = fetch_json(second, "/seen")
    assert "visits=1" in seen["Cookie"] and f"wide{apps[0]}=" not in seen["Cookie"] and "up=" not in seen["Cookie"]
    all_cookies = page.context.cookies()
    assert all_cookies and not any(cookie["domain"].startswith(".") for cookie in all_cookies), all_cookies
    assert {c["domain"] for c in all_cookies if c["name"] == "__Host-berth"} == {"localhost"}
    assert fetch(page, "/api/v1/me") == 200


def test_siblings_cannot_reach_each_other(portal, page, apps):
    """One application can neither read, post to, frame nor open a WebSocket to another, nor use the portal."""
    open_app(portal, page, apps[1])
    tab = open_app(portal, page, apps[0])
    other = portal.origin(apps[1])
    assert fetch(tab, f"{other}/seen", credentials="include") == "TypeError"
    assert fetch(tab, f"{other}/sum", method="POST", credentials="include", mode="no-cors") in ("opaque", "TypeError")
    assert fetch(tab, f"{portal.url}/api/v1/me", credentials="include") == "TypeError"
    framed = tab.evaluate("""(url) => new Promise((resolve) => {
      const frame = document.createElement('iframe');
      frame.onload = () => resolve(true);
      frame.src = url;
      document.body.append(frame);
    })""", f"{other}/")
    assert framed and "script of port" not in (tab.frames[-1].content() if not tab.frames[-1].url.startswith("chrome-error:") else "")
    closed = tab.evaluate("""(url) => new Promise((resolve) => {
      const socket = new WebSocket(url);
      socket.onopen = () => resolve('open');
      socket.onclose = () => resolve('closed');
    })""", other.replace("https", "wss") + "/echo")
    assert closed == "closed"


def test_without_login(portal, apps, ada):
    """Who opens an application's address first is led to the login and then to the page."""
    tab = portal.open()
    tab.goto(portal.origin(apps[0]) + "/result?n=1")
    tab.get_by_role("heading", name="Log in with your SSH key").wait_for()
    address = tab.url
    portal.log_in(ada, page=tab)
    tab.goto(address)
    tab.get_by_text("answer 1").wait_for()
    assert tab.url == portal.origin(apps[0]) + "/result?n=1"


def test_jupyter_has_its_own_origin(portal, page):
    """Open Jupyter leads to an origin of Jupyter's own, where a cell runs."""
    with page.expect_popup() as popup:
        page.get_by_role("article", name="main", exact=True).get_by_role("link", name="Open Jupyter").click()
    lab = popup.value
    wait_for_lab(lab)
    assert lab.url.startswith(portal.origin("jupyter") + "/w/ada/main/jupyter/lab"), lab.url
    lab.locator('.jp-LauncherCard[data-category="Notebook"]').first.click()
    lab.get_by_text("(ipykernel) | Idle").wait_for(timeout=120_000)
    cell = lab.locator(".jp-Notebook .jp-CodeCell .cm-content").first
    cell.click()
    cell.press_sequentially("6*7")
    lab.keyboard.press("Shift+Enter")
    lab.locator(".jp-Notebook .jp-OutputArea-output").filter(has_text="42").first.wait_for(timeout=60_000)


def test_sharing_a_port(portal, page, box, ada, apps, new_user):
    """A port shared by command opens for that user and nobody else; the end closes what is open, and each is in the audit trail."""
    bob, eve = new_user(), new_user()
    address = ada.run(f"berth share create {apps[0]} --with {bob.user} --for 1h")
    assert address == portal.origin(apps[0]) + "/"
    tab = portal.log_in(bob)
    tab.goto(address)
    tab.get_by_text(f"script of port {apps[0]}").wait_for()
    assert tab.evaluate(ECHO) == "echo hello"
    assert portal.log_in(eve).goto(address).status == 404
    other = tab.context.new_page()
    assert other.goto(portal.origin(apps[1]) + "/").status == 404
    shares = box.items("share", "list")
    assert [(s["owner"], s["with"], s["port"]) for s in shares] == [("ada", bob.user, apps[0])]
    assert re.search(rf"{apps[0]}\s+{bob.user}", ada.run("berth share list"))
    ada.run(f"berth share end {shares[0]['id']}")
    tab.wait_for_function("window.cutOff", timeout=10_000, polling=20)
    assert tab.goto(address).status == 404
    actions = [row["action"] for row in box.items("audit", "tail", "--limit", "50")]
    assert "share.create" in actions and "share.end" in actions


def test_sharing_from_the_page(portal, page, ada, apps, new_user):
    """The Ports panel shares with a named user and with everybody, shows the address, says what is missing, and ends it after asking."""
    bob, eve = new_user(), new_user()
    panel = page.get_by_role("region", name="Ports", exact=True)
    share, shared = panel.get_by_role("button", name="Share", exact=True), page.get_by_role("table", name="Shared ports")
    share.click()
    panel.get_by_role("alert").filter(has_text="1 to 65535").wait_for()
    panel.get_by_label("Port", exact=True).fill(str(apps[0]))
    share.click()
    panel.get_by_role("alert").filter(has_text="whom").wait_for()
    panel.get_by_label("Share with").fill("nobody-has-this-name")
    share.click()
    panel.get_by_role("alert").filter(has_text=re.compile("no user|not found|no such", re.I)).wait_for()
    panel.get_by_label("Share with").fill(bob.user)
    panel.get_by_label(re.compile("^For")).select_option("8 h")
    share.click()
    panel.get_by_text(f"Port {apps[0]} is shared at this address.").wait_for()
    address = panel.get_by_label("Address", exact=True).inner_text().strip()
    assert address == portal.origin(apps[0]) + "/"
    row = shared.get_by_role("row").filter(has_text=bob.user)
    row.get_by_text(str(apps[0])).wait_for()
    visitor, stranger = portal.log_in(bob), portal.log_in(eve)
    visitor.get_by_role("table", name="Shared ports").get_by_role("row").filter(has_text="ada").wait_for()  # whom it is open to sees it too
    visitor.goto(address)
    visitor.get_by_text(f"script of port {apps[0]}").wait_for()
    assert visitor.evaluate(ECHO) == "echo hello"
    assert stranger.goto(address).status == 404

    panel.get_by_label("Everybody who is logged in").check()
    panel.get_by_label("Port", exact=True).fill(str(apps[1]))
    share.click()
    shared.get_by_role("row").filter(has_text="Everybody").wait_for()
    stranger.goto(portal.origin(apps[1]) + "/")
    stranger.get_by_text(f"script of port {apps[1]}").wait_for()
    for viewport in (DESKTOP, PHONE):
        page.set_viewport_size(viewport)
        shoot(page, f"shares-{viewport['width']}")
        assert faults(page) == []
    page.set_viewport_size(DESKTOP)

    row.get_by_role("button", name=f"End the sharing of port {apps[0]}?").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    row.get_by_role("button", name=f"End the sharing of port {apps[0]}?").click()
    page.get_by_role("dialog").get_by_role("button", name="End", exact=True).click()
    row.wait_for(state="detached")
    visitor.wait_for_function("window.cutOff", timeout=30_000, polling=50)
    assert visitor.goto(address).status == 404
    shared.get_by_role("button").click()
    page.get_by_role("dialog").get_by_role("button", name="End", exact=True).click()
    shared.wait_for(state="detached")
