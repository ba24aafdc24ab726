"""Fixtures of the browser tests; `box`, `ada` and `new_user` come from the folder above."""

import pytest
from playwright.sync_api import sync_playwright

from berthbox import make_key
from portal import CHROMIUM, FLAGS, SCREENSHOTS, AppsBox, Portal, running


@pytest.fixture(scope="session")
def browser():
    """One Chromium for the whole run; each test gets profiles of its own."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def portal(box, browser, request):
    """Opens browsers; at the end of the test they are closed, and a failed test leaves a picture of what they showed."""
    site = Portal(box, browser)
    yield site
    failed = getattr(request.node, "berth_report", None)
    if failed and failed.failed:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        for number, page in enumerate(page for context in site.contexts for page in context.pages):
            page.screenshot(path=SCREENSHOTS / f"failed-{request.node.name}-{number}.png".replace("/", "_"))
    site.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call":
        item.berth_report = report


@pytest.fixture(scope="session")
def admin(box):
    """A user of role admin."""
    key = make_key(box.dir / "id_boss")
    box.berth("user", "add", "boss", "--role", "admin")
    box.berth("key", "add", "boss", f"{key}.pub")
    return box.client("boss", key)


@pytest.fixture(scope="session")
def wildcard_box():
    """One more Berth, where each application has an origin of its own."""
    with running(AppsBox()) as berth:
        yield berth
