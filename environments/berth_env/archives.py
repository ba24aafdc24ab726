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
TRIES = 5  # of a download that brings nothing at all


class _Sink:
    """Where a download goes: to a file, a hash, a limit and the progress bar at once. Goes on where an earlier one stopped."""

    def __init__(self, path, limit, tell):
        self.path, self.limit, self.tell, self.told = path, limit, tell, 0
        self.file, self.digest, self.size = open(path, "ab+"), hashlib.sha256(), 0
        self.too_large, self.fault = False, None
        if limit and os.fstat(self.file.fileno()).st_size >= limit:
            self.file.truncate(0)
        self.file.seek(0)
        while chunk := self.file.read(CHUNK):
            self.take(chunk)

    def take(self, data):
        self.size += len(data)
        self.digest.update(data)
        if self.size > self.told:
            self.tell(self.size - self.told)
            self.told = self.size

    def write(self, data):
        if self.limit and self.size + len(data) > self.limit:
            self.too_large = True
            raise OSError("the download is larger than its channel says")
        try:
            written = self.file.write(data)
            self.file.flush()
        except OSError as error:  # kept, since the download tells it in words of its own
            self.fault = error
            raise
        self.take(data)
        return written

    def start_over(self):
        self.file.truncate(0)
        self.digest, self.size, self.too_large = hashlib.sha256(), 0, False


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
        await _download(package, sink, client)
    except BuildError:
        raise
    except Exception as error:  # of many kinds: the network, the server, a file that is not there
        raise BuildError(f"{package['file_name']} cannot be fetched: {error}", "unavailable") from None
    finally:
        sink.file.close()
    unfinished.rename(path)
    return path


async def _download(package, sink, client):
    """Until the bytes are those of the lock. What a lost connection has brought is kept, and the rest asked for."""
    failures = 0
    while True:
        begin = sink.size
        try:
            if package["url"].startswith("file://"):
                sink.start_over()
                begin = 0
                await asyncio.to_thread(copy, unquote(urlsplit(package["url"]).path), sink)
            else:
                await download_to_writer(client({"Range": f"bytes={begin}-"} if begin else None), package["url"], sink)
            if sink.digest.hexdigest() == package["sha256"]:
                return
            if not begin:
                os.unlink(sink.path)
                raise BuildError(f"{package['file_name']} is not what its channel promised: SHA-256 {sink.digest.hexdigest()} instead of "
                                 f"{package['sha256']}; it was not installed", "denied")
            sink.start_over()  # a server that knows no ranges, or another file by now
        except BuildError:
            raise
        except Exception as error:  # the network, the server, the disk
            refused = "client error" in str(error)
            if sink.fault:
                raise sink.fault from None
            if not begin and (refused or sink.too_large) or package["url"].startswith("file://"):
                raise
            if refused or sink.too_large:
                sink.start_over()
            failures = failures + 1 if sink.size <= begin else 0
            if failures >= TRIES:
                raise
            await asyncio.sleep(0.2 * 2 ** failures)


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
