"""What a cell prints while no page shows its notebook: the server's half by itself (images/default/files/opt/python: berth_outputs). test_kept_outputs.py
has notebooks in Chromium."""

import json
import sys

import pytest

from berthbox import ROOT

PACKAGE = ROOT / "images/default/files/opt/python/lib/python3.11/site-packages/berth_outputs"
sys.dont_write_bytecode, wrote = True, sys.dont_write_bytecode  # the image is made of that folder
sys.path.insert(0, str(PACKAGE))
import kept as kept_module  # noqa: E402
from kept import CUT, RESTARTED, Buffer, Kept  # noqa: E402
sys.path.remove(str(PACKAGE))
sys.dont_write_bytecode = wrote


class Kernel:
    """Says to a Kept what a kernel would."""

    def __init__(self, limit=1 << 20):
        self.kept = Kept(limit)
        self.number = 0

    def run(self, page="a", cell="one", code="f()"):
        self.number += 1
        self.kept.requested(page, f"m{self.number}", cell, code)
        self.say("execute_input", execution_count=self.number)

    def say(self, kind, **content):
        self.kept.heard(kind, f"m{self.number}", content, len(json.dumps(content)))

    def print(self, text, name="stdout"):
        self.say("stream", name=name, text=text)

    def end(self):
        self.say("status", execution_state="idle")


class Page:
    """A page that did not start the run: makes of the answers what JupyterLab does."""

    def __init__(self, kernel, name="b"):
        self.kept, self.name, self.outputs, self.state, self.count = kernel.kept, name, {}, {}, {}
        self.kept.connected(name, self)

    def ask(self, fresh=False):
        answer = self.kept.for_page(self.name, fresh)
        for run in json.loads(json.dumps(answer["runs"])):
            cell = self.outputs.setdefault(run["cell"], [])
            if run["all"]:
                cell.clear()
            for output in run["outputs"]:
                if output["output_type"] == "stream" and cell and cell[-1].get("name") == output["name"]:
                    cell[-1]["text"] += output["text"]
                else:
                    cell.append(output)
            self.state[run["cell"]], self.count[run["cell"]] = run["state"], run["count"]
        return answer

    def close(self):
        self.kept.disconnected(self.name, self)

    def text(self, cell="one"):
        return "".join(output["text"] for output in self.outputs.get(cell, []) if output["output_type"] == "stream")


@pytest.fixture
def kernel():
    return Kernel()


def test_a_page_gets_what_it_lacks_exactly_once(kernel):
    """The second page gets the whole run, then only what is new, then its end."""
    first = Page(kernel, "a")
    kernel.run()
    kernel.print("1\n")
    first.close()
    kernel.print("2\n")
    second = Page(kernel)
    assert second.ask()["unfinished"]
    assert (second.text(), second.state["one"]) == ("1\n2\n", "running")
    assert second.ask()["runs"] == []
    kernel.print("3\n")
    kernel.print("odd", "stderr")
    kernel.say("display_data", data={"text/plain": "x"}, metadata={}, transient={})
    kernel.print("4\n")
    assert not second.ask()["runs"][0]["all"]
    assert [output.get("text") for output in second.outputs["one"]] == ["1\n2\n3\n", "odd", None, "4\n"]
    kernel.end()
    assert second.ask()["again"] == 0
    assert (second.state["one"], second.count["one"]) == ("done", 1)


def test_a_page_that_lives_keeps_its_own_runs(kernel):
    """As long as the page that started a run is connected, no other page is given it; nor is one that another page follows."""
    first, second = Page(kernel, "a"), Page(kernel, "b")
    kernel.run()
    kernel.print("1\n")
    assert second.ask() == {"runs": [], "unfinished": False, "again": kept_module.WAITING}
    first.close()
    assert second.ask()["runs"]
    third = Page(kernel, "c")
    assert third.ask() == {"runs": [], "unfinished": False, "again": kept_module.WAITING}
    second.close()
    assert third.ask()["runs"]
    assert third.text() == "1\n"


def test_a_lost_answer_is_given_again(kernel):
    """An answer that did not arrive is asked for afresh, and so is everything after a new connection."""
    kernel.run()
    kernel.print("1\n")
    page = Page(kernel)
    page.kept.for_page("b", False)
    kernel.print("2\n")
    page.ask(fresh=True)
    assert page.text() == "1\n2\n"
    page.kept.connected("b", "anew")
    page.close()  # the old connection is found lost after the new one was made
    kernel.print("3\n")
    page.ask(fresh=True)
    assert page.text() == "1\n2\n3\n"


def test_outputs_of_every_kind(kernel):
    """Clearing, updating, results and errors end as a living page would show them."""
    kernel.run()
    kernel.print("gone\n")
    kernel.say("clear_output", wait=True)
    page = Page(kernel)
    page.ask()
    assert page.text() == "gone\n"
    kernel.say("display_data", data={"text/plain": "old"}, metadata={}, transient={"display_id": "d"})
    kernel.say("update_display_data", data={"text/plain": "new"}, metadata={}, transient={"display_id": "d"})
    kernel.say("execute_result", data={"text/plain": "42"}, metadata={}, execution_count=1)
    kernel.say("error", ename="E", evalue="v", traceback=["t"])
    kernel.end()
    kernel.print("late\n")
    page.ask()
    assert page.outputs["one"] == [
        {"output_type": "display_data", "data": {"text/plain": "new"}, "metadata": {}},
        {"output_type": "execute_result", "data": {"text/plain": "42"}, "metadata": {}, "execution_count": 1},
        {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["t"]}]


def test_what_is_kept_is_bounded():
    """The oldest text goes first, by lines and with a line that says so; a run that was shown goes before one that was not."""
    kernel = Kernel(limit=20_000)
    first = Page(kernel, "a")
    kernel.run(cell="shown")
    kernel.print("x" * 5000)
    kernel.end()
    first.close()
    kernel.run(cell="one")
    for number in range(5000):
        kernel.print(f"line {number}\n")
        assert sum(run.size for run in kernel.kept.runs.values()) <= 20_000
    page = Page(kernel)
    page.ask()
    lines = page.text().splitlines(keepends=True)
    assert lines[0] == CUT
    assert lines[1:] == [f"line {number}\n" for number in range(5001 - len(lines), 5000)]
    assert len(lines) > 500
    assert list(kernel.kept.runs) == ["one"]
    for kind in ("stderr", "stdout") * 3000:
        kernel.print("y" * 20, kind)
    kernel.say("display_data", data={"image/png": "z" * 50_000}, metadata={}, transient={})
    kernel.print("still here\n", "stderr")
    for number in range(500):
        kernel.run(cell=f"cell {number}")
    assert sum(run.size for run in kernel.kept.runs.values()) <= 20_000
    assert len(kernel.kept.messages) == len(kernel.kept.runs)


def test_a_saved_notebook_is_enough(kernel, monkeypatch):
    """A run is forgotten when a notebook that shows it is saved, or some time later; not before a page has all of it."""
    first = Page(kernel, "a")
    kernel.run()
    kernel.print("1\n")
    kernel.kept.saved({"one": 1})
    kernel.end()
    assert kernel.kept.runs, "it was running"
    kernel.kept.saved({"another": 1})
    kernel.kept.saved({"one": None})
    assert kernel.kept.runs, "what was saved may be older than its end"
    kernel.kept.saved({"one": 1})
    assert not kernel.kept.runs
    assert not kernel.kept.messages
    kernel.run()
    first.close()
    kernel.print("2\n")
    kernel.end()
    second = Page(kernel)
    kernel.kept.saved({"one": 2})
    assert kernel.kept.runs, "no page has it"
    second.ask()
    kernel.kept.saved({"f()": 2})  # a notebook of an old format, whose cells have no ids
    assert not kernel.kept.runs
    kernel.run("b")
    kernel.end()
    moment = kept_module.time.monotonic() + kept_module.SETTLED + 1
    monkeypatch.setattr(kept_module.time, "monotonic", lambda: moment)
    kernel.kept.saved({"one": None})  # its user has cleared it
    assert not kernel.kept.runs


def test_a_page_that_gets_the_servers_own_replay_has_seen_it(kernel):
    """The same page back after a lost connection: the server replays, unless another page came first."""
    first = Page(kernel, "a")
    kernel.run()
    first.close()
    kernel.print("1\n")
    kernel.end()
    kernel.kept.connected("a", first)
    kernel.kept.saved({"one": 1})
    assert not kernel.kept.runs


def test_a_restart_ends_what_runs(kernel):
    """A restarted kernel says nothing of what it had begun: the run ends, and says so."""
    kernel.run()
    kernel.print("1\n")
    kernel.kept.requested("a", "m9", "two", "g()")
    kernel.kept.restarted()
    page = Page(kernel)
    assert not page.ask()["unfinished"]
    assert page.text() == "1\n" + RESTARTED
    assert (page.text("two"), page.count["two"]) == ("", None)
    kernel.run(cell="one")
    assert page.ask()["runs"][0]["outputs"] == []


def test_the_servers_own_buffer_is_bounded():
    """Of what jupyter-server keeps for the same page outputs go, the oldest first; what the page needs to go on stays."""
    def item(channel, kind, text=""):
        return channel, [b"topic", b"<IDS|MSG>", b"signature", json.dumps({"msg_type": kind}).encode(), b"{}", b"{}", text.encode()]
    buffer = Buffer(50_000)
    buffer.append(item("shell", "execute_reply"))
    for number in range(1000):
        buffer.append(item("iopub", "stream", f"{number}"))
    buffer.append(item("iopub", "status"))
    kinds = [json.loads(parts[3])["msg_type"] for _, parts in buffer]
    assert kinds == ["execute_reply", *["stream"] * (len(buffer) - 2), "status"]
    assert 50 < len(buffer) < 200
    assert [parts[-1] for _, parts in buffer][1:-1] == [f"{number}".encode() for number in range(1002 - len(buffer), 1000)]
    assert buffer.size == sum(Buffer.weight(entry) for entry in buffer) <= 50_000
    for _ in range(1000):
        buffer.append(item("shell", "execute_reply"))
    assert sum(channel == "shell" for channel, _ in buffer) == 1001
