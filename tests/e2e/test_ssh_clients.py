"""More clients, each as its users run it: PuTTY's, Dropbear's, curl's (libssh2), Ansible with pipelining, jump hosts, mosh's first step, and what
VS Code and JetBrains do over SSH."""

import hashlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys

import pytest

from berthbox import free_ports, make_key, wait_until


def have(*programs):
    missing = [program for program in programs if not shutil.which(program)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed (scripts/setup): {', '.join(missing)}")


def run(*argv, timeout=120, **kw):
    kw.setdefault("stdin", subprocess.DEVNULL) if "input" not in kw else None
    done = subprocess.run(argv, capture_output=True, timeout=timeout, **kw)
    assert done.returncode == 0, (argv, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


@pytest.fixture(scope="module")
def host_key(box):
    """The fingerprint of Berth's ed25519 host key."""
    scanned = run("ssh-keyscan", "-t", "ed25519", "-p", str(box.ssh_port), "127.0.0.1")
    return run("ssh-keygen", "-lf", "-", input=scanned).split()[1].decode()


@have("plink", "psftp", "puttygen")
def test_putty(ada, box, host_key, tmp_path):
    """plink runs commands with exit code, psftp moves a file both ways."""
    run("puttygen", ada.key, "-O", "private", "-o", tmp_path / "key.ppk")
    to = ["-batch", "-P", str(box.ssh_port), "-i", str(tmp_path / "key.ppk"), "-hostkey", host_key]
    env = {**os.environ, "PUTTYDIR": str(tmp_path)}
    done = subprocess.run(["plink", *to, "ada@127.0.0.1", "cat; echo err >&2; exit 7"], input=b"putty", capture_output=True, timeout=60, env=env)
    assert (done.stdout, done.returncode) == (b"putty", 7) and b"err\n" in done.stderr
    data = os.urandom(3_000_000)
    (tmp_path / "up.bin").write_bytes(data)
    (tmp_path / "batch").write_text(f"put {tmp_path}/up.bin putty.bin\nget putty.bin {tmp_path}/down.bin\nrm putty.bin\n")
    run("psftp", *to, "-b", str(tmp_path / "batch"), "ada@127.0.0.1", env=env)
    assert (tmp_path / "down.bin").read_bytes() == data


@have("dbclient")
def test_dropbear(ada, box, tmp_path):
    """dbclient runs a command with exit code, carries bytes, and forwards a port."""
    run("dropbearconvert", "openssh", "dropbear", ada.key, tmp_path / "key")
    to = ["dbclient", "-y", "-y", "-p", str(box.ssh_port), "-i", str(tmp_path / "key"), "ada@127.0.0.1"]
    env = {**os.environ, "HOME": str(tmp_path)}
    data = os.urandom(2_000_000)
    done = subprocess.run([*to, "cat; exit 5"], input=data, capture_output=True, timeout=60, env=env)
    assert (done.stdout, done.returncode) == (data, 5)
    local = free_ports()
    forward = subprocess.Popen([*to[:-1], "-N", "-L", f"{local}:127.0.0.1:1", to[-1]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               stdin=subprocess.DEVNULL, env=env)
    try:
        wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", local)) == 0, "dbclient listens")
        with socket.create_connection(("127.0.0.1", local), timeout=30) as tunnel:
            assert tunnel.recv(1) == b"", "nothing listens there: closed"
    finally:
        forward.kill()
        forward.wait()


@have("curl")
@pytest.mark.parametrize("scheme", ["sftp", "scp"])
def test_curl(ada, box, tmp_path, scheme):
    """curl (libssh2) uploads and downloads by sftp: and scp:."""
    if scheme not in run("curl", "--version").decode():
        pytest.skip("this curl has no SSH")
    data = os.urandom(2_000_000)
    (tmp_path / "up.bin").write_bytes(data)
    home = ada.run("pwd")
    url = f"{scheme}://127.0.0.1:{box.ssh_port}{home}/curl-{scheme}.bin"
    to = ["curl", "-sSk", "--max-time", "60", "-u", "ada:", "--key", str(ada.key), "--pubkey", f"{ada.key}.pub"]
    run(*to, "-T", tmp_path / "up.bin", url)
    assert run(*to, url) == data
    ada.run(f"rm curl-{scheme}.bin")


def test_jump_through_berth(ada, new_user):
    """`ssh -J`: Berth is the jump host (the second hop starts inside the first workspace), and the last host behind one."""
    bob = new_user()
    # From ada's workspace one reaches ada's own loopback only, so the last hop is a server that ada runs: netcat of the same Berth by a -R.
    port = bob.box.ssh_port
    inside = 18322
    back = ada.popen("-N", "-o", "ExitOnForwardFailure=yes", "-R", f"127.0.0.1:{inside}:127.0.0.1:{port}", "box", stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: ada.ssh("box", f"python3 -c 'import socket; socket.create_connection((\"127.0.0.1\",{inside}))'", check=False).returncode == 0, "-R listens")
        config = bob.box.dir / "jump-config"
        config.write_text(ada.config.read_text() + f"Host last\n  HostName 127.0.0.1\n  Port {inside}\n  User {bob.user}\n  IdentityFile {bob.key}\n"
                          "  IdentitiesOnly yes\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  BatchMode yes\n  LogLevel ERROR\n")
        assert run("ssh", "-F", config, "-J", "box", "last", "whoami") == bob.user.encode() + b"\n"
    finally:
        back.kill()
        back.communicate()


def test_moshs_first_step(ada):
    """mosh starts its server by `ssh -tt … mosh-server new` and reads the line MOSH CONNECT: that exchange works (UDP is not offered)."""
    told = ada.ssh("-n", "-tt", "box", "sh -c 'echo; echo MOSH CONNECT 60001 4NeCCgvZFe2RnPgrcU1PQw; echo'").stdout
    assert "MOSH CONNECT 60001 4NeCCgvZFe2RnPgrcU1PQw" in told.replace("\r", "").splitlines()


def ansible():
    found = shutil.which("ansible", path=os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]]))
    return found


@pytest.mark.skipif(not ansible(), reason="not installed (scripts/setup): ansible-core")
@pytest.mark.timeout(300)
def test_ansible_with_pipelining(ada, box, tmp_path):
    """Ansible with pipelining and ControlPersist: modules by standard input, a file copied, a command's exit code."""
    (tmp_path / "ansible.cfg").write_text("[defaults]\nhost_key_checking = False\nlocal_tmp = %s/tmp\n[ssh_connection]\npipelining = True\n"
                                          "ssh_args = -F %s -o ControlMaster=auto -o ControlPersist=30 -o ControlPath=%s/cm-ansible\n" % (tmp_path, ada.config, box.dir))
    (tmp_path / "payload").write_bytes(os.urandom(200_000))
    env = {**os.environ, "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), "ANSIBLE_HOME": str(tmp_path / "home")}
    try:
        for module, arguments in (("ping", ""), ("copy", f"src={tmp_path}/payload dest=ansible.bin mode=0600"), ("command", "sha256sum ansible.bin")):
            done = subprocess.run([ansible(), "all", "-i", "box,", "-m", module, "-a", arguments], capture_output=True, text=True, timeout=200, env=env,
                                  stdin=subprocess.DEVNULL)
            assert done.returncode == 0, done.stdout + done.stderr
        assert hashlib.sha256((tmp_path / "payload").read_bytes()).hexdigest() in done.stdout
    finally:
        ada.ssh("-o", f"ControlPath={box.dir}/cm-ansible", "-O", "exit", "box", check=False)
        ada.run("rm -f ansible.bin")


def test_vs_codes_pattern(ada, box, tmp_path):
    """VS Code Remote-SSH: `ssh -T -D` with its script on standard input, which unpacks the server that it brings and starts it; a second connection; a
    Unix socket and a port of the server forwarded for long, by both connections at once."""
    local, port = free_ports(), 18440
    archive = tmp_path / "server.tar.gz"
    (tmp_path / "server.py").write_text(
        "import socket, sys, threading\n"
        "def serve(s):\n"
        "    while True:\n"
        "        c, _ = s.accept()\n"
        "        threading.Thread(target=lambda c=c: [c.sendall(d) for d in iter(lambda: c.recv(65536), b'')] and c.close() or c.close(), daemon=True).start()\n"
        "u = socket.socket(socket.AF_UNIX); u.bind(sys.argv[1]); u.listen()\n"
        f"t = socket.create_server(('127.0.0.1', {port}))\n"
        "threading.Thread(target=serve, args=(u,), daemon=True).start()\n"
        f"print('listeningOn=={port}==', flush=True)\n"
        "serve(t)\n")
    run("tar", "-C", tmp_path, "-czf", archive, "server.py")
    ada.tool("scp", "-F", str(ada.config), str(archive), "box:vscode-server.tar.gz")
    home = ada.run("pwd")
    script = ("uname -rsv\nmkdir -p .vscode-test && tar -xzf vscode-server.tar.gz -C .vscode-test\n"
              "echo 3a2f: running\nrm -f .vscode-test/s.sock; echo $$ > .vscode-test/pid; exec python3 .vscode-test/server.py .vscode-test/s.sock\n")
    first = ada.popen("-T", "-D", str(local), "box", "bash")
    socket_path = str(box.dir / "code.sock")
    second = None
    try:
        first.stdin.write(script.encode())
        first.stdin.close()
        lines = [first.stdout.readline() for _ in range(3)]
        assert lines[0].startswith(b"Linux") and lines[1:] == [b"3a2f: running\n", b"listeningOn==%d==\n" % port], lines
        second = ada.popen("-T", "-N", "-L", f"{socket_path}:{home}/.vscode-test/s.sock", "box", stdin=subprocess.DEVNULL)
        wait_until(lambda: os.path.exists(socket_path), "the second connection forwards the socket")
        data = os.urandom(1_000_000)
        with socket.socket(socket.AF_UNIX) as by_socket:
            by_socket.settimeout(60)
            by_socket.connect(socket_path)
            for _ in range(3):  # one connection, used again and again
                by_socket.sendall(data[:50_000])
                got = b""
                while len(got) < 50_000:
                    got += by_socket.recv(65536)
                assert got == data[:50_000]
                with socket.create_connection(("127.0.0.1", local), timeout=60) as by_socks:  # SOCKS5, no login, an IPv4 address
                    by_socks.sendall(b"\5\1\0" + b"\5\1\0\1\x7f\0\0\1" + port.to_bytes(2, "big"))
                    answer = b""
                    while len(answer) < 12:
                        answer += by_socks.recv(12 - len(answer)) or pytest.fail(f"SOCKS: {answer}")
                    assert answer[:4] == b"\5\0\5\0"
                    by_socks.sendall(data[:1000])
                    assert by_socks.makefile("rb").read(1000) == data[:1000]
    finally:
        for process in (first, second):
            if process:
                process.kill()
                process.wait()
        ada.run("kill $(cat .vscode-test/pid); rm -rf .vscode-test vscode-server.tar.gz", check=False)


def test_jetbrains_pattern(ada, box, tmp_path):
    """JetBrains Gateway: probes by exec, deploys by sftp, starts its backend in the background and forwards a port to it, on one connection (ControlMaster)."""
    control = ["-o", f"ControlPath={box.dir}/cm-jb"]
    master = ada.popen("-M", "-N", *control, "box", stdin=subprocess.DEVNULL)
    local, port = free_ports(), 18441
    try:
        wait_until(lambda: (box.dir / "cm-jb").exists(), "the master is there")
        assert ada.ssh(*control, "box", "uname -sm; echo $SHELL").stdout.startswith("Linux")
        (tmp_path / "index.html").write_text("backend")
        batch = f"mkdir jb\nput {tmp_path}/index.html jb/index.html\nchmod 600 jb/index.html\nls -l jb\n"
        listed = subprocess.run(["sftp", "-F", str(ada.config), *control, "-b", "-", "box"], input=batch, capture_output=True, text=True, timeout=60)
        assert listed.returncode == 0 and "-rw-------" in listed.stdout, listed
        ada.ssh(*control, "box", f"cd jb && (nohup python3 -m http.server --bind 127.0.0.1 {port} >log 2>&1 & echo $! > pid)")
        ada.ssh(*control, "-O", "forward", "-L", f"{local}:127.0.0.1:{port}", "box")
        wait_until(lambda: subprocess.run(["curl", "-s", "--max-time", "10", f"http://127.0.0.1:{local}/"], capture_output=True).stdout == b"backend", "the backend answers")
    finally:
        master.kill()
        master.communicate()
        ada.run("kill $(cat jb/pid); rm -rf jb", check=False)
