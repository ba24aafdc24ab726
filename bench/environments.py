"""Conda environments: solving and installing against py-rattler alone, going back, sharing, and starting Python from the store."""

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

from berthbox import ROOT, Box
from channelbox import copy_channel

PACKAGES = ["python", "numpy", "ipykernel", "greeter <2"]

# What anybody would write with py-rattler, and the bytecode that conda makes too; no checks, no sandbox, no store.
ALONE = """
import asyncio, json, subprocess, sys
from rattler import Channel, Gateway, MatchSpec, PackageCache, VirtualPackage, install, solve
channel, cache, prefix, *specs = sys.argv[1:]
async def main():
    records = await solve(sources=[Channel(channel)], specs=[MatchSpec(s, strict=False) for s in specs], gateway=Gateway(cache_dir=cache + "/repodata"),
                          virtual_packages=[p.into_generic() for p in VirtualPackage.detect()])
    await install(records, target_prefix=prefix, package_cache=PackageCache(cache + "/packages"))
asyncio.run(main())
subprocess.run([prefix + "/bin/python", "-I", "-m", "compileall", "-q", "-f", "-j", "0", prefix + "/lib/python3.11"], stdout=subprocess.DEVNULL)
"""

# Run in the workspace: how long each of two pythons takes to start and to import numpy, in turns.
STARTS = """
import json, subprocess, sys, time
times = {path: [] for path in sys.argv[2:]}
for round in range(int(sys.argv[1]) + 1):
    for path in times:
        began = time.perf_counter()
        subprocess.run([path + "/bin/python", "-c", "import numpy"], check=True)
        if round: times[path].append((time.perf_counter() - began) * 1000)
print(json.dumps(times))
"""


def disk(path):
    """KiB on disk, each file once."""
    return int(subprocess.run(["du", "-sk", path], check=True, capture_output=True, text=True).stdout.split()[0])


class Site:
    def __init__(self):
        self.box = Box(prefix="berth-envs.")

    def __enter__(self):
        self.channel = copy_channel(self.box)
        self.box.up("--channels", self.channel)
        self.ada = self.box.client()
        self.ada.run("true", timeout=180)
        return self

    def __exit__(self, *error):
        self.box.destroy()

    def create(self, name, packages):
        """Seconds from the file to the environment that is ready to use."""
        file = self.box.dir / f"{name}.yml"
        file.write_text(f"channels: [{self.channel}]\ndependencies:\n" + "".join(f"  - {p}\n" for p in packages))
        began = time.perf_counter()
        self.box.berth("env", "create", f"ada/{name}", file, "--yes", timeout=600)
        return time.perf_counter() - began

    def forget(self, name):
        """Removes it with its files; downloads stay."""
        self.box.berth("env", "remove", f"ada/{name}", "--yes")
        self.box.berth("workspace", "stop", "ada")
        self.box.berth("env", "gc", "ada", timeout=300)
        self.ada.run("true", timeout=180)

    def alone(self, name, cache, packages):
        prefix = self.box.dir / "alone" / name
        python_path = str(ROOT / "environments/packages")
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", ALONE, str(self.channel), str(cache), str(prefix), *packages], check=True, timeout=600,
                       env={**os.environ, "PYTHONPATH": python_path})
        return time.perf_counter() - began, prefix


def measure(rounds):
    """Rows: (what, unit, Berth's, the other's or None, what the other is, budget)."""
    with Site() as site:
        objects, cache = site.box.state / "environments/objects", site.box.dir / "alone-cache"
        before = disk(objects)
        cold = site.create("first", PACKAGES)
        first_disk = disk(objects) - before
        alone_cold, _ = site.alone("cold", cache, PACKAGES)
        yield "environment from a file, empty caches", "s", cold, alone_cold, "py-rattler and compileall alone", ""

        # 24 MiB that the first one does not have: its time and disk against the first one's.
        second = site.create("second", [*PACKAGES, "big"])
        second_disk = disk(objects) - before - first_disk
        shared = f"{100 * first_disk / (first_disk + second_disk):.0f} %"
        yield f"a second one, of which {shared} is the first: time", "s", second, cold, "the first one", ""
        yield f"a second one, of which {shared} is the first: disk", "KiB", second_disk, first_disk, "the first one", "<= 0.15"

        site.forget("first")
        warm = [site.create("first", PACKAGES)]
        alone_warm = [site.alone(f"warm{n}", cache, PACKAGES)[0] for n in range(2)]
        yield "the same with downloads there", "s", statistics.median(warm), statistics.median(alone_warm), "py-rattler and compileall alone", ""

        site.box.dir.joinpath("next.yml").write_text(f"channels: [{site.channel}]\ndependencies: [python, numpy, greeter >=2]\n")
        site.box.berth("env", "update", "ada/first", site.box.dir / "next.yml", "--yes", timeout=600)
        flips = []
        for n in range(max(10, rounds)):
            began = time.perf_counter()
            site.box.request("POST", "/environments/ada/first/rollback", {"revision": 1 + n % 2})
            flips.append((time.perf_counter() - began) * 1000)
        yield "rollback, over the API", "ms", statistics.median(flips), None, "", "< 100"

        site.box.request("POST", "/environments/ada/first/rollback", {"revision": 1})
        prefix = site.ada.run("berth-env path first")
        site.ada.run(f"cp -rL {prefix} ~/plain", timeout=300)
        home = site.ada.run("echo ~/plain")
        times = json.loads(site.ada.ssh("box", f"{prefix}/bin/python - {max(10, rounds)} {prefix} {home}", input=STARTS, timeout=600).stdout)
        yield "python -c 'import numpy'", "ms", statistics.median(times[prefix]), statistics.median(times[home]), "a copy in the home", "<= 1.1"
        shutil.rmtree(pathlib.Path(site.box.dir, "alone"), ignore_errors=True)
