"""The portal as a person with a browser uses it: Debian's Chromium driven by Playwright."""

import asyncio
import concurrent.futures
import contextlib
import os
import re
import signal
import ssl
import subprocess

from playwright.sync_api import Error, TimeoutError

from berthbox import ROOT, Box, gone, wait_until

CHROMIUM = "/usr/bin/chromium"
# Without the background flags Chromium tries to reach hosts of its maker.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
SCREENSHOTS = ROOT / "build/screenshots"
AXE = ROOT / "web/ui/node_modules/axe-core/axe.min.js"
DOMAIN = "apps.localhost"  # *.localhost leads to this machine by itself
INSECURE = ssl.create_default_context()
INSECURE.check_hostname, INSECURE.verify_mode = False, ssl.CERT_NONE
NO_CODES = {"error": {"kind": "unavailable", "message": "this test uses no codes"}}


class AppsBox(Box):
    """A Box with an origin for each application (web.wildcard_domain), whose administrators may look at terminals (web.watch_terminals)."""

    def up(self, *extra, **kw):
        super().up(*extra, **kw)
        settings = self.state / "berth.toml"
        settings.write_text(settings.read_text().replace("[web]\n", f'[web]\npublic_url = "https://localhost:{self.web_port}"\nwildcard_domain = "{DOMAIN}"\nwatch_terminals = true\n', 1))
        pid = self.pid("berthd")
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: gone(pid), "berthd ends", 60)
        with open(self.state / "log/berthd.log", "ab") as log:
            process = subprocess.Popen(["setpriv", "--reuid", "berth", "--regid", "berth", "--clear-groups", "--no-new-privs", self.state / "bin/berthd",
                                        "--config", self.state / "berth.toml"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        (self.state / "berthd.pid").write_text(f"{process.pid}\n")

        def ready():
            assert process.poll() is None, self.logs()
            return self.berth("status", check=False).returncode == 0
        wait_until(ready, "berthd serves again", 60)


@contextlib.contextmanager
def running(berth, *options):
    """A Box from its start to its end."""
    try:
        berth.up(*options)
        yield berth
    finally:
        berth.destroy()


def web_link(client):
    """What `ssh … berth web` prints: a link that works once."""
    said = client.ssh("box", "berth web").stdout
    return re.search(r"https://\S+", said).group()


def run_async(coroutine, timeout=60):
    """Playwright's own loop runs in this thread, so asyncio gets another."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result(timeout)


async def enter(http, client, path):
    """Logs an aiohttp session in by link and lets it into what `path` on the portal leads to; answers that address."""
    while True:  # logins of one address are limited to some a minute, and the tests' all come from one
        link = await asyncio.to_thread(web_link, client)
        portal = re.match(r"https://[^/]+", link).group()
        token = re.search(r"[#?&/](?:token=)?([A-Za-z0-9_-]{20,})", link.split("login", 1)[1]).group(1)
        async with http.post(f"{portal}/api/v1/login/link", json={"token": token}, headers={"Origin": portal}) as answer:
            if answer.status == 200:
                break
            assert answer.status == 429, await answer.text()
        await asyncio.sleep(3)
    async with http.get(portal + path) as answer:
        assert answer.status < 400, (answer.status, await answer.text())
        return str(answer.url)


def copy_tree(folders, into):
    """Copies folders for a workspace to read, by links where the file system allows it."""
    into.mkdir(parents=True, exist_ok=True)
    if subprocess.run(["cp", "-al", *folders, into], check=False, capture_output=True).returncode != 0:
        subprocess.run(["cp", "-a", "--remove-destination", *folders, into], check=True)


def shoot(page, name):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def faults(page):
    """What axe-core finds serious or critical on the page as it is now, one line each."""
    page.evaluate(AXE.read_text() + "; 0")  # not as a script of the page: its content policy would refuse that
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then(({violations}) => violations)")
    return [f"{fault['id']}: {fault['help']}: {[node['html'][:200] for node in fault['nodes'][:3]]}" for fault in found
            if fault["impact"] in ("serious", "critical")]


def patient(goto):
    """Chromium drops what is under way whenever a network interface of the machine comes or goes, as those of containers do, and then may load the
    page again by itself."""
    dropped = ("ERR_NETWORK_CHANGED", "chrome-error:", "interrupted by another navigation")

    def again(url, **options):
        for _ in range(10):
            try:
                return goto(url, **options)
            except Error as error:
                if not any(mark in str(error) for mark in dropped):
                    raise
        return goto(url, **options)
    return again


def wait_for_lab(page, part="#jp-main-dock-panel"):
    """Waits until JupyterLab shows `part`. Jupyter starts on demand; a script that Chromium dropped (see patient()) leaves the page white: asks again.
    A dropped theme leaves a dialog over a page that works: it is put away."""
    dialog = page.get_by_role("dialog").filter(has_text="Error Loading Theme")
    page.add_locator_handler(dialog, lambda: dialog.get_by_role("button").first.click())
    for _ in range(4):
        with contextlib.suppress(TimeoutError):
            page.locator(part).wait_for(timeout=25_000)
            return
        with contextlib.suppress(Error):  # the page of a start may be turning into JupyterLab at this very moment
            page.goto(page.url)
    page.locator(part).wait_for()


def settle(page, good, again):
    """Waits for `good`. Logins of one address are limited to some a minute, and the tests' all come from one: told so, tries `again`."""
    limited = page.get_by_text(re.compile("Too many login attempts|does not answer|does not work any more"))  # the last two: see patient()
    for _ in range(40):
        good.or_(limited).first.wait_for()
        if limited.count() == 0:
            return
        page.wait_for_timeout(2000)
        again()
    raise AssertionError("logins stay limited")


def shown_code(page):
    """The code on the login page, once it is there."""
    settle(page, page.get_by_text("Waiting for your approval"), lambda: page.get_by_role("button", name="Try again").click())
    return page.locator(".code strong").inner_text()


class Portal:
    """Browsers against one Box. Remembers every page's complaints and every host that a page asked for something."""

    def __init__(self, box, browser):
        self.box, self.browser = box, browser
        self.contexts, self.complaints, self.hosts = [], [], set()
        self.link = None  # the last one that log_in followed
        self.workspace_port = box.web_port + 1

    @property
    def url(self):
        return f"https://localhost:{self.box.web_port}"

    @property
    def workspace_url(self):
        return f"https://localhost:{self.workspace_port}"

    def origin(self, app, workspace="main", user="ada"):
        """Of an application (a port, or "jupyter") where web.wildcard_domain is set."""
        return f"https://{app}--{workspace}--{user}.{DOMAIN}:{self.workspace_port}"

    def open(self, viewport=None, scheme="light", codes=False, **options):
        """A fresh browser profile with one page; nobody is logged in. `codes`: its login page asks for a code (one address may have
        ten open at a time, so pages that need none ask for none)."""
        context = self.browser.new_context(ignore_https_errors=True, locale="en-US", color_scheme=scheme,
                                           viewport=viewport or DESKTOP, base_url=self.url, **options)
        context.set_default_timeout(30_000)
        self.contexts.append(context)
        if not codes:
            context.route("**/api/v1/login/code", lambda route: route.fulfill(status=503, json=NO_CODES))
        context.on("page", lambda made: setattr(made, "goto", patient(made.goto)))
        page = context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self.complaints.append(message.text) if "Content Security Policy" in message.text else None)
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]) if request.url.startswith("http") else None)
        return page

    def log_in(self, client, page=None, **options):
        """Logs a browser in by link; answers its page, which shows Home."""
        page = page or self.open(**options)

        def follow():
            self.link = web_link(client)
            page.goto(self.link)

        follow()
        settle(page, page.get_by_role("heading", name="Workspaces"), follow)
        return page

    def close(self):
        for context in self.contexts:
            context.close()


def cookies(page):
    return {cookie["name"]: cookie for cookie in page.context.cookies()}


def cookie_header(page):
    return "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in page.context.cookies())


# fetch() in the page: the status, or the name of the error that the browser raised instead.
FETCH = """async ([url, options]) => {
  try { const r = await fetch(url, options); return r.type === 'opaque' ? 'opaque' : r.status; } catch (error) { return error.name; }
}"""


def fetch(page, url, **options):
    answer = page.evaluate(FETCH, [url, options])
    for _ in range(5):
        if answer != "TypeError" or not url.startswith("/"):  # the page's own origin is never refused by the browser: see patient()
            break
        answer = page.evaluate(FETCH, [url, options])
    return answer


def fetch_json(page, url):
    """What the page gets from its own origin; asked again when Chromium dropped the request (see patient())."""
    for _ in range(6):
        answer = page.evaluate("(url) => fetch(url).then((r) => r.json(), () => null)", url)
        if answer is not None:
            break
    return answer
