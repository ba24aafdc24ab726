"""What a workspace can and cannot do, seen from inside it."""

import os
import socket
import subprocess

import pytest


@pytest.fixture(autouse=True)
def containers_only(box):
    assert box.engine == "podman", "this needs containers"


def test_no_privileges(ada):
    """No capabilities, no new privileges, a seccomp filter, and a user namespace of its own."""
    status = dict(line.split(":\t", 1) for line in ada.run("cat /proc/self/status").splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    inside, outside, count = ada.run("cat /proc/self/uid_map").split()[:3]
    assert (inside, outside != "0") == ("0", True) and int(count) <= 65536
    assert ada.run("id -u") != "0" and ada.run("id -un") == "ada"


def test_forbidden_calls(ada):
    """Mounting, making devices, new privileges and reading the host's kernel are refused."""
    for command in ("mount -t tmpfs none /mnt", "mknod /tmp/sda b 8 0", "dmesg", "echo 1 > /proc/sys/kernel/panic", "cat /proc/kcore",
                    "touch /usr/bin/x", "chroot / true", "echo x > /sys/kernel/mm/transparent_hugepage/enabled"):
        assert ada.ssh("box", command, check=False).returncode != 0, command


def test_berths_directory_is_read_only(ada):
    """/run/berth cannot be written, and holds nothing but the way to this workspace's own gateway."""
    assert ada.ssh("box", "touch /run/berth/x", check=False).returncode != 0
    assert ada.ssh("box", "rm -f /run/berth/*; rmdir /run/berth", check=False).returncode != 0
    names = ada.run("find /run/berth -type s -o -type f").splitlines()
    assert not any("admin" in name or "keeper" in name or "podman" in name for name in names), names


def test_berths_processes_and_files_are_out_of_sight(ada):
    """Neither the host's processes nor Berth's state can be seen."""
    # PID 1 is the workspace's agent, and everything visible belongs to this workspace.
    assert "berthd" not in ada.run("cat /proc/[0-9]*/comm")
    assert ada.ssh("box", "find / -xdev -name 'berth.db*' -o -xdev -name 'keeper.toml' 2>/dev/null | grep .", check=False).returncode == 1


def test_agent_cannot_be_harmed(ada):
    """Killing PID 1 from inside does nothing, and the workspace goes on."""
    ada.ssh("box", "kill -9 1; kill -STOP 1; true", check=False)
    assert ada.run("echo fine") == "fine"


def test_workspaces_cannot_reach_each_other(ada, new_user):
    """A server in one workspace is out of reach for another, by address."""
    other = new_user()
    address = other.run("hostname -I", timeout=180).split()[0]
    server = other.popen("box", "exec python3 -u -m http.server 18099 2>&1")
    try:
        assert b"Serving" in server.stdout.readline()
        assert other.run(f"curl -s -o /dev/null --max-time 5 http://{address}:18099/ && echo own") == "own"
        assert ada.ssh("box", f"curl -s -o /dev/null --max-time 5 http://{address}:18099/", check=False).returncode != 0
    finally:
        server.kill()
        server.communicate()


@pytest.fixture
def neighbour():
    """Another machine of the network: a network namespace that reaches the workspaces' networks by way of this machine."""
    name, here, there = (f"berth{kind}{os.getpid() % 100000}" for kind in "nht")
    def ip(*words):
        subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)
    ip("netns", "add", name)
    try:
        ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", name)
        ip("addr", "add", "198.18.99.1/30", "dev", here)
        ip("link", "set", here, "up")
        ip("-n", name, "addr", "add", "198.18.99.2/30", "dev", there)
        ip("-n", name, "link", "set", there, "up")
        ip("-n", name, "route", "add", "default", "via", "198.18.99.1")
        yield ["ip", "netns", "exec", name]
    finally:
        ip("netns", "del", name)


def test_network_cannot_begin_a_conversation(new_user, neighbour):
    """A machine of the network that routes by way of this one reaches no server in a workspace, though the workspace reaches that machine."""
    client = new_user()
    address = client.run("hostname -I", timeout=180).split()[0]
    connect = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)"
    server = client.popen("box", "exec python3 -u -m http.server 18098 2>&1")
    outside = subprocess.Popen([*neighbour, "python3", "-u", "-m", "http.server", "18097"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert b"Serving" in server.stdout.readline() and b"Serving" in outside.stdout.readline()
        client.run(f"python3 -c '{connect}' {address} 18098")  # the server answers those who may ask
        # Answers reach the workspace from there, so the way is open in both directions: what refuses is the rule.
        client.run(f"python3 -c '{connect}' 198.18.99.2 18097")
        refused = subprocess.run([*neighbour, "python3", "-c", connect, address, "18098"], capture_output=True, text=True, timeout=60)
        assert refused.returncode != 0 and "Error" in refused.stderr, "the neighbour opened a connection into a workspace"
    finally:
        for process in (server, outside):
            process.kill()
            process.communicate()


def test_homes_are_private(ada, new_user):
    """Another user's home is not there."""
    other = new_user()
    other.run("echo secret > secret", timeout=180)
    home = other.run("pwd")
    assert ada.ssh("box", f"ls {home}", check=False).returncode != 0
    assert ada.ssh("box", "ls /home", check=False).stdout.split() in (["ada"], [])


def test_process_limit(new_user):
    """Who starts too many processes is told so by their own workspace's limit; nobody else notices, and the workspace goes on."""
    client = new_user()
    limit = client.run("cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null | head -1", timeout=180)
    if limit != "":
        assert limit != "max" and int(limit) < 100_000
    # Children that wait, not a bomb: one that goes on forking takes the processors from every other test.
    script = """import os, signal
children = []
try:
    while len(children) < 100_000:
        child = os.fork()
        if child == 0:
            signal.pause()
        children.append(child)
except OSError as error:
    print(error.strerror)
for child in children:
    os.kill(child, signal.SIGKILL)
"""
    assert client.ssh("box", "python3 -", input=script, timeout=120).stdout == "Resource temporarily unavailable\n"
    assert client.ssh("box", "echo alive").stdout == "alive\n"


def test_no_way_to_the_gateways_ports_from_inside(ada, box):
    """The private sockets of Berth are not reachable from inside: the admin socket has no network address."""
    gateway = ada.run("ip route 2>/dev/null | awk '/default/{print $3}' || true") or "127.0.0.1"
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert ada.ssh("box", f"curl -s --max-time 5 http://{gateway}:{port}/", check=False).returncode != 0
