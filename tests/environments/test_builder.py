"""The builder of conda environments, alone: checks, solving, installing and refusing, against a channel of real packages."""

import base64
import functools
import http.server
import json
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import threading

import pytest

import channel as channels

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


@pytest.fixture(scope="session")
def channel():
    return channels.cached()


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def solve(channel, cache):
    def run(*dependencies, code=0, current=None, extra="", options=()):
        text = f"channels:\n  - {channel}\ndependencies:\n" + "".join(f"  - {d}\n" for d in dependencies) + extra
        more = ["--current", current] if current else []
        return builder("solve", "-", "--cache", cache, *more, *options, text=text, code=code)
    return run


@pytest.fixture
def install(solve, cache, tmp_path):
    def run(*dependencies, code=0, extra="", name="prefix"):
        lock = tmp_path / f"{name}.json"
        lock.write_text(solve(*dependencies, extra=extra)["lock"])
        answer = builder("install", "--lock", lock, "--prefix", tmp_path / name, "--cache", cache, code=code)
        if code == 0:
            answer = builder("finish", "--lock", lock, "--prefix", tmp_path / name)
        return tmp_path / name, answer
    return run


FAULTS = [
    ("unknown key", "channels: [x]\ndependencys: [python]\n", "line 2: unknown key 'dependencys'; did you mean 'dependencies'?"),
    ("bad spec", "dependencies:\n  - python\n  - numpy >=>1\n", "line 3: 'numpy >=>1' is not a package with a version"),
    ("not YAML", "dependencies:\n  - a\n - b: [\n", "line 3: not valid YAML"),
    ("empty", "", "the file is empty"),
    ("nothing", "name: x\n", "line 1: no 'dependencies:'"),
    ("a list", "- python\n", "line 1: an environment.yml is a mapping"),
    ("twice", "dependencies: [python]\ndependencies: [numpy]\n", "line 2: 'dependencies:' stands here twice (first in line 1)"),
    ("token", "channels:\n  - https://me:secret@x.example/c\ndependencies: [python]\n", "line 2: a channel with a password or token"),
    ("pip by URL", "dependencies:\n  - python\n  - pip:\n    - evil @ https://x.example/e.whl\n", "line 4: 'evil @ https://x.example/e.whl': requirements by URL"),
    ("pip option", "dependencies:\n  - python\n  - pip:\n    - -r other.txt\n", "line 4: '-r other.txt': of pip's options only"),
    ("pip spec", "dependencies:\n  - python\n  - pip:\n    - rich>>1\n", "line 4: 'rich>>1' is not a requirement"),
    ("variable", "dependencies: [python]\nvariables:\n  LD_PRELOAD: /tmp/x.so\n", "line 3: the variable LD_PRELOAD cannot be set"),
    ("variable's name", "dependencies: [python]\nvariables:\n  a b: c\n", "line 3: 'a b' is not the name of a variable"),
    ("two faults", "nome: x\ndependencies:\n  - numpy >=>1\n", "\nline 3: "),
]


@pytest.mark.parametrize("text, said", [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_a_fault_in_the_file_is_told_with_its_line(text, said):
    assert said in builder("check", "-", text=text, code=1)["message"]


def test_a_good_file_passes():
    text = "name: x\nchannels: [conda-forge]\ndependencies:\n  - python=3.11\n  - numpy>=1.2,<3\n  - conda-forge::rich\n  - pip:\n    - six==1.16\nvariables: {A: b}\n"
    assert builder("check", "-", text=text)["dependencies"] == 3


def test_unknown_channel_has_its_line(cache, tmp_path):
    answer = builder("solve", "-", "--cache", cache, text=f"channels:\n  - {tmp_path}/none\ndependencies:\n  - python\n", code=1)
    assert answer["message"].startswith(f"line 2: unknown channel '{tmp_path}/none': there is no folder")


def test_solving_twice_gives_the_same_lock(solve):
    first, second = solve("python", "numpy", "greeter <2"), solve("python", "numpy", "greeter <2")
    assert first["lock"] == second["lock"] and first["id"] == second["id"] == first["lock_hash"][:32]
    packages = {p["name"]: p for p in json.loads(first["lock"])["packages"]}
    assert packages["greeter"]["version"] == "1.0" and len(packages["numpy"]["sha256"]) == 64
    assert {"python", "numpy", "greeter"} == {p["name"] for p in first["diff"]["added"]}


def test_conflict_is_explained_as_the_solver_does(solve):
    message = solve("python", "needs-old", "needs-new", code=1)["message"]
    assert "cannot be solved" in message and "needs-old" in message and "needs-new" in message and "greeter" in message


def test_virtual_packages_decide(solve):
    assert "__cuda" in solve("needs-cuda", code=1)["message"]
    assert solve("needs-cuda", options=["--virtual", "__cuda=12.4"])["packages"] == 1
    assert "__glibc" in solve("needs-glibc", code=1)["message"]


def test_update_shows_the_difference_and_keeps_what_fits(solve, tmp_path):
    lock = tmp_path / "lock.json"
    lock.write_text(solve("python", "greeter <2", "libdemo")["lock"])
    kept = solve("python", "greeter", current=lock)
    assert [p["name"] for p in kept["diff"]["removed"]] == ["libdemo"] and not kept["diff"]["changed"]  # greeter 1.0 still fits
    raised = solve("python", "greeter >=2", current=lock)["diff"]
    assert [(c["name"], c["from"]["version"], c["to"]["version"], c["direction"]) for c in raised["changed"]] == [("greeter", "1.0", "2.0", "up")]


def test_installed_environment_runs(install, tmp_path):
    prefix, answer = install("python", "numpy", "ipykernel", "greeter <2", "libdemo", "postlink-plain", extra="variables:\n  MODE: fast\n")
    python = str(prefix / "bin" / "python")
    out = subprocess.run([python, "-I", "-c", "import numpy, sys; print(numpy.arange(4).sum(), sys.prefix)"], capture_output=True, text=True, check=True).stdout
    assert out == f"6 {prefix}\n"
    assert subprocess.run([prefix / "bin" / "greet"], capture_output=True, text=True, check=True).stdout == "hello from 1.0\n"
    assert (prefix / "etc/demo.conf").read_text() == f"root = {prefix}/share\n"
    library = (prefix / "lib/libdemo.so").read_bytes()
    assert str(prefix).encode() + b"/lib\0" in library and len(library) == 5 + len(channels.PLACEHOLDER) + len(b"/lib\0rest")
    assert (prefix / "etc/plain.txt").read_text() == f"postlink-plain 1.0 in {prefix}\n"
    assert answer["kernels"] == ["python3"]
    record = json.loads((prefix / "conda-meta/libdemo-1.2-h_0.json").read_text())
    assert record["url"].endswith("/libdemo-1.2-h_0.tar.bz2") and record["channel"]
    # Bytecode was made once, and needs no look at its source.
    cached = next((prefix / "lib/python3.11/site-packages/greeter/__pycache__").glob("*.pyc")).read_bytes()
    assert int.from_bytes(cached[4:8], "little") == 1 and str(prefix).encode() not in cached
    where = "import greeter; print(greeter.main.__code__.co_filename)"
    assert subprocess.run([python, "-c", where], capture_output=True, text=True, check=True).stdout.startswith(str(prefix))


def test_progress_is_real(solve, tmp_path, cache):
    lock = tmp_path / "lock.json"
    lock.write_text(solve("big")["lock"])
    events = builder("install", "--lock", lock, "--prefix", tmp_path / "p", "--cache", tmp_path / "fresh")["events"]
    fetched = [e for e in events if e.get("phase") == "fetch"]
    assert fetched[-1]["done"] == fetched[-1]["total"] == 1 and fetched[-1]["bytes"] == fetched[-1]["bytes_total"] > 24 << 20
    assert fetched[-1]["bytes_per_s"] > 0 and [e["phase"] for e in events if "phase" in e][-1] == "link"


def test_the_same_lock_gives_the_same_bytes(solve, cache, tmp_path):
    lock, prefix = tmp_path / "lock.json", tmp_path / "prefix"
    lock.write_text(solve("python", "numpy", "greeter <2", "libdemo")["lock"])
    hashes = []
    for again in (cache, tmp_path / "other-cache"):
        builder("install", "--lock", lock, "--prefix", prefix, "--cache", again)
        builder("finish", "--lock", lock, "--prefix", prefix)
        hashes.append(builder("hash", "--prefix", prefix)["tree_hash"])
        prefix.rename(tmp_path / f"kept{len(hashes)}")
    assert hashes[0] == hashes[1]
    (tmp_path / "kept2/etc/demo.conf").write_text("changed")
    (tmp_path / "kept2/lib/libdemo.so").unlink()
    (tmp_path / "kept2/new").touch()
    drift = builder("compare", "--expected", tmp_path / "kept1", "--prefix", tmp_path / "kept2")
    assert (drift["ok"], drift["changed"], drift["missing"], drift["added"]) == (False, ["etc/demo.conf"], ["lib/libdemo.so"], ["new"])


REFUSED = [("evil-hash", "is not what its channel promised: SHA-256"), ("evil-path", "archive path: ../../evil"), ("evil-absolute", "archive path: /tmp/evil-absolute"), ("evil-listed", "its path '../../evil' leaves the environment"),
           ("evil-link", "points outside the environment, to '/etc/passwd'"), ("evil-climb", "points outside the environment, to '../../../../etc'"),
           ("evil-behind", "it has files behind its own link 'share/here'"), ("evil-name", "inside it calls itself openssl")]


@pytest.mark.parametrize("package, said", REFUSED, ids=[r[0] for r in REFUSED])
def test_hostile_package_is_refused_and_nothing_is_linked(install, tmp_path, package, said):
    prefix, answer = install("greeter", package, "python", code=1)
    assert package in answer["message"] and said in answer["message"] and answer["kind"] == "denied"
    assert not prefix.exists() and not (tmp_path / "evil").exists() and not pathlib.Path("/tmp/evil-absolute").exists()


def test_a_damaged_archive_in_the_cache_is_fetched_again(solve, tmp_path):
    lock, cache = tmp_path / "lock.json", tmp_path / "cache"
    lock.write_text(solve("libdemo")["lock"])
    builder("install", "--lock", lock, "--prefix", tmp_path / "one", "--cache", cache)
    archive = next(cache.glob("archives/*/libdemo*"))
    archive.write_bytes(b"damaged")
    builder("install", "--lock", lock, "--prefix", tmp_path / "two", "--cache", cache)
    assert (tmp_path / "two/etc/demo.conf").exists() and archive.stat().st_size > 100


def test_a_failing_post_link_script_fails_the_build(install, solve, cache, tmp_path):
    lock = tmp_path / "lock.json"
    lock.write_text(solve("postlink-fails")["lock"])
    builder("install", "--lock", lock, "--prefix", tmp_path / "p", "--cache", cache)
    answer = builder("finish", "--lock", lock, "--prefix", tmp_path / "p", code=1)
    assert "the post-link script of postlink-fails failed (exit 3): no luck" in answer["message"]


def test_old_archives_are_dropped_first(solve, cache, tmp_path):
    lock, own = tmp_path / "lock.json", tmp_path / "cache"
    lock.write_text(solve("big", "libdemo")["lock"])
    builder("install", "--lock", lock, "--prefix", tmp_path / "p", "--cache", own, "--cache-limit", 1 << 20)
    assert [p.name for p in own.glob("archives/*/*")] in ([], ["libdemo-1.2-h_0.tar.bz2"])


def test_a_forged_lock_is_refused(solve, cache, tmp_path):
    good = json.loads(solve("libdemo")["lock"])
    of_package = ({"file_name": "../../x.conda"}, {"sha256": "00"}, {"url": "ssh://x"}, {"name": "../x"}, {"kind": "exe"}, {"version": 1}, {"build_number": "x"}, {"depends": [1]},
                  {"kind": "pip", "file_name": "../x.whl"})
    of_lock = ({"variables": {"LD_PRELOAD": "/x.so"}}, {"variables": {"A": "1\n2"}}, {"variables": {"A": 1}}, {"pip": {}}, {"platform": None}, {"platform": "linux-s390x"}, {"more": 1})
    for bad in [{**good, "packages": [{**good["packages"][0], **change}]} for change in of_package] + [{**good, **change} for change in of_lock]:
        (tmp_path / "lock.json").write_text(json.dumps(bad))
        assert "lock" in builder("adopt", "--lock", tmp_path / "lock.json", "--cache", cache, code=1)["message"]
    (tmp_path / "lock.json").write_text(json.dumps(good, indent=2))
    assert builder("adopt", "--lock", tmp_path / "lock.json", "--cache", cache)["packages"] == 1


def test_explicit_export_names_every_archive(solve, tmp_path):
    (tmp_path / "lock.json").write_text(solve("libdemo")["lock"])
    out = subprocess.run([BUILDER, "export", "--lock", tmp_path / "lock.json"], capture_output=True, text=True, env=ENV, check=True).stdout
    assert out.splitlines()[1] == "@EXPLICIT" and "libdemo-1.2-h_0.tar.bz2#sha256:" in out


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


# -- wheels
def wheel(folder, name, version, requires=()):
    import zipfile
    stem = f"{name}-{version}"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as z:
        files = {f"{name}.py": f"def main():\n    print('{name} {version}')\n",
                 f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + "".join(f"Requires-Dist: {r}\n" for r in requires),
                 f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
                 f"{stem}.dist-info/entry_points.txt": f"[console_scripts]\n{name}-say = {name}:main\n"}
        files[f"{stem}.dist-info/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{stem}.dist-info/RECORD"])
        for path, content in files.items():
            z.writestr(path, content)


def test_pip_section_installs_locked_wheels(install, solve, tmp_path, monkeypatch):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel(wheels, "wheely", "1.5", ["helper>=1", "numpy"])
    wheel(wheels, "helper", "2.0")
    wheel(wheels, "numpy", "2.4.6")  # conda's is taken instead
    monkeypatch.setitem(ENV, "PIP_NO_INDEX", "1")
    extra = f"  - pip:\n    - --find-links {wheels}\n    - wheely\n"
    lock = json.loads(solve("python", "numpy", extra=extra)["lock"])
    assert [(p["name"], p["version"]) for p in lock["pip"]] == [("helper", "2.0"), ("wheely", "1.5")]
    prefix, _ = install("python", "numpy", extra=extra)
    assert subprocess.run([prefix / "bin" / "wheely-say"], capture_output=True, text=True, check=True).stdout == "wheely 1.5\n"
    assert "needs python" in solve("libdemo", extra=extra, code=1)["message"]
    missing = solve("python", extra=f"  - pip:\n    - --find-links {wheels}\n    - no-such-thing\n", code=1)["message"]
    assert "cannot be solved" in missing and "no-such-thing" in missing
