"""`ssh box berth …`: the commands of `berth`, as the user who has logged in."""

import json
import os
import pty
import select
import subprocess

import pytest

from berthbox import fingerprint, wait_until

# What worked by SSH before there was one table, and must go on working with the same words.
WORDS = ["web", "whoami", "key list", "session list", "web-session list", "workspace list", "workspace start", "workspace start main", "help", ""]


def terminal(client, command, answers):
    """Runs a command with a terminal, types each answer when its question has been shown; answers (exit code, text)."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(client.argv("-tt", "box", command), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    text = b""
    while True:
        ready, _, _ = select.select([ours], [], [], 30)
        assert ready, f"nothing for 30 s after {text!r}"
        try:
            piece = os.read(ours, 4096)
        except OSError:
            break
        if not piece:
            break
        text += piece
        if answers and answers[0][0] in text:
            os.write(ours, answers.pop(0)[1])
    os.close(ours)
    return process.wait(30), text


@pytest.mark.parametrize("words", WORDS)
def test_the_same_words_as_ever(ada, words):
    done = ada.ssh("box", f"berth {words}".strip(), timeout=180)
    assert (done.stdout + done.stderr).strip(), "it says something"


def test_json_for_scripts(ada):
    mine = json.loads(ada.ssh("box", "berth --json key list").stdout)["items"]
    assert [key["fingerprint"] for key in mine] == [fingerprint(ada.key)]
    assert json.loads(ada.ssh("box", "berth --json whoami").stdout)["key"]["fingerprint"] == fingerprint(ada.key)


def test_exit_codes(ada):
    def code(words):
        return ada.ssh("box", f"berth {words}", check=False).returncode
    assert code("nonsense") == 2 and code("key list 'open") == 2 and code("backup /tmp/x") == 2
    assert code("session kill nothing") == 4 and code("approve ZZZZ-9999") == 4
    assert code("user list") == 6 and code("audit tail") == 6 and code("key list --everybody") == 6


def test_roles(box, new_user):
    """An auditor reads, an admin changes, at once and over the same connection settings; help shows what each may use."""
    someone = new_user()
    assert someone.ssh("box", "berth user list", check=False).returncode == 6
    assert "audit" not in someone.run("berth help")
    box.berth("user", "add", "otto", "--role", "auditor")
    box.berth("user", "add", "alice", "--role", "admin")
    try:
        for name in ("otto", "alice"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", box.dir / f"id_{name}"], check=True)
            box.berth("key", "add", name, box.dir / f"id_{name}.pub")
        otto, alice = box.client("otto", box.dir / "id_otto"), box.client("alice", box.dir / "id_alice")
        assert someone.user in otto.run("berth user list") and "audit" in otto.run("berth help")
        assert otto.ssh("box", "berth user add eve", check=False).returncode == 6
        assert "eve" in alice.run("berth user add eve")
        assert alice.ssh("box", "berth user remove eve", check=False).returncode == 2  # nobody to ask
        assert "removed eve" in alice.run("berth user remove eve --yes")
        rows = box.items("audit", "tail", "--limit", "50")
        assert any(row["actor"] == "alice" and row["action"] == "user.add" and row["source"].startswith("127.0.0.1")
                   and row["key_fingerprint"] == fingerprint(alice.key) for row in rows)
    finally:
        box.berth("user", "remove", "otto")
        box.berth("user", "remove", "alice")


def test_keys_come_by_standard_input(box, new_user):
    """A file is given on standard input, and no file of the server is ever read."""
    box.berth("user", "add", "ines", "--role", "admin")
    try:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", box.dir / "id_ines"], check=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", box.dir / "id_other"], check=True)
        box.berth("key", "add", "ines", box.dir / "id_ines.pub")
        ines, other = box.client("ines", box.dir / "id_ines"), new_user()
        line = (box.dir / "id_other.pub").read_text()
        assert other.user in ines.ssh("box", f"berth key add {other.user}", input=line).stdout
        assert fingerprint(box.dir / "id_other") in other.run("berth key list")
        refused = ines.ssh("box", f"berth key add {other.user} {box.dir}/id_other.pub", check=False)
        assert refused.returncode == 2 and "standard input" in refused.stderr
        assert ines.ssh("box", f"berth key add {other.user}", input="#" * (1024 * 1024 + 1), check=False).returncode == 7
    finally:
        box.berth("user", "remove", "ines")


def test_a_terminal_is_asked(box, new_user):
    """With a terminal what is lost is asked about, what is typed is shown, and lines end as a raw terminal needs them."""
    box.berth("user", "add", "jan", "--role", "admin")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", box.dir / "id_jan"], check=True)
    box.berth("key", "add", "jan", box.dir / "id_jan.pub")
    jan, victim = box.client("jan", box.dir / "id_jan"), new_user()
    try:
        code, text = terminal(jan, f"berth user remove {victim.user}", [(b"[y/N]", b"nn\x7f\r")])
        assert code == 1 and b"nothing was changed" in text and b"n\x08 \x08" in text
        assert text.replace(b"\r\n", b"").count(b"\n") == 0, "every line ends with CR LF"
        code, text = terminal(jan, f"berth user remove {victim.user}", [(b"[y/N]", b"\x03")])
        assert code == 130
        assert box.berth("user", "show", victim.user)["name"] == victim.user
        code, text = terminal(jan, f"berth user remove {victim.user}", [(b"[y/N]", b"y\r")])
        assert code == 0 and b"removed" in text
        box.berth("user", "add", victim.user)
    finally:
        box.berth("user", "remove", "jan")


def test_leaving_ends_the_command(box, ada):
    """A client that goes away at a question leaves nothing behind, and its place is free again."""
    for _ in range(6):  # more than one user may have at once
        process = ada.popen("-tt", "box", "berth workspace remove --with-home")
        wait_until(lambda: any(s["kind"] == "gateway" for s in box.sessions("ada")), "it asks")
        process.kill()
        process.communicate(timeout=20)
        wait_until(lambda: not any(s["kind"] == "gateway" for s in box.sessions("ada")), "it has ended")
    assert ada.run("berth whoami")


def test_one_user_cannot_take_every_place(box, ada, new_user):
    """Few commands of one user run at once; others go on."""
    other = new_user()
    waiting = [ada.popen("-tt", "box", "berth workspace remove --with-home") for _ in range(4)]
    try:
        wait_until(lambda: sum(s["kind"] == "gateway" for s in box.sessions("ada")) == 4, "four wait for an answer")
        refused = ada.ssh("box", "berth whoami", check=False)
        assert refused.returncode == 8 and "already" in refused.stderr
        assert other.user in other.run("berth whoami")
    finally:
        for process in waiting:
            process.kill()
            process.communicate(timeout=20)


def test_an_admin_ends_a_command(box, ada):
    """`berth session kill` ends a waiting command and says why."""
    process = ada.popen("-tt", "box", "berth workspace remove --with-home")
    session = wait_until(lambda: next((s for s in box.sessions("ada") if s["kind"] == "gateway"), None), "it is listed")
    assert session["detail"] == "berth workspace remove"
    box.berth("session", "kill", session["id"])
    out, err = process.communicate(timeout=20)
    assert process.returncode == 255 and b"admin-socket" in out + err
