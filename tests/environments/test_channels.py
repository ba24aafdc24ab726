"""Where packages come from: the site's condarc, channels over HTTP that break off, private ones, proxies and certificates."""

import base64
import functools
import http.server
import json
import pathlib
import socket
import ssl
import subprocess
import threading

import pytest

import channel as channels
from building import builder


# -- the site's condarc
def test_condarc_names_channels_as_conda_does(channel, cache, tmp_path):
    condarc = tmp_path / "condarc"
    condarc.write_text(f"channel_alias: file://{channel.parent}\ncustom_channels:\n  mine: {channel.parent}/none\ndefault_channels: [{channel}]\nchannels: [defaults]\n")
    options = ("--cache", cache, "--condarc", condarc)
    assert builder("solve", "-", *options, text=f"channels: [{channel.name}]\ndependencies: [libdemo]\n")["packages"] == 1
    assert builder("solve", "-", *options, text="dependencies: [libdemo]\n")["packages"] == 1
    assert "/none/mine" in builder("solve", "-", *options, text="channels:\n- mine\ndependencies: [libdemo]\n", code=1)["message"]


def test_condarc_can_allow_only_some_channels(channel, cache, tmp_path):
    condarc = tmp_path / "condarc"
    condarc.write_text(f"allowlist_channels: [{channel}]\n")
    options = ("--cache", cache, "--condarc", condarc)
    assert builder("solve", "-", *options, text=f"channels: [{channel}]\ndependencies: [libdemo]\n")["packages"] == 1
    said = builder("solve", "-", *options, text="channels:\n- conda-forge\ndependencies: [libdemo]\n", code=1)["message"]
    assert said.startswith("line 2: the channel 'conda-forge' is not allowed here")
    # Nor by a lock that names its packages there.
    lock = tmp_path / "lock.json"
    lock.write_text(builder("solve", "-", *options, text=f"channels: [{channel}]\ndependencies: [libdemo]\n")["lock"])
    assert builder("adopt", "--lock", lock, *options)["packages"] == 1
    condarc.write_text(f"allowlist_channels: [{channel.parent}/other]\n")
    answer = builder("adopt", "--lock", lock, *options, code=1)
    assert answer["kind"] == "denied" and "is not allowed here" in answer["message"]
    condarc.write_text(f"denylist_channels: [{channel}]\n")
    assert builder("adopt", "--lock", lock, *options, code=1)["kind"] == "denied"


def test_condarc_with_a_secret_in_an_url_is_refused(cache, tmp_path):
    condarc = tmp_path / "condarc"
    condarc.write_text("channels: ['https://x.example/t/abc123/mine']\n")
    answer = builder("solve", "-", "--cache", cache, "--condarc", condarc, text="dependencies: [x]\n", code=1)
    assert "credentials file" in answer["message"] and "abc123" not in answer["message"]


# -- a channel over HTTP
class Flaky(http.server.SimpleHTTPRequestHandler):
    """A static server that breaks the connection in the middle of archives, as often as `breaks` says. `ranges`: it can go on in the middle. `password`:
    the only Authorization that it takes. As a proxy it answers for http://conda.example."""
    ranges, breaks, asked, password = True, 3, [], ""

    def do_GET(self):
        if self.password and self.headers.get("Authorization") != self.password:
            return self.send_error(401)
        self.path = self.path.removeprefix("http://conda.example")
        path = pathlib.Path(self.translate_path(self.path))
        if not path.is_file():
            return self.send_error(404)
        data, begin = path.read_bytes(), 0
        wanted = self.headers.get("Range", "")
        type(self).asked.append((path.name, wanted))
        if wanted and self.ranges:
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        cut = path.suffix == ".conda" and type(self).breaks > 0
        self.wfile.write(data[begin:begin + (len(data) - begin) // 2] if cut else data[begin:])
        if cut:
            type(self).breaks -= 1
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_):
        pass


@pytest.fixture
def served(channel):
    """Serves the channel; answers its URL and the handler, whose manners a test may change."""
    handler = type("Handler", (Flaky,), {"asked": [], "breaks": 0, "ranges": True})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(channel)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", handler
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
def test_a_lost_connection_is_taken_up_where_it_broke(served, tmp_path, ranges):
    url, handler = served
    (tmp_path / "lock.json").write_text(builder("solve", "-", "--cache", tmp_path / "c", text=f"channels: [{url}]\ndependencies: [big]\n")["lock"])
    handler.ranges, handler.breaks = ranges, 3
    events = builder("install", "--lock", tmp_path / "lock.json", "--prefix", tmp_path / "p", "--cache", tmp_path / "c")["events"]
    asked = [wanted for name, wanted in handler.asked if name.startswith("big")]
    assert (tmp_path / "p/share/big.bin").stat().st_size == 24 << 20 and handler.breaks == 0
    assert asked[0] == "" and asked[1].startswith("bytes=") and len(asked) >= 4
    fetched = [e for e in events if e.get("phase") == "fetch"][-1]
    assert fetched["bytes"] == fetched["bytes_total"]  # nothing is counted twice


def test_a_build_that_was_given_up_goes_on_with_what_it_had(served, tmp_path):
    url, handler = served
    lock = json.loads(builder("solve", "-", "--cache", tmp_path / "c", text=f"channels: [{url}]\ndependencies: [big]\n")["lock"])
    (tmp_path / "lock.json").write_text(json.dumps(lock))
    package = lock["packages"][0]
    place = tmp_path / "c/archives" / package["sha256"]
    place.mkdir(parents=True)
    archive = next(pathlib.Path(channels.cached()).rglob("big-*.conda")).read_bytes()
    (place / ".part").write_bytes(archive[:1 << 20])
    handler.asked.clear()
    builder("install", "--lock", tmp_path / "lock.json", "--prefix", tmp_path / "p", "--cache", tmp_path / "c")
    assert handler.asked == [(package["file_name"], f"bytes={1 << 20}-")]
    # What is left of something else costs a second download, and is never believed.
    (place / package["file_name"]).unlink()
    (place / ".part").write_bytes(b"x" * 1000)
    builder("install", "--lock", tmp_path / "lock.json", "--prefix", tmp_path / "q", "--cache", tmp_path / "c")
    assert (tmp_path / "q/share/big.bin").read_bytes() == (tmp_path / "p/share/big.bin").read_bytes()


def test_a_missing_archive_is_told_at_once(served, tmp_path):
    url, handler = served
    lock = json.loads(builder("solve", "-", "--cache", tmp_path / "c", text=f"channels: [{url}]\ndependencies: [libdemo]\n")["lock"])
    lock["packages"][0]["url"] = f"{url}/noarch/gone-1.2-h_0.tar.bz2"
    (tmp_path / "lock.json").write_text(json.dumps(lock))
    answer = builder("install", "--lock", tmp_path / "lock.json", "--prefix", tmp_path / "p", "--cache", tmp_path / "c", code=1)
    assert answer["kind"] == "unavailable" and "cannot be fetched" in answer["message"] and not (tmp_path / "p").exists()


# -- private channels, proxies, certificates
def solve_at(url, tmp_path, *options, code=0):
    return builder("solve", "-", "--cache", tmp_path / f"cache-{len(list(tmp_path.iterdir()))}", *options, text=f"channels: ['{url}']\ndependencies: [libdemo]\n", code=code)


def test_a_private_channel_opens_for_the_sites_credentials(served, tmp_path):
    url, handler = served
    handler.password = "Basic " + base64.b64encode(b"berth:s3cret").decode()
    assert solve_at(url, tmp_path, code=1)["message"].startswith("line 1: unknown channel")
    keys = tmp_path / "credentials"
    keys.write_text(json.dumps({"127.0.0.1": {"BasicHTTP": {"username": "berth", "password": "s3cret"}}}))
    answer = solve_at(url, tmp_path, "--credentials", keys)
    assert answer["packages"] == 1 and "s3cret" not in json.dumps(answer)
    (tmp_path / "lock.json").write_text(answer["lock"])
    said = builder("install", "--lock", tmp_path / "lock.json", "--prefix", tmp_path / "p", "--cache", tmp_path / "c", "--credentials", keys)
    assert (tmp_path / "p/etc/demo.conf").is_file() and "s3cret" not in json.dumps(said)
    assert subprocess.run(["grep", "-rl", "s3cret", tmp_path / "p", tmp_path / "c"], capture_output=True).returncode == 1


def test_a_proxy_is_asked_for_channels(served, tmp_path):
    url, _ = served
    condarc = tmp_path / "condarc"
    condarc.write_text(f"proxy_servers:\n  http: {url}\n")
    assert solve_at("http://conda.example", tmp_path, "--condarc", condarc)["packages"] == 1


def test_https_is_verified_as_ssl_verify_says(channel, tmp_path):
    """Unknown certificates are refused; a file of the site's authorities, or ssl_verify: false, lets them in."""
    authority, certificate = tmp_path / "site.pem", tmp_path / "server.pem"
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subprocess.run([*new, "-subj", "/CN=site", "-keyout", tmp_path / "site.key", "-out", authority], check=True, capture_output=True)
    subprocess.run([*new, "-subj", "/CN=channel", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:false", "-CA", authority, "-CAkey",
                    tmp_path / "site.key", "-keyout", tmp_path / "server.key", "-out", certificate], check=True, capture_output=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(type("Handler", (Flaky,), {"asked": [], "breaks": 0}), directory=str(channel)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, tmp_path / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url, condarc = f"https://127.0.0.1:{server.server_address[1]}", tmp_path / "condarc"
    try:
        assert "unknown channel" in solve_at(url, tmp_path, code=1)["message"]
        for text in (f"ssl_verify: {authority}\n", "ssl_verify: false\n"):
            condarc.write_text(text)
            assert solve_at(url, tmp_path, "--condarc", condarc)["packages"] == 1, text
        # In a build the file that is named lies beside the condarc.
        authority.rename(tmp_path / "ca.pem")
        condarc.write_text(f"ssl_verify: {authority}\n")
        assert solve_at(url, tmp_path, "--condarc", condarc)["packages"] == 1
    finally:
        server.shutdown()
        server.server_close()
