"""Running one command: output, exit codes, stdin, environment, signals."""

import asyncio

import asyncssh
import pytest

from berthbox import wait_until


def connect(client):
    return asyncssh.connect("127.0.0.1", client.box.ssh_port, username=client.login, client_keys=[str(client.key)],
                            known_hosts=None, config=None)


def test_output_and_exit_code(ada):
    """`ssh box CMD` prints what CMD prints and exits as CMD does."""
    assert ada.run("echo hello; id -un") == "hello\nada"
    for code in (0, 1, 3, 42, 255):
        assert ada.ssh("box", f"exit {code}", check=False).returncode == code


def test_command_not_found(ada):
    """A command that does not exist says so on stderr and exits 127."""
    done = ada.ssh("box", "no-such-command-here", check=False)
    assert done.returncode == 127 and "not found" in done.stderr and done.stdout == ""


def test_stdout_and_stderr_apart(ada):
    """stdout and stderr arrive apart, each whole."""
    done = ada.ssh("box", "for i in $(seq 2000); do echo out $i; echo err $i >&2; done")
    assert done.stdout.splitlines() == [f"out {i}" for i in range(1, 2001)]
    assert done.stderr.splitlines() == [f"err {i}" for i in range(1, 2001)]


def test_stdin_to_eof(ada):
    """What is piped in reaches the command, and its end too."""
    assert ada.ssh("box", "wc -c; echo done", input="x" * 100_000).stdout.split() == ["100000", "done"]
    assert ada.ssh("box", "cat", input="").stdout == ""


def test_binary_safe(ada):
    """Every byte value comes back as it went."""
    data = bytes(range(256)) * 4096
    assert ada.ssh("box", "cat", input=data, text=False).stdout == data


def test_stdin_left_unread(ada):
    """A command that ends without reading its stdin still exits cleanly."""
    assert ada.ssh("box", "exit 5", input="y" * 1_000_000, check=False).returncode == 5


def test_script_on_stdin_without_command(ada):
    """`ssh -T box bash` with a script on stdin runs it (how editors begin)."""
    assert ada.ssh("-T", "box", "bash", input="echo one\ncd /tmp\npwd\nexit 9\n", check=False).stdout == "one\n/tmp\n"
    done = ada.ssh("-T", "box", input="echo shell\nexit 4\n", check=False)
    assert "shell" in done.stdout and done.returncode == 4


def test_output_after_client_half_close(ada):
    """Output that comes long after stdin's end still arrives (half-close)."""
    done = ada.ssh("box", "cat >/dev/null; read -t 0.3 x <> <(:); seq 50000", input="bye")
    assert done.stdout.splitlines() == [str(i) for i in range(1, 50001)]


def test_server_closes_stdout_and_reads_on(ada):
    """A command that closes its output can still take input: both directions end on their own."""
    async def run():
        async with connect(ada) as connection:
            process = await connection.create_process("exec >&- 2>&-; cat > half-close.txt; exit 3")
            assert await process.stdout.read() == ""  # EOF arrives while stdin is open
            process.stdin.write("after the end of stdout\n")
            process.stdin.write_eof()
            return (await process.wait()).exit_status
    assert asyncio.run(run()) == 3
    assert ada.run("cat half-close.txt") == "after the end of stdout"


def test_many_commands_on_one_connection(ada):
    """Twenty commands at once over one connection each get their own output and code."""
    async def run():
        async with connect(ada) as connection:
            results = await asyncio.gather(*(connection.run(f"echo {i}; exit {i}") for i in range(20)))
            return [(r.stdout.strip(), r.exit_status) for r in results]
    assert asyncio.run(run()) == [(str(i), i) for i in range(20)]


def test_exit_signal(ada):
    """A command killed by a signal is reported as such, with the signal's name."""
    async def run():
        async with connect(ada) as connection:
            return await connection.run("kill -KILL $$")
    result = asyncio.run(run())
    assert result.exit_status in (None, -1) and result.exit_signal[0] == "KILL"


def test_signal_from_client(ada):
    """A signal that the client sends reaches the command."""
    async def run():
        async with connect(ada) as connection:
            process = await connection.create_process("trap 'echo got TERM; exit 6' TERM; echo ready; while :; do sleep 0.1; done")
            assert await process.stdout.readline() == "ready\n"
            process.send_signal("TERM")
            result = await process.wait()
            return result.stdout, result.exit_status
    assert asyncio.run(run()) == ("got TERM\n", 6)


def test_environment_allow_list(ada):
    """LANG and LC_* pass; anything else that could change programs does not."""
    done = ada.ssh("-o", "SetEnv=LC_BERTH=hello LANG=C.UTF-8 LD_PRELOAD=/tmp/evil.so BASH_ENV=/tmp/x PATH=/nowhere FOO=bar",
                   "box", "echo $LC_BERTH; echo $LANG; echo [$LD_PRELOAD][$BASH_ENV][$FOO]; ls / >/dev/null && echo path-ok")
    assert done.stdout.split() == ["hello", "C.UTF-8", "[][][]", "path-ok"]


def test_login_environment(ada):
    """The command runs as the user, in their home, with USER, HOME and SHELL set."""
    user, home, where, shell = ada.run('echo $USER; echo $HOME; pwd; echo $SHELL').splitlines()
    assert (user, home, where) == ("ada", home, home) and home.endswith("/ada") and shell.startswith("/")


def test_long_command_line(ada):
    """A command line of 50 KB arrives whole; one of 100 KB is refused with the reason."""
    assert ada.run(f"echo {'z' * 50_000} | wc -c") == "50001"
    refused = ada.ssh("box", f"echo {'z' * 100_000} | wc -c", check=False)
    assert refused.returncode != 0 and "64 KiB" in refused.stderr


def test_client_gone_ends_the_command(ada):
    """When the client dies, its command gets a hang-up instead of running on for ever."""
    process = ada.popen("-tt", "box", "echo up; exec sleep 98765")
    assert process.stdout.readline().strip() == b"up"
    process.kill()
    process.wait()
    wait_until(lambda: ada.ssh("box", "pgrep -f '[s]leep 98765'", check=False).returncode == 1, "the remote sleep ends")


@pytest.mark.parametrize("kind,extra", [("ed25519", ()), ("ecdsa", ("-b", "256")), ("ecdsa", ("-b", "521")), ("rsa", ("-b", "3072"))])
def test_key_types(new_user, kind, extra):
    """ed25519, ECDSA and RSA (SHA-2) keys log in."""
    client = new_user(kind, *extra)
    # Served by the gateway itself: no container is made for this user.
    assert client.ssh("box", "berth help").returncode == 0


def test_rsa_sha1_is_refused(new_user):
    """An RSA key with the old SHA-1 signature is refused."""
    client = new_user("rsa", "-b", "3072")
    done = client.ssh("-o", "PubkeyAcceptedAlgorithms=ssh-rsa", "box", "berth help", check=False)
    assert done.returncode == 255
