"""Many keys against few: the same berthd with 100,000 users and 300,000 keys, and with 10 users, in turns."""

import base64
import hashlib
import os
import signal
import socket
import sqlite3
import statistics
import struct
import subprocess
import time

import paramiko

from berthbox import Box, gone, wait_until
from reference import pss_kib

USERS, KEYS_PER_USER = 100_000, 3


def string(data):
    return struct.pack(">I", len(data)) + data


def fill(path, users, keys_per_user):
    """Users and keys straight into a store that nobody has open; random points do for keys that never log in."""
    now = int(time.time() * 1e6)
    store = sqlite3.connect(path)
    first = store.execute("SELECT coalesce(max(id), 0) + 1 FROM users").fetchone()[0]
    store.executemany("INSERT INTO users (id, name, role, created_at) VALUES (?, ?, 'user', ?)", ((first + i, f"user{i:06}", now) for i in range(users)))

    def keys():
        for i in range(users):
            for _ in range(keys_per_user):
                blob = string(b"ssh-ed25519") + string(os.urandom(32))
                print_ = "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
                yield first + i, "ssh-ed25519", blob, print_, "somebody@laptop", now, now + 10**14 + i
    store.executemany("INSERT INTO keys (user_id, type, blob, fingerprint, comment, added_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)", keys())
    store.commit()
    store.close()


class Side:
    def __init__(self, users):
        self.box = Box(engine="process", prefix="berth-keys.")
        self.users = users

    def __enter__(self):
        self.box.up()
        self.stop()
        fill(self.box.state / "data/berth.db", self.users, KEYS_PER_USER)
        self.started = statistics.median(self.start() for _ in range(5))
        return self

    def __exit__(self, *error):
        self.box.destroy()

    def stop(self):
        pid = self.box.pid("berthd")
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: gone(pid), "berthd ends", 60)

    def start(self):
        """Starts berthd again; answers the seconds until it takes connections."""
        if not gone(self.box.pid("berthd")):
            self.stop()
        began = time.perf_counter()
        with open(self.box.state / "log/berthd.log", "ab") as log:
            process = subprocess.Popen(["setpriv", "--reuid", "berth", "--regid", "berth", "--clear-groups", "--no-new-privs", self.box.state / "bin/berthd",
                                        "--config", self.box.state / "berth.toml"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        (self.box.state / "berthd.pid").write_text(f"{process.pid}\n")
        self.process = process
        while True:
            # Not by its TCP port: knocking again and again at a free port, a client may end up connected with itself.
            try:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(str(self.box.state / "admin.sock"))
                return time.perf_counter() - began
            except (ConnectionRefusedError, FileNotFoundError):
                assert process.poll() is None, self.box.logs()
                time.sleep(0.002)

    def authentication(self):
        """Milliseconds of the authentication alone: the question whether the key would do, the signature, the decision."""
        transport = paramiko.Transport(socket.create_connection(("127.0.0.1", self.box.ssh_port)))
        try:
            transport.start_client(timeout=20)
            key = paramiko.Ed25519Key.from_private_key_file(self.box.key)
            began = time.perf_counter()
            transport.auth_publickey("ada", key)
            return (time.perf_counter() - began) * 1000
        finally:
            transport.close()

    def memory(self):
        return pss_kib(self.box.pid("berthd")) / 1024


def measure(rounds):
    """(what, unit, many, few, budget) for each row."""
    with Side(10) as few, Side(USERS) as many:
        times = {few: [], many: []}
        for side in times:
            side.authentication()  # warm
        for _ in range(rounds):
            for side in times:
                times[side].append(side.authentication())
        yield "login (authentication), 300,000 keys", "ms", statistics.median(times[many]), statistics.median(times[few]), "<= 1.10"
        yield "memory of berthd (PSS), 300,000 keys", "MiB", many.memory(), few.memory(), ""
        yield "start of berthd, 300,000 keys", "ms", many.started * 1000, few.started * 1000, "< 2000 ms"
