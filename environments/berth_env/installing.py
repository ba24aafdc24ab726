"""From a lock to a prefix, in two steps that may run in two sandboxes: `install` has the network and runs no package's code; `finish`
runs the packages' own scripts and compiles, and needs no network."""

import asyncio
import json
import os
import pathlib
import re
import shutil
import subprocess

from rattler import PackageCache, install

from . import archives
from . import lock as locks
from .report import BuildError
from .solving import python_version

DOWNLOADS = 6          # at a time
SCRIPT_LIMIT = 600     # seconds of one post-link script
COMPILE_LIMIT = 3600


class _Linking:
    """rattler's progress as ours."""

    def __init__(self, report, total):
        self.report, self.total, self.done, self.now = report, total, 0, ""

    def on_link_start(self, operation, package_name):
        self.now = package_name
        return operation

    def on_link_complete(self, index):
        self.done = min(self.done + 1, self.total)
        self.report.progress(f"Linking {self.now}", self.done, self.total)


async def fetch_all(lock, cache, client, report):
    packages = lock["packages"] + lock.get("pip", [])
    total = sum(p["size"] for p in packages)
    state = {"done": 0, "bytes": 0}
    report.phase("fetch", f"Fetching {len(packages)} packages")
    gate = asyncio.Semaphore(DOWNLOADS)

    async def one(package):
        async with gate:
            def tell(size):
                state["bytes"] += size
                report.progress(f"Fetching {package['name']}", state["done"], len(packages), state["bytes"], max(total, state["bytes"]))
            path = await archives.fetch(package, cache / "archives", client, tell)
            if package["kind"] == "conda":
                await archives.inspect(package, path)
            state["done"] += 1
            report.progress(f"Fetched {package['name']}", state["done"], len(packages), state["bytes"], max(total, state["bytes"]))
            return path

    tasks = [asyncio.ensure_future(one(package)) for package in packages]
    try:
        return dict(zip([p["sha256"] for p in packages], await asyncio.gather(*tasks)))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def install_lock(lock, prefix, cache, site, report):
    """Fetches what is missing and links everything into `prefix`, which must not exist."""
    if prefix.exists() and any(prefix.iterdir()):
        raise BuildError(f"{prefix} is not empty", "conflict")
    paths = await fetch_all(lock, cache, site.client, report)
    conda = lock["packages"]
    prefix.parent.mkdir(parents=True, exist_ok=True)
    report.phase("link", f"Linking {len(conda)} packages")
    extracted = cache / "extracted"
    shutil.rmtree(extracted, ignore_errors=True)
    try:
        await install([locks.record_of(p, paths[p["sha256"]].as_uri()) for p in conda], target_prefix=prefix, package_cache=PackageCache(extracted),
                      execute_link_scripts=False, reporter=_Linking(report, len(conda)), client=site.client())
    except Exception as error:  # of many kinds
        raise BuildError(f"the packages cannot be linked: {error}", "unavailable") from None
    finally:
        shutil.rmtree(extracted, ignore_errors=True)
    prefix.mkdir(parents=True, exist_ok=True)
    install_wheels(lock, prefix, paths, report)
    tidy_records(lock, prefix)


def install_wheels(lock, prefix, paths, report):
    if not lock.get("pip"):
        return
    from installer import install as install_wheel
    from installer.destinations import SchemeDictionaryDestination
    from installer.sources import WheelFile
    version = python_version(lock["packages"])
    site_packages = prefix / "lib" / f"python{version}" / "site-packages"
    scheme = {"purelib": str(site_packages), "platlib": str(site_packages), "headers": str(prefix / "include"), "scripts": str(prefix / "bin"),
              "data": str(prefix)}
    for done, package in enumerate(lock["pip"]):
        report.progress(f"Unpacking {package['name']}", done, len(lock["pip"]))
        try:
            with WheelFile.open(paths[package["sha256"]]) as source:
                for (name, _, _), _, _ in source.get_contents():
                    if name.startswith("/") or ".." in name.split("/"):
                        raise BuildError(f"{package['file_name']} is refused: its path {name!r} leaves the environment", "denied")
                install_wheel(source, SchemeDictionaryDestination(scheme, interpreter=str(prefix / "bin" / "python"), script_kind="posix"),
                              additional_metadata={"INSTALLER": b"berth"})
        except BuildError:
            raise
        except Exception as error:  # a broken wheel fails in many ways
            raise BuildError(f"{package['file_name']} cannot be unpacked: {error}", "unavailable") from None


def tidy_records(lock, prefix):
    """conda-meta as any conda expects it, but the same at each build: no paths of the build, no times."""
    by_file = {p["file_name"]: p for p in lock["packages"]}
    meta = prefix / "conda-meta"
    meta.mkdir(parents=True, exist_ok=True)
    for path in sorted(meta.glob("*.json")):
        record = json.loads(path.read_text())
        package = by_file.get(record.get("fn", ""))
        if package is None:
            continue
        record["url"], record["channel"] = package["url"], package["channel"]
        for key in ("extracted_package_dir", "package_tarball_full_path", "link", "requested_spec", "requested_specs"):
            record.pop(key, None)
        path.write_text(json.dumps(record, sort_keys=True, indent=1))
    (meta / "history").write_text("".join(f"+{p['channel']}::{p['name']}-{p['version']}-{p['build']}\n" for p in lock["packages"]))
    if lock.get("variables"):
        (meta / "state").write_text(json.dumps({"env_vars": lock["variables"]}, sort_keys=True))
    (prefix / "CACHEDIR.TAG").unlink(missing_ok=True)


def finish(lock, prefix, report):
    """Post-link scripts in the order of dependencies, then bytecode."""
    run_scripts(lock, prefix, report)
    compile_python(lock, prefix, report)


def in_order(packages):
    """Dependencies first."""
    by_name = {p["name"]: p for p in packages}
    ordered, seen = [], set()

    def visit(package):
        if package["name"] in seen:
            return
        seen.add(package["name"])
        for spec in package.get("depends", []):
            needed = by_name.get(re.split(r"[\s=<>!\[]", spec, maxsplit=1)[0])
            if needed:
                visit(needed)
        ordered.append(package)

    for package in packages:
        visit(package)
    return ordered


def run_scripts(lock, prefix, report):
    scripts = [(p, prefix / "bin" / f".{p['name']}-post-link.sh") for p in in_order(lock["packages"])]
    scripts = [(p, script) for p, script in scripts if script.is_file()]
    if scripts:
        report.phase("link", "Running post-link scripts")
    for done, (package, script) in enumerate(scripts):
        report.progress(f"Post-link script of {package['name']}", done, len(scripts))
        environment = {"PATH": f"{prefix}/bin:/usr/local/bin:/usr/bin:/bin", "HOME": os.environ.get("HOME", "/tmp"), "LANG": "C.UTF-8",
                       "TMPDIR": os.environ.get("TMPDIR", "/tmp"), "PREFIX": str(prefix), "ROOT_PREFIX": str(prefix), "CONDA_PREFIX": str(prefix),
                       "PKG_NAME": package["name"], "PKG_VERSION": package["version"], "PKG_BUILDNUM": str(package["build_number"])}
        try:
            ran = subprocess.run(["/bin/sh", str(script)], cwd=prefix, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True, errors="replace", timeout=SCRIPT_LIMIT)
        except subprocess.TimeoutExpired:
            raise BuildError(f"the post-link script of {package['name']} did not end within {SCRIPT_LIMIT} s", "timeout") from None
        report.log(ran.stdout[-4000:])
        if ran.returncode != 0:
            raise BuildError(f"the post-link script of {package['name']} failed (exit {ran.returncode}): {ran.stdout[-500:].strip()}", "conflict")
    messages = prefix / ".messages.txt"
    if messages.is_file():
        report.log(messages.read_text(errors="replace")[:4000])
        messages.unlink()


def compile_python(lock, prefix, report):
    """Bytecode that needs no check against its source at each import: the prefix never changes again. Times play no part in it."""
    version = python_version(lock["packages"])
    python = prefix / "bin" / "python"
    if not version or not python.exists():
        return
    report.phase("compile", "Compiling Python files")
    # Without the prefix in it, bytecode is the same in every environment and lies on the disk once; an import puts the true path in.
    command = [str(python), "-I", "-m", "compileall", "-q", "-f", "-j", "0", "-s", str(prefix), "--invalidation-mode", "unchecked-hash", str(prefix / "lib" / f"python{version}")]
    try:
        # Files that do not compile (templates, other versions' syntax) make it fail; they do no harm.
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=COMPILE_LIMIT,
                       env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": os.environ.get("HOME", "/tmp")})
    except (subprocess.TimeoutExpired, OSError) as error:
        report.log(f"not compiled: {error}")
    report.progress("Compiled", 1, 1)


def kernels(prefix):
    """The names of the Jupyter kernels that the environment brings."""
    return sorted(path.parent.name for path in pathlib.Path(prefix, "share/jupyter/kernels").glob("*/kernel.json"))
