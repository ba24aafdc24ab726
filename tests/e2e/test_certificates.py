"""Logging in with OpenSSH certificates: every kind of good one, and bad ones in every field."""

import base64
import contextlib
import socket
import struct
import subprocess
import time

import paramiko
import pytest
from paramiko.pkey import PublicBlob

from berthbox import Client, fingerprint, make_key, wait_until

CA_TYPES = [("ed25519",), ("ecdsa", "-b", "256"), ("ecdsa", "-b", "521"), ("rsa", "-b", "3072")]


def sign(ca, key, *options, identity="ada@laptop", principals="ada", validity="-5m:+1h", serial=7):
    """Certifies KEY.pub with ssh-keygen; answers the certificate's file."""
    command = ["ssh-keygen", "-q", "-s", ca, "-I", identity, "-z", str(serial), *options]
    if principals:
        command += ["-n", principals]
    if validity:
        command += ["-V", validity]
    subprocess.run([*command, f"{key}.pub"], check=True, capture_output=True)
    return key.with_name(key.name + "-cert.pub")


def blob_of(file):
    return base64.b64decode(file.read_text().split()[1])


def accepts(box, user, key, blob):
    """Does Berth let in whoever holds KEY with this certificate? (By paramiko, which sends whatever it is given.)"""
    private = paramiko.Ed25519Key.from_private_key_file(str(key))
    length = struct.unpack(">I", blob[:4])[0]
    private.public_blob = PublicBlob(blob[4:4 + length].decode(errors="replace"), blob)
    transport = paramiko.Transport(socket.create_connection(("127.0.0.1", box.ssh_port)))
    try:
        transport.start_client(timeout=30)
        transport.auth_publickey(user, private)
        return transport.is_authenticated()
    except (paramiko.SSHException, EOFError):
        return False
    finally:
        transport.close()


@pytest.fixture(scope="module")
def cas(box):
    """A trusted authority of each type, by name."""
    made = {}
    for number, kind in enumerate(CA_TYPES):
        name = f"ca{number}-{kind[0]}"
        made[name] = make_key(box.dir / name, *kind)
        box.berth("ca", "add", name, f"{made[name]}.pub")
    yield made
    for name in made:
        box.berth("ca", "remove", name, "--yes", check=False)


@pytest.fixture(scope="module")
def ca(cas):
    return cas["ca0-ed25519"]


@pytest.fixture
def key(tmp_path):
    return make_key(tmp_path / "id")


@contextlib.contextmanager
def authority(box, path, name, *options):
    """A trusted authority of its own, for as long as the block lasts."""
    made = make_key(path / name)
    box.berth("ca", "add", name, f"{made}.pub", *options)
    try:
        yield made
    finally:
        box.berth("ca", "remove", name, "--yes", check=False)


@pytest.mark.parametrize("number", range(len(CA_TYPES)))
@pytest.mark.parametrize("kind", [("ed25519",), ("ecdsa", "-b", "256"), ("ecdsa", "-b", "384"), ("ecdsa", "-b", "521"), ("rsa", "-b", "2048")],
                         ids=lambda kind: "".join(kind[::2]))
def test_good_ones(box, ada, cas, tmp_path, number, kind):
    """A key that Berth has never seen opens ada's workspace with a certificate: every type of key, by every type of authority."""
    signer = list(cas.values())[number]
    user_key = make_key(tmp_path / "id", *kind)
    sign(signer, user_key)
    client = Client(box, "ada", user_key)
    assert client.run("id -un") == "ada"
    (tmp_path / "id-cert.pub").unlink()
    assert client.ssh("box", "true", check=False).returncode == 255  # the key alone is nobody


def test_rows_name_the_certificate(box, ada, ca, key):
    """The session and the audit row carry authority, serial and key id."""
    sign(ca, key, identity="ada on tour", serial=2**64 - 2)
    client = Client(box, "ada", key)
    with client.popen("box", "echo ready; cat") as process:
        assert process.stdout.readline() == b"ready\n"
        mine = [session for session in box.sessions("ada") if session["certificate"]]
        assert {session["certificate"] for session in mine} == {f"ca0-ed25519 serial {2**64 - 2} id ada on tour"}
        assert {session["key_fingerprint"] for session in mine} == {fingerprint(key)}
        process.stdin.close()
    # Written just after the client is told.
    logins = wait_until(lambda: [row for row in box.items("audit", "tail", "--limit", "50") if row["action"] == "ssh.login" and fingerprint(key) in row["key_fingerprint"]],
                        "the login is in the audit trail")
    assert logins[-1]["outcome"] == "ok" and f"serial {2**64 - 2} id ada on tour" in logins[-1]["key_fingerprint"]


def fields_of(blob):
    """Offset and length of each field of an ed25519 certificate."""
    layout, at = [], 0
    for name in ("type", "nonce", "pk", "serial:8", "kind:4", "key_id", "principals", "valid_after:8", "valid_before:8", "critical", "extensions",
                 "reserved", "authority", "signature"):
        name, _, fixed = name.partition(":")
        if fixed:
            layout.append((name, at, int(fixed)))
            at += int(fixed)
        else:
            length = struct.unpack(">I", blob[at:at + 4])[0]
            layout.append((name, at + 4, length))
            at += 4 + length
    assert at == len(blob)
    return layout


def test_a_changed_byte_in_any_field(box, ada, ca, key):
    """Fourteen certificates with one bit changed, one in each field, and some cut or with a wrong length: none opens anything."""
    good = blob_of(sign(ca, key, "-O", "force-command=true"))
    assert accepts(box, "ada", key, good)
    bad = {}
    for name, at, length in fields_of(good):
        where = at + length // 2 if length else at - 1
        changed = bytearray(good)
        changed[where] ^= 1
        bad[name] = bytes(changed)
    bad["cut"] = good[:-10]
    bad["longer"] = good + b"\0\0\0\0"
    bad["only its type"] = good[:36]
    bad["no signature"] = good[: fields_of(good)[-1][1] - 4] + b"\0\0\0\0"
    assert {name for name, blob in bad.items() if accepts(box, "ada", key, blob)} == set()
    assert len(bad) == 18


BAD = {  # what ssh-keygen is told
    "another user's principal": {"principals": "eve"},
    "no principal": {"principals": ""},
    "principal in capitals": {"principals": "ADA"},
    "principal with more": {"principals": "ada2,ada@box,*"},
    "expired": {"validity": "-2h:-1h"},
    "not yet valid": {"validity": "+1h:+2h"},
    "a host certificate": {"options": ["-h"]},
    "from elsewhere": {"options": ["-O", "source-address=192.0.2.0/24"]},
    "unknown critical option": {"options": ["-O", "critical:door@example.com=1"]},
    "verify-required without hardware": {"options": ["-O", "verify-required"]},
}


@pytest.mark.parametrize("name", BAD)
def test_bad_ones(box, ada, ca, key, name):
    """Certificates with a right signature that must not open ada's workspace."""
    case = dict(BAD[name])
    options = case.pop("options", [])
    assert not accepts(box, "ada", key, blob_of(sign(ca, key, *options, **case)))


def test_bad_authorities(box, ada, cas, key, tmp_path):
    """Unknown authority, SHA-1, a user's own key as authority, a self-signed key: refused."""
    stranger = make_key(tmp_path / "stranger")
    assert not accepts(box, "ada", key, blob_of(sign(stranger, key)))
    assert not accepts(box, "ada", key, blob_of(sign(ada.key, key)))
    assert not accepts(box, "ada", key, blob_of(sign(key, key)))
    rsa = cas["ca3-rsa"]
    assert not accepts(box, "ada", key, blob_of(sign(rsa, key, "-t", "ssh-rsa")))
    assert accepts(box, "ada", key, blob_of(sign(rsa, key, "-t", "rsa-sha2-256")))


def test_bad_users(box, ada, ca, key, new_user):
    """Unknown, disabled and impossible users are refused with a certificate as with a key."""
    gone = new_user().user
    blob = blob_of(sign(ca, key, principals=f"nobody-here,root,{gone}"))
    assert accepts(box, gone, key, blob)
    box.berth("user", "disable", gone)
    assert not any(accepts(box, user, key, blob) for user in (gone, "nobody-here", "root"))
    refusals = wait_until(lambda: [row for row in box.items("audit", "tail", "--limit", "20") if row["action"] == "ssh.login" and "user is disabled" in row["outcome"]],
                          "the refusal is in the audit trail")
    assert "serial 7" in refusals[-1]["key_fingerprint"]


def test_keys_are_held_to_the_policy(box, ada, ca, tmp_path):
    """A certificate does not make a weak key strong."""
    weak = make_key(tmp_path / "weak", "rsa", "-b", "1024")
    sign(ca, weak)
    assert Client(box, "ada", weak).ssh("-o", "RequiredRSASize=1024", "box", "true", check=False).returncode == 255


def test_extensions_and_options_are_applied(box, ada, ca, key):
    """force-command, no pty, no forwards: as the certificate says."""
    client = Client(box, "ada", key)
    sign(ca, key, "-O", "clear", "-O", "force-command=echo forced: $SSH_ORIGINAL_COMMAND")
    assert client.run("something else") == "forced: something else"
    sign(ca, key, "-O", "clear")
    assert "PTY allocation request failed" in client.ssh("-tt", "box", "true", check=False).stderr
    done = client.ssh("-o", "LogLevel=INFO", "-W", "localhost:22", "box", check=False)
    assert done.returncode != 0 and "does not allow this forward" in done.stderr
    sign(ca, key, "-O", "clear", "-O", "permit-pty", "-O", "source-address=127.0.0.0/8,::1")
    assert client.ssh("-tt", "box", "tty", check=False).stdout.startswith("/dev/pts/")


def test_berths_own_commands(box, ada, ca, key):
    """A certificate cannot make something that outlives it."""
    sign(ca, key)
    client = Client(box, "ada", key)
    assert client.ssh("box", "berth", "help").stdout
    for words in (["key", "add"], ["cert"]):
        done = client.ssh("box", "berth", *words, check=False)
        assert done.returncode != 0 and "outlive" in done.stderr


def test_principals_of_an_authority(box, ada, key, tmp_path):
    """--principals maps what a certificate names to users."""
    with authority(box, tmp_path, "mapped", "--principals", "%u@corp.example,ops=ada") as signer:
        for principals, good in (("ada@corp.example", True), ("ops", True), ("ada", False), ("eve@corp.example", False)):
            assert accepts(box, "ada", key, blob_of(sign(signer, key, principals=principals))) is good, principals
    listed = box.berth("ca", "add", "bad", f"{key}.pub", "--principals", "ada", check=False)
    assert listed.returncode == 7 and "PRINCIPAL=USER" in listed.stderr


def revocation(box, tmp_path, key, revoke, **certificate):
    """Whether a certificate is good before and after `revoke(name, signer, certificate file)`."""
    with authority(box, tmp_path, "revoker") as signer:
        file = sign(signer, key, **certificate)
        other = make_key(tmp_path / "other")
        untouched = blob_of(sign(signer, other, identity="other", serial=1000))
        before = accepts(box, "ada", key, blob_of(file))
        revoke("revoker", signer, file)
        assert accepts(box, "ada", other, untouched)
        return before, accepts(box, "ada", key, blob_of(file))


def krl(tmp_path, signer, *lines):
    """A KRL by ssh-keygen."""
    spec, out = tmp_path / "spec", tmp_path / "krl"
    spec.write_text("\n".join(lines) + "\n")
    subprocess.run(["ssh-keygen", "-q", "-k", "-f", out, "-s", f"{signer}.pub", spec], check=True, capture_output=True)
    return out


REVOKE = {
    "a serial": lambda box, tmp, name, signer, file: box.berth("ca", "revoke", name, "--serial", "41"),
    "a range": lambda box, tmp, name, signer, file: box.berth("ca", "revoke", name, "--serial", "40-50"),
    "a key": lambda box, tmp, name, signer, file: box.berth("ca", "revoke", name, "--key", tmp / "id.pub"),
    "a certificate's key": lambda box, tmp, name, signer, file: box.berth("ca", "revoke", name, "--key", file),
    "KRL: serial": lambda box, tmp, name, signer, file: box.berth("ca", "revoke", name, "--krl", krl(tmp, signer, "serial: 41", "serial: 43", "serial: 45")),
    "KRL: range": lambda box, tmp, name, signer, file: box.berth("ca", "revoke", name, "--krl", krl(tmp, signer, "serial: 30-900")),
    "KRL: key id": lambda box, tmp, name, signer, file: box.berth("ca", "revoke", name, "--krl", krl(tmp, signer, "id: ada@laptop")),
    "KRL: SHA-1": lambda box, tmp, name, signer, file: box.berth("ca", "revoke", name, "--krl", krl(tmp, signer, "sha1: " + (tmp / "id.pub").read_text().strip())),
    "KRL: SHA-256": lambda box, tmp, name, signer, file: box.berth("ca", "revoke", name, "--krl", krl(tmp, signer, "sha256: " + (tmp / "id.pub").read_text().strip())),
    "KRL: key": lambda box, tmp, name, signer, file: box.berth("ca", "revoke", name, "--krl", krl(tmp, signer, "key: " + (tmp / "id.pub").read_text().strip())),
}


@pytest.mark.parametrize("what", REVOKE)
def test_revoked(box, ada, key, tmp_path, what):
    """By serial, key, and every kind of line in a KRL: refused from then on, others go on."""
    assert revocation(box, tmp_path, key, lambda *given: REVOKE[what](box, tmp_path, *given), serial=41) == (True, False)


def test_revocations_outlive_the_authority(box, ada, key, tmp_path):
    """Removing an authority and adding it again does not bring back what it had revoked."""
    signer = make_key(tmp_path / "again")
    box.berth("ca", "add", "again", f"{signer}.pub")
    blob = blob_of(sign(signer, key, serial=5))
    assert accepts(box, "ada", key, blob)
    box.berth("ca", "revoke", "again", "--serial", "5")
    box.berth("ca", "remove", "again", "--yes")
    assert not accepts(box, "ada", key, blob)
    box.berth("ca", "add", "again", f"{signer}.pub")
    assert not accepts(box, "ada", key, blob)
    box.berth("ca", "remove", "again", "--yes")


@pytest.mark.parametrize("end", ["revoke", "remove"])
def test_a_live_session_ends(box, ada, key, tmp_path, end):
    """Revoking a serial, or removing its authority, cuts a running session within a second, and says why."""
    with authority(box, tmp_path, f"live-{end}") as signer:
        sign(signer, key, serial=3)
        process = Client(box, "ada", key).popen("box", "echo ready; sleep 600")
        assert process.stdout.readline() == b"ready\n"
        began = time.monotonic()
        if end == "revoke":
            assert box.berth("ca", "revoke", f"live-{end}", "--serial", "3")["ended_sessions"] == 1
        else:
            assert box.berth("ca", "remove", f"live-{end}", "--yes")["ended_sessions"] == 1
        assert process.wait(timeout=20) == 255
        print(f"ended after {time.monotonic() - began:.2f} s")
        assert b"certificate is not accepted any more" in process.stderr.read()
        wait_until(lambda: not [s for s in box.sessions("ada") if s["key_fingerprint"] == fingerprint(key)], "its rows are closed")


def test_berths_own_authority(box, ada, key):
    """An admin certifies a key for some hours; users get certificates themselves only where the site says so."""
    issued = box.berth("ca", "issue", "ada", f"{key}.pub", "--lifetime", "1h")
    key.with_name("id-cert.pub").write_text(issued["certificate"] + "\n")
    shown = subprocess.run(["ssh-keygen", "-L", "-f", key.with_name("id-cert.pub")], check=True, capture_output=True, text=True).stdout
    assert f"Serial: {issued['serial']}" in shown and "permit-pty" in shown and "ada" in shown
    assert Client(box, "ada", key).run("echo in") == "in"
    assert [each for each in box.items("ca", "list") if each["name"] == "berth" and each["issues"]]
    done = ada.ssh("box", "berth cert", input=key.with_suffix(".pub").read_text(), check=False)
    assert done.returncode != 0 and "issues no certificates" in done.stderr
    box.berth("ca", "revoke", "berth", "--serial", issued["serial"])
    assert Client(box, "ada", key).ssh("box", "true", check=False).returncode == 255


def test_a_revoked_key_stays_out(box, ada, ca, new_user):
    """A key that was revoked as a user's key is not let in again by a certificate."""
    user = new_user()
    blob = blob_of(sign(ca, user.key, principals=user.user))
    assert accepts(box, user.user, user.key, blob)
    box.berth("key", "revoke", fingerprint(user.key))
    assert not accepts(box, user.user, user.key, blob)
