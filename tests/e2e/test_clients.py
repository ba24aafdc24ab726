"""Other people's SSH libraries as clients, and the pattern of editors."""

import asyncio
import io
import os
import subprocess

import asyncssh
import paramiko

from berthbox import free_ports, wait_until


def test_ipv6(ada, box):
    """Both doors answer on IPv6 too, beside IPv4 on the same port, and the client's address is recorded as it is."""
    said = ada.ssh("-6", "-o", "HostName=::1", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "box", "echo $SSH_CONNECTION")
    assert said.stdout.startswith("::1 ")
    page = subprocess.run(["curl", "-sk", "--max-time", "10", f"https://[::1]:{box.web_port}/healthz"], capture_output=True, text=True, timeout=20)
    assert page.returncode == 0 and page.stdout
    assert any(session["client_address"].startswith("[::1]:") for session in box.items("session", "list", "--all"))


def test_asyncssh_exec_sftp_and_forward(ada, box):
    """asyncssh: a command, a file by SFTP and a tunnel over one connection."""
    async def run():
        async with asyncssh.connect("127.0.0.1", box.ssh_port, username="ada", client_keys=[str(ada.key)], known_hosts=None,
                                    config=None) as connection:
            result = await connection.run("cat; echo err >&2; exit 3", input="hi")
            assert (result.stdout, result.stderr, result.exit_status) == ("hi", "err\n", 3)
            data = os.urandom(5_000_000)
            async with connection.start_sftp_client() as sftp:
                async with sftp.open("async.bin", "wb") as file:
                    await file.write(data)
                assert (await sftp.stat("async.bin")).size == len(data)
                async with sftp.open("async.bin", "rb") as file:
                    assert await file.read() == data
                await sftp.remove("async.bin")
            server = await connection.create_process("python3 -u -m http.server --bind 127.0.0.1 18090", stderr=asyncssh.STDOUT)
            assert "Serving" in await server.stdout.readline()
            reader, writer = await connection.open_connection("127.0.0.1", 18090)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            assert (await reader.read(15)).startswith(b"HTTP/1.0 200")
            writer.close()
            server.terminate()
            terminal = await connection.create_process("stty size; tty", term_type="vt100", term_size=(91, 33))
            assert (await terminal.stdout.read()).split()[:2] == ["33", "91"]
    asyncio.run(asyncio.wait_for(run(), 60))


def test_paramiko_exec_sftp_and_shell(ada, box):
    """paramiko: a command, a file by SFTP and a shell."""
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect("127.0.0.1", box.ssh_port, "ada", key_filename=str(ada.key), look_for_keys=False, allow_agent=False, timeout=20)
    try:
        stdin, stdout, stderr = client.exec_command("cat; echo err >&2; exit 9", timeout=20)
        stdin.write("paramiko")
        stdin.channel.shutdown_write()
        assert (stdout.read(), stderr.read(), stdout.channel.recv_exit_status()) == (b"paramiko", b"err\n", 9)
        data = os.urandom(3_000_000)
        with client.open_sftp() as sftp:
            sftp.putfo(io.BytesIO(data), "para.bin")
            back = io.BytesIO()
            sftp.getfo("para.bin", back)
            sftp.remove("para.bin")
        assert back.getvalue() == data
        shell = client.invoke_shell()
        shell.settimeout(20)
        shell.send(b"echo $((6*7))-ok; exit\n")
        seen = b""
        while b"42-ok" not in seen:
            seen += shell.recv(4096)
    finally:
        client.close()


def test_editor_pattern(ada):
    """VS Code's way: `ssh -T -D port box bash` with a script on stdin, then a second connection beside it."""
    local = free_ports()
    first = ada.popen("-T", "-D", str(local), "box", "bash")
    try:
        first.stdin.write(b"uname -s; echo listening; cat\n")
        first.stdin.flush()
        assert first.stdout.readline() == b"Linux\n" and first.stdout.readline() == b"listening\n"
        second = ada.popen("-T", "box", "bash")
        out, _ = second.communicate(b"echo second; exit 0\n", timeout=20)
        assert out == b"second\n" and second.returncode == 0
        first.stdin.write(b"still alive\n")
        first.stdin.flush()
        assert first.stdout.readline() == b"still alive\n"
    finally:
        first.kill()
        first.communicate()


def test_control_master(ada, box):
    """Commands that share one connection (ControlMaster) work, in parallel too."""
    control = ["-o", "ControlMaster=auto", "-o", f"ControlPath={box.dir}/cm", "-o", "ControlPersist=yes"]
    assert ada.ssh(*control, "box", "echo one").stdout == "one\n"
    processes = [ada.popen(*control, "box", f"echo {i}; exit {i}", stdin=subprocess.DEVNULL) for i in range(8)]
    answers = [(process.communicate(timeout=30)[0], process.returncode) for process in processes]
    assert answers == [(b"%d\n" % i, i) for i in range(8)]
    # One that closes its output and lives on: the client closes the channel too, and still waits for the exit status.
    assert ada.ssh(*control, "-n", "box", "exec >/dev/null 2>&1; sleep 1; exit 7", check=False).returncode == 7
    ada.ssh(*control, "-O", "exit", "box", check=False)


def test_fifty_sessions_at_once(ada, box):
    """Fifty people's sessions at once: each gets its own answers, and `berth session list` shows fifty."""
    processes = [ada.popen("box", "read -r word; echo $word; read -r word; echo again $word") for _ in range(50)]
    try:
        for i, process in enumerate(processes):
            process.stdin.write(b"word-%d\n" % i)
            process.stdin.flush()
        for i, process in enumerate(processes):
            assert process.stdout.readline() == b"word-%d\n" % i
        wait_until(lambda: len(box.sessions("ada")) >= 50, "session list shows them")
        for i, process in enumerate(processes):
            out, err = process.communicate(b"%d\n" % i, timeout=30)
            assert (out, err, process.returncode) == (b"again %d\n" % i, b"", 0)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    wait_until(lambda: box.sessions("ada") == [], "all sessions are closed in the store")
