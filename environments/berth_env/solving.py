"""From a checked environment.yml to a lock. Runs no code of any package."""

import json
import pathlib
import subprocess
import sys
import tempfile
from datetime import timedelta
from urllib.parse import unquote, urlsplit

from rattler import BuildString, Channel, Gateway, GenericVirtualPackage, MatchSpec, PackageName, Subdir, Version, VirtualPackage, solve
from rattler.exceptions import GatewayError, SolverError

from . import lock as locks
from .report import BuildError
from .spec import Entry, nearest

SOLVE_LIMIT = timedelta(minutes=5)
PIP_LIMIT = 600  # seconds


def platform():
    return str(Subdir.current())


def virtual_packages(overrides):
    """Those of the image that this runs in (its glibc), and what the site says of the machine: ["__cuda=12.4"]."""
    found = {p.into_generic().name.normalized: p.into_generic() for p in VirtualPackage.detect()}
    for text in overrides:
        name, _, version = text.partition("=")
        found[name] = GenericVirtualPackage(PackageName(name), Version(version), BuildString("0"))
    return list(found.values())


def channel_entries(spec, site):
    return spec.channels or [Entry(name, 0) for name in site.channels]


def at(entry):
    return f"line {entry.line}: " if entry.line else ""


async def readable_channels(spec, site, gateway):
    """The channels' URLs in order of priority, each of them read once. A fault names the line it stands in."""
    urls, faults = [], []
    for entry in channel_entries(spec, site):
        if not site.permits(entry.text):
            faults.append(f"{at(entry)}the channel '{entry.text}' is not allowed here{nearest(entry.text, site.allowed) if site.allowed else ''}")
            continue
        for url in site.resolve(entry.text):
            problem = await channel_problem(url, gateway)
            if problem:
                faults.append(f"{at(entry)}unknown channel '{entry.text}': {problem}")
            elif url not in urls:
                urls.append(url)
    if faults:
        raise BuildError("\n".join(faults))
    return urls


async def channel_problem(url, gateway):
    if url.startswith("file://") and not pathlib.Path(unquote(urlsplit(url).path)).is_dir():
        return f"there is no folder {unquote(urlsplit(url).path)} here"
    try:
        names = await gateway.names(sources=[Channel(url)], platforms=[Subdir(platform()), Subdir("noarch")])
    except GatewayError as error:
        return str(error).splitlines()[0]
    return "" if names else f"{url} offers no package for {platform()}"


async def make_lock(spec, site, report, cache, virtual=(), current=None):
    """The lock's text. `current`: the lock that the environment has now, whose versions are kept where they fit."""
    gateway = Gateway(cache_dir=cache / "repodata", client=site.client())
    report.phase("solve", "Reading the channels")
    urls = await readable_channels(spec, site, gateway)
    for warning in spec.warnings:
        report.log(warning)
    report.phase("solve", "Solving")
    kept = [locks.record_of(p, p["url"]) for p in current["packages"]] if current else []
    try:
        records = await solve(sources=[Channel(url) for url in urls], specs=[MatchSpec(d.text, strict=False) for d in spec.dependencies],
                              gateway=gateway, locked_packages=kept, virtual_packages=virtual_packages(virtual),
                              channel_priority=site.priority, timeout=SOLVE_LIMIT)
    except SolverError as error:
        raise BuildError(f"the environment cannot be solved:\n{error}", "conflict") from None
    except GatewayError as error:
        raise BuildError(f"a channel cannot be read: {error}", "unavailable") from None
    packages = sorted((locks.package_of(r) for r in records), key=lambda p: p["name"])
    wheels = solve_pip(spec, packages, report) if spec.pip else []
    lock = {"version": locks.VERSION, "platform": platform(), "packages": packages, "pip": wheels, "variables": spec.variables}
    text = locks.canonical(lock)
    locks.parse_lock(text)
    return text


def python_version(packages):
    for package in packages:
        if package["name"] == "python":
            return ".".join(package["version"].split(".")[:2])
    return None


def solve_pip(spec, packages, report):
    """The wheels of the pip section: what conda provides is taken as it is. Only wheels, so nothing is built and no code runs."""
    python = python_version(packages)
    if not python:
        raise BuildError(f"line {spec.pip[0].line}: 'pip:' needs python among the dependencies")
    report.phase("solve", "Solving the pip section")
    given = {pip_name(p["name"]): p["version"] for p in packages}
    with tempfile.TemporaryDirectory() as scratch:
        constraints, found = pathlib.Path(scratch, "constraints"), pathlib.Path(scratch, "report")
        constraints.write_text("".join(f"{name}=={version}\n" for name, version in given.items() if name not in ("python", "pip")))
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--no-input", "--disable-pip-version-check",
                   "--only-binary=:all:", "--report", str(found), "--target", str(pathlib.Path(scratch, "to")), "--python-version", python,
                   "--implementation", "cp", "--constraint", str(constraints), *platform_tags()]
        for entry in spec.pip:
            command += entry.text.split(None, 1)
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_LIMIT)
        if done.returncode != 0:
            why = "\n".join(line for line in done.stderr.splitlines() if line.startswith("ERROR")) or done.stderr[-1000:]
            raise BuildError(f"the pip section (line {spec.pip[0].line}) cannot be solved:\n{why}", "conflict")
        return sorted(wheels_of(json.loads(found.read_text()), given), key=lambda p: p["name"])


def platform_tags():
    import platform as host
    minor = int(host.libc_ver()[1].split(".")[1]) if host.libc_ver()[0] == "glibc" else 17
    tags = [f"manylinux_2_{n}_{host.machine()}" for n in range(minor, 4, -1)] + [f"manylinux2014_{host.machine()}", f"linux_{host.machine()}"]
    return [part for tag in tags for part in ("--platform", tag)]


def pip_name(name):
    return name.lower().replace("_", "-").replace(".", "-")


def wheels_of(found, given):
    for item in found["install"]:
        name, info = pip_name(item["metadata"]["name"]), item["download_info"]
        if name in given:
            continue
        digest = info.get("archive_info", {}).get("hashes", {}).get("sha256")
        if not digest:
            raise BuildError(f"the wheel of {name} has no SHA-256 in its index, so it could not be verified", "unavailable")
        yield {"kind": "pip", "name": name, "version": item["metadata"]["version"], "file_name": unquote(urlsplit(info["url"]).path.rsplit("/", 1)[-1]),
               "url": info["url"], "sha256": digest, "size": 0}
