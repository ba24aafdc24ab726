"""What a prefix consists of: a hash over all of it, and what differs between two. The keeper computes the same (keeper/tree.hpp)."""

import hashlib
import os
import stat

from .archives import file_hash


def is_derived(path):
    """Bytecode follows from the sources; Python does not write it the same each time."""
    return path.endswith(".pyc") and "/__pycache__/" in "/" + path


def entries(prefix):
    """{path: "f <sha256>" | "x <sha256>" | "l <target>"} of every file and link."""
    found = {}
    for folder, folders, files in os.walk(prefix):
        for name in folders + files:
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, prefix)
            info = os.lstat(path)
            if is_derived(relative):
                continue
            if stat.S_ISLNK(info.st_mode):
                found[relative] = "l " + os.readlink(path)
            elif stat.S_ISREG(info.st_mode):
                found[relative] = ("x " if info.st_mode & 0o111 else "f ") + file_hash(path)
    return found


def tree_hash(found):
    """SHA-256 over "<kind> <hash or target>\\0<path>\\0" of all entries, sorted by the bytes of their paths."""
    digest = hashlib.sha256()
    for path in sorted(found, key=os.fsencode):
        digest.update(os.fsencode(found[path]) + b"\0" + os.fsencode(path) + b"\0")
    return digest.hexdigest()


def drift(expected, found):
    return {"changed": sorted(p for p in expected.keys() & found.keys() if expected[p] != found[p]),
            "missing": sorted(expected.keys() - found.keys()), "added": sorted(found.keys() - expected.keys())}
