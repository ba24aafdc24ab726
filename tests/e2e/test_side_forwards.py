"""-A, -X and -R: what a session brings along into the workspace, and that it goes with the session. Also eow@openssh.com."""

import os
import socket
import subprocess
import threading

import pytest

from berthbox import fingerprint, free_ports, make_key, wait_until

# Asks the agent at $SSH_AUTH_SOCK for its keys; prints the socket, the mode of its folder and the number of keys.
ASK_AGENT = r"""python3 -c '
import os, socket, stat
path = os.environ["SSH_AUTH_SOCK"]
s = socket.socket(socket.AF_UNIX); s.connect(path); s.sendall(b"\0\0\0\1\x0b")
size = int.from_bytes(s.recv(4, socket.MSG_WAITALL), "big"); answer = s.recv(size, socket.MSG_WAITALL)
print(path, oct(stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode)), answer[0], int.from_bytes(answer[1:5], "big"), flush=True)
'"""

# Greets the X server at $DISPLAY with the cookie of $XAUTHORITY (or another one); prints the display and what came back.
GREET_X = r"""
import os, socket, struct, sys
data, cookies = open(os.environ["XAUTHORITY"], "rb").read(), []
while data:
    fields, data = [], data[2:]
    for _ in range(4):
        size = int.from_bytes(data[:2], "big"); fields.append(data[2:2 + size]); data = data[2 + size:]
    cookies.append(fields)
host, number = os.environ["DISPLAY"].split(":")
number = number.split(".")[0]
assert all(f[1].decode() == number for f in cookies), cookies
name, cookie = cookies[0][2], cookies[0][3] if len(sys.argv) < 2 else bytes(16)
s = socket.create_connection((host, 6000 + int(number)), timeout=20)
pad = lambda b: b + bytes(-len(b) % 4)
s.sendall(struct.pack("<BxHHHHxx", 0x6c, 11, 0, len(name), len(cookie)) + pad(name) + pad(cookie))
print(os.environ["DISPLAY"], s.makefile("rb").read().decode(), flush=True)
"""


@pytest.fixture
def agent(box, tmp_path):
    """An ssh-agent with one key: its socket and the key's fingerprint."""
    path = str(tmp_path / "agent.sock")
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: os.path.exists(path), "ssh-agent listens")
        key = make_key(tmp_path / "in_agent")
        subprocess.run(["ssh-add", "-q", key], env={**os.environ, "SSH_AUTH_SOCK": path}, check=True, capture_output=True)
        yield path, fingerprint(key)
    finally:
        process.kill()
        process.wait()


def test_agent_forwarding(ada, agent):
    """`ssh -A`: the workspace reaches the client's agent through a socket in a private folder, which goes with the session."""
    env = {**os.environ, "SSH_AUTH_SOCK": agent[0]}
    process = ada.popen("-A", "box", ASK_AGENT + "; cat", env=env)
    try:
        path, mode, kind, keys = process.stdout.readline().decode().split()
        assert (mode, kind, keys) == ("0o700", "12", "1")
        process.stdin.close()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    folder = os.path.dirname(path)
    wait_until(lambda: ada.ssh("box", f"test ! -e {folder}", check=False).returncode == 0, "the folder went with the session")
    # Without -A there is none.
    assert ada.run("echo ${SSH_AUTH_SOCK:-none}", env=env) == "none"


class FakeX:
    """An X server that answers every greeting by saying which cookie it saw."""

    def __enter__(self):
        for number in range(40, 200):
            try:
                self.listener = socket.create_server(("127.0.0.1", 6000 + number))
                break
            except OSError:
                continue
        self.display, self.seen = f"127.0.0.1:{number}", []
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                head = connection.recv(12, socket.MSG_WAITALL)
                if len(head) < 12:
                    continue
                name, cookie = int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
                name += -name % 4
                self.seen.append(connection.recv(name + cookie, socket.MSG_WAITALL)[name:])
                connection.sendall(b"welcome")

    def __exit__(self, *_):
        self.listener.close()


def test_x11_forwarding(ada, tmp_path):
    """`ssh -Y`: a program of the workspace reaches the client's display with the cookie that it finds there, and only with that; the
    display's own cookie never gets into the workspace."""
    with FakeX() as server:
        real = "0123456789abcdef" * 2
        env = {**os.environ, "DISPLAY": server.display, "XAUTHORITY": str(tmp_path / "xauthority")}
        subprocess.run(["xauth", "-q", "add", server.display, ".", real], env=env, check=True, stderr=subprocess.DEVNULL)
        done = ada.ssh("-Y", "box", "cat > greet.py; python3 greet.py; python3 greet.py wrong; od -An -v -tx1 $XAUTHORITY | tr -d ' \\n'; rm greet.py",
                       input=GREET_X, env=env)
        lines = done.stdout.splitlines()
        assert lines[0].startswith("localhost:") and lines[0].endswith(" welcome"), done
        assert lines[1].split() == [lines[0].split()[0]], "a wrong cookie is refused"
        assert server.seen == [bytes.fromhex(real)]
        assert len(lines) > 2 and real not in "".join(lines[2:])
        # Without -Y there is no display.
        assert ada.run("echo ${DISPLAY:-none}", env=env) == "none"


def test_remote_forward_of_a_port_of_the_systems_choice(ada, box):
    """`ssh -R 0:…`: the port is printed, a connection from inside arrives outside, and -O cancel ends it."""
    with socket.create_server(("127.0.0.1", 0)) as target:
        control = ["-o", f"ControlPath={box.dir}/cm-r"]
        master = ada.popen("-M", "-N", *control, "box", stdin=subprocess.DEVNULL)
        try:
            wait_until(lambda: (box.dir / "cm-r").exists(), "the master is there")
            spec = f"0:127.0.0.1:{target.getsockname()[1]}"
            port = int(ada.ssh(*control, "-O", "forward", "-R", spec, "box").stdout)
            ask = f"python3 -c 'import socket; s=socket.create_connection((\"127.0.0.1\",{port}),timeout=20); print(s.makefile().read())'"
            inside = ada.popen(*control, "box", ask, stdin=subprocess.DEVNULL)
            target.settimeout(30)
            connection, _ = target.accept()
            connection.sendall(b"from outside")
            connection.close()
            assert inside.communicate(timeout=30)[0] == b"from outside\n"
            ada.ssh(*control, "-O", "cancel", "-R", spec, "box")
            wait_until(lambda: ada.ssh(*control, "box", ask, check=False).returncode != 0, "the port is closed")
        finally:
            master.kill()
            master.communicate()


def test_remote_forward_of_a_unix_socket(ada, box, tmp_path):
    """`ssh -R /inside.sock:/outside.sock`."""
    outside = str(tmp_path / "out.sock")
    with socket.socket(socket.AF_UNIX) as target:
        target.bind(outside)
        target.listen()
        target.settimeout(30)
        inside = "/tmp/side-forward.sock"
        ask = f"python3 -c 'import socket; s=socket.socket(socket.AF_UNIX); s.connect(\"{inside}\"); s.sendall(b\"in\"); print(s.makefile().read())'"
        process = ada.popen("-o", "ExitOnForwardFailure=yes", "-R", f"{inside}:{outside}", "box", ask, stdin=subprocess.DEVNULL)
        try:
            connection, _ = target.accept()
            assert connection.recv(2) == b"in"
            connection.sendall(b"out")
            connection.close()
            assert process.communicate(timeout=30)[0] == b"out\n"
        finally:
            process.kill()
            process.wait()
    wait_until(lambda: ada.ssh("box", f"test ! -e {inside}", check=False).returncode == 0, "the socket is gone")


def test_a_client_that_takes_no_more_output_ends_the_program(ada):
    """`ssh box yes | head -1`: the program is told by its next write (eow@openssh.com), and ssh ends with its status."""
    process = ada.popen("box", "yes; exit 9", stdin=subprocess.DEVNULL)
    assert process.stdout.readline() == b"y\n"
    process.stdout.close()
    try:
        assert process.wait(60) == 9
    finally:
        process.kill()
        process.wait()


def test_a_program_that_reads_no_more_tells_the_client(ada):
    """`yes | ssh box 'exec 0<&-; …'`: the client hears that nobody reads (eow@openssh.com) and stops sending."""
    source = subprocess.Popen(["yes"], stdout=subprocess.PIPE)
    ada.run("mkfifo wait-for-eow")
    process = ada.popen("-vv", "box", "exec 0<&-; cat wait-for-eow; echo done", stdin=source.stdout)
    source.stdout.close()
    try:
        assert any(b"rcvd eow" in line for line in iter(process.stderr.readline, b""))
        ada.run("echo go > wait-for-eow; rm wait-for-eow")
        assert process.communicate(timeout=60)[0] == b"go\ndone\n" and process.returncode == 0
    finally:
        source.kill()
        process.kill()
        source.wait()
        process.wait()
