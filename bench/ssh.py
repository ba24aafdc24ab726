"""SSH against OpenSSH's sshd, in full: throughput for each cipher and way of copying, the server's processor time, long ways, logins, memory, and
what a user feels beside a bulk copy. Rows are (what, unit, Berth, sshd, budget); the order of the two is turned in every round."""

import asyncio
import contextlib
import multiprocessing
import os
import pathlib
import pty
import resource
import socket
import statistics
import subprocess
import sys
import time

import asyncssh

from berthbox import free_ports, wait_until
from reference import CIPHER, cpu_of_sshd, cpu_seconds, pss_kib

HERE = pathlib.Path(__file__).resolve().parent
CIPHERS = ["chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr"]
SIDES = ("berth", "sshd")


class SshBench:
    def __init__(self, bench, full, scale=1.0, only=()):
        self.bench, self.box, self.sshd, self.full, self.only = bench, bench.box, bench.sshd, full, only
        self.rounds = 5 if full else 3
        self.scale = scale
        self.dir = self.box.dir / "bench-ssh"
        self.dir.mkdir(exist_ok=True)
        self.ends = contextlib.ExitStack()  # what runs until all has been measured

    def size(self, megabytes):
        return max(1 << 20, int(megabytes * self.scale * (4 if self.full else 1)) << 20)

    # -- the two sides
    def port(self, which):
        return self.box.ssh_port if which == "berth" else self.sshd.port

    def user(self, which):
        return "ada" if which == "berth" else "root"

    def options(self, which, cipher=CIPHER, port=None):
        return ["-F", "none", "-i", str(self.box.key), "-c", cipher, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "HostName=127.0.0.1",
                "-o", f"User={self.user(which)}", "-o", f"Port={port or self.port(which)}", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                "-o", "LogLevel=ERROR", "-o", "KexAlgorithms=curve25519-sha256", "-o", "MACs=hmac-sha2-256-etm@openssh.com"]

    def ssh(self, which, *rest, **kw):
        return ["ssh", *self.options(which, **kw), *rest]

    def cpu(self, which):
        """Seconds of processor time that the server has used, without the commands that it runs."""
        return cpu_seconds(self.box.pid("berthd")) if which == "berth" else cpu_of_sshd(self.sshd.process.pid)

    def pids(self, which):
        return [self.box.pid("berthd")] if which == "berth" else [self.sshd.process.pid, *self.sshd.children()]

    def alternating(self, measure, rounds=None):
        """Medians of measure("berth") and measure("sshd"), number by number when it answers several."""
        seen = {which: [] for which in SIDES}
        for turn in range(rounds or self.rounds):
            for which in SIDES if turn % 2 == 0 else SIDES[::-1]:
                answer = measure(which)
                seen[which].append(answer if isinstance(answer, tuple) else (answer,))
        return [[statistics.median(each) for each in zip(*seen[which])] for which in SIDES]

    # -- tunnels
    def sinks(self):
        """sink.py inside the workspace and beside sshd: the port of each."""
        program = (HERE / "sink.py").read_text()
        ports = {}
        subprocess.run(self.ssh("berth", "localhost", "cat > sink.py"), input=program, text=True, check=True)
        for which in SIDES:
            argv = self.ssh("berth", "localhost", "exec python3 sink.py") if which == "berth" else [sys.executable, HERE / "sink.py"]
            process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.ends.callback(stop, process)
            ports[which] = int(process.stdout.readline())
        return ports

    @contextlib.contextmanager
    def tunnel(self, which, target, **kw):
        """A local port that -L carries to `target`."""
        port = free_ports()
        process = subprocess.Popen(self.ssh(which, "-N", "-L", f"127.0.0.1:{port}:127.0.0.1:{target}", "-o", "ExitOnForwardFailure=yes", "localhost", **kw),
                                   stdin=subprocess.DEVNULL)
        try:
            wait_until(lambda: listens(port), "the tunnel listens", 30)
            yield port
        finally:
            stop(process)

    def through_tunnel(self, which, sinks, direction, size, cpu=True, **kw):
        """MB/s, and the server's processor seconds per GB."""
        with self.tunnel(which, sinks[which], **kw) as port:
            transfer(port, direction, min(size, 4 << 20))  # the channel's first bytes, and the connection itself, do not count
            before = self.cpu(which) if cpu else 0
            seconds = transfer(port, direction, size)
            used = self.cpu(which) - before if cpu else 0
        return size / seconds / 1e6, used / size * 1e9

    def ciphers(self):
        sinks = self.sinks()
        size = self.size(256)
        for cipher in CIPHERS:
            for direction in ("up", "down"):
                (berth, berth_cpu), (sshd, sshd_cpu) = self.alternating(lambda which: self.through_tunnel(which, sinks, direction, size, cipher=cipher))
                yield f"-L {direction}, {cipher.split('@')[0]}", "MB/s", berth, sshd, ">= 1.0"
                yield f"  processor time of the server, {direction}", "s/GB", berth_cpu, sshd_cpu, "<= 0.9"

    def ways(self):
        """Round trips as on long ways, by a relay of ours that delays and does not limit."""
        sinks = self.sinks()
        for trip in (10, 50, 150):
            relay = subprocess.Popen([sys.executable, HERE / "delay.py", str(trip / 2), *(str(self.port(which)) for which in SIDES)], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE)
            self.ends.callback(stop, relay)
            ports = {which: int(relay.stdout.readline()) for which in SIDES}
            for direction in ("up", "down"):
                size = self.size({10: 256, 50: 192, 150: 96}[trip] // (1 if direction == "up" else 2))
                (berth, _), (sshd, _) = self.alternating(
                    lambda which: self.through_tunnel(which, sinks, direction, size, cpu=False, port=ports[which]), 3 if self.full else 1)
                yield f"-L {direction} at {trip} ms", "MB/s", berth, sshd, ">= 3" if direction == "up" and trip == 50 else ">= 1.0"
            stop(relay)

    # -- copies
    def copies(self):
        size = self.size(192)
        local = self.dir / "file"
        with open(local, "wb") as file:
            file.truncate(size)
        for which in SIDES:
            subprocess.run(self.ssh(which, "localhost", f"truncate -s {size} there"), check=True)
        for cipher in CIPHERS if self.full else [CIPHER]:
            for tool in ("scp", "sftp", "rsync"):
                for direction in ("up", "down"):
                    (berth,), (sshd,) = self.alternating(lambda which: size / self.copy(which, tool, direction, local, cipher) / 1e6)
                    yield f"{tool} {direction}, {cipher.split('@')[0]}", "MB/s", berth, sshd, ">= 1.0"

    def copy(self, which, tool, direction, local, cipher):
        here = self.dir / "arrived"
        here.unlink(missing_ok=True)
        options = self.options(which, cipher=cipher)
        stdin = None
        if tool == "scp":
            argv = ["scp", *options, *([local, "localhost:arrived"] if direction == "up" else ["localhost:there", here])]
        elif tool == "sftp":
            argv = ["sftp", "-b", "-", *options, "localhost"]
            stdin = f"put {local} arrived\n" if direction == "up" else f"get there {here}\n"
        else:
            argv = ["rsync", "-W", "-e", " ".join(["ssh", *options]), *([local, "localhost:arrived"] if direction == "up" else ["localhost:there", here])]
        began = time.perf_counter()
        subprocess.run(argv, check=True, input=stdin, text=True, stdout=subprocess.DEVNULL, stdin=None if stdin else subprocess.DEVNULL)
        seconds = time.perf_counter() - began
        if direction == "up":
            subprocess.run(self.ssh(which, "localhost", "rm arrived"), check=True)
        return seconds

    # -- logins
    def logins(self):
        def whole(which):
            began = time.perf_counter()
            subprocess.run(self.ssh(which, "localhost", "true"), check=True, stdin=subprocess.DEVNULL)
            return (time.perf_counter() - began) * 1000
        (berth,), (sshd,) = self.alternating(whole, 40 if self.full else 20)
        yield "ssh box true", "ms", berth, sshd, "<= 0.6"

        count = 60 if self.full else 30

        async def in_turn(which):
            for _ in range(count):
                async with connect(self, which):
                    pass

        def one(which):
            before = self.cpu(which)
            asyncio.run(in_turn(which))
            time.sleep(0.3)  # sshd's last child has to be gone, for its time to count
            return (self.cpu(which) - before) / count * 1000
        (berth,), (sshd,) = self.alternating(one)
        yield "processor time of the server for a login", "ms", berth, sshd, "<= 0.1"

        at_once, total = 50, 300 if self.full else 150

        def many(which):
            began = time.perf_counter()
            once = " ".join(self.ssh(which, "localhost", "true"))
            shell = f"seq {total} | xargs -P {at_once} -n 1 sh -c '{once} </dev/null'"
            subprocess.run(shell, shell=True, check=True, stdin=subprocess.DEVNULL)
            return total / (time.perf_counter() - began)
        (berth,), (sshd,) = self.alternating(many, 3 if self.full else 2)
        yield "ssh box true, 50 at once", "1/s", berth, sshd, ">= 1.0"

    # -- memory
    def memory(self):
        for count in (200, 2000, 8000) if self.full else (200,):
            berth = self.grown("berth", count)
            # sshd at 8,000 connections would need 13 GB and 16,000 processes.
            sshd = self.grown("sshd", min(count, 2000))
            what = "" if count <= 2000 else " (sshd: at 2,000)"
            for name, mine, other in zip(("idle connection", "open tunnel"), berth, sshd):
                yield f"memory of an {name}, at {count:,}{what}", "KiB", mine, other, "<= 0.03"

    def grown(self, which, count):
        """KiB for one more idle connection, and for one more tunnel, with `count` of each."""
        if which == "berth":  # memory that earlier work has freed would be used again and hide what connections take
            self.restart({"ssh": {"max_connections_per_user": count + 1000, "max_startups": "1000:30:2000"}})
        sinks = self.sinks()
        crowd = Crowd(self, which, sinks[which])
        try:
            crowd.connections(20)
            crowd.tunnels(20)  # what the first ones load once does not count
            empty = sum(map(pss_kib, self.pids(which)))
            crowd.connections(count)
            connected = sum(map(pss_kib, self.pids(which)))
            crowd.tunnels(count)
            full = sum(map(pss_kib, self.pids(which)))
            return (connected - empty) / count, (full - connected) / count
        finally:
            crowd.end()

    def restart(self, settings):
        self.box.reconfigure(settings)
        subprocess.run(self.ssh("berth", "localhost", "true"), check=True, stdin=subprocess.DEVNULL)

    # -- what a user feels
    def feel(self):
        def idle(which):
            with self.shared(which) as (master, _):
                return self.echo(master), self.listing(master)

        def busy(which):
            with self.shared(which) as (master, process):
                copy = subprocess.Popen([*master, "cat /dev/zero"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
                try:
                    wait_until(lambda: self.moved(process), "the copy is under way", 30)
                    return self.echo(master), self.listing(master)
                finally:
                    stop(copy)
        rounds = 3 if self.full else 2
        (berth_echo, berth_ls), (sshd_echo, sshd_ls) = self.alternating(idle, rounds)
        (berth_echo_busy, berth_ls_busy), (sshd_echo_busy, sshd_ls_busy) = self.alternating(busy, rounds)
        yield "a key's echo", "ms", berth_echo, sshd_echo, "<= 1.0"
        yield "a key's echo beside a copy on the same connection", "ms", berth_echo_busy, sshd_echo_busy, "<= 1.0"
        yield "ls on an open connection", "ms", berth_ls, sshd_ls, "<= 1.0"
        yield "ls beside a copy on the same connection", "ms", berth_ls_busy, sshd_ls_busy, "<= 1.0"
        yield "  that is more by", "ms", berth_ls_busy - berth_ls, sshd_ls_busy - sshd_ls, "< 50 ms"

    @contextlib.contextmanager
    def shared(self, which):
        """One connection for several commands (ControlMaster): the command line that uses it, and the process that holds it."""
        path = self.dir / f"{which}.ctl"
        master = subprocess.Popen(self.ssh(which, "-N", "-M", "-S", path, "localhost"), stdin=subprocess.DEVNULL)
        try:
            wait_until(path.exists, "the shared connection is there", 30)
            yield self.ssh(which, "-S", path, "localhost"), master
        finally:
            stop(master)
            path.unlink(missing_ok=True)

    @staticmethod
    def moved(process):
        """Has the process that holds the connection written much of the copy already?"""
        text = pathlib.Path(f"/proc/{process.pid}/io").read_text()
        return int(text.split("wchar: ")[1].split()[0]) > 64 << 20

    def echo(self, master):
        """Milliseconds from a key to its echo on a terminal; the median of many keys."""
        ours, its = pty.openpty()
        process = subprocess.Popen([*master[:-1], "-tt", master[-1], "stty raw -echo; echo ready; exec cat"], stdin=its, stdout=its, stderr=subprocess.DEVNULL)
        os.close(its)
        try:
            seen = b""
            while not (b"ready" in seen and seen.endswith(b"\n")):
                seen += os.read(ours, 100)
            times = []
            for _ in range(100 if self.full else 50):
                began = time.perf_counter()
                os.write(ours, b"x")
                got = os.read(ours, 1)
                assert got == b"x", got
                times.append((time.perf_counter() - began) * 1000)
            return statistics.median(times)
        finally:
            os.close(ours)
            stop(process)

    def listing(self, master):
        times = []
        for _ in range(40 if self.full else 20):
            began = time.perf_counter()
            subprocess.run([*master, "ls"], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            times.append((time.perf_counter() - began) * 1000)
        return statistics.median(times)

    # -- lanes
    def lanes(self):
        """Four clients at once: with one lane, and with two. The clients need processors too, so on two cores there is little to win."""
        speed = {}
        for lanes in (1, 2):
            self.restart({"server": {"lanes": lanes}})
            speed[lanes] = statistics.median(self.four_at_once("berth") for _ in range(self.rounds))
        sshd = statistics.median(self.four_at_once("sshd") for _ in range(self.rounds))
        for lanes, value in speed.items():
            yield f"four uploads at once, {lanes} lane{'s' if lanes > 1 else ''}", "MB/s", value, sshd, ">= 1.0"

    def four_at_once(self, which):
        size = self.size(96)
        began = time.perf_counter()
        copies = [subprocess.Popen(f"head -c {size} /dev/zero | " + " ".join(self.ssh(which, "localhost", "'cat >/dev/null'")), shell=True) for _ in range(4)]
        assert all(copy.wait() == 0 for copy in copies)
        return 4 * size / (time.perf_counter() - began) / 1e6

    def rows(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        with self.ends:
            for part in (self.ciphers, self.ways, self.copies, self.logins, self.feel, self.memory, self.lanes):
                if not self.only or part.__name__ in self.only:
                    yield from part()
                    self.ends.close()


PARTS = ("ciphers", "ways", "copies", "logins", "feel", "memory", "lanes")


def stop(process):
    process.terminate()
    for stream in (process.stdin, process.stdout):
        if stream:
            stream.close()
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:  # an ssh that the signal met just before its poll() sees it only when something arrives
        process.kill()
        process.wait()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def transfer(port, direction, size):
    """Seconds that `size` bytes take through the tunnel at `port`."""
    with socket.create_connection(("127.0.0.1", port)) as stream:
        began = time.perf_counter()
        stream.sendall(f"{direction} {size}\n".encode())
        if direction == "up":
            zeros, left = bytes(1 << 20), size
            while left > 0:
                left -= stream.send(zeros[:min(left, len(zeros))])
            assert stream.recv(3)[:2] == b"ok"
        else:
            buffer, left = bytearray(1 << 20), size
            while left > 0:
                got = stream.recv_into(buffer)
                assert got > 0, "the tunnel ended early"
                left -= got
        return time.perf_counter() - began


def connect(side, which):
    # Without known hosts asyncssh may choose the RSA key that sshd does not have here: a signature by it is most of a login.
    return asyncssh.connect("127.0.0.1", side.port(which), username=side.user(which), client_keys=[str(side.box.key)], known_hosts=None, config=None,
                            server_host_key_algs=["ssh-ed25519"], encryption_algs=[CIPHER], kex_algs=["curve25519-sha256"],
                            keepalive_interval=0, login_timeout=120)


class Crowd:
    """Many clients in a few processes of their own."""

    def __init__(self, side, which, target):
        self.members = []
        for _ in range(2):
            here, there = multiprocessing.Pipe()
            process = multiprocessing.Process(target=crowd_member, args=(side, which, target, there), daemon=True)
            process.start()
            self.members.append((process, here))

    def ask(self, what, count):
        for _, pipe in self.members:
            pipe.send((what, count // len(self.members)))
        for _, pipe in self.members:
            answer = pipe.recv()
            assert answer == "done", answer

    def connections(self, count):
        self.ask("connections", count)

    def tunnels(self, count):
        self.ask("tunnels", count)

    def end(self):
        for process, pipe in self.members:
            pipe.close()
            process.kill()
            process.join()


def crowd_member(side, which, target, pipe):
    async def add_connections(all_of_them, count):
        for begun in range(0, count, 10):
            all_of_them += await asyncio.gather(*(connect(side, which) for _ in range(min(10, count - begun))))

    async def add_tunnels(connections, held, count):
        per_connection = 100
        for i in range(count):
            connection = connections[(i // per_connection) % len(connections)]
            reader, writer = await connection.open_connection("127.0.0.1", target)
            writer.write(b"hold\n")
            held.append((reader, writer))

    async def run():
        connections, held = [], []
        while True:
            try:
                what, count = await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
            except EOFError:
                return
            try:
                await (add_connections(connections, count) if what == "connections" else add_tunnels(connections, held, count))
                pipe.send("done")
            except Exception as error:  # said where it was asked for
                pipe.send(repr(error))
    asyncio.run(run())
