"""What the tests of conda environments share: a Berth that may use the channel of packages made for them, and its commands."""

import subprocess
import sys

from berthbox import ROOT

sys.path.insert(0, str(ROOT / "tests" / "environments"))
import channel as channels  # noqa: E402

BUILD = 300  # seconds a build may take on a busy machine


def copy_channel(box):
    """The channel as a folder of the box's own, which anybody may read; give it to `box.up("--channels", …)`."""
    box.channel = box.dir / "channel"
    subprocess.run(["cp", "-r", channels.cached(), box.channel], check=True)
    subprocess.run(["chmod", "-R", "a+rX", box.channel], check=True)
    return box.channel


def yml(box, *dependencies, extra=""):
    return f"channels:\n  - {box.channel}\ndependencies:\n" + "".join(f"  - {d}\n" for d in dependencies) + extra


def env(client, *args, text="", code=0):
    """ssh box berth env …; answers what it printed on both outputs."""
    done = client.ssh("box", "berth env " + " ".join(args), input=text, check=False, timeout=BUILD)
    assert done.returncode == code, f"{args} exited {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr
