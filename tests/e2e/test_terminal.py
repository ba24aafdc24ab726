"""Terminals: what a person at a keyboard sees."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

from berthbox import wait_until


class Terminal:
    """`ssh -t` under a real local terminal of the given size."""

    def __init__(self, client, *command, rows=24, columns=80):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm-256color"
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # it is ignored in what nohup has started
            os.execvp("ssh", client.argv("-t", "box", *command))
        self.resize(rows, columns)
        self.seen = ""

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, text):
        os.write(self.fd, text.encode())

    def expect(self, pattern, timeout=30):
        """Reads until `pattern` appears; answers the match and forgets what came before its end."""
        end = time.monotonic() + timeout
        while True:
            match = re.search(pattern, self.seen)
            if match:
                self.seen = self.seen[match.end():]
                return match
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise AssertionError(f"{pattern!r} did not appear; seen: {self.seen[-2000:]!r}")
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            if not data:
                raise AssertionError(f"the terminal ended before {pattern!r}; seen: {self.seen[-2000:]!r}")
            self.seen += data.decode(errors="replace")

    def wait(self):
        """The exit code of ssh."""
        while True:
            try:
                if not os.read(self.fd, 65536):
                    break
            except OSError:
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def test_shell_prompt(ada):
    """`ssh box` gives an interactive login shell with a prompt, and `exit 7` ends it with 7."""
    terminal = Terminal(ada)
    terminal.send("tty; echo $TERM:$((6*7))\n")
    terminal.expect(r"/dev/pts/\d+")
    terminal.expect(r"xterm-256color:42")
    terminal.send("exit 7\n")
    assert terminal.wait() == 7


def test_control_c(ada):
    """Ctrl-C interrupts the running program, not the connection."""
    terminal = Terminal(ada)
    terminal.send("bash -c \"trap 'echo caught; exit 5' INT; echo rea''dy; while :; do sleep 0.1; done\"; echo code-$?\n")
    terminal.expect("ready")
    terminal.send("\x03")
    terminal.expect("caught")
    terminal.expect("code-5")
    terminal.send("echo still-he''re\n")
    terminal.expect("still-here")
    terminal.send("exit 0\n")
    terminal.wait()


def test_control_c_exit_code(ada):
    """`ssh -t box sleep 300` and Ctrl-C: the client ends, the program is gone."""
    terminal = Terminal(ada, "echo up; sleep 300; echo code=$?")
    terminal.expect("up")
    terminal.send("\x03")
    assert terminal.wait() != 0
    wait_until(lambda: ada.ssh("box", "pgrep -fx 'sleep 300'", check=False).returncode == 1, "the program ends")


def test_resize(ada):
    """Resizing the window is seen at once by `stty size`."""
    terminal = Terminal(ada, rows=30, columns=100)
    terminal.send("PS1=; echo rea''dy\n")
    terminal.expect("ready")
    for rows, columns in ((30, 100), (50, 132), (24, 80)):
        terminal.resize(rows, columns)
        wait_until(lambda: _size(terminal) == f"{rows} {columns}", f"stty size says {rows} {columns}", every=0.1)
    terminal.send("exit\n")
    assert terminal.wait() == 0


def _size(terminal):
    terminal.send("echo size:$(stty size):\n")
    return terminal.expect(r"size:(\d+ \d+):").group(1)


def test_terminal_modes(ada):
    """The terminal's modes travel: with echo switched off here, nothing is echoed there."""
    terminal = Terminal(ada, "stty -a; read -r line; echo got-$line")
    terminal.expect(r"intr = \^C")
    terminal.send("secret\n")
    terminal.expect("got-secret")
    assert terminal.wait() == 0


def test_terminal_gone(ada):
    """Closing the terminal window hangs up the shell and what it ran."""
    terminal = Terminal(ada)
    terminal.send("echo rea''dy; sleep 87654\n")
    terminal.expect("ready")
    wait_until(lambda: ada.ssh("box", "pgrep -fx 'sleep 87654'", check=False).returncode == 0, "the program runs")
    os.kill(terminal.pid, signal.SIGHUP)  # what the window's end is for ssh; a lost connection is another thing (test_attach.py)
    terminal.wait()
    wait_until(lambda: ada.ssh("box", "pgrep -fx 'sleep 87654'", check=False).returncode == 1, "the program ends")


def test_full_screen_output(ada):
    """A flood of output through a terminal arrives whole and in order."""
    terminal = Terminal(ada, "stty -opost; seq 200000; echo THE-END")
    count = 0
    tail = ""
    while "THE-END" not in tail:
        data = os.read(terminal.fd, 65536)
        count += len(data)
        tail = (tail + data.decode(errors="replace"))[-200:]
    assert count >= sum(len(str(i)) + 1 for i in range(1, 200001))
    assert tail.replace("\r", "").split()[-2:] == ["200000", "THE-END"]
    assert terminal.wait() == 0
