"""The admin's tools: backups, checked configuration, exit codes."""

import sqlite3
import subprocess
import threading

import pytest

from berthbox import ROOT, fingerprint


def test_backup_while_running(box, ada, new_user):
    """`berth backup FILE` during use gives an SQLite file that opens, is whole, and holds what was acknowledged before."""
    stop = threading.Event()

    def use():
        while not stop.is_set():
            ada.ssh("box", "echo busy", check=False)

    threads = [threading.Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        client = new_user()
        with box.backup() as copy:
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert copy.execute("PRAGMA foreign_key_check").fetchall() == []
            dump = "\n".join(copy.iterdump())
        assert f"'{client.user}'" in dump and fingerprint(client.key).split(":")[1][:20] in dump
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_backup_is_not_overwritten(box):
    """A backup onto a file that exists is refused, or replaces it whole; never half."""
    path = box.dir / "twice.db"
    box.berth("backup", path)
    again = box.berth("backup", path, check=False)
    assert again.returncode != 0 and "exist" in again.stderr or sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_private_keys_are_not_in_the_store_in_clear_words(box, ada):
    """The backup holds hashes of web logins, never a private key of a user."""
    private = ada.key.read_text().splitlines()[3]  # the first lines are the same in every OpenSSH key
    with box.backup("private.db") as copy:
        assert private not in "\n".join(copy.iterdump())


def test_errors_are_sentences_with_exit_codes(box):
    """`berth` says what is wrong in a sentence and exits non-zero; scripts get JSON."""
    for arguments in (("user", "show", "nobody-here"), ("user", "add", "Bad Name"), ("user", "add", "root"), ("key", "add", "ada", "/etc/hostname"),
                      ("key", "revoke", "SHA256:none"), ("session", "kill", "999999999"), ("workspace", "stop", "nobody-here/main")):
        done = box.berth(*arguments, check=False)
        assert done.returncode != 0, arguments
        assert len((done.stderr + done.stdout).strip()) > 10 and "terminate" not in done.stderr, arguments


def test_table_and_json(box):
    """A person gets a table, a script JSON."""
    users = box.items("user", "list")
    assert any(user["name"] == "ada" for user in users)
    status = box.berth("status")
    assert status["users"] >= 1 and status["version"] and f":{box.ssh_port}" in status["ssh_address"]
    plain = subprocess.run(["script", "-qec", f"{box.bin}/berth --admin-socket {box.state}/admin.sock user list", "/dev/null"],
                           capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    assert "ada" in plain and not plain.lstrip().startswith("{")


def test_completion_script(box):
    """The shell completion is valid bash."""
    done = subprocess.run([box.bin / "berth", "completion", "bash"], capture_output=True, text=True)
    assert done.returncode == 0 and "complete " in done.stdout
    assert subprocess.run(["bash", "-n"], input=done.stdout, text=True).returncode == 0


def check_config(box, path, text):
    path.write_text(text)
    return subprocess.run([box.bin / "berthd", "--check-config", "--config", path], capture_output=True, text=True, timeout=20)


BAD_CONFIG = {
    "unknown key": ("[ssh]\nlistne = [\"127.0.0.1:2222\"]\n", ["2", "listne", "listen"]),
    "wrong type": ("[ssh]\nlisten = 2222\n", ["2", "listen"]),
    "bad address": ("[ssh]\nlisten = [\"not an address\"]\n", ["2"]),
    "not TOML": ("[ssh\nlisten = \n", ["1"]),
    "unknown table": ("[shs]\nlisten = []\n", ["1", "shs", "ssh"]),
    "out of range": ("[ssh]\nmax_auth_tries = -5\n", ["2", "max_auth_tries"]),
    "binary": ("\x00\x01\x02\xff", ["1"]),
}


@pytest.mark.parametrize("name", BAD_CONFIG)
def test_bad_configuration(box, tmp_path, name):
    """A wrong configuration is refused with file, line, and what was probably meant."""
    text, words = BAD_CONFIG[name]
    done = check_config(box, tmp_path / "bad.toml", text)
    said = done.stderr + done.stdout
    assert done.returncode != 0 and "bad.toml:" in said
    for word in words:
        assert word in said.replace(str(tmp_path), ""), said


def test_missing_configuration(box, tmp_path):
    """A configuration file that is not there is named."""
    done = subprocess.run([box.bin / "berthd", "--check-config", "--config", tmp_path / "none.toml"], capture_output=True, text=True)
    assert done.returncode != 0 and "none.toml" in done.stderr


def test_example_configuration_is_right(box):
    """config/berth.example.toml and the running instance's own files pass the check."""
    for path in (ROOT / "config/berth.example.toml", box.state / "berth.toml"):
        done = subprocess.run([box.bin / "berthd", "--check-config", "--config", path], capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, done.stderr


def test_audit_chain(box, ada):
    """What admins and users did is in the audit, and its chain of hashes verifies."""
    assert box.berth("audit", "verify")["ok"] is True
    actions = {row["action"] for row in box.items("audit", "tail", "--limit", "500")}
    assert any("user" in action for action in actions) and any("key" in action for action in actions), actions
    assert "ssh.login" in actions
