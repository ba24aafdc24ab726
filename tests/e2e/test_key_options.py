"""Options of authorized_keys: imported for a team, shown, and enforced under the real client."""

import contextlib
import json
import socket
import subprocess

import pytest

from berthbox import Client, fingerprint, make_key, wait_until


@pytest.fixture
def restricted(box, new_user, tmp_path):
    """restricted('no-pty') answers a client whose only key has these options."""
    number = iter(range(100))

    def make(options, user=None):
        client = user or new_user()
        key = make_key(tmp_path / f"id{next(number)}")
        file = tmp_path / "authorized_keys"
        file.write_text(f"{options} {key.with_suffix('.pub').read_text()}")
        box.berth("key", "import", "--user", client.user, "--authorized-keys", file)
        return Client(box, client.user, key)

    return make


def test_a_file_of_authorized_keys(box, new_user, tmp_path):
    """Every line gets an answer: added, already there, or refused with file and line."""
    user = new_user()
    keys = [make_key(tmp_path / f"k{i}") for i in range(3)]
    publics = [key.with_suffix(".pub").read_text() for key in keys]
    file = tmp_path / "authorized_keys"
    file.write_text(f"# the team\n\n{publics[0]}restrict,pty,command=\"echo \\\"hi\\\"\" {publics[1]}cert-authority {publics[2]}no-such-option {publics[2]}"
                    f"{publics[0]}from=\"*.example.com\" {publics[2]}ssh-dss AAAA old\n")
    dry = box.berth("key", "import", "--user", user.user, "--authorized-keys", file, "--dry-run", check=False)
    assert dry.returncode == 1 and len(box.items("key", "list", user.user)) == 1
    done = box.berth("key", "import", "--user", user.user, "--authorized-keys", file, check=False)
    report = json.loads(done.stdout)["items"]
    assert [(row["line"], row["result"]) for row in report] == [(3, "added"), (4, "added"), (5, "refused"), (6, "refused"), (7, "present"), (8, "refused"), (9, "refused")]
    assert "berth ca add" in report[2]["message"] and "no-such-option" in report[3]["message"] and "*.example.com" in report[5]["message"]
    assert done.returncode == 1  # not all lines could be taken
    said = [(row["line"], row["result"]) for row in json.loads(dry.stdout)["items"]]
    assert said == [(row["line"], "added" if row["line"] == 7 else row["result"]) for row in report]  # nothing was added that line 7 could repeat
    shown = {key["fingerprint"]: key["options"] for key in box.items("key", "list", user.user)}
    assert shown[fingerprint(keys[0])] == ""
    assert shown[fingerprint(keys[1])] == 'command="echo \\"hi\\"",no-agent-forwarding,no-port-forwarding,no-X11-forwarding'


def test_a_team_at_once(box, tmp_path):
    """Lines of NAME and key, and JSON as GitHub's API gives it, fill several users; --add-users makes those that are missing."""
    keys = {name: make_key(tmp_path / name) for name in ("tina", "tom", "tess")}
    lines = tmp_path / "team"
    lines.write_text("".join(f"{name} {keys[name].with_suffix('.pub').read_text()}" for name in ("tina", "tom")))
    assert box.berth("key", "import", "--github-format", lines, check=False).returncode == 1  # no such users
    box.berth("key", "import", "--github-format", lines, "--add-users")
    as_json = tmp_path / "team.json"
    as_json.write_text(json.dumps([{"login": "tess", "keys": [{"id": 1, "key": keys["tess"].with_suffix(".pub").read_text().strip()}]}]))
    report = box.items("key", "import", "--github-format", as_json, "--add-users")
    assert [(row["user"], row["result"]) for row in report] == [("tess", "added")]
    for name, key in keys.items():
        assert Client(box, name, key).ssh("box", "berth", "help").stdout
        box.berth("user", "remove", name)


def test_command(box, restricted):
    """command= replaces whatever is asked for, which it finds in SSH_ORIGINAL_COMMAND."""
    client = restricted('command="echo forced [$SSH_ORIGINAL_COMMAND]"')
    assert client.run("rm -rf /") == "forced [rm -rf /]"
    assert client.ssh("box", input="").stdout == "forced []\n"
    assert client.run("berth web") == "forced [berth web]"
    done = client.ssh("-s", "box", "sftp", check=False)
    assert done.stdout == "forced [sftp]\n"


def test_from(box, restricted):
    """from= is asked before anything else is."""
    assert restricted('from="127.0.0.0/8"').run("echo in") == "in"
    for elsewhere in ('from="192.0.2.0/24"', 'from="127.0.0.0/8,!127.0.0.1"', 'from="10.*"'):
        assert restricted(elsewhere).ssh("box", "true", check=False).returncode == 255


def test_terminal(box, restricted):
    """no-pty: no terminal; restrict,pty: nothing but one."""
    assert "PTY allocation request failed" in restricted("no-pty").ssh("-tt", "box", "true", check=False).stderr
    client = restricted("restrict,pty")
    assert client.ssh("-tt", "box", "tty", check=False).stdout.startswith("/dev/pts/")
    assert "does not allow this forward" in client.ssh("-o", "LogLevel=INFO", "-W", "localhost:80", "box", check=False).stderr


def serve_in(client, port):
    """Something that answers in the client's workspace."""
    return client.popen("box", f"python3 -c \"import socket as s; l = s.create_server(('localhost', {port})); print('up', flush=True)\n"
                               f"while True: l.accept()[0].sendall(b'hello')\"")


def expect_refused(box, client, *forwards):
    """The audit trail says that this user was not allowed these forwards, and why. (It is written just after the client is told.)"""
    wait_until(lambda: set(forwards) <= refused_forwards(box, client), f"{forwards} are in the audit trail")


def refused_forwards(box, client):
    rows = box.items("audit", "tail", "--user", client.user, "--action", "ssh.forward", "--limit", "100")
    assert all(row["key_fingerprint"] == fingerprint(client.key) and row["outcome"] == "the key or certificate does not allow it" for row in rows)
    return {row["object"].removeprefix(client.user + " ") for row in rows}


@contextlib.contextmanager
def listening(client, *options, path):
    """`ssh -N` that listens on a socket of this machine."""
    process = client.popen("-N", "-o", "LogLevel=INFO", *options, "box", stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: path.exists() or process.poll() is not None, "ssh listens")
        assert process.poll() is None, process.stderr.read()
        yield process
    finally:
        process.kill()
        process.communicate()


def test_permitopen(box, restricted, new_user):
    """permitopen= lets through what it names and nothing else."""
    user = new_user()
    client = restricted('permitopen="localhost:7777"', user)
    server = serve_in(user, 7777)
    try:
        assert server.stdout.readline() == b"up\n"
        assert client.ssh("-o", "LogLevel=INFO", "-W", "localhost:7777", "box", input="").stdout == "hello"
        for target in ("127.0.0.1:7777", "localhost:7778"):
            assert "does not allow this forward" in client.ssh("-o", "LogLevel=INFO", "-W", target, "box", check=False).stderr
    finally:
        server.kill()
    expect_refused(box, client, "to 127.0.0.1:7777", "to localhost:7778")


def test_unix_sockets_are_refused_at_once(box, restricted):
    """permitopen= and no-port-forwarding: a client that asks for a socket's path is told no, and does not wait."""
    for options in ('permitopen="localhost:7777"', "no-port-forwarding"):
        client = restricted(options)
        path = box.dir / f"local-{client.user}.sock"
        with listening(client, "-L", f"{path}:/run/inside.sock", path=path) as process, socket.socket(socket.AF_UNIX) as local:
            local.settimeout(60)
            local.connect(str(path))
            assert local.recv(64) == b""  # the client closes it when the channel was refused
            process.terminate()
            assert "does not allow this forward" in process.communicate()[1].decode()
        expect_refused(box, client, "to /run/inside.sock")


def test_permitlisten(box, restricted):
    """permitlisten= is for -R what permitopen= is for -L."""
    client = restricted('permitlisten="localhost:9000"')
    options = ["-o", "ExitOnForwardFailure=yes"]
    assert client.ssh(*options, "-R", "localhost:9000:localhost:1", "box", "echo ok").stdout == "ok\n"
    for listen in ("9001:localhost:1", "localhost:0:localhost:1", "/tmp/r.sock:localhost:1"):
        assert client.ssh(*options, "-R", listen, "box", "true", check=False).returncode == 255
    assert restricted("no-port-forwarding").ssh(*options, "-R", "9000:localhost:1", "box", "true", check=False).returncode == 255
    expect_refused(box, client, "on localhost:9001", "on localhost:0", "on /tmp/r.sock")


def test_forwards_of_a_user(box, new_user):
    """What an administrator says of one user's forwards replaces the site's settings, as a Match User block of sshd does, for the next forward of open connections too."""
    user = new_user()
    server = serve_in(user, 7790)
    control = ["-o", f"ControlPath={box.dir}/forwards.control"]
    master = user.popen("-N", "-o", "ControlMaster=yes", *control, "box", stdin=subprocess.DEVNULL)

    def reaches(target):
        done = user.ssh(*control, "-W", target, "box", input="", check=False)
        return done.stdout == "hello"

    def listens(port):
        return user.ssh("-o", "ExitOnForwardFailure=yes", "-R", f"{port}:localhost:1", "box", "true", check=False).returncode == 0
    try:
        assert server.stdout.readline() == b"up\n"
        wait_until(lambda: user.ssh(*control, "-O", "check", "box", check=False).returncode == 0, "the connection is up", 60)
        assert reaches("localhost:7790") and reaches("127.0.0.1:7790") and listens(7791)
        shown = box.berth("user", "forwards", user.user, "--kinds", "local", "--permit-open", "localhost:7790")
        assert shown["forwards"] == {"kinds": ["local"], "permit_open": ["localhost:7790"]}
        assert reaches("localhost:7790") and not reaches("127.0.0.1:7790") and not listens(7791)
        assert "You are not allowed this forward" in user.ssh("-o", "LogLevel=INFO", "-W", "localhost:1", "box", check=False).stderr
        box.berth("user", "forwards", user.user, "--permit-open", "none", "--permit-listen", "7791")
        assert not reaches("localhost:7790") and listens(7791) and not listens(7792)
        assert box.berth("user", "forwards", user.user, "--default")["forwards"] is None
        assert reaches("127.0.0.1:7790") and listens(7792)
    finally:
        for process in (master, server):
            process.kill()
            process.communicate()
    wait_until(lambda: {row["outcome"] for row in box.items("audit", "tail", "--user", user.user, "--action", "ssh.forward", "--limit", "100")} ==
               {"the user's forwards do not allow it"}, "the refusals are in the audit trail")
    assert len(box.items("audit", "tail", "--action", "user.forwards", "--limit", "3")) == 3
    assert box.berth("user", "forwards", user.user, "--kinds", "telnet", check=False).returncode != 0


def test_environment_and_expiry(box, restricted):
    """environment= is set; expiry-time= is the key's expiry."""
    client = restricted('environment="TEAM=red team",expiry-time="20991231Z"')
    assert client.run("echo $TEAM") == "red team"
    key = [key for key in box.items("key", "list", client.user) if key["fingerprint"] == fingerprint(client.key)][0]
    assert key["expires_at"].startswith("2099-12-31T00:00:00") and key["options"] == 'environment="TEAM=red team"'


@pytest.mark.parametrize("options", ["no-pty", "restrict", 'permitopen="a:1"'])
def test_no_way_around(box, restricted, options):
    """A restricted key cannot log a browser in, or add a key without restrictions."""
    client = restricted(options)
    for command in ("berth web", "berth approve BDGH-2345", "berth key add", "berth cert"):
        done = client.ssh("box", command, check=False)
        assert done.returncode != 0 and "restricted" in done.stderr, command
    assert client.ssh("box", "berth whoami").stdout
