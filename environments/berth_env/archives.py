"""Fetching archives, each checked by its hash at every use, and looking into them before anything is linked."""

import asyncio
import hashlib
import json
import os
import pathlib
import posixpath
from urllib.parse import unquote, urlsplit

from rattler.package_streaming import PackageArchive, download_to_writer

from .report import BuildError

SIZE_LIMIT = 64 << 30  # unpacked bytes of one package
CHUNK = 1 << 20


class _Sink:
    """Where a download goes: to a file, a hash, a limit and the progress bar at once."""

    def __init__(self, path, limit, tell):
        self.file, self.digest, self.limit, self.tell, self.size = open(path, "wb"), hashlib.sha256(), limit, tell, 0

    def write(self, data):
        self.size += len(data)
        if self.limit and self.size > self.limit:
            raise OSError("the download is larger than its channel says")
        self.digest.update(data)
        self.tell(len(data))
        return self.file.write(data)


def file_hash(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def copy(path, sink):
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            sink.write(chunk)


async def fetch(package, folder, client, tell):
    """The archive's path in `folder`, downloaded unless it is there whole. BuildError when its bytes are not those of the lock."""
    place = pathlib.Path(folder, package["sha256"])
    path = place / package["file_name"]
    if path.is_file() and not path.is_symlink():
        if file_hash(path) == package["sha256"]:
            os.utime(path)
            tell(package["size"])
            return path
        path.unlink()
    place.mkdir(parents=True, exist_ok=True)
    unfinished = place / ".part"
    sink = _Sink(unfinished, package["size"], tell)
    try:
        if package["url"].startswith("file://"):
            await asyncio.to_thread(copy, unquote(urlsplit(package["url"]).path), sink)
        else:
            await download_to_writer(client, package["url"], sink)
    except Exception as error:  # of many kinds: the network, the server, a file that is not there
        raise BuildError(f"{package['file_name']} cannot be fetched: {error}", "unavailable") from None
    finally:
        sink.file.close()
    if sink.digest.hexdigest() != package["sha256"]:
        unfinished.unlink()
        raise BuildError(f"{package['file_name']} is not what its channel promised: SHA-256 {sink.digest.hexdigest()} instead of "
                         f"{package['sha256']}; it was not installed", "denied")
    unfinished.rename(path)
    return path


def _inside(name):
    return bool(name) and not name.startswith("/") and "\\" not in name and "\0" not in name and ".." not in name.split("/")


def _link_inside(name, target):
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    return bool(target) and not target.startswith("/") and joined != ".." and not joined.startswith("../")


def _refuse(package, what):
    raise BuildError(f"{package['file_name']} is refused: {what}", "denied")


async def inspect(package, path):
    """Refuses a package that would write outside its prefix, or that is another one than its name says."""
    try:
        await _inspect(package, path)
    except (OSError, ValueError) as error:  # rattler's own refusals, and archives that are none
        _refuse(package, str(error))


async def _inspect(package, path):
    archive = await PackageArchive.from_path(str(path))
    index = json.loads(await archive.read_file("info/index.json") or b"{}")
    for field in ("name", "version", "build"):
        if str(index.get(field)) != package[field]:
            _refuse(package, f"inside it calls itself {index.get('name')} {index.get('version')} {index.get('build')}")
    links, parents, size = set(), set(), 0
    async for entry in archive.stream("pkg"):
        name = entry.name.rstrip("/")
        if not _inside(name):
            _refuse(package, f"its path {name!r} leaves the environment")
        if entry.is_link:
            target = entry.link_target or ""
            if not (_link_inside(name, target) if entry.is_symlink else _inside(target)):
                _refuse(package, f"its link {name!r} points outside the environment, to {target!r}")
            links.add(name)
        parents.update(_folders_above(name))
        size += entry.size
        if size > SIZE_LIMIT:
            _refuse(package, "it is too large when unpacked")
    paths = json.loads(await archive.read_file("info/paths.json") or b'{"paths":[]}')
    for entry in paths.get("paths", []):
        name = str(entry.get("_path", ""))
        if not _inside(name):
            _refuse(package, f"its path {name!r} leaves the environment")
        parents.update(_folders_above(name))
    if links & parents:
        _refuse(package, f"it has files behind its own link {min(links & parents)!r}")


def _folders_above(name):
    while name := posixpath.dirname(name):
        yield name


def trim(folder, limit):
    """Removes the archives that were used least recently until `limit` bytes are left."""
    found = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in pathlib.Path(folder).glob("*/*") if path.is_file())
    total = sum(size for _, size, _ in found)
    for _, size, path in found:
        if total <= limit:
            break
        path.unlink()
        path.parent.rmdir()
        total -= size
