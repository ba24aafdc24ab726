"""Who gets in, and what those who do not get in can tell."""

import json
import re
import socket
import statistics
import subprocess
import sys
import time

import paramiko
import pytest

from berthbox import Client, fingerprint, make_key, wait_until


@pytest.fixture(scope="module")
def stranger(box):
    """A key that nobody knows, and a user who is disabled but has a good key."""
    key = make_key(box.dir / "id_stranger")
    gone = box.add_user("gone")
    box.berth("user", "disable", "gone")
    return key, gone.key


def refused(box, login, key):
    """What a refused `ssh -v` prints, without the names and numbers of this one attempt."""
    done = Client(box, login, key).ssh("-o", "LogLevel=DEBUG1", "box", "true", check=False)
    assert done.returncode == 255 and done.stdout == ""
    said = [line for line in done.stderr.splitlines() if "Authentications" in line or "Permission" in line or "authenticat" in line]
    return [re.sub(r"^.*@127\.0\.0\.1", "", line).replace(str(key), "KEY") for line in said if str(box.dir) not in line or "Offering" in line]


def test_unknown_and_disabled_look_alike(box, ada, stranger):
    """Unknown user, unknown key and disabled user get the same words."""
    unknown, disabled_key = stranger
    cases = [refused(box, "nobody-here", unknown), refused(box, "ada", unknown), refused(box, "gone", disabled_key)]
    assert cases[0] == cases[1] == cases[2]
    assert any("Permission denied (publickey)" in line for line in cases[0])


def one_attempt(box, user, key):
    """Seconds from the authentication request to its refusal, without the key exchange."""
    transport = paramiko.Transport(socket.create_connection(("127.0.0.1", box.ssh_port)))
    try:
        transport.start_client(timeout=20)
        began = time.perf_counter()
        with pytest.raises(paramiko.AuthenticationException):
            transport.auth_publickey(user, key)
        return time.perf_counter() - began
    finally:
        transport.close()


def test_unknown_and_disabled_take_the_same_time(box, ada, stranger):
    """Unknown user, unknown key and disabled user are refused in the same time."""
    unknown, disabled_key = stranger
    kinds = {"user": ("nobody-here", unknown), "key": ("ada", unknown), "disabled": ("gone", disabled_key)}
    rounds = []
    for _ in range(3):  # a difference that is there shows in every round; one that the machine's load made does not
        times = {kind: [] for kind in kinds}
        for _ in range(21):
            for kind, (user, key) in kinds.items():
                times[kind].append(one_attempt(box, user, paramiko.Ed25519Key.from_private_key_file(key)))
        medians = {kind: statistics.median(values) for kind, values in times.items()}
        if max(medians.values()) - min(medians.values()) < max(0.004, 0.3 * max(medians.values())):
            return
        rounds.append(medians)
    pytest.fail(f"the medians differ in every round: {rounds}")


@pytest.mark.parametrize("login", ["root", "ada+", "+main", "ada+../x", "ADA", "a" * 200, "berth", "ada+root;id", "-oProxyCommand=x"])
def test_odd_names_are_refused(box, ada, login):
    """root, system names and malformed names are nobody, even with a good key."""
    transport = paramiko.Transport(socket.create_connection(("127.0.0.1", box.ssh_port)))
    try:
        transport.start_client(timeout=20)
        with pytest.raises(paramiko.AuthenticationException):
            transport.auth_publickey(login, paramiko.Ed25519Key.from_private_key_file(ada.key))
    finally:
        transport.close()


def test_passwords_are_not_offered(box, ada):
    """Only public keys are offered; a password attempt is refused."""
    transport = paramiko.Transport(socket.create_connection(("127.0.0.1", box.ssh_port)))
    try:
        transport.start_client(timeout=20)
        with pytest.raises(paramiko.BadAuthenticationType) as refusal:
            transport.auth_none("ada")
        assert refusal.value.allowed_types == ["publickey"]
        with pytest.raises(paramiko.AuthenticationException):
            transport.auth_password("ada", "secret", fallback=False)
    finally:
        transport.close()


def test_someone_elses_key(box, ada, new_user):
    """A key opens only its own user."""
    other = new_user()
    assert Client(box, "ada", other.key).ssh("box", "true", check=False).returncode == 255


def test_agent_with_many_keys(box, ada):
    """Whoever has a dozen keys still gets in with the right one."""
    options = [option for i in range(8) for option in ("-i", str(make_key(box.dir / f"id_wrong{i}")))]
    assert ada.ssh(*options, "box", "echo in").stdout == "in\n"


def test_guessing_is_cut_off(box, ada, stranger):
    """After some signed attempts with wrong keys the connection is closed."""
    key = paramiko.Ed25519Key.from_private_key_file(stranger[0])
    transport = paramiko.Transport(socket.create_connection(("127.0.0.1", box.ssh_port)))
    try:
        transport.start_client(timeout=20)
        for _ in range(12):
            if not transport.is_active():
                break
            with pytest.raises(paramiko.SSHException):
                transport.auth_publickey("ada", key)
        wait_until(lambda: not transport.is_active(), "the connection is closed")
    finally:
        transport.close()


def test_ssh_audit(box, ada):
    """ssh-audit finds nothing red."""
    tool = [sys.executable.replace("/python", "/ssh-audit"), "--json", "--skip-rate-test", "-p", str(box.ssh_port), "127.0.0.1"]
    done = subprocess.run(tool, capture_output=True, text=True, timeout=60)
    found = json.loads(done.stdout)
    red = [(kind, algorithm["algorithm"], algorithm["notes"]["fail"]) for kind in ("kex", "key", "enc", "mac")
           for algorithm in found[kind] if "fail" in algorithm.get("notes", {})]
    assert red == [] and done.returncode in (0, 2), done.stdout


def test_last_use_is_shown(box, ada):
    """`berth key list` shows when and from where a key was used last."""
    ada.run("true")  # other tests come from other addresses
    mine = [key for key in box.items("key", "list") if key["fingerprint"] == fingerprint(ada.key)]
    assert len(mine) == 1 and mine[0]["user"] == "ada" and mine[0]["state"] == "active"
    assert mine[0]["last_used_at"] and mine[0]["last_used_from"].startswith("127.0.0.1")
