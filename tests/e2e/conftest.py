"""Fixtures of the end-to-end tests. Each test's first line says what the user sees."""

import itertools
import os

import pytest

from berthbox import STARTED, Box

_names = itertools.count(1)


@pytest.fixture(scope="session")
def box():
    """One private Berth (containers by default; BERTH_E2E_ENGINE=process without) for the whole run."""
    berth = Box()
    try:
        berth.up()
        yield berth
    finally:
        berth.destroy()


@pytest.fixture(scope="session")
def ada(box):
    """The first user, with a workspace that runs."""
    client = box.client()
    client.run("true", timeout=180)
    return client


@pytest.fixture
def new_user(box):
    """Makes a user that no other test has: new_user() or new_user("rsa", "-b", "3072")."""
    made = []

    def make(kind="ed25519", *extra):
        client = box.add_user(f"u{next(_names)}", kind, *extra)
        made.append(client)
        return client

    yield make
    for client in made:
        box.berth("user", "remove", client.user, check=False)


@pytest.fixture(autouse=True)
def nothing_left_open():
    """A client that a failed test left behind would fail others: those that count what is open, and those that wait for its end."""
    before = len(STARTED)
    yield
    for process in STARTED[before:]:
        if process.poll() is None:
            process.kill()
            process.wait()
    del STARTED[before:]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the programs' last log lines."""
    report = (yield).get_result()
    if report.failed and "box" in getattr(item, "funcargs", {}):
        report.sections.append(("berth logs", item.funcargs["box"].logs()))


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than half a minute")
    os.umask(0o022)
