"""JupyterLab of one's own workspace, through the proxy, on the workspace origin."""

import asyncio
import contextlib
import re
import time
import uuid
from urllib.parse import unquote

import aiohttp
import pytest
import websockets

from berthbox import fingerprint, make_key, wait_until
from portal import INSECURE, cookie_header, enter, fetch, fetch_json, run_async, shoot, shown_code, wait_for_lab

def open_lab(portal, page):
    """Clicks Open Jupyter on Home; answers the tab that shows JupyterLab."""
    with page.expect_popup() as popup:
        page.get_by_role("article", name="main", exact=True).get_by_role("link", name="Open Jupyter").click()
    lab = popup.value
    wait_for_lab(lab)
    assert lab.url.startswith(f"{portal.workspace_url}/w/ada/main/jupyter/lab"), lab.url
    return lab


@pytest.fixture
def lab(portal, ada):
    """A browser of ada's with JupyterLab open, as if for the first time (JupyterLab keeps its tabs on the server)."""
    page = open_lab(portal, portal.log_in(ada))
    page.goto(f"{portal.workspace_url}/w/ada/main/jupyter/lab?reset")
    wait_for_lab(page, ".jp-Launcher")
    return page


def test_six_times_seven(portal, lab):
    """Open Jupyter, make a notebook, run 6*7, see 42."""
    lab.locator('.jp-LauncherCard[data-category="Notebook"]').first.click()
    lab.get_by_text("(ipykernel) | Idle").wait_for(timeout=120_000)  # what is run before the kernel answers is dropped by JupyterLab
    cell = lab.locator(".jp-Notebook .jp-CodeCell .cm-content").first
    cell.click()
    cell.press_sequentially("6*7")
    lab.keyboard.press("Shift+Enter")
    output = lab.locator(".jp-Notebook .jp-OutputArea-output").filter(has_text="42").first
    output.wait_for(timeout=60_000)
    assert output.inner_text().strip() == "42"
    shoot(lab, "jupyter-1280")


def test_the_token_stays_inside(portal, lab):
    """Jupyter's own token reaches neither the page nor its cookies, and the portal's cookie does not reach Jupyter."""
    config = lab.locator("#jupyter-config-data").text_content()
    assert not re.search(r'"token": "[^"]', config)
    assert not re.search(r'"token": "[^"]', lab.context.request.get(f"{portal.workspace_url}/w/ada/main/jupyter/lab").text())
    assert fetch(lab, "/w/ada/main/jupyter/api/status") == 200
    assert "__Host-" not in lab.evaluate("document.cookie")


def test_a_terminal_in_jupyter(lab):
    """A terminal of JupyterLab (a WebSocket) shows what a command prints."""
    lab.locator('.jp-LauncherCard[title*="terminal" i]').first.click()
    terminal = lab.locator(".jp-Terminal")
    terminal.wait_for()
    lab.locator(".jp-Terminal .xterm-helper-textarea").focus()
    lab.locator(".jp-Terminal .xterm-rows, .jp-Terminal canvas").first.wait_for()
    lab.keyboard.type("echo $((6*7)) > ~/from-terminal; id -un >> ~/from-terminal\n")
    lab.wait_for_function("""async () => {
      const r = await fetch('/w/ada/main/jupyter/api/contents/from-terminal?content=1', {cache: 'no-store'});
      return r.ok && (await r.json()).content === '42\\nada\\n';
    }""", timeout=30_000, polling=500)


def test_another_users_workspace_is_not_there(portal, box, ada, lab, new_user):
    """Another user's path answers 404 on both origins, as a path of nobody does."""
    other = new_user().user
    for origin in (portal.url, portal.workspace_url):
        for user in (other, "nobody-here"):
            assert lab.context.request.get(f"{origin}/w/{user}/main/jupyter/lab", headers={"Accept": "text/html"}).status == 404, (origin, user)
    page = lab.context.new_page()
    assert page.goto(f"{portal.url}/w/{other}/main/jupyter/lab").status == 404
    assert "Not found" in page.inner_text("body")


def test_without_login(portal, ada):
    """Who is not logged in is led to the login page; a script gets 401."""
    page = portal.open(codes=True)
    page.goto(f"{portal.workspace_url}/w/ada/main/jupyter/lab")
    page.get_by_role("heading", name="Log in with your SSH key").wait_for()
    assert unquote(page.url) == f"{portal.url}/login?next=/w/ada/main/jupyter/lab"
    assert page.context.request.get(f"{portal.workspace_url}/w/ada/main/jupyter/api/status").status == 401
    ada.ssh("box", f"berth approve --yes {shown_code(page)}")
    wait_for_lab(page)
    assert page.url.startswith(f"{portal.workspace_url}/w/ada/main/jupyter/lab")


async def handshake(portal, cookies, origin):
    """Opens Jupyter's event WebSocket; answers "open" or the refusing status."""
    try:
        address = f"wss://localhost:{portal.workspace_port}/w/ada/main/jupyter/api/events/subscribe"
        async with websockets.connect(address, ssl=INSECURE, origin=origin, additional_headers={"Cookie": cookies}):
            return "open"
    except websockets.InvalidStatus as refusal:
        return refusal.response.status_code


def test_websockets_of_other_origins_are_refused(portal, lab):
    """A WebSocket opens from the workspace's own pages only: not from other sites, the portal, or without an Origin."""
    cookies = cookie_header(lab)
    assert run_async(handshake(portal, cookies, portal.workspace_url)) == "open"
    for origin in ("https://evil.example", portal.url, "null", None):
        assert run_async(handshake(portal, cookies, origin)) == 403, origin
    assert run_async(handshake(portal, "", portal.workspace_url)) == 401


# Opens a WebSocket in the page and remembers when it closed.
OPEN_SOCKET = """() => new Promise((resolve, reject) => {
  window.closedAt = null;
  const socket = new WebSocket('/w/ada/main/jupyter/api/events/subscribe');
  socket.onopen = () => resolve(true);
  socket.onclose = () => { window.closedAt = Date.now(); reject(new Error('closed')); };
})"""


@contextlib.contextmanager
def socket_ends(page):
    """The WebSocket of `page` closes by what the block does; prints how long that took, the start of a command included."""
    page.evaluate(OPEN_SOCKET)
    assert page.evaluate("window.closedAt") is None
    began = time.time()
    yield
    page.wait_for_function("window.closedAt !== null", timeout=15_000, polling=20)
    print(f"the notebook's WebSocket closed after {page.evaluate('window.closedAt') / 1000 - began:.3f} s")


def test_revoking_the_key_closes_websockets(portal, box, ada):
    """Revoking the key ends the browser's open WebSockets, and the workspace's pages with it."""
    key = make_key(box.dir / "id_ada_third")
    box.berth("key", "add", "ada", f"{key}.pub")
    lab = open_lab(portal, portal.log_in(box.client("ada", key)))
    with socket_ends(lab):
        box.berth("key", "revoke", fingerprint(key))
    assert fetch(lab, "/w/ada/main/jupyter/api/status") == 401


def test_messages_of_a_lost_page_are_kept(ada):
    """What a kernel says while its page has lost the connection is there when the page comes back: Jupyter keeps it for the kernel session."""
    async def test():
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), connector=aiohttp.TCPConnector(ssl=INSECURE)) as http:
            status = await enter(http, ada, "/w/ada/main/jupyter/api/status")
            api, headers = status.removesuffix("/status"), {"Origin": re.match(r"https://[^/]+", status).group()}
            async with http.post(f"{api}/kernels", json={}, headers=headers) as made:
                assert made.status == 201, await made.text()
                kernel = f"{api}/kernels/{(await made.json())['id']}"
            page = str(uuid.uuid4())

            async def printed(channels, word):
                while True:
                    message = await channels.receive_json(timeout=60)
                    if message["msg_type"] == "stream" and word in message["content"]["text"]:
                        return

            channels = await http.ws_connect(f"{kernel}/channels?session_id={page}", headers=headers)
            header = {"msg_id": str(uuid.uuid4()), "username": "", "session": page, "msg_type": "execute_request", "version": "5.3", "date": ""}
            code = "import time\nprint('begun', flush=True)\ntime.sleep(2)\nprint('while nobody looked', flush=True)"
            await channels.send_json({"header": header, "parent_header": {}, "metadata": {}, "channel": "shell", "buffers": [],
                                      "content": {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}})
            await printed(channels, "begun")
            await channels.close()
            for _ in range(600):
                async with http.get(kernel) as asked:
                    if (await asked.json())["execution_state"] == "idle":
                        break
                await asyncio.sleep(0.1)
            channels = await http.ws_connect(f"{kernel}/channels?session_id={page}", headers=headers)
            await printed(channels, "while nobody looked")
            await channels.close()
            async with http.delete(kernel, headers=headers) as gone:
                assert gone.status == 204
    run_async(test(), 240)


def test_logging_out_closes_websockets(portal, ada):
    """Logging out on the portal cuts off Jupyter in the other tab."""
    page = portal.log_in(ada)
    lab = open_lab(portal, page)
    with socket_ends(lab):
        page.get_by_role("button", name="Log out").click()
    assert fetch(lab, "/w/ada/main/jupyter/api/status") == 401


def test_ending_the_web_session_by_ssh_closes_websockets(portal, ada):
    """`ssh … berth web-session end ID` cuts off that browser's WebSockets too."""
    page = portal.log_in(ada)
    lab = open_lab(portal, page)
    mine = fetch_json(page, "/api/v1/me")["session"]["id"]
    with socket_ends(lab):
        ada.ssh("box", f"berth web-session end {mine}")
    assert fetch(lab, "/w/ada/main/jupyter/api/status") == 401


def test_a_browser_at_work_is_a_session(portal, box, lab):
    """While JupyterLab is open, the browser is in the list of live sessions; ending that row cuts it off."""
    rows = wait_until(lambda: [row for row in box.sessions("ada") if row["kind"] == "web" and row["bytes_out"] > 0], "the browser is listed")
    assert rows[0]["workspace"] == "main"
