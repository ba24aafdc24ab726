"""A private Berth for the tests: started by scripts/up in a state directory of its own, driven by real clients."""

import contextlib
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
PRESET = os.environ.get("BERTH_PRESET", "release")
SANITIZED = PRESET in ("asan", "tsan")
STARTED = []  # what Client.popen has started; ended at the end of each test that has not done so
REPORTS = ("WARNING: ThreadSanitizer", "ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:")


def resident(pid):
    """The resident memory of a process in bytes."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) << 10


def wait_until(condition, what, timeout=20.0, every=0.05):
    """Waits until condition() is true and answers its value; fails with `what` after `timeout` seconds."""
    pause = threading.Event()
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout:.0f} s: {what}")
        pause.wait(every)


def gone(pid):
    """Has the process ended? One that nobody has waited for yet (a zombie) has."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def free_ports(count=1, gap=1):
    """`count` free TCP ports, `gap` apart; answers the first.

    Below those that the kernel gives to outgoing connections: one of them could have the port of a server that restarts just then."""
    outgoing = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(200):
        first = random.SystemRandom().randrange(20_000 if outgoing > 25_000 else 1024, max(outgoing, 10_000) - count * gap)
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + count * gap, gap):
                    probe = stack.enter_context(socket.socket())
                    probe.bind(("0.0.0.0", port))
                return first
            except OSError:
                continue
    raise AssertionError("no free ports")


def make_key(path, kind="ed25519", *extra):
    """A new key pair at `path`; answers the private half's path."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", f"test-{kind}", "-f", path, *extra], check=True)
    return pathlib.Path(path)


def fingerprint(key):
    """SHA256:… of a key file, as Berth and OpenSSH print it."""
    out = subprocess.run(["ssh-keygen", "-l", "-f", key], check=True, capture_output=True, text=True).stdout
    return out.split()[1]


class Client:
    """One user on a Box with a key: OpenSSH's programs through a config file of their own."""

    def __init__(self, box, login, key):
        self.box, self.login, self.key = box, login, pathlib.Path(key)
        self.user = login.split("+")[0]
        self.config = box.dir / f"ssh-config-{login}-{self.key.name}"
        self.config.write_text(
            f"Host box\n  HostName 127.0.0.1\n  Port {box.ssh_port}\n  User {login}\n  IdentityFile {self.key}\n"
            f"  IdentitiesOnly yes\n  UserKnownHostsFile {box.dir}/known_hosts\n  StrictHostKeyChecking accept-new\n"
            "  BatchMode yes\n  ConnectTimeout 30\n  LogLevel ERROR\n  ServerAliveInterval 15\n"
        )

    def argv(self, *args):
        return ["ssh", "-F", str(self.config), *args]

    def ssh(self, *args, check=True, timeout=120, stdin=None, text=True, **kw):
        """Runs `ssh -F … ARGS` to its end; `args` holds options, the host `box` and the command."""
        if stdin is None and "input" not in kw:
            stdin = subprocess.DEVNULL
        done = subprocess.run(self.argv(*args), capture_output=True, text=text, timeout=timeout, stdin=stdin, **kw)
        if check and done.returncode != 0:
            raise AssertionError(f"ssh {args} exited {done.returncode}\nstdout: {done.stdout}\nstderr: {done.stderr}")
        return done

    def run(self, command, **kw):
        """Runs a command in the workspace; answers what it printed, without the last newline."""
        return self.ssh("box", command, **kw).stdout.rstrip("\n")

    def popen(self, *args, **kw):
        kw.setdefault("stdin", subprocess.PIPE)
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.PIPE)
        process = subprocess.Popen(self.argv(*args), **kw)
        STARTED.append(process)
        return process

    def tool(self, *argv, timeout=300, check=True, **kw):
        """Runs scp, sftp, rsync or git with this user's ssh."""
        env = {**os.environ, "GIT_SSH_COMMAND": f"ssh -F {self.config}", "RSYNC_RSH": f"ssh -F {self.config}"}
        done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, env=env, **kw)
        if check and done.returncode != 0:
            raise AssertionError(f"{argv} exited {done.returncode}\nstdout: {done.stdout}\nstderr: {done.stderr}")
        return done


class Box:
    """A running Berth. `dir` is the test's folder (keys, known_hosts), `state` the state directory of scripts/up."""

    def __init__(self, engine=None, state=None, prefix="berth-e2e."):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir="/var/tmp"))
        self.dir.chmod(0o755)
        self.state = pathlib.Path(state) if state else self.dir / "state"
        self.engine = engine or os.environ.get("BERTH_E2E_ENGINE", "podman")
        self.ssh_port = free_ports(1)
        self.web_port = free_ports(2)  # the portal and, one above, the workspaces
        self.key = make_key(self.dir / "id_ada")
        self.bin = ROOT / "build" / PRESET / "bin"

    # -- start and stop
    def up(self, *extra, check=True, timeout=1200):
        done = subprocess.run(
            [SCRIPTS / "up", "--state", self.state, "--ssh-port", str(self.ssh_port), "--web-port", str(self.web_port),
             "--engine", self.engine, "--user", "ada", "--key", f"{self.key}.pub", "--detach", "--built", *extra],
            capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        if check and done.returncode != 0:
            raise AssertionError(f"scripts/up exited {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.logs()}")
        return done

    def down(self, *extra, check=True):
        return subprocess.run([SCRIPTS / "down", "--state", self.state, *extra], check=check, capture_output=True,
                              text=True, timeout=120)

    def restart(self, program, edit):
        """Writes the settings of "berthd" or "berth-keeper" anew, as edit(text) gives them, and restarts it by itself: scripts/up would write its own."""
        file = self.state / {"berth-keeper": "keeper.toml", "berthd": "berth.toml"}[program]
        pid = self.pid(program)
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: gone(pid), f"{program} ends", 60)
        file.write_text(edit(file.read_text()))
        as_berth = ["setpriv", "--reuid", "berth", "--regid", "berth", "--clear-groups", "--no-new-privs"] if program == "berthd" else []
        with open(self.state / f"log/{program}.log", "ab") as log:
            process = subprocess.Popen([*as_berth, self.state / "bin" / program, "--config", file], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        (self.state / f"{program}.pid").write_text(f"{process.pid}\n")

        def ready():
            assert process.poll() is None, self.logs()
            return subprocess.run(["curl", "-fsS", "-o", "/dev/null", "--max-time", "5", "--unix-socket", self.state / "admin.sock", "http://berth/readyz"],
                                  capture_output=True).returncode == 0
        wait_until(ready, f"{program} serves again", 60)

    def reconfigure(self, settings):
        """Restarts berthd with these settings, {section: {key: value}}, in place of what berth.toml says of the same keys."""
        def edit(text):
            lines, section = [], ""
            for line in text.splitlines():
                if line.startswith("["):
                    section = line.strip("[]")
                    lines += [line, *(f"{key} = {json.dumps(value)}" for key, value in settings.get(section, {}).items())]
                elif line.split(" =")[0] not in settings.get(section, {}):
                    lines.append(line)
            return "\n".join(lines) + "\n"
        self.restart("berthd", edit)

    def destroy(self):
        self.down(check=False)  # keeps the logs, which --purge would take
        reports = self.sanitizer_reports()
        self.down("--purge", check=False)
        if not os.environ.get("BERTH_E2E_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)
        assert not reports, "\n".join(reports)

    def sanitizer_reports(self):
        """What a build with a sanitizer (BERTH_PRESET=asan or tsan) has said in the programs' logs."""
        reports = []
        for log in sorted(self.state.glob("log/*.log")):
            text = log.read_text(errors="replace")
            begins = [text.find(mark) for mark in REPORTS if mark in text]
            if begins:
                reports.append(f"{log.name}: the first report of {sum(map(text.count, REPORTS))}:\n{text[min(begins):min(begins) + 6000]}")
        return reports

    def logs(self, lines=30):
        """The last lines of each program's log, for a failure's message."""
        text = []
        for log in sorted(self.state.glob("log/*.log")):
            text += [f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-lines:]]
        return "\n".join(text)

    def pid(self, program):
        return int((self.state / f"{program}.pid").read_text())

    # -- the admin's side
    def berth(self, *args, check=True, timeout=60):
        """`berth --json …` on the admin socket: the parsed answer, or the finished process with check=False."""
        if args[:2] in (("key", "revoke"), ("user", "remove")):
            args = (*args, "--yes")  # nobody is there to be asked
        done = subprocess.run([self.bin / "berth", "--admin-socket", self.state / "admin.sock", "--json", *map(str, args)],
                              capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        if not check:
            return done
        if done.returncode != 0:
            raise AssertionError(f"berth {args} exited {done.returncode}: {done.stderr or done.stdout}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def items(self, *args):
        answer = self.berth(*args)
        return answer["items"] if isinstance(answer, dict) else answer

    def sessions(self, user=None):
        """The live SSH sessions and tunnels, of one user or of all."""
        return [s for s in self.items("session", "list") if user in (None, s["user"])]

    def client(self, login="ada", key=None):
        return Client(self, login, key or self.key)

    def add_user(self, name, kind="ed25519", *extra):
        """A new user with a new key; answers their client."""
        key = make_key(self.dir / f"id_{name}", kind, *extra)
        self.berth("user", "add", name)
        self.berth("key", "add", name, f"{key}.pub")
        return self.client(name, key)

    def get(self, path):
        """The text of a path on the admin socket, such as /metrics."""
        return self._answered("GET", path)

    def request(self, method, path, body=None):
        """A request of the HTTP API on the admin socket: the parsed answer; fails on an error."""
        return json.loads(self._answered(method, "/api/v1" + path, body))

    def api(self, method, path, body=None):
        """A request of the HTTP API on the admin socket: its status, whatever that is, and the parsed answer."""
        status, text = self._ask(method, "/api/v1" + path, body)
        return status, json.loads(text or "{}")

    def _answered(self, method, path, body=None):
        status, text = self._ask(method, path, body)
        if status >= 400:
            raise AssertionError(f"{method} {path}: {status} {text}")
        return text

    def _ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("localhost", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.state / "admin.sock"))
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    # -- what must be true of the store
    def backup(self, name="backup.db"):
        """A backup made while running, opened read-only."""
        path = self.dir / name
        path.unlink(missing_ok=True)
        self.berth("backup", path)
        return sqlite3.connect(f"file:{path}?mode=ro", uri=True)
