"""The lock of a revision: a JSON document that names every file to fetch by URL and SHA-256. Equal locks are equal texts."""

import hashlib
import json
import re

from rattler import BuildString, PackageRecord, RepoDataRecord, Version

from .report import BuildError
from .spec import variable_problem

VERSION = 1
SHA256 = re.compile(r"[0-9a-f]{64}")
FILE_NAME = re.compile(r"[A-Za-z0-9_.+!-]+\.(conda|tar\.bz2)")
WHEEL_NAME = re.compile(r"[A-Za-z0-9_.+!-]+\.whl")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
RECORD_FIELDS = ("depends", "constrains", "license", "python_site_packages_path", "track_features")


def canonical(lock):
    return json.dumps(lock, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def lock_hash(text):
    return hashlib.sha256(text.encode()).hexdigest()


def prefix_id(text):
    """The name of the lock's prefix in every store."""
    return lock_hash(text)[:32]


def package_of(record):
    """A solved record as it stands in a lock."""
    if not record.sha256:
        raise BuildError(f"{record.name.normalized} {record.version} has no SHA-256 in its channel, so it could not be verified", "unavailable")
    package = {"kind": "conda", "name": record.name.normalized, "version": str(record.version), "build": str(record.build),
               "build_number": record.build_number, "subdir": str(record.subdir), "file_name": record.file_name, "url": str(record.url),
               "channel": str(record.channel or ""), "sha256": bytes(record.sha256).hex(), "size": record.size or 0}
    if record.md5:
        package["md5"] = bytes(record.md5).hex()
    data = json.loads(record.to_json())
    for field in RECORD_FIELDS:
        if data.get(field):
            package[field] = data[field]
    if data.get("noarch"):
        package["noarch"] = data["noarch"]
    return package


def record_of(package, url):
    """The record that rattler links, with the archive at `url`."""
    record = PackageRecord(
        name=package["name"], version=package["version"], build=BuildString(package["build"]), build_number=package["build_number"],
        subdir=package["subdir"], noarch=package.get("noarch"), depends=package.get("depends", []), constrains=package.get("constrains", []),
        sha256=bytes.fromhex(package["sha256"]), md5=bytes.fromhex(package["md5"]) if package.get("md5") else None, size=package["size"] or None,
        license=package.get("license"), python_site_packages_path=package.get("python_site_packages_path"))
    return RepoDataRecord(record, package["file_name"], url, package["channel"])


# What each package has: field, and its type.
FIELDS = {"conda": {"version": str, "build": str, "build_number": int, "subdir": str, "channel": str, "size": int}, "pip": {"version": str, "size": int}}


def package_problem(package):
    """Why this is no package of a lock; empty when it is one."""
    name = package["name"]
    fields = FIELDS.get(package.get("kind"))
    if fields is None:
        return f"the lock's package {name} is of no known kind"
    proper = (FILE_NAME if package["kind"] == "conda" else WHEEL_NAME).fullmatch(str(package.get("file_name")))
    if not proper:
        return f"the lock's package {name} has no proper file name"
    for field, kind in fields.items():
        if not isinstance(package.get(field), kind):
            return f"the lock's package {name} has no proper {field}"
    for field in ("depends", "constrains"):
        value = package.get(field, [])
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            return f"the lock's package {name} has no proper {field}"
    if not str(package.get("url", "")).startswith(("https://", "http://", "file:///")):
        return f"the lock's package {name} has no usable URL"
    return ""


def parse_lock(text):
    """The lock in a text, checked: whoever wrote it, nothing in it can name a path."""
    try:
        lock = json.loads(text)
    except ValueError:
        raise BuildError("this is not a lock: not JSON") from None
    if not isinstance(lock, dict) or lock.get("version") != VERSION or not isinstance(lock.get("packages"), list):
        raise BuildError(f"this is not a lock of version {VERSION}")
    if set(lock) - {"version", "platform", "packages", "pip", "variables"}:
        raise BuildError("the lock has fields that this version does not know")
    pip, variables = lock.setdefault("pip", []), lock.setdefault("variables", {})
    if not isinstance(pip, list) or not isinstance(variables, dict) or not isinstance(lock.get("platform"), str):
        raise BuildError("the lock has a field of the wrong kind")
    for package in lock["packages"] + pip:
        if not isinstance(package, dict) or not SHA256.fullmatch(str(package.get("sha256"))) or not NAME.fullmatch(str(package.get("name"))):
            raise BuildError("the lock has a package without a name or a SHA-256")
        if problem := package_problem(package):
            raise BuildError(problem)
    for name, value in variables.items():
        if problem := variable_problem(name, value if isinstance(value, str) else "\n"):
            raise BuildError(f"the lock: {problem}")
    return lock


def diff(old, new):
    """What changes from one lock (or None) to another, by name."""
    def index(lock):
        return {(p["kind"], p["name"]): p for p in (lock["packages"] + lock.get("pip", []) if lock else [])}

    def short(p):
        return {"name": p["name"], "version": p["version"], "build": p.get("build", ""), "kind": p["kind"]}

    before, after = index(old), index(new)
    changed = []
    for key in sorted(before.keys() & after.keys(), key=lambda k: (k[1], k[0])):
        a, b = before[key], after[key]
        if a["sha256"] == b["sha256"]:
            continue
        if a["version"] == b["version"]:
            direction = "rebuilt"
        else:
            direction = "up" if Version(b["version"]) > Version(a["version"]) else "down"
        changed.append({"name": key[1], "kind": key[0], "from": short(a), "to": short(b), "direction": direction})
    order = lambda keys: sorted(keys, key=lambda k: (k[1], k[0]))  # noqa: E731
    return {"added": [short(after[k]) for k in order(after.keys() - before.keys())],
            "removed": [short(before[k]) for k in order(before.keys() - after.keys())], "changed": changed}


def explicit(lock):
    """conda's explicit spec: `conda create --file`. Wheels stand in comments, which conda skips."""
    lines = ["# platform: " + lock["platform"], "@EXPLICIT"]
    lines += [f"{p['url']}#sha256:{p['sha256']}" for p in lock["packages"]]
    lines += [f"# pip {p['name']}=={p['version']} --hash=sha256:{p['sha256']}" for p in lock.get("pip", [])]
    return "\n".join(lines) + "\n"
