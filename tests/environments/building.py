"""Runs the builder of conda environments by itself."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILDER = ROOT / "environments" / "berth-env-builder"
ENV = {**os.environ, "BERTH_ENV_PYTHON": sys.executable}


def builder(*args, text="", code=0):
    """Runs the builder; answers its last result or error, and checks that all it says is JSON."""
    done = subprocess.run([BUILDER, *map(str, args)], input=text, capture_output=True, text=True, timeout=300, env=ENV)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == code, done.stdout[-2000:] + done.stderr[-2000:]
    last = events[-1]
    assert last["event"] == ("error" if code else "result"), last
    return {**last, "events": events}
