"""Berth's web proxy beside nginx, HAProxy and configurable-http-proxy: one upstream, one certificate, TLS 1.3, the same two lanes or workers.

Berth checks the login of each request; the others let everybody in. The generators (wrk, curl, webload.c) run on the same cores
and take their share of every figure."""

import asyncio
import contextlib
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time

import aiohttp

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "tests/e2e/web")]
from berthbox import Box, free_ports, wait_until  # noqa: E402
from reference import below, pss_kib  # noqa: E402
from portal import CHROMIUM, FLAGS, INSECURE, enter  # noqa: E402
from playwright.sync_api import Error as BrowserError, sync_playwright  # noqa: E402

QUICK = bool(os.environ.get("BERTH_BENCH_QUICK"))  # tiny sizes: does it run at all?
PARTS = os.environ.get("BERTH_BENCH_PARTS", "lab,requests,bulk,websockets,handshakes,memory,routes").split(",")
SECONDS = 1 if QUICK else int(os.environ.get("BERTH_BENCH_SECONDS", "3"))
ROUNDS = 1 if QUICK else int(os.environ.get("BERTH_BENCH_ROUNDS", "3"))
BULK = (16 if QUICK else 1024) << 20
IDLE = 100 if QUICK else 2000
PROXY_VERSION = "5.3.0"  # of configurable-http-proxy
OTHERS = ("nginx", "haproxy", "chp")
NAMES = {"nginx": "nginx", "haproxy": "HAProxy", "chp": "configurable-http-proxy"}


def install():
    """What only this benchmark needs: Debian's packages, and one from npm beside the build."""
    packages = {"nginx": "nginx-light", "haproxy": "haproxy", "wrk": "wrk"}
    missing = [package for program, package in packages.items() if not shutil.which(program) and not os.path.exists(f"/usr/sbin/{program}")]
    if missing:
        print(f"== installing {' '.join(missing)}", file=sys.stderr)
        subprocess.run(["apt-get", "-qq", "-y", "--no-install-recommends", "install", *missing], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    tools = ROOT / "build/bench-web"
    tools.mkdir(parents=True, exist_ok=True)
    proxy = tools / "node_modules/.bin/configurable-http-proxy"
    if not proxy.exists():
        print("== installing configurable-http-proxy", file=sys.stderr)
        subprocess.run(["bash", "-c", f". scripts/node.sh && npm install --silent --no-audit --no-fund --prefix {tools} configurable-http-proxy@{PROXY_VERSION}"],
                       check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    load = tools / "webload"
    subprocess.run(["cc", "-O2", "-o", load, ROOT / "bench/webload.c", "-lssl", "-lcrypto", "-lpthread"], check=True)
    return tools, load


NGINX = """
worker_processes {workers};
worker_rlimit_nofile 16384;
daemon off; error_log {dir}/{name}.log error; pid {dir}/{name}.pid;
events {{ worker_connections 8192; }}
http {{
  access_log off; client_body_temp_path {dir}/{name}.body; proxy_temp_path {dir}/{name}.proxy; fastcgi_temp_path {dir}/t1; uwsgi_temp_path {dir}/t2; scgi_temp_path {dir}/t3;
  keepalive_requests 1000000000; keepalive_timeout 3600; client_max_body_size 0; client_body_buffer_size 64k; sendfile on; tcp_nopush on; types {{ }} default_type text/plain;
  {body}
}}
"""

UPSTREAM = """
  server {{
    listen 127.0.0.1:{upstream} backlog=4096;
    location = / {{ return 200 "Hello from behind the proxy, 48 bytes of it are it.\\n"; }}
    location = /bulk {{ alias {bulk}; }}
  }}
"""

# Tuned: kept upstream connections, nothing buffered to disk, no log; buffers as large as Berth's.
PROXY = """
  upstream app {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} ssl reuseport backlog=4096;
    ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols TLSv1.3; ssl_session_tickets on; ssl_session_cache off; ssl_buffer_size 16k;
    proxy_http_version 1.1; proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k; proxy_max_temp_file_size 0; proxy_request_buffering off;
    location / {{ proxy_pass http://app; proxy_set_header Connection ""; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; }}
    location /ws/upload {{ proxy_pass http://127.0.0.1:{echo}; proxy_set_header Connection ""; }}
    location /ws {{ proxy_pass http://127.0.0.1:{echo}; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection Upgrade; proxy_read_timeout 3600s; }}
    include {dir}/routes/*.conf;
  }}
"""

HAPROXY = """
global
  nbthread {workers}
  maxconn 8000
  ssl-default-bind-options ssl-min-ver TLSv1.3
  tune.ssl.default-dh-param 2048
  tune.bufsize 65536
defaults
  mode http
  timeout connect 10s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
  option http-keep-alive
  http-reuse always
frontend web
  bind 127.0.0.1:{port} ssl crt {pem}
  use_backend echo if {{ path_beg /ws }}
  default_backend app
backend app
  server one 127.0.0.1:{upstream}
backend echo
  server one 127.0.0.1:{echo}
"""


class Site:
    """A way to the upstream: where it listens, below which path things are, and what a client must send."""

    def __init__(self, name, port, pid, prefix="", echo="/ws", cookie="x=y"):
        self.name, self.port, self.pid, self.prefix, self.echo, self.cookie = name, port, pid, prefix, echo, cookie
        self.origin = f"https://localhost:{port}"

    def url(self, path):
        return self.origin + self.prefix + path


class WebBench:
    """The upstream, the proxies in front of it, and a Berth whose workspaces are plain processes, so that all reach the same upstream in the same way."""

    def __init__(self):
        self.tools, self.load = install()
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        self.box = Box(engine="process", prefix="berth-bench.")
        self.stack.callback(self.box.destroy)
        self.box.up()
        self.ada = self.box.client()
        self.ada.run("true", timeout=180)
        self.dir = self.box.dir / "web"
        (self.dir / "routes").mkdir(parents=True)
        self.dir.chmod(0o755)
        self.workers = os.cpu_count()
        bulk = self.dir / "bulk"
        with open(bulk, "wb") as file:
            for _ in range(BULK >> 20):
                file.write(os.urandom(4096) * 256)
        self.ports = {name: free_ports() for name in ("upstream", "echo", *OTHERS, "chp-api")}
        certificate, key = (self.box.state / "data/tls" / name for name in ("certificate.pem", "key.pem"))
        self.values = {"dir": self.dir, "workers": self.workers, "bulk": bulk, "certificate": certificate, "key": key, "upstream": self.ports["upstream"],
                       "echo": self.ports["echo"]}
        self.spawn([self.load, "echo", str(self.ports["echo"])])
        self.nginx("upstream", UPSTREAM.format(**self.values))
        nginx = self.nginx("nginx", PROXY.format(**self.values, port=self.ports["nginx"]))
        (self.dir / "pair.pem").write_text(certificate.read_text() + key.read_text())
        (self.dir / "haproxy.cfg").write_text(HAPROXY.format(**self.values, port=self.ports["haproxy"], pem=self.dir / "pair.pem"))
        haproxy = self.spawn(["/usr/sbin/haproxy", "-db", "-q", "-f", self.dir / "haproxy.cfg"])
        chp = self.spawn(["bash", "-c", f". {ROOT}/scripts/node.sh && exec {self.tools}/node_modules/.bin/configurable-http-proxy --ip 127.0.0.1 --port {self.ports['chp']} "
                          f"--api-ip 127.0.0.1 --api-port {self.ports['chp-api']} --ssl-cert {certificate} --ssl-key {key} --log-level error "
                          f"--default-target http://127.0.0.1:{self.ports['upstream']}"], cwd=ROOT, env={**os.environ, "NODE_ENV": "production"})
        self.sites = {"nginx": Site("nginx", self.ports["nginx"], nginx.pid), "haproxy": Site("haproxy", self.ports["haproxy"], haproxy.pid),
                      "chp": Site("chp", self.ports["chp"], chp.pid)}
        for site in self.sites.values():
            wait_until(lambda site=site: self.status(site, "/") == 200, f"{site.name} answers", 30)
        self.chp_route("/ws", self.ports["echo"])
        self.sites["berth"] = self.berth_site()
        return self

    def __exit__(self, *error):
        self.stack.close()

    def spawn(self, argv, **kw):
        process = subprocess.Popen([str(part) for part in argv], stdout=kw.pop("stdout", subprocess.DEVNULL), stderr=open(self.dir / "errors.log", "ab"), **kw)
        self.stack.callback(self.end, process)
        return process

    @staticmethod
    def end(process):
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def nginx(self, name, body):
        (self.dir / f"{name}.conf").write_text(NGINX.format(dir=self.dir, name=name, workers=self.workers, body=body))
        return self.spawn(["/usr/sbin/nginx", "-c", self.dir / f"{name}.conf", "-p", self.dir])

    def chp_route(self, path, port):
        body = json.dumps({"target": f"http://127.0.0.1:{port}"})
        subprocess.run(["curl", "-sf", "-X", "POST", "-d", body, f"http://127.0.0.1:{self.ports['chp-api']}/api/routes{path}"], check=True, stdout=subprocess.DEVNULL)

    def berth_site(self):
        async def log_in():
            async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), connector=aiohttp.TCPConnector(ssl=INSECURE)) as http:
                await enter(http, self.ada, f"/w/ada/main/port/{self.ports['upstream']}/")
                return "; ".join(f"{m.key}={m.value}" for m in http.cookie_jar if m.key.startswith("__Host-"))
        prefix = "/w/ada/main/port/"
        return Site("berth", self.box.web_port + 1, self.box.pid("berthd"), prefix + str(self.ports["upstream"]), f"{prefix}{self.ports['echo']}/ws", asyncio.run(log_in()))

    def curl(self, site, path, *more):
        return ["curl", "-sk", "--http1.1", "--tlsv1.3", "-H", f"Cookie: {site.cookie}", "-H", f"Origin: {site.origin}", "-o", "/dev/null", *more, site.url(path)]

    def status(self, site, path):
        return int(subprocess.run(self.curl(site, path, "-w", "%{http_code}"), capture_output=True, text=True, check=False).stdout or 0)

    def turns(self, measure, sites=("berth", *OTHERS), rounds=ROUNDS):
        """{site: median of measure(site)}, taken in turns so that noise hits all."""
        found = {name: [] for name in sites}
        for _ in range(rounds):
            for name in sites:
                found[name].append(measure(self.sites[name]))
        return {name: [statistics.median(column) for column in zip(*values)] if isinstance(values[0], tuple) else statistics.median(values)
                for name, values in found.items()}

    # -- the rows
    def requests(self):
        def wrk(connections):
            def run(site):
                out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", "-H", f"Cookie: {site.cookie}", site.url("/")], capture_output=True, text=True,
                                     check=True).stdout
                assert "Non-2xx" not in out, out
                return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)), micros(out, "50%"), micros(out, "99%")
            return run
        for connections in (1, 20) if QUICK else (1, 20, 200):
            found = self.turns(wrk(connections))
            for other in OTHERS:
                budget = {"nginx": ">= 1", "chp": ">= 8"}.get(other, "")
                yield f"small requests, {connections} connections", "1/s", found["berth"][0], found[other][0], NAMES[other], budget
            for column, what in ((1, "p50"), (2, "p99")):
                yield f"small requests, {connections} connections, {what}", "us", found["berth"][column], found["nginx"][column], "nginx", "<= 1"

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
                return BULK / float(out[1]) / 1e6
            found = self.turns(transfer)
            for other in OTHERS:
                yield f"{what}, {BULK >> 20} MiB", "MB/s", found["berth"], found[other], NAMES[other], ">= 1" if other == "nginx" else ""

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
            found = self.turns(echo(connections))
            for other in OTHERS:
                yield f"WebSocket echo, {connections} connections", "1/s", found["berth"][0], found[other][0], NAMES[other], ">= 1" if other == "nginx" else ""
            yield f"WebSocket echo, {connections} connections, p99", "us", found["berth"][2], found["nginx"][2], "nginx", "<= 1"

    def handshakes(self):
        for kind in ("full", "resumed"):
            def run(site, kind=kind):
                found = self.run_load(site, "handshakes", site.port, 4, SECONDS, kind)
                assert (found["resumed"] > 0.99) == (kind == "resumed"), (site.name, found)
                return found["per_s"]
            found = self.turns(run)
            for other in OTHERS:
                yield f"TLS connections, {kind} handshake", "1/s", found["berth"], found[other], NAMES[other], ">= 1" if other == "nginx" else ""

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
            return (after - before) / IDLE
        found = self.turns(run, rounds=1)
        for other in OTHERS:
            yield "memory per idle WebSocket", "KiB", found["berth"], found[other], NAMES[other], "<= 25 KiB" if other == "nginx" else ""

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
    """(what, unit, Berth's, the other's, who the other is, budget)"""
    if "lab" in PARTS:
        berth, direct = measure_lab(box, ada)
        yield "JupyterLab, address to launcher in Chromium", "ms", berth, direct, "direct, without TLS", "<= 1.05"
    if PARTS != ["lab"]:
        with WebBench() as bench:
            yield from bench.rows()
