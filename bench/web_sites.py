"""What bench/web.py measures: Berth, nginx, HAProxy and configurable-http-proxy in front of one upstream, with one certificate, TLS 1.3, the same two lanes or workers.

Berth checks the login of each request; the others let everybody in."""

import asyncio
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import aiohttp

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "tests/e2e/web")]
from berthbox import Box, free_ports, wait_until  # noqa: E402
from portal import INSECURE, enter  # noqa: E402

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


class WebSites:
    """The upstream, the proxies in front of it, and a Berth whose workspaces are plain processes, so that all reach the same upstream in the same way."""

    def __init__(self, bulk_bytes):
        self.bulk_bytes = bulk_bytes
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
            for _ in range(self.bulk_bytes >> 20):
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
