"""The pages of conda environments."""

import os
import re

import pytest

from berthbox import Box, wait_until
from channelbox import BUILD, copy_channel, yml
from portal import DESKTOP, PHONE, faults, running, shoot, wait_for_lab

pytestmark = pytest.mark.skipif(os.environ.get("BERTH_E2E_ENGINE") == "process", reason="environments need containers")
BUILD_MS = 300_000  # a build may take so long on a busy machine


@pytest.fixture(scope="module")
def box():
    """A Berth of its own, which may use the channel of the tests."""
    berth = Box()
    with running(berth, "--channels", copy_channel(berth)):
        yield berth


@pytest.fixture(scope="module")
def ada(box):
    client = box.client()
    client.run("true", timeout=180)
    return client


def fill(page, box, *dependencies):
    page.get_by_label("environment.yml").fill(yml(box, *dependencies))
    page.get_by_role("button", name="See what would change").click()


def test_make_change_and_go_back(portal, box, ada):
    """A user makes an environment, changes it after seeing the difference, and goes back; it works in the workspace each time."""
    page = portal.log_in(ada)
    page.goto("/environments")
    page.get_by_text("No environments yet.").wait_for()
    page.get_by_label("Name").fill("ml")
    fill(page, box, "no-such-package-anywhere")
    page.get_by_role("alert").wait_for(timeout=BUILD_MS)
    fill(page, box, "python", "greeter <2")
    page.get_by_role("button", name="Install").click(timeout=BUILD_MS)
    page.get_by_role("link", name="ml", exact=True).click(timeout=BUILD_MS)
    page.get_by_role("heading", name="ml", exact=True, level=1).wait_for()
    page.get_by_role("button", name="No default").wait_for()  # the first one is
    assert ada.run("bash -lc greet") == "hello from 1.0"
    fill(page, box, "python", "greeter >=2")
    page.get_by_label("Difference").get_by_text("greeter").wait_for(timeout=BUILD_MS)
    page.get_by_role("button", name="Install").click()
    table = page.get_by_role("table", name="Revisions")
    table.get_by_role("row").nth(2).wait_for(timeout=BUILD_MS)
    assert ada.run("bash -lc greet").startswith("hello from 2")
    for viewport in (DESKTOP, PHONE):
        page.set_viewport_size(viewport)
        shoot(page, f"environment-{viewport['width']}")
        assert faults(page) == []
    page.set_viewport_size(DESKTOP)
    table.get_by_role("button", name="Go back 1").click()
    page.get_by_role("dialog").get_by_role("button", name="Go back").click()
    page.get_by_role("dialog").wait_for(state="detached")
    assert ada.run("bash -lc greet") == "hello from 1.0"


# Notes all that the live view of a build says while it is there: a bar's figures come and go.
WATCH_BUILD = """
window.built = {bars: new Set(), facts: new Set(), lines: new Set()};
new MutationObserver(() => {
  const view = document.querySelector('.build');
  if (!view) return;
  for (const bar of view.querySelectorAll('[role=progressbar], [role=meter], progress, meter')) built.bars.add(bar.getAttribute('aria-label'));
  for (const fact of view.querySelectorAll('[role=status] span')) built.facts.add(fact.textContent);
  for (const line of view.querySelectorAll('li')) built.lines.add(line.textContent);
}).observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true});
"""


def test_the_build_is_seen_live(portal, box, ada):
    """While it is built, the page has a bar, the phase with what is done of how much, and the log; what failed stays to be read."""
    page = portal.log_in(ada)
    page.goto("/environments")
    page.evaluate(WATCH_BUILD)
    page.get_by_label("Name").fill("seen")
    fill(page, box, "python", "greeter >=2", "libdemo")  # as no other test has it: what is there already is not built
    page.get_by_role("button", name="Install").click(timeout=BUILD_MS)
    page.get_by_role("link", name="seen", exact=True).wait_for(timeout=BUILD_MS)
    built = page.evaluate("({bars: [...built.bars], facts: [...built.facts], lines: [...built.lines]})")
    assert "Progress of the build" in built["bars"]
    assert {"Solving", "Linking", "Compiling"} <= set(built["facts"]) and any(re.fullmatch(r"\d+ of 3 packages", fact) for fact in built["facts"]), built
    assert any("Reading the channels" in line for line in built["lines"]) and any("Linking" in line for line in built["lines"]), built
    page.get_by_label("Name").fill("fails")
    fill(page, box, "postlink-fails")
    page.get_by_role("button", name="Install").click(timeout=BUILD_MS)
    page.get_by_role("alert").get_by_text("no luck").wait_for(timeout=BUILD_MS)
    assert page.get_by_label("What the build says").get_by_text("Linking").count() >= 1


def test_administrators_see_and_mend_everybodys(portal, box, ada):
    """An administrator finds a user's environment, sees its packages and history, and goes back for them; an auditor only looks."""
    boss, eye = box.add_user("boss"), box.add_user("eye")
    box.berth("user", "role", "boss", "admin")
    box.berth("user", "role", "eye", "auditor")
    file = box.dir / "adm.yml"
    for verb, package in (("create", "greeter <2"), ("update", "greeter >=2")):
        file.write_text(yml(box, "python", package))
        box.berth("env", verb, "ada/adm", file, "--yes", timeout=BUILD)
    page = portal.log_in(boss)
    page.goto("/admin/environments")
    page.get_by_label("Search").fill("adm")
    table = page.get_by_role("table", name="Environments of all")
    table.get_by_role("row").filter(has_text="ada").wait_for()
    for viewport in (DESKTOP, PHONE):
        page.set_viewport_size(viewport)
        shoot(page, f"environments-all-{viewport['width']}")
        assert faults(page) == []
    page.set_viewport_size(DESKTOP)
    table.get_by_role("link", name="adm", exact=True).click()
    page.get_by_role("table", name="Packages").get_by_text("greeter", exact=True).wait_for()
    page.get_by_role("button", name="Go back 1").click()
    page.get_by_role("dialog").get_by_role("button", name="Go back").click()
    page.get_by_role("dialog").wait_for(state="detached")
    assert ada.run("berth-env run adm greet") == "hello from 1.0"
    page = portal.log_in(eye)
    page.goto("/admin/environments/ada/adm")
    page.get_by_role("table", name="Revisions").get_by_text("Current").wait_for()
    assert page.get_by_role("button", name="Go back").count() == 0 and page.get_by_role("button", name="Remove").count() == 0
    box.berth("env", "remove", "ada/adm", "--yes")


def run_cell(lab, code):
    """Types `code` into the notebook's last cell, runs it, and answers what it prints."""
    cells = lab.locator(".jp-Notebook .jp-CodeCell")
    cell = cells.nth(cells.count() - 1)  # running it makes another one
    cell.locator(".cm-content").click()
    lab.keyboard.insert_text(code)
    lab.keyboard.press("Shift+Enter")
    output = cell.locator(".jp-OutputArea-output").first
    output.wait_for(timeout=120_000)
    return output.inner_text().strip()


def kernels(client):
    """The process ids of the kernels in the workspace."""
    return set(client.ssh("box", "pgrep -f [i]pykernel_launcher", check=False).stdout.split())


@pytest.mark.timeout(900)
def test_from_file_to_kernel_and_back_while_a_notebook_runs(portal, box, ada):
    """environment.yml in the page becomes a kernel in JupyterLab that imports numpy. After going back a running kernel keeps its revision, and a
    restarted one has the other."""
    page = portal.log_in(ada)
    page.goto("/environments")
    page.get_by_label("Name").fill("lab")
    fill(page, box, "python", "numpy", "ipykernel", "greeter <2")
    page.get_by_role("button", name="Install").click(timeout=BUILD_MS)
    page.get_by_role("link", name="lab", exact=True).click(timeout=BUILD_MS)
    packages = page.get_by_role("table", name="Packages")
    packages.get_by_text("numpy", exact=True).wait_for()
    page.get_by_label("Search packages").fill("greet")
    packages.get_by_text("numpy", exact=True).wait_for(state="detached")
    assert packages.get_by_text("greeter", exact=True).count() == 1
    assert ada.run("/opt/berth/envs/now/current/lab/bin/python -c 'import numpy; print(numpy.arange(4).sum())'") == "6"
    fill(page, box, "python", "numpy", "ipykernel", "greeter >=2")
    page.get_by_role("button", name="Install").click(timeout=BUILD_MS)
    page.get_by_role("table", name="Revisions").get_by_role("row").nth(2).wait_for(timeout=BUILD_MS)

    lab = page.context.new_page()
    lab.goto(f"{portal.url}/w/ada/main/jupyter/lab")
    wait_for_lab(lab)
    lab.goto(f"{portal.workspace_url}/w/ada/main/jupyter/lab?reset")
    wait_for_lab(lab, ".jp-Launcher")
    lab.locator('.jp-LauncherCard[data-category="Notebook"][title*="lab (python, revision 2)"]').click()
    lab.get_by_text("lab (python, revision 2) | Idle").wait_for(timeout=120_000)
    say = "import greeter, importlib, numpy; print(numpy.arange(4).sum(), importlib.reload(greeter).__version__)"
    assert run_cell(lab, say) == "6 2.0"
    box.berth("env", "rollback", "ada/lab")
    assert run_cell(lab, say) == "6 2.0"
    shoot(lab, "environment-kernel")
    before = kernels(ada)
    lab.locator('.jp-NotebookPanel-toolbar [data-jp-item-name="restart"] .jp-ToolbarButtonComponent').click()
    lab.locator(".jp-Dialog .jp-mod-accept").click()
    wait_until(lambda: (now := kernels(ada)) and not now & before, "another kernel runs", timeout=120)
    lab.get_by_text("| Idle").wait_for(timeout=120_000)
    assert run_cell(lab, say) == "6 1.0"
