"""The builder of conda environments, alone: checks, solving, installing and refusing, against a channel of real packages."""

import json
import pathlib
import subprocess

import pytest

import channel as channels
from building import BUILDER, ENV, builder

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
