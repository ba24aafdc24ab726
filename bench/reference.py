"""OpenSSH's own sshd as the measure: private, on loopback, same user key, one cipher for both sides."""

import os
import re
import socket
import subprocess
import time

from berthbox import free_ports, make_key, wait_until

CIPHER = "aes128-gcm@openssh.com"
CPUCLOCK_SCHED = 2  # clock_getcpuclockid(3), which Python does not have: what it answers for a process of this number


def cpu_seconds(pid, with_dead_children=False):
    """User and system time of a process, to the nanosecond; of the children that it has waited for too, if asked, to the 10 ms of /proc."""
    total = time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED)
    if with_dead_children:
        fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        total += sum(map(int, fields[13:15])) / os.sysconf("SC_CLK_TCK")
    return total


def pss_kib(pid):
    try:
        return int(re.search(r"^Pss:\s+(\d+)", open(f"/proc/{pid}/smaps_rollup").read(), re.M).group(1))
    except (OSError, AttributeError):
        return 0


def below(pid):
    """All descendants of a process."""
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                children = [int(child) for child in open(f"/proc/{pid}/task/{task}/children").read().split()]
                found += children
                todo += children
        except OSError:
            continue
    return found


def cpu_of_sshd(pid):
    """Of sshd with its processes for connections, those that have ended too. What has run in a session counts only after its end, so measure
    where no command runs."""
    total = cpu_seconds(pid, True)
    for child in below(pid):
        try:
            if open(f"/proc/{child}/comm").read().strip().startswith("sshd"):
                total += cpu_seconds(child, True)
        except OSError:
            continue
    return total


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
            "LogLevel ERROR\nPrintMotd no\nPrintLastLog no\nSubsystem sftp /usr/lib/openssh/sftp-server\n"
            f"SetEnv HOME={self.dir}/home\n")
        os.makedirs("/run/sshd", exist_ok=True)
        self.process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", self.dir / "sshd_config"], stderr=subprocess.DEVNULL)
        wait_until(self.listens, "sshd listens")

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def children(self):
        """Process ids of sshd's own processes for its connections (privileged and unprivileged halves)."""
        return below(self.process.pid)

    def close(self):
        self.process.terminate()
        self.process.wait()
