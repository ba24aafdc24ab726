"""Rotating the host keys under real clients: nobody ever sees a warning."""

import json
import ssl
import subprocess
import urllib.request

import pytest

from berthbox import wait_until

SAFE = ["-o", "StrictHostKeyChecking=yes", "-o", "UpdateHostKeys=yes", "-o", "LogLevel=INFO"]


def keys(box):
    return box.items("hostkey", "list")


def lines(known):
    return sorted(" ".join(line.split()[1:3]) for line in known.read_text().splitlines())


def publics(box):
    return sorted(key["public_key"] for key in keys(box))


@pytest.fixture(autouse=True)
def forget(box):
    """The other tests' clients, which do not learn keys by themselves, meet this server as if for the first time."""
    yield
    (box.dir / "known_hosts").unlink(missing_ok=True)


@pytest.fixture
def known(box, tmp_path):
    """A known_hosts as an admin would hand it out."""
    path = tmp_path / "known_hosts"
    text = box.berth("hostkey", "export", "--known-hosts")["known_hosts"]
    path.write_text(text.replace("localhost", "127.0.0.1"))
    return path


def echo(ada, known, word):
    done = ada.ssh(*SAFE, "-o", f"UserKnownHostsFile={known}", "-o", "HashKnownHosts=no", "box", f"echo {word}")
    assert done.stdout == word + "\n"
    return done.stderr


def test_a_rotation_without_a_warning(box, ada, known):
    """Before, during and after a rotation the client trusts the server, and ends up knowing only the new key."""
    echo(ada, known, "before")
    old = next(key for key in keys(box) if key["type"] == "ed25519")
    live = ada.popen(*SAFE, "-o", f"UserKnownHostsFile={known}", "box", "cat")
    live.stdin.write(b"here\n")
    live.stdin.flush()
    assert live.stdout.readline() == b"here\n"  # logged in before the rotation
    new = box.berth("hostkey", "rotate", "ed25519", "--overlap", "1d")
    assert new["state"] == "next" and len(keys(box)) == 3
    assert box.berth("hostkey", "rotate", "ed25519", check=False).returncode == 5
    echo(ada, known, "during")
    assert lines(known) == publics(box)  # the client has learned it, with a proof

    box.berth("hostkey", "retire", old["fingerprint"], "--yes")
    assert [key["fingerprint"] for key in keys(box) if key["type"] == "ed25519"] == [new["fingerprint"]]
    said = echo(ada, known, "after")
    assert "WARNING" not in said and "changed" not in said
    assert lines(known) == publics(box)  # and has forgotten the old one
    assert live.communicate(b"still here")[0] == b"still here"  # no connection was dropped


def test_an_overlap_ends_by_itself(box, ada, known):
    """At the end of the overlap the new key takes over without anybody's doing."""
    new = box.berth("hostkey", "rotate", "rsa", "--overlap", "4s")
    echo(ada, known, "during")
    wait_until(lambda: [key["fingerprint"] for key in keys(box) if key["type"] == "rsa"] == [new["fingerprint"]], "the old key is gone")
    done = ada.ssh(*SAFE, "-o", f"UserKnownHostsFile={known}", "-o", "HostKeyAlgorithms=rsa-sha2-256", "box", "echo after")
    assert done.stdout == "after\n"


def test_who_has_not_learned_it_is_warned(box, ada, known):
    """Without an overlap a client that knows the old key refuses: that is what the overlap is for."""
    box.berth("hostkey", "rotate", "ed25519", "--overlap", "0s")
    done = ada.ssh(*SAFE, "-o", f"UserKnownHostsFile={known}", "-o", "HostKeyAlgorithms=ssh-ed25519", "box", "true", check=False)
    assert done.returncode == 255 and "REMOTE HOST IDENTIFICATION HAS CHANGED" in done.stderr


def test_an_ecdsa_key_when_asked_for(box, ada, known):
    """ECDSA is offered only after the admin asked for it, and can be given up again."""
    assert {key["type"] for key in keys(box)} == {"ed25519", "rsa"}
    made = box.berth("hostkey", "rotate", "ecdsa")
    assert made["state"] == "active"
    echo(ada, known, "learn")
    done = ada.ssh(*SAFE, "-o", f"UserKnownHostsFile={known}", "-o", "HostKeyAlgorithms=ecdsa-sha2-nistp256", "box", "echo ecdsa")
    assert done.stdout == "ecdsa\n"
    box.berth("hostkey", "retire", made["fingerprint"], "--yes")
    assert {key["type"] for key in keys(box)} == {"ed25519", "rsa"}
    for key in keys(box):
        assert box.berth("hostkey", "retire", key["fingerprint"], "--yes", check=False).returncode == 5


def test_the_portal_hands_them_out(box, ada, tmp_path):
    """Anyone reads the host keys over HTTPS; SSHFP records are those of ssh-keygen -r."""
    context = ssl._create_unverified_context()
    with urllib.request.urlopen(f"https://127.0.0.1:{box.web_port}/api/v1/host-keys", context=context) as answer:
        shown = json.load(answer)
    assert [key["fingerprint"] for key in shown["items"]] == [key["fingerprint"] for key in keys(box)]
    assert "PRIVATE" not in json.dumps(shown)
    scanned = subprocess.run(["ssh-keyscan", "-p", str(box.ssh_port), "127.0.0.1"], capture_output=True, text=True).stdout
    assert sorted(" ".join(line.split()[1:3]) for line in scanned.splitlines() if not line.startswith("#")) == publics(box)
    records = set()
    for number, key in enumerate(keys(box)):
        file = tmp_path / f"{number}.pub"
        file.write_text(key["public_key"] + "\n")
        made = subprocess.run(["ssh-keygen", "-r", "localhost", "-f", file], check=True, capture_output=True, text=True).stdout
        records |= {line for line in made.splitlines() if line.split()[4] == "2"}
    assert set(box.berth("hostkey", "export", "--sshfp")["sshfp"].splitlines()) == records
