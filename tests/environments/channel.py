"""A conda channel of real packages, made here: Debian's Python as a relocatable package, numpy and ipykernel with what they need from PyPI's
wheels, and small packages that are hostile or odd on purpose. Kept in ~/.cache/berth (BERTH_CACHE), made again when it is missing.

    python tests/environments/channel.py DIR      makes the channel in DIR
"""

import email
import hashlib
import io
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

import zstandard
from packaging.requirements import Requirement

PLACEHOLDER = "/opt/placehold_" + "placehold_" * 20
PYTHON = "3.11"
WHEELS = ["numpy==2.4.6", "ipykernel==7.4.0", "bash_kernel==0.10.0"]
PLATFORM = "linux-64" if os.uname().machine == "x86_64" else "linux-aarch64"
RECIPE = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()[:12]


class Link(str):
    """The content of a symlink."""


class Channel:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.records = {PLATFORM: {}, "noarch": {}}

    def add(self, name, version, files, *, depends=(), noarch=None, build=None, entry_points=(), executable=(), prefixed=(), old_format=False,
            wrong_hash=False, inside_name=None, level=3, more_paths=()):
        """`files`: {path: bytes or Link}. `prefixed`: paths in which PLACEHOLDER stands. `wrong_hash`: the index lies."""
        subdir = "noarch" if noarch else PLATFORM
        build = build or ("py_0" if noarch else "h_0")
        index = {"name": inside_name or name, "version": version, "build": build, "build_number": 0, "depends": list(depends), "subdir": subdir,
                 "timestamp": 1700000000000, "license": "Apache-2.0"}
        if noarch:
            index["noarch"] = noarch
        if name == "python":
            index["python_site_packages_path"] = f"lib/python{PYTHON}/site-packages"
        info = {"info/index.json": json.dumps(index).encode(), "info/paths.json": self._paths(files, prefixed, more_paths)}
        if noarch == "python":
            info["info/link.json"] = json.dumps({"package_metadata_version": 1, "noarch": {"type": "python", "entry_points": list(entry_points)}}).encode()
        place = self.folder / subdir
        place.mkdir(parents=True, exist_ok=True)
        stem = f"{name}-{version}-{build}"
        path = place / (stem + (".tar.bz2" if old_format else ".conda"))
        if old_format:
            path.write_bytes(self._tar({**files, **info}, executable, "bz2"))
        else:
            pack = zstandard.ZstdCompressor(level=level).compress
            with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
                archive.writestr("metadata.json", '{"conda_pkg_format_version":2}')
                archive.writestr(f"info-{stem}.tar.zst", pack(self._tar(info, (), "")))
                archive.writestr(f"pkg-{stem}.tar.zst", pack(self._tar(files, executable, "")))
        data = path.read_bytes()
        digest = hashlib.sha256(b"something else" if wrong_hash else data).hexdigest()
        self.records[subdir][path.name] = {**index, "name": name, "sha256": digest, "md5": hashlib.md5(b"" if wrong_hash else data).hexdigest(),
                                           "size": len(data)}

    def write_index(self):
        for subdir, records in self.records.items():
            place = self.folder / subdir
            place.mkdir(parents=True, exist_ok=True)
            new = {name: r for name, r in records.items() if name.endswith(".conda")}
            old = {name: r for name, r in records.items() if not name.endswith(".conda")}
            (place / "repodata.json").write_text(json.dumps({"info": {"subdir": subdir}, "packages": old, "packages.conda": new, "repodata_version": 1}))

    @staticmethod
    def _paths(files, prefixed, more_paths):
        entries = []
        for path, content in files.items():
            entry = {"_path": path, "path_type": "softlink" if isinstance(content, Link) else "hardlink"}
            if not isinstance(content, Link):
                entry |= {"sha256": hashlib.sha256(content).hexdigest(), "size_in_bytes": len(content)}
            if path in prefixed:
                entry |= {"prefix_placeholder": PLACEHOLDER, "file_mode": "binary" if b"\0" in content else "text"}
            entries.append(entry)
        entries += [{"_path": path, "path_type": "hardlink", "sha256": hashlib.sha256(b"x").hexdigest(), "size_in_bytes": 1} for path in more_paths]
        return json.dumps({"paths_version": 1, "paths": entries}).encode()

    @staticmethod
    def _tar(files, executable, compression):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=f"w:{compression}" if compression else "w") as tar:
            for path, content in files.items():
                member = tarfile.TarInfo(path)
                member.mtime = 1700000000
                if isinstance(content, Link):
                    member.type, member.linkname = tarfile.SYMTYPE, str(content)
                    tar.addfile(member)
                else:
                    member.size, member.mode = len(content), 0o755 if path in executable else 0o644
                    tar.addfile(member, io.BytesIO(content))
        return buffer.getvalue()


def add_python(channel):
    """Debian's interpreter with its library, from the files of this machine."""
    program, library = pathlib.Path(f"/usr/bin/python{PYTHON}"), pathlib.Path(f"/usr/lib/python{PYTHON}")
    left_out = {"__pycache__", "test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "dist-packages", "EXTERNALLY-MANAGED"}
    files = {f"bin/python{PYTHON}": program.read_bytes(), "bin/python3": Link(f"python{PYTHON}"), "bin/python": Link(f"python{PYTHON}"),
             "bin/pydoc3": f"#!{PLACEHOLDER}/bin/python\nimport pydoc\npydoc.cli()\n".encode()}
    for path in sorted(library.rglob("*")):
        relative = path.relative_to(library)
        if path.is_file() and not left_out & set(relative.parts) and not relative.parts[0].startswith("config-"):
            files[f"lib/python{PYTHON}/{relative}"] = path.read_bytes()
    # Debian's looks for packages in dist-packages (and its `site` is frozen into the program); conda's are in site-packages.
    files[f"lib/python{PYTHON}/sitecustomize.py"] = b"import site, sys\nsite.addsitedir('%s/lib/python%d.%d/site-packages' % (sys.prefix, *sys.version_info[:2]))\n"
    channel.add("python", "3.11.2", files, depends=["__glibc >=2.34"], executable={f"bin/python{PYTHON}", "bin/pydoc3"}, prefixed={"bin/pydoc3"})


def conda_name(name):
    return name.lower().replace("_", "-")


def add_wheel(channel, path):
    """A wheel as a conda package: noarch where it is pure, else for this platform."""
    with zipfile.ZipFile(path) as wheel:
        members = {name: wheel.read(name) for name in wheel.namelist() if not name.endswith("/")}
    info = next(name for name in members if name.endswith(".dist-info/METADATA")).rsplit("/", 1)[0]
    metadata = email.message_from_bytes(members[f"{info}/METADATA"])
    pure = b"Root-Is-Purelib: true" in members[f"{info}/WHEEL"]
    base = "site-packages" if pure else f"lib/python{PYTHON}/site-packages"
    files = {}
    for name, content in members.items():
        if ".data/data/" in name:
            files[name.split(".data/data/", 1)[1]] = content
        elif ".data/scripts/" not in name:
            files[f"{base}/{name.split('.data/purelib/')[-1].split('.data/platlib/')[-1]}"] = content
    files[f"{base}/{info}/INSTALLER"] = b"conda"
    depends = ["python >=3.11,<3.12" if not pure else "python >=3.10"]
    for text in metadata.get_all("Requires-Dist") or []:
        need = Requirement(text)
        if need.marker is None or need.marker.evaluate({"extra": "", "python_version": PYTHON, "python_full_version": "3.11.2", "sys_platform": "linux",
                                                        "platform_system": "Linux", "implementation_name": "cpython",
                                                        "platform_python_implementation": "CPython"}):
            depends.append(f"{conda_name(need.name)} {need.specifier}".strip())
    if metadata["Name"] == "bash_kernel":  # its wheel leaves the kernelspec to a program that is run afterwards
        files["share/jupyter/kernels/bash/kernel.json"] = json.dumps({"argv": [f"{PLACEHOLDER}/bin/python", "-m", "bash_kernel", "-f", "{connection_file}"],
                                                                      "display_name": "Bash", "language": "bash", "env": {"PS1": "$"}}).encode()
    scripts = []
    if f"{info}/entry_points.txt" in members:
        section = ""
        for line in members[f"{info}/entry_points.txt"].decode().splitlines():
            section = line.strip("[]") if line.startswith("[") else section
            if section == "console_scripts" and "=" in line:
                scripts.append(line.strip())
    channel.add(conda_name(metadata["Name"]), metadata["Version"], files, depends=depends, noarch="python" if pure else None, build=None if pure else "py311_0",
                entry_points=scripts if pure else (), prefixed=[name for name, content in files.items() if PLACEHOLDER.encode() in content])


def add_wheels(channel):
    with tempfile.TemporaryDirectory() as folder:
        tags = [part for tag in ("manylinux2014", "manylinux_2_17", "manylinux_2_28", "manylinux_2_34") for part in ("--platform", f"{tag}_{os.uname().machine}")]
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", "--python-version", PYTHON,
                        "--implementation", "cp", *tags, "--dest", folder, *WHEELS], check=True)
        for path in sorted(pathlib.Path(folder).glob("*.whl")):
            add_wheel(channel, path)


def add_odd_ones(channel):
    module = lambda version: {"site-packages/greeter/__init__.py": f"__version__ = '{version}'\ndef main():\n    print('hello from', __version__)\n".encode()}  # noqa: E731
    for version in ("1.0", "2.0"):
        channel.add("greeter", version, module(version), depends=["python"], noarch="python", entry_points=["greet = greeter:main"])
    channel.add("needs-old", "1.0", {"share/needs-old": b"x"}, depends=["greeter <2"], noarch="generic")
    channel.add("needs-new", "1.0", {"share/needs-new": b"x"}, depends=["greeter >=2"], noarch="generic")
    channel.add("needs-cuda", "1.0", {"share/needs-cuda": b"x"}, depends=["__cuda >=12"])
    channel.add("needs-glibc", "1.0", {"share/needs-glibc": b"x"}, depends=["__glibc >=2.99"])
    text, binary = f"root = {PLACEHOLDER}/share\n".encode(), b"\x7fELF\0" + PLACEHOLDER.encode() + b"/lib\0rest"
    channel.add("libdemo", "1.2", {"etc/demo.conf": text, "lib/libdemo.so.1.2": binary, "lib/libdemo.so": Link("libdemo.so.1.2")},
                prefixed={"etc/demo.conf", "lib/libdemo.so.1.2"}, old_format=True)
    # What it finds out about its sandbox stands in the prefix afterwards.
    script = (b'[ -d /run/berth-build ] || exit 0; mkdir -p "$PREFIX/etc" && cd / && { echo "prefix=$PREFIX"; echo "uid=$(id -u)";\n'
              b'ls /opt/berth/envs | sed s/^/sees=/; for f in /opt/berth/envs/evil /etc/evil /usr/evil; do touch $f 2>/dev/null && echo "wrote=$f"; done;\n'
              b'ls /run/berth /run/podman /home/* 2>/dev/null | sed s/^/found=/; cat /proc/net/route 2>/dev/null | tail -n +2 | sed s/^/route=/;\n'
              b'grep -E "^(CapEff|NoNewPrivs|Seccomp):" /proc/self/status; } >"$PREFIX/etc/postlink.txt"; echo linked\n')
    channel.add("postlink", "1.0", {"bin/.postlink-post-link.sh": script}, executable={"bin/.postlink-post-link.sh"})
    channel.add("postlink-plain", "1.0", {"bin/.postlink-plain-post-link.sh": b'mkdir -p "$PREFIX/etc"; echo "$PKG_NAME $PKG_VERSION in $PREFIX" >"$PREFIX/etc/plain.txt"; echo linked\n'},
                depends=["libdemo"])
    channel.add("postlink-fails", "1.0", {"bin/.postlink-fails-post-link.sh": b"echo no luck; exit 3\n"})
    channel.add("postlink-sleeps", "1.0", {"bin/.postlink-sleeps-post-link.sh": b"sleep 600\n"})
    # Half a GiB without a line's end, all of which `tail` keeps.
    channel.add("postlink-eats", "1.0", {"bin/.postlink-eats-post-link.sh": b"head -c 512M /dev/zero | tail >/dev/null || exit 7\n"})
    channel.add("big", "1.0", {"share/big.bin": random.Random(1).randbytes(24 << 20)}, noarch="generic")
    channel.add("evil-hash", "1.0", {"share/evil": b"x"}, wrong_hash=True)
    channel.add("evil-path", "1.0", {"../../evil": b"x"})
    channel.add("evil-absolute", "1.0", {"/tmp/evil-absolute": b"x"})
    channel.add("evil-listed", "1.0", {"share/ok": b"x"}, more_paths=["../../evil"])
    channel.add("evil-link", "1.0", {"share/passwd": Link("/etc/passwd")})
    channel.add("evil-climb", "1.0", {"share/up": Link("../../../../etc")})
    channel.add("evil-behind", "1.0", {"share/here": Link("../lib"), "share/here/evil": b"x"})
    channel.add("evil-name", "1.0", {"share/evil": b"x"}, inside_name="openssl")


def make(folder):
    channel = Channel(folder)
    add_python(channel)
    add_wheels(channel)
    add_odd_ones(channel)
    channel.write_index()
    return channel


def cached():
    """The channel's folder, made when it is not there."""
    cache = pathlib.Path(os.environ.get("BERTH_CACHE") or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "berth")
    place = cache / f"conda-channel-{RECIPE}"
    if not place.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = pathlib.Path(tempfile.mkdtemp(prefix="conda-channel-", dir=cache))
        make(unfinished)
        unfinished.chmod(0o755)
        try:
            unfinished.rename(place)
        except OSError:  # somebody else was faster
            shutil.rmtree(unfinished)
    return place


if __name__ == "__main__":
    make(sys.argv[1])
