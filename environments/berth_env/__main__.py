"""berth-env-builder: see --help."""

import argparse
import asyncio
import json
import os
import pathlib
import sys

from . import archives, installing, tree
from . import lock as locks
from .report import BuildError, Report
from .site import load_site
from .solving import make_lock, platform
from .spec import parse_spec


def read(path):
    return sys.stdin.read() if path == "-" else pathlib.Path(path).read_text(errors="replace")


def summary(text, current, cached=None):
    lock = json.loads(text)
    packages = lock["packages"] + lock["pip"]
    fetched = sum(p["size"] for p in packages if not (cached and pathlib.Path(cached, p["sha256"], p["file_name"]).is_file()))
    return {"lock": text, "lock_hash": locks.lock_hash(text), "id": locks.prefix_id(text), "packages": len(packages), "download_bytes": fetched,
            "diff": locks.diff(current, lock)}


def do_check(arguments, report):
    report.phase("check", "Checking the file")
    spec = parse_spec(read(arguments.file))
    report.emit("result", dependencies=len(spec.dependencies), pip=len(spec.pip), warnings=spec.warnings)


def do_solve(arguments, report):
    report.phase("check", "Checking the file")
    spec = parse_spec(read(arguments.file))
    current = locks.parse_lock(read(arguments.current)) if arguments.current else None
    site = load_site(arguments.condarc, arguments.credentials)
    cache = pathlib.Path(arguments.cache)
    text = asyncio.run(make_lock(spec, site, report, cache, arguments.virtual, current))
    report.emit("result", warnings=spec.warnings, **summary(text, current, cache / "archives"))


def do_adopt(arguments, report):
    """A lock that somebody brings: as it would have been solved."""
    lock = locks.parse_lock(read(arguments.lock))
    if lock["platform"] != platform():
        raise BuildError(f"the lock is for {lock['platform']}, and this machine is {platform()}", "conflict")
    site = load_site(arguments.condarc, arguments.credentials)
    for package in lock["packages"]:
        if not site.permits_url(package["url"]):
            raise BuildError(f"{package['name']} comes from {package['url']}, and that channel is not allowed here", "denied")
    text = locks.canonical(lock)
    current = locks.parse_lock(read(arguments.current)) if arguments.current else None
    report.emit("result", warnings=[], **summary(text, current, pathlib.Path(arguments.cache) / "archives"))


def do_diff(arguments, report):
    old, new = (locks.parse_lock(read(path)) for path in (arguments.old, arguments.new))
    report.emit("result", diff=locks.diff(old, new))


def do_export(arguments, report):
    sys.stdout.write(locks.explicit(locks.parse_lock(read(arguments.lock))))


def do_install(arguments, report):
    lock = locks.parse_lock(read(arguments.lock))
    site = load_site(arguments.condarc, arguments.credentials)
    cache = pathlib.Path(arguments.cache)
    asyncio.run(installing.install_lock(lock, pathlib.Path(arguments.prefix), cache, site, report))
    archives.trim(cache / "archives", arguments.cache_limit)
    report.emit("result", prefix=arguments.prefix)


def do_finish(arguments, report):
    prefix = pathlib.Path(arguments.prefix)
    installing.finish(locks.parse_lock(read(arguments.lock)), prefix, report)
    report.emit("result", prefix=arguments.prefix, kernels=installing.kernels(prefix))


def do_hash(arguments, report):
    found = tree.entries(arguments.prefix)
    report.emit("result", tree_hash=tree.tree_hash(found), files=len(found))


def do_compare(arguments, report):
    expected, found = tree.entries(arguments.expected), tree.entries(arguments.prefix)
    report.emit("result", ok=expected == found, tree_hash=tree.tree_hash(found), expected=tree.tree_hash(expected), **tree.drift(expected, found))


FILE = (("file",), {"help": "environment.yml, or - for standard input"})
LOCK = (("--lock",), {"required": True, "help": "the lock's file"})
PREFIX = (("--prefix",), {"required": True, "help": "where the environment goes, or is"})
CURRENT = (("--current",), {"default": "", "help": "the lock that is in use now"})
SITE = ((("--condarc",), {"default": "", "help": "the site's .condarc"}), (("--credentials",), {"default": "", "help": "rattler's credentials file"}),
        (("--cache",), {"required": True, "help": "a folder for archives and channel data"}))
COMMANDS = {
    "check": ("check an environment.yml", do_check, (FILE,)),
    "solve": ("solve an environment.yml into a lock", do_solve,
              (FILE, CURRENT, *SITE, (("--virtual",), {"action": "append", "default": [], "help": "a virtual package, such as __cuda=12.4"}))),
    "adopt": ("check a lock", do_adopt, (LOCK, CURRENT, *SITE)),
    "diff": ("what changes between two locks", do_diff, ((("old",), {}), (("new",), {}))),
    "export": ("conda's explicit spec of a lock", do_export, (LOCK,)),
    "install": ("fetch and link a lock; needs the network, runs no package's code", do_install,
                (LOCK, PREFIX, *SITE, (("--cache-limit",), {"type": int, "default": 8 << 30, "help": "bytes of archives to keep"}))),
    "finish": ("run post-link scripts and compile; needs no network", do_finish, (LOCK, PREFIX)),
    "hash": ("the tree hash of a prefix", do_hash, (PREFIX,)),
    "compare": ("what differs between two prefixes", do_compare, ((("--expected",), {"required": True}), PREFIX)),
}


def main(argv=None):
    parser = argparse.ArgumentParser(prog="berth-env-builder", description="Builds conda environments; JSON lines on standard output.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (help_text, run, options) in COMMANDS.items():
        command = commands.add_parser(name, help=help_text)
        command.set_defaults(run=run)
        for names, settings in options:
            command.add_argument(*names, **settings)
    arguments = parser.parse_args(argv)
    report = Report()
    try:
        arguments.run(arguments, report)
        return 0
    except BuildError as error:
        report.emit("error", kind=error.kind, message=str(error))
    except OSError as error:
        kind = "unavailable"
        report.emit("error", kind=kind, message=f"{error.strerror or error}{': ' + str(error.filename) if error.filename else ''}")
    return 1


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Without the interpreter's own end: threads of py-rattler that still let go of its lock then make it abort after all is done.
    os._exit(status)
