"""A Box whose berthd takes the time from a file (libfaketime), so that a test can move its clock by days."""

import os
import pathlib
import signal
import subprocess

from berthbox import Box, gone, wait_until

LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


class ClockedBox(Box):
    def __init__(self, settings=""):
        """`settings`: lines that stand in berth.toml besides."""
        super().__init__(engine="process", prefix="berth-clock.")
        self.offset, self.settings = 0, settings
        self.clock = self.dir / "clock"
        self.clock.write_text("+0\n")

    def up(self, *extra, **kw):
        super().up(*extra, **kw)
        with open(self.state / "berth.toml", "a", encoding="utf-8") as file:
            file.write(self.settings)
        self.restart()

    def move(self, days):
        """Moves the clock of berthd, and of nothing else, ahead."""
        self.offset += days * 86400
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(f"+{self.offset}\n")
        fresh.rename(self.clock)

    def restart(self, kill=signal.SIGTERM):
        """Stops berthd and starts it again, on the moved clock."""
        pid = self.pid("berthd")
        os.kill(pid, kill)
        wait_until(lambda: gone(pid), "berthd ends", 60)
        assert pathlib.Path(LIBRARY).exists(), "scripts/setup installs faketime"
        faked = [f"LD_PRELOAD={LIBRARY}", f"FAKETIME_TIMESTAMP_FILE={self.clock}", "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"]
        with open(self.state / "log/berthd.log", "ab") as log:
            process = subprocess.Popen(
                ["setpriv", "--reuid", "berth", "--regid", "berth", "--clear-groups", "--no-new-privs", "env", *faked,
                 self.state / "bin/berthd", "--config", self.state / "berth.toml"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        (self.state / "berthd.pid").write_text(f"{process.pid}\n")

        def ready():
            assert process.poll() is None, self.logs()
            return self.berth("status", check=False).returncode == 0
        wait_until(ready, "berthd serves again", 60)
