"""Berth's web proxy beside nginx, HAProxy and configurable-http-proxy (web_sites.py), and JupyterLab in Chromium through Berth and without it.

The generators (wrk, curl, webload.c) run on the same cores and take their share of every figure. A machine drifts while it measures, so all sites take
turns in short rounds, and a ratio is the median of the rounds' own ratios."""

import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import time

from web_sites import NAMES, OTHERS, Site, WebSites  # first: it says where the tests' helpers are
from berthbox import free_ports, wait_until
from portal import CHROMIUM, FLAGS
from playwright.sync_api import Error as BrowserError, sync_playwright
from reference import below, pss_kib

QUICK = bool(os.environ.get("BERTH_BENCH_QUICK"))  # tiny sizes: does it run at all?
PARTS = os.environ.get("BERTH_BENCH_PARTS", "lab,requests,bulk,websockets,handshakes,memory,routes").split(",")
SECONDS = 1 if QUICK else int(os.environ.get("BERTH_BENCH_SECONDS", "2"))
ROUNDS = 1 if QUICK else int(os.environ.get("BERTH_BENCH_ROUNDS", "6"))
SELDOM = 3  # those without a close race take part in every third round
BULK = (16 if QUICK else 1024) << 20
IDLE = 100 if QUICK else 2000


class Turns:
    """What was measured of each site, a tuple or None for each round."""

    def __init__(self, sites, measure, rounds=ROUNDS):
        self.found = {name: [] for name in ("berth", *OTHERS)}
        for number in range(rounds):
            for name in list(self.found) if number % 2 == 0 else reversed(self.found):
                sits_out = name in ("haproxy", "chp") and number % SELDOM != 0
                self.found[name].append(None if sits_out else measure(sites[name]))

    def row(self, what, unit, other, budget="", column=0):
        """Medians, and the median of the ratios of one round each."""
        def value(name):
            return statistics.median(values[column] for values in self.found[name] if values)
        ratio = statistics.median(mine[column] / theirs[column] for mine, theirs in zip(self.found["berth"], self.found[other]) if theirs)
        return what, unit, value("berth"), value(other), NAMES[other], budget, ratio


class WebBench(WebSites):
    def requests(self):
        def wrk(connections):
            def run(site):
                out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", "-H", f"Cookie: {site.cookie}", site.url("/")], capture_output=True, text=True,
                                     check=True).stdout
                assert "Non-2xx" not in out, out
                return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)), micros(out, "50%"), micros(out, "99%")
            return run
        for connections in (1, 20) if QUICK else (1, 20, 200):
            found = Turns(self.sites, wrk(connections))
            for other in OTHERS:
                budget = {"nginx": ">= 1", "chp": ">= 8"}.get(other, "")
                yield found.row(f"small requests, {connections} connections", "1/s", other, budget)
            for column, what in ((1, "p50"), (2, "p99")):
                yield found.row(f"small requests, {connections} connections, {what}", "us", "nginx", "<= 1", column)

    def bulk(self):
        upload = self.dir / "upload"
        with open(upload, "wb") as file:
            file.truncate(BULK)
        for file in (upload, self.dir / "bulk"):  # in memory before the first transfer, or whoever comes first pays for all
            subprocess.run(["cat", file], check=True, stdout=subprocess.DEVNULL)
        for what, more, path in (("download", (), None), ("upload", ("-T", str(upload), "-H", "Expect:", "-X", "POST"), "/upload")):
            def transfer(site, more=more, path=path):
                place = site.prefix + "/bulk" if path is None else site.echo + path
                out = subprocess.run(self.curl(Site(site.name, site.port, site.pid, cookie=site.cookie), place, *more, "-w", "%{http_code} %{time_total}"), capture_output=True, text=True, check=True).stdout.split()
                assert out[0] == "200", (site.name, out)
                return (BULK / float(out[1]) / 1e6,)
            found = Turns(self.sites, transfer)
            for other in OTHERS:
                yield found.row(f"{what}, {BULK >> 20} MiB", "MB/s", other, ">= 1" if other == "nginx" else "")

    def run_load(self, site, *arguments):
        done = subprocess.run([self.load, *map(str, arguments)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (site.name, done.stderr)
        return json.loads(done.stdout)

    def websockets(self):
        def echo(connections):
            def run(site):
                found = self.run_load(site, "ws", site.port, site.echo, site.cookie, connections, SECONDS)
                return found["per_s"], found["p50_us"], found["p99_us"]
            return run
        for connections in (1, 20):
            found = Turns(self.sites, echo(connections))
            for other in OTHERS:
                yield found.row(f"WebSocket echo, {connections} connections", "1/s", other, ">= 1" if other == "nginx" else "")
            yield found.row(f"WebSocket echo, {connections} connections, p99", "us", "nginx", "<= 1", 2)

    def handshakes(self):
        for kind in ("full", "resumed"):
            def run(site, kind=kind):
                found = self.run_load(site, "handshakes", site.port, 4, SECONDS, kind)
                assert (found["resumed"] > 0.99) == (kind == "resumed"), (site.name, found)
                return (found["per_s"],)
            found = Turns(self.sites, run)
            for other in OTHERS:
                yield found.row(f"TLS connections, {kind} handshake", "1/s", other, ">= 1" if other == "nginx" else "")

    def memory(self):
        def run(site):
            warm = subprocess.Popen([self.load, "idle", str(site.port), site.echo, site.cookie, "20"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert warm.stdout.readline() == b"ready\n", site.name
            before = sum(map(pss_kib, [site.pid, *below(site.pid)]))
            many = subprocess.Popen([self.load, "idle", str(site.port), site.echo, site.cookie, str(IDLE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert many.stdout.readline() == b"ready\n", site.name
            after = sum(map(pss_kib, [site.pid, *below(site.pid)]))
            for process in (warm, many):
                process.communicate()
            return ((after - before) / IDLE,)
        found = Turns(self.sites, run, rounds=1)
        for other in OTHERS:
            yield found.row("memory per idle WebSocket", "KiB", other, "<= 25 KiB" if other == "nginx" else "")

    def routes(self):
        """From "an application listens on a new port" to its first answer through the proxy. Berth has nothing to add: it asks the workspace."""
        times = {"berth": [], "nginx": [], "chp": []}
        for number in range(2 if QUICK else 7):
            for name, site in ((name, self.sites[name]) for name in times):
                with socket_server(self.load) as port:
                    path = f"/route{number}"
                    began = time.perf_counter()
                    if name == "nginx":
                        (self.dir / f"routes/{number}.conf").write_text(f"location {path} {{ proxy_pass http://127.0.0.1:{port}; }}\n")
                        subprocess.run(["/usr/sbin/nginx", "-c", self.dir / "nginx.conf", "-p", self.dir, "-s", "reload"], check=True, capture_output=True)
                    if name == "chp":
                        self.chp_route(path, port)
                    target = Site(name, site.port, site.pid, f"/w/ada/main/port/{port}" if name == "berth" else "", cookie=site.cookie)
                    while self.status(target, path) != 200:
                        time.sleep(0.001)
                    times[name].append((time.perf_counter() - began) * 1000)
        berth = statistics.median(times.pop("berth"))
        for other, values in times.items():
            yield "a new route, until its first answer", "ms", berth, statistics.median(values), NAMES[other] + (" (reload)" if other == "nginx" else ""), "<= 1"

    def rows(self):
        for part in PARTS:
            if part != "lab":
                yield from getattr(self, part)()


@contextlib.contextmanager
def socket_server(load):
    """An upstream on a port of its own; every request is answered."""
    port = free_ports()
    process = subprocess.Popen([load, "echo", str(port)])
    try:
        time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()


def micros(text, label):
    value, unit = re.search(rf"^\s+{label}\s+([\d.]+)(us|ms|s)", text, re.M).groups()
    return float(value) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


# -- JupyterLab
def measure_lab(box, ada):
    """Milliseconds from the address to the launcher of a warm JupyterLab in Chromium: through Berth, and from inside the workspace's own network straight to a
    second Jupyter server with the same home, without TLS."""
    port = 8899
    ada.run("true", timeout=180)
    direct = ada.popen("box", f"exec jupyter lab --no-browser --ServerApp.port={port} --ServerApp.token=bench --ServerApp.base_url=/w/ada/main/jupyter/")
    wrapper = box.dir / "chromium-inside"
    try:
        wait_until(lambda: ada.ssh("box", f"curl -sf localhost:{port}/w/ada/main/jupyter/api/status?token=bench", check=False).returncode == 0, "the second Jupyter answers", 120, 0.5)
        inside = next(pid for pid in os.listdir("/proc") if pid.isdigit() and f"--ServerApp.port={port}".encode() in cmdline(pid) and elsewhere(pid))
        wrapper.write_text(f'#!/bin/sh\nexec nsenter -t {inside} -n {CHROMIUM} "$@"\n')
        wrapper.chmod(0o755)
        with sync_playwright() as playwright:
            browsers = {"berth": playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS),
                        "direct": playwright.chromium.launch(executable_path=str(wrapper), args=FLAGS)}
            link = re.search(r"https://\S+", ada.run("berth web")).group(0)
            contexts = {name: browser.new_context(ignore_https_errors=True) for name, browser in browsers.items()}
            pages = {name: context.new_page() for name, context in contexts.items()}
            pages["berth"].goto(link)
            pages["berth"].get_by_role("heading", name="Workspaces").wait_for()
            lab = "/w/ada/main/jupyter/lab?reset"
            pages["berth"].goto(f"https://localhost:{box.web_port}{lab}")
            pages["berth"].locator(".jp-Launcher").wait_for(timeout=120_000)
            addresses = {"berth": f"https://localhost:{box.web_port + 1}{lab}", "direct": f"http://localhost:{port}{lab}"}
            pages["direct"].goto(addresses["direct"] + "&token=bench")
            pages["direct"].locator(".jp-Launcher").wait_for(timeout=120_000)
            times = {name: [] for name in addresses}
            for _ in range(2 if QUICK else 9):
                for name, address in addresses.items():
                    times[name].append(open_lab(pages[name], address))
            for browser in browsers.values():
                browser.close()
    finally:
        direct.kill()
        direct.communicate()
    return statistics.median(times["berth"]), statistics.median(times["direct"])


def elsewhere(pid):
    """Is the process in another network than this one?"""
    return os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")


def cmdline(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def open_lab(page, address):
    page.goto("about:blank")
    for _ in range(5):
        began = time.perf_counter()
        try:
            page.goto(address)
            page.locator(".jp-Launcher").wait_for(timeout=60_000)
            return (time.perf_counter() - began) * 1000
        except BrowserError as error:  # Chromium drops what is under way when a network interface of the machine comes or goes
            if "ERR_NETWORK_CHANGED" not in str(error):
                raise
    raise AssertionError("the network keeps changing")


def measure(box, ada):
    """(what, unit, Berth's, the other's, who the other is, budget[, ratio])"""
    if "lab" in PARTS:
        berth, direct = measure_lab(box, ada)
        yield "JupyterLab, address to launcher in Chromium", "ms", berth, direct, "direct, without TLS", "<= 1.05"
    if PARTS != ["lab"]:
        with WebBench(BULK) as bench:
            yield from bench.rows()
