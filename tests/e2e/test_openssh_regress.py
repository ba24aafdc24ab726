"""OpenSSH's own regression scripts (Debian: openssh-tests) against Berth; docs/openssh-tests.md says of each script whether it applies."""

import concurrent.futures
import contextlib
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time

import pytest

from berthbox import ROOT, Box, wait_until

SCRIPTS = pathlib.Path("/usr/lib/openssh/regress")
TABLE = ROOT / "docs" / "openssh-tests.md"
PASSES = re.findall(r"^\| `([a-z0-9-]+)` \| passes", TABLE.read_text(), re.MULTILINE)
# Those that wait for long: by hand, `BERTH_OPENSSH_ALL=1`, or BERTH_OPENSSH_ALL="multiplex rekey".
ALL = os.environ.get("BERTH_OPENSSH_ALL", "")
SHORT = [name for name in PASSES if ALL == "1" or name in ALL.split() or f"| `{name}` | passes (by hand)" not in TABLE.read_text()]
SAME_PORTS = ("forwarding", "multiplex")  # these listen on the same ones, from FIXED
FIXED = range(3300, 3373)
# What their sshd is told by test-exec.sh and by the scripts.
SETTINGS = {"ssh": {"env_allow": ["LANG", "LC_*", "_XXX_TEST*"], "rekey_bytes": 1 << 20, "rekey_after": "5s"}}

pytestmark = [pytest.mark.skipif(not (SCRIPTS / "transfer.sh").exists(), reason="not installed (scripts/setup): openssh-tests"), pytest.mark.timeout(900)]


def test_every_script_has_its_line_in_the_table():
    """docs/openssh-tests.md speaks of every script."""
    written = set(re.findall(r"`([a-z0-9-]+)`", TABLE.read_text()))
    helpers = {"test-exec", "run-tests", "ssh2putty", "scp-ssh-wrapper", "sshd-log-wrapper", "valgrind-unit"}
    assert {path.stem for path in SCRIPTS.glob("*.sh")} - written - helpers == set()


def fixed_ports_are_free():
    with contextlib.suppress(OSError), contextlib.ExitStack() as held:
        for port in FIXED:
            probe = held.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
        return True
    return False


def test_scripts_pass():
    """Every script that the table says passes does: each in a folder of its own, some at once."""
    berth = Box(engine="process", prefix="berth-regress.")
    try:
        berth.up()
        berth.reconfigure(SETTINGS)
        berth.client().run("true", timeout=180)

        def one(name):
            began = time.monotonic()
            folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}.", dir=berth.dir))
            folder.chmod(0o777)
            env = {**os.environ, "BERTH_PORT": str(berth.ssh_port), "BERTH_USER": "ada", "BERTH_KEY": str(berth.key)}
            done = subprocess.run(["sh", ROOT / "tests/openssh/test-exec.sh", folder, SCRIPTS / f"{name}.sh"], env=env, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=800, errors="replace")
            print(f"{name}: {time.monotonic() - began:.0f} s")
            return "" if done.returncode == 0 and "FAIL" not in done.stdout else f"{name}: {done.returncode}\n{done.stdout[-1500:]}"

        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            wrong = [text for text in pool.map(one, [name for name in SHORT if name not in SAME_PORTS]) if text]
        for name in SHORT:
            if name in SAME_PORTS:
                wait_until(fixed_ports_are_free, f"ports {FIXED.start} to {FIXED.stop - 1} are free for {name}", 120, every=0.5)
                wrong += filter(None, [one(name)])
        assert wrong == [], "\n".join(wrong)
    finally:
        berth.destroy()
