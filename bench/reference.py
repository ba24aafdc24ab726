"""OpenSSH's own sshd as the measure: private, on loopback, same user key, one cipher for both sides."""

import os
import socket
import subprocess

from berthbox import free_ports, make_key, wait_until

CIPHER = "aes128-gcm@openssh.com"


class Sshd:
    def __init__(self, folder, user_key):
        self.port = free_ports()
        self.dir = folder / "sshd"
        self.dir.mkdir()
        make_key(self.dir / "host_key")
        (self.dir / "authorized_keys").write_text(open(f"{user_key}.pub").read())
        # A home of its own, empty: this machine's login files must not slow sshd down.
        (self.dir / "home").mkdir()
        (self.dir / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.dir}/host_key\nAuthorizedKeysFile {self.dir}/authorized_keys\n"
            "StrictModes no\nPermitRootLogin yes\nPidFile none\nUsePAM no\nMaxStartups 1000\nPasswordAuthentication no\n"
            "LogLevel ERROR\nPrintMotd no\nPrintLastLog no\n"
            f"SetEnv HOME={self.dir}/home\n")
        os.makedirs("/run/sshd", exist_ok=True)
        self.process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", self.dir / "sshd_config"], stderr=subprocess.DEVNULL)
        wait_until(self.listens, "sshd listens")

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def children(self):
        """Process ids of sshd's own processes for its connections (privileged and unprivileged halves)."""
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            for task in os.listdir(f"/proc/{pid}/task"):
                below = [int(child) for child in open(f"/proc/{pid}/task/{task}/children").read().split()]
                found += below
                todo += below
        return found

    def close(self):
        self.process.terminate()
        self.process.wait()
