"""What a cell prints while no page shows its notebook: notebooks in Chromium whose page is closed in mid-cell and opened again. test_kept_runs.py has
the server's half by itself."""

import contextlib
import uuid

from playwright.sync_api import TimeoutError

from berthbox import wait_until
from portal import wait_for_lab

# Ten lines, and ten more after each of two files is there.
CODE = """import os, time
for number in range(30):
    while number >= 10 and not os.path.exists(f'NAME.{number // 10}'):
        time.sleep(0.1)
    print('line', number, flush=True)
    time.sleep(0.2)"""
LINES = [f"line {number}" for number in range(30)]


class Notebook:
    """A notebook of one cell in ada's workspace, and the page that shows it."""

    def __init__(self, portal, page, name):
        self.portal, self.name, self.page = portal, name, page
        self.jupyter = f"{portal.workspace_url}/w/ada/main/jupyter"
        cell = {"cell_type": "code", "id": "lines", "source": CODE.replace("NAME", name), "metadata": {}, "outputs": [], "execution_count": None}
        self.put(f"{name}.ipynb", {"type": "notebook", "format": "json", "content": {"cells": [cell], "nbformat": 4, "nbformat_minor": 5, "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}}})

    def put(self, path, model):
        answer = self.page.context.request.put(f"{self.jupyter}/api/contents/{path}", data=model, headers={"Origin": self.portal.workspace_url})
        assert answer.ok, answer.text()

    def get(self, path):
        return self.page.context.request.get(f"{self.jupyter}/api/{path}").json()

    def go_on(self, part):
        """Lets the cell print ten more lines."""
        self.put(f"{self.name}.{part}", {"type": "file", "format": "text", "content": ""})

    def open(self):
        """Shows the notebook, in JupyterLab as if for the first time. Asks again where Chromium dropped a script (see patient()): JupyterLab goes on
        without what it was for, and shows the notebook as JSON, say."""
        for _ in range(5):
            self.page.goto(f"{self.jupyter}/lab/tree/{self.name}.ipynb?reset")
            with contextlib.suppress(TimeoutError):
                self.page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=25_000)
                if self.page.evaluate("'berth-outputs' in window._JUPYTERLAB"):
                    wait_for_lab(self.page, ".jp-Notebook .jp-CodeCell")
                    return
        raise AssertionError("JupyterLab does not show the notebook")

    def run(self):
        self.page.get_by_text("(ipykernel) | Idle").wait_for(timeout=120_000)
        self.page.locator(".jp-CodeCell .cm-content").first.click()
        self.page.keyboard.press("Shift+Enter")

    def close(self):
        """Ends the browser; the next one has the same cookies, and shows nothing yet."""
        cookies = self.page.context.storage_state()
        self.page.context.close()
        self.portal.contexts.remove(self.page.context)
        self.page = self.portal.open(storage_state=cookies)

    def is_idle(self):
        """Waits until the kernel has nothing to do."""
        def states():
            return [session["kernel"]["execution_state"] for session in self.get("sessions") if session["path"] == f"{self.name}.ipynb"]
        wait_until(lambda: states() == ["idle"], "the cell ends", 60, 0.3)

    def shows(self, lines, prompt):
        """Waits until the cell shows these lines, each once, beside this prompt."""
        def seen():
            texts = self.page.locator(".jp-CodeCell .jp-OutputArea-output pre").all_inner_texts()
            return [line for line in "".join(texts).split("\n") if line], self.page.locator(".jp-CodeCell .jp-InputPrompt").first.inner_text()
        try:
            wait_until(lambda: seen() == (lines, prompt), "the cell shows its lines", 60, 0.2)
        except AssertionError:
            raise AssertionError(f"the cell shows {seen()}, not {(lines, prompt)}") from None

    def is_saved(self, lines):
        """Waits until the file has these lines."""
        def saved():
            file = self.get(f"contents/{self.name}.ipynb?content=1")
            if "content" not in file:  # Jupyter writes it at this very moment, and cannot read it
                return False
            cell = file["content"]["cells"][0]
            return cell["execution_count"] == 1 and "".join("".join(output["text"]) for output in cell["outputs"]).splitlines() == lines
        wait_until(saved, "the notebook is saved", 60, 0.3)


def test_output_of_closed_pages_is_there_when_one_comes_back(portal, ada):
    """The browser is closed in mid-cell. One that opens the notebook while the cell runs shows what was printed and goes on; that one is closed too, the
    cell ends, and the third one shows every line once and has them in the file."""
    page = portal.log_in(ada)
    assert page.context.request.get(f"{portal.url}/w/ada/main/jupyter/api/status", timeout=90_000).ok
    notebook = Notebook(portal, page, f"kept-{uuid.uuid4().hex[:8]}")
    notebook.open()
    notebook.run()
    page.locator(".jp-CodeCell .jp-OutputArea-output").filter(has_text="line 1").first.wait_for(timeout=60_000)
    notebook.close()
    notebook.open()
    notebook.shows(LINES[:10], "[*]:")
    notebook.go_on(1)
    notebook.shows(LINES[:20], "[*]:")
    notebook.close()
    notebook.go_on(2)
    notebook.is_idle()
    notebook.open()
    notebook.shows(LINES, "[1]:")
    notebook.is_saved(LINES)
