"""Moving data: one GiB both ways with checksums by every tool, many small files, git."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import time

import pytest

FILES = int(os.environ.get("BERTH_RSYNC_FILES", 20_000))
GIB = int(os.environ.get("BERTH_E2E_BYTES", 1 << 30))


@pytest.fixture(scope="module")
def big(box):
    """A file of 1 GiB without repetition, and its SHA-256."""
    path = box.dir / "big.bin"
    # A keystream: as good as random, several times as fast.
    subprocess.run(f"openssl enc -aes-128-ctr -K {'0' * 32} -iv {'1' * 32} -in /dev/zero 2>/dev/null | head -c {GIB} > {path}",
                   shell=True, check=True, executable="/bin/bash")
    yield path, sha256(path)
    path.unlink()


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def remote_sha256(client, path):
    return client.run(f"sha256sum {path}").split()[0]


@pytest.fixture
def clean(ada, box):
    """Names for the copy in the workspace and the copy that came back, both removed afterwards."""
    back = box.dir / "back.bin"
    yield "there.bin", back
    back.unlink(missing_ok=True)
    ada.run("rm -rf there.bin tree")


def test_cat(ada, big, clean):
    """1 GiB through `ssh box 'cat > file'` and back is the same."""
    source, digest = big
    there, back = clean
    with open(source, "rb") as file:
        ada.ssh("box", f"cat > {there}", stdin=file, timeout=300)
    assert remote_sha256(ada, there) == digest
    with open(back, "wb") as file:
        subprocess.run(ada.argv("box", f"cat {there}"), stdout=file, stdin=subprocess.DEVNULL, check=True, timeout=300)
    assert sha256(back) == digest


@pytest.mark.parametrize("protocol", [["-O"], ["-s"]], ids=["scp-protocol", "sftp-protocol"])
def test_scp(ada, big, clean, protocol):
    """1 GiB by scp, with the old protocol and with the new one, both ways, is the same."""
    source, digest = big
    there, back = clean
    ada.tool("scp", "-q", *protocol, "-F", str(ada.config), str(source), f"box:{there}")
    assert remote_sha256(ada, there) == digest
    ada.tool("scp", "-q", *protocol, "-F", str(ada.config), f"box:{there}", str(back))
    assert sha256(back) == digest


def test_sftp(ada, big, clean, box):
    """1 GiB by sftp's put and get is the same; listing, renaming and removing work."""
    source, digest = big
    there, back = clean
    batch = f"put {source} {there}\nrename {there} other.bin\nrename other.bin {there}\nget {there} {back}\nmkdir sftp-dir\nls -l\nrmdir sftp-dir\n"
    done = ada.tool("sftp", "-q", "-b", "-", "-F", str(ada.config), "box", input=batch)
    assert sha256(back) == digest and remote_sha256(ada, there) == digest and "sftp-dir" in done.stdout


def test_rsync(ada, big, clean):
    """1 GiB by rsync both ways is the same; a second run moves next to nothing."""
    source, digest = big
    there, back = clean
    ada.tool("rsync", "-t", str(source), f"box:{there}")
    assert remote_sha256(ada, there) == digest
    again = ada.tool("rsync", "-t", "--stats", str(source), f"box:{there}").stdout
    assert "Number of regular files transferred: 0" in again
    ada.tool("rsync", f"box:{there}", str(back))
    assert sha256(back) == digest


@pytest.mark.timeout(900)
def test_rsync_many_small_files(ada, clean, box):
    """20,000 small files with odd names, links and modes (BERTH_RSYNC_FILES=N: so many) go there and come back the same."""
    tree = box.dir / "tree"
    for i in range(FILES):
        folder = tree / f"d{i % 200}"
        if i < 200:
            folder.mkdir(parents=True)
        (folder / f"file {i} ü.txt").write_bytes(os.urandom(i % 700))
    (tree / "link").symlink_to("d0")
    (tree / "script.sh").write_text("#!/bin/sh\n")
    (tree / "script.sh").chmod(0o755)
    began = time.monotonic()
    ada.tool("rsync", "-a", f"{tree}/", "box:tree/", timeout=600)
    print(f"{FILES} files by rsync: {time.monotonic() - began:.1f} s")
    again = ada.tool("rsync", "-a", "--stats", f"{tree}/", "box:tree/", timeout=600).stdout
    assert "Number of regular files transferred: 0\n" in again
    ada.tool("rsync", "-a", "--delete", "box:tree/", f"{box.dir}/tree-back/", timeout=600)
    assert subprocess.run(["diff", "-r", tree, box.dir / "tree-back"], capture_output=True).stdout == b""
    assert (box.dir / "tree-back/link").is_symlink() and os.access(box.dir / "tree-back/script.sh", os.X_OK)


def test_git(ada, box):
    """git clone, commit and push over ssh."""
    ada.run("rm -rf repo.git && git init -q --bare -b main repo.git")
    work = box.dir / "work"
    ada.tool("git", "clone", "-q", "box:repo.git", str(work))
    (work / "a.txt").write_text("hello\n")
    (work / "blob.bin").write_bytes(os.urandom(3 << 20))
    git = ["git", "-C", str(work), "-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    ada.tool(*git, "checkout", "-q", "-B", "main")
    ada.tool(*git, "add", ".")
    ada.tool(*git, "commit", "-q", "-m", "first")
    ada.tool(*git, "push", "-q", "origin", "main")
    assert ada.run("git -C repo.git log --format=%s main") == "first"
    again = box.dir / "again"
    ada.tool("git", "clone", "-q", "-b", "main", "box:repo.git", str(again))
    assert (again / "blob.bin").read_bytes() == (work / "blob.bin").read_bytes()
    ada.run("rm -rf repo.git")


def test_slow_reader_does_not_hold_up_others(ada):
    """A client that stops reading its download leaves other connections quick."""
    stuck = ada.popen("box", "cat /dev/zero")
    try:
        assert stuck.stdout.read(1 << 20)  # it flows; from here on nobody reads
        for _ in range(5):
            assert ada.run("echo quick", timeout=10) == "quick"
    finally:
        stuck.kill()
        stuck.wait()


def test_pipeline_of_tar(ada, box):
    """`tar c | ssh box tar x` keeps a tree as it is."""
    source = pathlib.Path(__file__).parent
    ada.run("rm -rf tarred && mkdir tarred")
    subprocess.run(f"tar -C {source} --exclude __pycache__ -cf - . | ssh -F {ada.config} box tar -C tarred -xf -", shell=True,
                   check=True, timeout=60)
    assert ada.run("cat tarred/test_transfer.py") == pathlib.Path(__file__).read_text().rstrip("\n")
    ada.run("rm -rf tarred")


def test_sshfs(ada, box):
    """The workspace as a folder of this machine: written, read, renamed, linked, listed and removed there and here, the same on both sides."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return  # a kernel or a container without FUSE mounts nothing: what sshfs asks of a server is sftp, which the tests above show
    folder = box.dir / "mounted"
    folder.mkdir()
    ada.run("rm -rf work; mkdir work")
    mounted = subprocess.run(["sshfs", "-F", ada.config, "box:work", folder, "-o", "reconnect"], capture_output=True, text=True, timeout=60)
    if "Operation not permitted" in mounted.stderr:
        return  # as above
    assert mounted.returncode == 0, mounted.stderr
    try:
        data = os.urandom(3_000_000)
        (folder / "data").write_bytes(data)
        assert remote_sha256(ada, "work/data") == hashlib.sha256(data).hexdigest()
        ada.run("cd work && seq 1 100000 > numbers && mkdir -p a/b && for i in $(seq 300); do echo $i > a/b/$i; done")
        assert (folder / "numbers").read_text() == "".join(f"{i}\n" for i in range(1, 100001))
        assert sorted(int(path.name) for path in (folder / "a/b").iterdir()) == list(range(1, 301))
        (folder / "numbers").rename(folder / "renamed")
        (folder / "link").symlink_to("renamed")
        (folder / "renamed").chmod(0o640)
        with (folder / "renamed").open("r+b") as file:
            file.seek(1000)
            file.write(b"HERE")
            file.truncate(2000)
        assert ada.run("cd work && readlink link && stat -c '%a %s' renamed && dd if=renamed bs=1 skip=1000 count=4 2>/dev/null") == "renamed\n640 2000\nHERE"
        shutil.rmtree(folder / "a")
        assert ada.run("ls work") == "data\nlink\nrenamed"
    finally:
        subprocess.run(["fusermount3", "-u", folder], check=False, timeout=60)
