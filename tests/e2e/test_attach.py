"""Terminals that outlive their connection: lost, found again, with everything that was on them."""

import contextlib
import http.cookiejar
import json
import os
import re
import signal
import socket
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from berthbox import gone, wait_until
from test_terminal import Terminal


@pytest.fixture
def person(new_user):
    """A user whose workspace runs and has no terminals."""
    client = new_user()
    client.run("true", timeout=180)
    return client


def listed(client):
    """IDs and states of the user's terminals, as `berth attach --list` shows them."""
    lines = client.ssh("box", "berth attach --list").stdout.splitlines()
    return {line.split()[0]: line for line in lines[1:]} if lines[0].startswith("ID") else {}


def lose(terminal):
    """The client is gone without a word, as with a lost network."""
    os.kill(terminal.pid, signal.SIGKILL)
    os.waitpid(terminal.pid, 0)
    os.close(terminal.fd)


def a_shell(client, **size):
    terminal = Terminal(client, **size)
    terminal.send("PS1='$ '; echo rea''dy\r")
    terminal.expect("ready")
    return terminal


def test_lost_and_found(box, person):
    """After a lost connection `ssh -t box berth attach` shows the same shell, its output so far, and in the new size."""
    lost = a_shell(person)
    lost.send("keep=42; seq 1 5000; sleep 1 && echo la''te\r")
    lost.expect("\n5000\r")
    lose(lost)
    wait_until(lambda: any("left" in line for line in listed(person).values()), "the terminal is listed as left")
    found = Terminal(person, "berth attach", rows=33, columns=111)
    found.expect(r"[\r\n]1\r\n2\r")
    found.expect("\n5000\r")
    found.expect("late")
    found.send("echo $keep; stty size\r")
    found.expect(r"[\r\n]42\r")
    found.expect("33 111")
    rows = [s for s in box.sessions(person.user) if s["kind"] == "attach"]
    assert len(rows) == 1
    found.send("exit 5\r")
    assert found.wait() == 5
    assert listed(person) == {}


def test_survives_kill_of_berthd(box, person):
    """kill -9 of berthd: the program on the terminal runs on, and is there again after the restart."""
    lost = a_shell(person)
    lost.send("while :; do echo alive; sleep 0.2; done\r")
    lost.expect("\nalive\r")
    os.kill(box.pid("berthd"), signal.SIGKILL)
    lost.wait()
    wait_until(lambda: gone(box.pid("berthd")), "berthd has ended")
    box.up()
    assert len(listed(person)) == 1
    found = Terminal(person, "berth attach")
    found.expect("\nalive\r")
    found.send("\x03")
    found.send("echo st''ill\r")
    found.expect("still")
    found.send("exit\r")
    found.wait()


def test_the_next_login_is_told(person):
    """The next interactive login says in one line that a terminal still runs and how to reach it; a command is told nothing."""
    lose(a_shell(person))
    wait_until(lambda: any("left" in line for line in listed(person).values()), "the terminal is left")
    assert person.ssh("box", "true").stderr == ""
    login = Terminal(person)
    login.expect(r"You have 1 terminal, left .* and still running: ssh .*-t berth attach")
    login.send("exit\r")
    login.wait()


def test_a_clean_end_ends(person):
    """Closing the client in order (~.) hangs the terminal up as sshd does, and nothing is kept."""
    terminal = a_shell(person)
    terminal.send("sleep 4321\r")
    wait_until(lambda: person.ssh("box", "pgrep -x sleep", check=False).stdout, "it runs")
    terminal.send("\r~.")
    terminal.wait()
    wait_until(lambda: not person.ssh("box", "pgrep -x sleep", check=False).stdout, "it was hung up")
    assert listed(person) == {}


def test_a_user_may_choose(person):
    """BERTH_KEEP=off: a lost connection ends the terminal at once."""
    person.config.write_text(person.config.read_text() + "  SetEnv BERTH_KEEP=off\n")
    lose(a_shell(person))
    wait_until(lambda: listed(person) == {}, "nothing is kept")
    assert person.run("echo [$BERTH_KEEP]") == "[]"


def test_several_watch_and_choose(person):
    """Two look at one terminal: both see what either types; --watch only looks; with several terminals attach asks."""
    first = a_shell(person)
    second = Terminal(person, "berth attach")
    second.expect("ready")
    second.send("echo fr''om two\r")
    first.expect("from two")
    watcher = Terminal(person, "berth attach --watch")
    watcher.expect("from two")
    watcher.send("echo ne''ver\r")
    first.send("echo fr''om one\r")
    watcher.expect("from one")
    assert "never" not in watcher.seen
    other = a_shell(person)
    asking = Terminal(person, "berth attach")
    asking.expect("Which one")
    shown = listed(person)
    assert len(shown) == 2
    ident = next(i for i, line in shown.items() if "viewers" in line)
    asking.send(ident + "\r")
    asking.expect("from one")
    alone = Terminal(person, f"berth attach {ident} --alone")
    alone.expect("from one")
    first.expect("detached: taken over")
    for terminal in (alone, other):
        terminal.send("exit\r")
        terminal.wait()


def test_words_on_refusal(person):
    """No terminal, none of that name, no pty: one sentence and a code each."""
    assert person.ssh("box", "berth attach --list").stdout == "no terminals\n"
    done = person.ssh("-t", "-t", "box", "berth attach", check=False)
    assert done.returncode == 1 and "you have no terminals" in done.stderr + done.stdout
    done = person.ssh("box", "berth attach zzzzz", check=False)
    assert done.returncode == 2 and "-t berth attach" in done.stderr
    done = person.ssh("-t", "-t", "box", "berth attach zzzzz", check=False)
    assert done.returncode == 1 and "no such terminal" in done.stderr + done.stdout
    assert person.ssh("box", "berth attach --nonsense", check=False).returncode == 2


class Page:
    """The portal's terminal page without a browser: a login by link, then its WebSocket."""

    def __init__(self, box, client):
        self.box, self.user = box, client.user
        self.base = f"https://127.0.0.1:{box.web_port}"
        self.tls = ssl.create_default_context()
        self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE
        # `websockets.sync` reads in a thread of its own beside the writer's, which a TLS 1.3 ticket that arrives just then can lock up (8 of 900 connections; none of 13,000 with 1.2).
        self.tls.maximum_version = ssl.TLSVersion.TLSv1_2
        self.jar = http.cookiejar.CookieJar()
        self.http = urllib.request.build_opener(urllib.request.HTTPSHandler(context=self.tls), urllib.request.HTTPCookieProcessor(self.jar))
        self.csrf = ""
        token = re.search(r"#token=(\S+)", client.ssh("box", "berth web").stdout).group(1)
        self.ask("POST", "login/link", json.dumps({"token": token}).encode())
        self.csrf = self.ask("GET", "me")["csrf"]

    def ask(self, method, path, body=None):
        request = urllib.request.Request(f"{self.base}/api/v1/{path}", body, {"Origin": self.base, "X-Berth-CSRF": self.csrf}, method=method)
        with self.http.open(request, timeout=30) as answer:
            return json.load(answer)

    def terminals(self):
        return self.ask("GET", f"workspaces/{self.user}/main/terminals")["items"]

    def open(self, origin=None, csrf=None, user=None, **query):
        """The WebSocket, and what `opened` said."""
        query = urllib.parse.urlencode({"columns": 100, "rows": 30, **query})
        cookies = "; ".join(f"{c.name}={c.value}" for c in self.jar)
        return connect(f"wss://127.0.0.1:{self.box.web_port}/api/v1/workspaces/{user or self.user}/main/terminal?{query}",
                       ssl=self.tls, origin=origin or self.base, additional_headers={"Cookie": cookies},
                       subprotocols=["berth.terminal.1", f"berth.csrf.{csrf or self.csrf}"], compression=None)


class Tab:
    """One open WebSocket: counts what it shows."""

    def __init__(self, page, **query):
        self.socket = page.open(**query)
        self.opened = self.message("opened")
        self.at, self.shown = self.opened["from"], b""

    def message(self, kind):
        while True:
            data = self.socket.recv(timeout=30)
            if isinstance(data, str):
                got = json.loads(data)
                if got["type"] == kind:
                    return got
                assert got["type"] != "error", got
            else:
                self.take(data)

    def take(self, data):
        self.at += len(data)
        self.shown += data
        with contextlib.suppress(ConnectionClosed):  # the last output may come with the end
            self.socket.send(json.dumps({"type": "ack", "at": self.at}))

    def expect(self, text):
        while text not in self.shown:
            data = self.socket.recv(timeout=30)
            if not isinstance(data, str):
                self.take(data)
        self.shown = self.shown.split(text, 1)[1]


def test_web_terminal(box, person):
    """The page's terminal: typed bytes, size, title, a reload that goes on where it was, the same shell by SSH, the exit code."""
    page = Page(box, person)
    assert page.terminals() == []
    tab = Tab(page)
    assert tab.opened["new"] and tab.opened["from"] == 0
    tab.socket.send(b"PS1='$ '; stty size; printf '\\033]0;my ti''tle\\007'\r")
    tab.expect(b"30 100")
    assert tab.message("title")["title"] == "my title"
    tab.socket.send(json.dumps({"type": "resize", "columns": 90, "rows": 20}))
    tab.socket.send(b"seq 1 2000; stty size\r")
    tab.expect(b"\n2000\r")
    tab.expect(b"20 90")
    ident, at = tab.opened["id"], tab.at
    tab.socket.close()
    wait_until(lambda: page.terminals()[0]["attached"] == 0, "nobody looks at it")
    again = Tab(page, id=ident, **{"from": at})
    assert not again.opened["new"] and again.opened["from"] == at
    again.socket.send(b"echo ag''ain\r")
    again.expect(b"again")
    whole = Tab(page, id=ident)
    assert whole.opened["from"] == 0
    whole.expect(b"\n2000\r")
    by_ssh = Terminal(person, f"berth attach {ident}")
    by_ssh.expect("again")
    assert again.message("size")["columns"] == 80
    by_ssh.send("exit 3\r")
    assert again.message("exit")["code"] == 3
    assert by_ssh.wait() == 3
    with pytest.raises(AssertionError, match="not_found"):
        Tab(page, id=ident)


def test_logging_out_ends_it(box, person):
    """Logging out closes the page's terminal with the reason and hangs it up; the terminal of another login goes on."""
    page, other = Page(box, person), Page(box, person)
    stays, tab = Tab(other), Tab(page)
    tab.socket.send(b"echo be''gun; sleep 4321\r")
    tab.expect(b"begun")
    began = time.monotonic()
    page.ask("POST", "logout")
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            tab.socket.recv(timeout=60)
    print(f"closed {time.monotonic() - began:.2f} s after the logout")
    assert closed.value.rcvd.code == 1008
    wait_until(lambda: all(terminal["ended"] or terminal["id"] != tab.opened["id"] for terminal in other.terminals()), "it was hung up", timeout=60)
    stays.socket.send(b"echo still th''ere\r")
    stays.expect(b"still there")


def test_a_program_that_does_not_read(box, person):
    """Typed into a program that reads nothing: a page that has left holds nothing at the gateway."""
    tab = Tab(Page(box, person))
    tab.socket.send(b"stty raw -echo; echo be''gun; sleep 4321\r")
    tab.expect(b"begun")
    for _ in range(16):
        tab.socket.send(b"x" * 32768)
    tab.socket.socket.shutdown(socket.SHUT_RDWR)
    wait_until(lambda: not [row for row in box.sessions(person.user) if row["kind"] == "terminal"], "the page's row is closed", timeout=60)


def test_web_terminal_is_guarded(box, person, ada):
    """Another origin, a wrong token, another's workspace, a flood of output: refused, refused, hidden, held back."""
    page = Page(box, person)
    for status, wrong in ((403, {"origin": "https://evil.example"}), (403, {"csrf": "0" * 64}), (404, {"user": ada.user})):
        with pytest.raises(Exception) as refused:
            page.open(**wrong)
        assert refused.value.response.status_code == status
    with pytest.raises(urllib.error.HTTPError, match="426"):
        page.ask("GET", f"workspaces/{person.user}/main/terminal")
    tab = Tab(page)
    tab.socket.send(b"exec yes\r")
    while tab.at < 500_000:
        tab.take(tab.socket.recv(timeout=30))
    # Without an acknowledgement the program is stopped within a mebibyte and what the pipes between hold.
    def stands_still():
        before = page.terminals()[0]["bytes"]
        threading.Event().wait(0.3)
        return page.terminals()[0]["bytes"] == before

    wait_until(stands_still, "the program waits")
    page.ask("DELETE", f"workspaces/{person.user}/main/terminals/{tab.opened['id']}")
    wait_until(lambda: all(terminal["ended"] for terminal in page.terminals()), "it was ended")
