"""The benchmarks behind bench/run. Medians; a ratio under 1 in "lower is better" rows means that Berth is quicker or smaller."""

import argparse
import asyncio
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import re
import signal
import statistics
import subprocess
import sys
import time

import aiohttp
import asyncssh

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/e2e"))
from berthbox import Box, gone, wait_until  # noqa: E402
from environments import measure as measure_environments  # noqa: E402
from keys import measure as measure_keys  # noqa: E402
from reference import CIPHER, Sshd, pss_kib  # noqa: E402
from ssh import PARTS, SshBench  # noqa: E402
from web import measure as measure_web  # noqa: E402


@dataclasses.dataclass
class Row:
    name: str
    unit: str
    berth: float
    other: float | None
    other_is: str
    budget: str = ""
    side_by_side: float | None = None  # the ratio, where it is more than that of the two figures

    @property
    def ratio(self):
        return self.side_by_side or (None if not self.other else self.berth / self.other)


class Bench:
    def __init__(self, rounds, full=False, scale=1.0, parts=()):
        self.rounds, self.full, self.scale, self.parts = rounds, full, scale, parts
        self.box = Box(engine=os.environ.get("BERTH_BENCH_ENGINE", "podman"), prefix="berth-bench.")
        self.sshd = None

    def __enter__(self):
        self.box.up()
        self.ada = self.box.client()
        self.ada.run("true", timeout=180)
        self.sshd = Sshd(self.box.dir, self.box.key)
        return self

    def __exit__(self, *error):
        if self.sshd:
            self.sshd.close()
        self.box.destroy()

    def argv(self, which, *args):
        """The same ssh command line to Berth or to sshd."""
        port, user = (self.box.ssh_port, "ada") if which == "berth" else (self.sshd.port, "root")
        return ["ssh", "-F", "none", "-p", str(port), "-i", str(self.box.key), "-c", CIPHER, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
                "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o",
                "KexAlgorithms=curve25519-sha256", f"{user}@127.0.0.1", *args]

    def alternating(self, measure, rounds):
        """Medians of measure("berth") and measure("sshd"), taken in turns so that noise hits both."""
        times = {"berth": [], "sshd": []}
        for which in times:
            measure(which)  # warm
        for _ in range(rounds):
            for which in times:
                times[which].append(measure(which))
        return (statistics.median(times[which]) for which in ("berth", "sshd"))

    # -- ssh true
    def exec(self):
        def once(which):
            began = time.perf_counter()
            subprocess.run(self.argv(which, "true"), check=True, stdin=subprocess.DEVNULL)
            return (time.perf_counter() - began) * 1000
        berth, sshd = self.alternating(once, self.rounds)
        yield Row("ssh box true, whole client", "ms", berth, sshd, "sshd", "<= 0.6")

        async def channels(port, user):
            async with asyncssh.connect("127.0.0.1", port, username=user, client_keys=[str(self.box.key)], known_hosts=None, config=None,
                                        encryption_algs=[CIPHER]) as connection:
                times = []
                for _ in range(self.rounds + 1):
                    began = time.perf_counter()
                    await connection.run("true", check=True)
                    times.append((time.perf_counter() - began) * 1000)
                return statistics.median(times[1:])
        berth = asyncio.run(channels(self.box.ssh_port, "ada"))
        sshd = asyncio.run(channels(self.sshd.port, "root"))
        yield Row("true on an open connection", "ms", berth, sshd, "sshd")

    # -- bulk data
    def throughput(self):
        size = 512 << 20

        def up(which):
            began = time.perf_counter()
            subprocess.run(f"head -c {size} /dev/zero | {' '.join(self.argv(which))} 'cat >/dev/null'", shell=True, check=True)
            return size / (time.perf_counter() - began) / 1e6

        def down(which):
            began = time.perf_counter()
            subprocess.run(self.argv(which, f"head -c {size} /dev/zero"), check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            return size / (time.perf_counter() - began) / 1e6
        for name, measure in (("upload", up), ("download", down)):
            berth, sshd = self.alternating(measure, max(3, self.rounds // 10))
            yield Row(f"{name}, one channel", "MB/s", berth, sshd, "sshd", ">= 1")

    # -- workspace start
    def start(self):
        times = []
        for _ in range(max(3, self.rounds // 8)):
            self.box.berth("workspace", "stop", "ada/main")
            began = time.perf_counter()
            subprocess.run(self.argv("berth", "true"), check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            times.append((time.perf_counter() - began) * 1000)
        yield Row("stopped workspace to first command", "ms", statistics.median(times), None, "", "< 400")

    # -- Jupyter
    def jupyter(self):
        path = "/w/ada/main/jupyter/api/status"
        link = re.search(r"https://\S+", self.ada.run("berth web")).group(0)
        token = re.search(r"[#?&/](?:token=)?([A-Za-z0-9_-]{20,})", link.split("login", 1)[1]).group(1)
        berth = asyncio.run(self.jupyter_through_berth(path, token))
        direct = asyncio.run(self.jupyter_direct(path))
        yield Row("Jupyter /api/status, kept-alive", "ms", berth, direct, "its Unix socket")

    async def timed_gets(self, session, url, **kw):
        times = []
        for _ in range(self.rounds * 5 + 5):
            began = time.perf_counter()
            async with session.get(url, **kw) as answer:
                body = await answer.json()
                assert answer.status == 200 and "kernels" in body, body
            times.append((time.perf_counter() - began) * 1000)
        return statistics.median(times[5:])

    async def jupyter_through_berth(self, path, token):
        portal = f"https://localhost:{self.box.web_port}"
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), connector=aiohttp.TCPConnector(ssl=False)) as session:
            async with session.post(f"{portal}/api/v1/login/link", json={"token": token}, headers={"Origin": portal}) as answer:
                assert answer.status == 200, await answer.text()
            async with session.get(portal + path, timeout=aiohttp.ClientTimeout(120)) as answer:  # redirects to the workspaces' origin
                assert answer.status == 200, await answer.text()
                there = answer.url
            return await self.timed_gets(session, there)

    async def jupyter_direct(self, path):
        # From outside, as root: the socket and the token of the Jupyter that Berth has started inside.
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                command = open(f"/proc/{pid}/cmdline").read().replace("\0", " ")
                environment = open(f"/proc/{pid}/environ").read()
            except OSError:
                continue
            found = re.search(r"--ServerApp\.sock=(\S+)", command)
            if found and "/w/ada/main/" in command + environment:
                socket_path = f"/proc/{pid}/root{found.group(1)}"
                token = re.search(r"(?:JUPYTER_TOKEN=|token=)([^\0\s]+)", environment + command).group(1)
                break
        else:
            raise AssertionError("no Jupyter process found")
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(socket_path), headers={"Authorization": f"token {token}"}) as session:
            return await self.timed_gets(session, f"http://jupyter{path}")

    # -- memory
    def memory(self):
        count = 200
        # A fresh berthd: memory that earlier work has freed would be used again and hide what connections take.
        pid = self.box.pid("berthd")
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: gone(pid), "berthd ends", timeout=30)
        self.box.up()
        berth = asyncio.run(self.grown(self.box.ssh_port, "ada", count, lambda: [self.box.pid("berthd")]))
        sshd = asyncio.run(self.grown(self.sshd.port, "root", count, lambda: [self.sshd.process.pid, *self.sshd.children()]))
        yield Row("memory per idle connection (PSS)", "KiB", berth, sshd, "sshd", "< 40 KiB")

    # -- SSH in full
    def ssh(self):
        for what, unit, berth, sshd, budget in SshBench(self, self.full, self.scale, self.parts).rows():
            yield Row(what, unit, berth, sshd, "sshd", budget)

    # -- many keys
    def keys(self):
        for what, unit, many, few, budget in measure_keys(max(20, self.rounds)):
            yield Row(what, unit, many, few, "10 users, 30 keys", budget)

    # -- the web proxy beside others
    def web(self):
        for row in measure_web(self.box, self.ada):
            yield Row(*row)

    # -- conda environments
    def environments(self):
        for row in measure_environments(max(10, self.rounds // 2)):
            yield Row(*row)

    async def grown(self, port, user, count, pids):
        async def connect():
            return await asyncssh.connect("127.0.0.1", port, username=user, client_keys=[str(self.box.key)], known_hosts=None, config=None,
                                          encryption_algs=[CIPHER], keepalive_interval=0)
        first = [await connect() for _ in range(10)]  # what the first connections load once does not count
        before = sum(map(pss_kib, pids()))
        connections = []
        for _ in range(count // 10):
            connections += await asyncio.gather(*(connect() for _ in range(10)))
        after = sum(map(pss_kib, pids()))
        assert not any(connection.is_closed() for connection in connections)
        for connection in first + connections:
            connection.abort()
        return (after - before) / count


def table(rows):
    lines = [("what", "Berth", "against", "", "ratio", "budget")]
    for row in rows:
        number = "{:.0f}" if row.berth >= 100 else "{:.1f}" if row.berth >= 10 else "{:.2f}"
        other = f"{number.format(row.other)} {row.unit}" if row.other else ""
        ratio = f"{row.ratio:.2f}" if row.ratio else ""
        lines.append((row.name, f"{number.format(row.berth)} {row.unit}", other, row.other_is, ratio, row.budget))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


NAMES = ["exec", "throughput", "start", "jupyter", "memory", "keys", "web", "ssh", "environments"]


def main():
    parser = argparse.ArgumentParser(prog="bench/run")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", default=str(ROOT / "build/bench.json"))
    parser.add_argument("--full", action="store_true", help="ssh: every cipher by every way, four times the bytes, up to 8,000 connections")
    parser.add_argument("--part", action="append", default=[], choices=PARTS, help="ssh: only this; may be given more than once")
    parser.add_argument("--scale", type=float, default=1.0, help="ssh: so many times the bytes, to try things out")
    options = parser.parse_args()
    names = options.names or NAMES
    for name in names:
        if name not in NAMES:
            parser.error(f"no benchmark '{name}'; there are {', '.join(NAMES)}")
    rows = []
    with Bench(options.rounds, options.full, options.scale, options.part) as bench:
        for name in names:
            print(f"== {name}", file=sys.stderr, flush=True)
            for row in getattr(bench, name)():
                rows.append(row)
                print(f"   {row.name}: {row.berth:.2f} {row.unit}" + (f", {row.other_is} {row.other:.2f}" if row.other else ""), file=sys.stderr)
    print(table(rows))
    pathlib.Path(options.json).write_text(json.dumps({
        "at": datetime.datetime.now(datetime.timezone.utc).isoformat(), "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "kernel": platform.release(), "cipher": CIPHER, "rounds": options.rounds,
        "rows": [{**dataclasses.asdict(row), "ratio": row.ratio} for row in rows]}, indent=1) + "\n")
    print(f"\nwritten to {options.json}")


if __name__ == "__main__":
    main()
