"""The portal as a person with a browser uses it: Debian's Chromium driven by Playwright."""

import re

from berthbox import ROOT

CHROMIUM = "/usr/bin/chromium"
# Without the background flags Chromium tries to reach hosts of its maker.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
SCREENSHOTS = ROOT / "build/screenshots"


def web_link(client):
    """What `ssh … berth web` prints: a link that works once."""
    said = client.ssh("box", "berth web").stdout
    return re.search(r"https://\S+", said).group()


def shoot(page, name):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


class Portal:
    """Browsers against one Box. Remembers every page's complaints and every host that a page asked for something."""

    def __init__(self, box, browser):
        self.box, self.browser = box, browser
        self.contexts, self.complaints, self.hosts = [], [], set()
        self.workspace_port = box.web_port + 1

    @property
    def url(self):
        return f"https://localhost:{self.box.web_port}"

    @property
    def workspace_url(self):
        return f"https://localhost:{self.workspace_port}"

    def open(self, viewport=None, scheme="light", **options):
        """A fresh browser profile with one page; nobody is logged in."""
        context = self.browser.new_context(ignore_https_errors=True, locale="en-US", color_scheme=scheme,
                                           viewport=viewport or DESKTOP, base_url=self.url, **options)
        context.set_default_timeout(30_000)
        self.contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self.complaints.append(message.text) if "Content Security Policy" in message.text else None)
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]) if request.url.startswith("http") else None)
        return page

    def log_in(self, client, page=None, **options):
        """Logs a browser in by link; answers its page, which shows Home."""
        page = page or self.open(**options)
        page.goto(web_link(client))
        page.get_by_role("heading", name="Workspaces").wait_for()
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
    return page.evaluate(FETCH, [url, options])
