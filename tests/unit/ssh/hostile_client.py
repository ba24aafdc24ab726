"""A client that breaks RFC 4254 in one way each time, against the server of hostile_client_test.cpp.

usage: hostile_client.py PORT KEY CASE, or `list` for the names of the cases. Ends with 0 when the server did the right thing.
"""
import os
import socket
import sys
import threading
import time

import paramiko
from paramiko.common import (MSG_CHANNEL_OPEN_SUCCESS, MSG_CHANNEL_WINDOW_ADJUST, cMSG_CHANNEL_CLOSE, cMSG_CHANNEL_DATA, cMSG_CHANNEL_EOF,
                             cMSG_CHANNEL_EXTENDED_DATA, cMSG_CHANNEL_OPEN, cMSG_CHANNEL_REQUEST,
                             cMSG_CHANNEL_SUCCESS, cMSG_CHANNEL_WINDOW_ADJUST, cMSG_GLOBAL_REQUEST, cMSG_IGNORE)
from paramiko.message import Message


class Client(paramiko.Transport):
    """Sends what it is told to, and keeps what the server says when it disconnects."""

    reason = None

    def _parse_disconnect(self, m):
        m.get_int()
        self.reason = m.get_text()

    def packet(self, kind, *fields):
        m = Message()
        m.add_byte(kind)
        for field in fields:
            if isinstance(field, bool):
                m.add_boolean(field)
            elif isinstance(field, int):
                m.add_int(field)
            elif isinstance(field, str):
                m.add_string(field)
            else:
                m.add_bytes(field)
        self._send_message(m)

    def wait_for_end(self, seconds=10):
        deadline = time.time() + seconds
        while self.is_active() and time.time() < deadline:
            time.sleep(0.02)
        return not self.is_active()


def connect(port, key):
    client = Client(("127.0.0.1", port))
    client.start_client(timeout=10)
    client.auth_publickey("ada", paramiko.Ed25519Key.from_private_key_file(key))
    return client


def session(client, command):
    channel = client.open_session(timeout=10)
    channel.exec_command(command)
    return channel


def expect_violation(client, part):
    assert client.wait_for_end(), "the server did not disconnect"
    assert client.reason and part in client.reason, f"the reason was {client.reason!r}"


def more_than_the_window(client, _):
    channel = session(client, "sleep 30")
    for _ in range(200):
        if not client.is_active():
            break
        try:
            client.packet(cMSG_CHANNEL_DATA, channel.remote_chanid, "x" * 32768)
        except (EOFError, OSError):
            break
    expect_violation(client, "than the window allows")


def more_than_a_packet(client, _):
    channel = session(client, "sleep 30")
    client.packet(cMSG_CHANNEL_DATA, channel.remote_chanid, "x" * 32769)
    expect_violation(client, "than agreed")


def no_such_channel(client, _):
    client.packet(cMSG_CHANNEL_DATA, 4711, "x")
    expect_violation(client, "channel 4711")


def data_after_eof(client, _):
    channel = session(client, "sleep 30")
    client.packet(cMSG_CHANNEL_EOF, channel.remote_chanid)
    client.packet(cMSG_CHANNEL_DATA, channel.remote_chanid, "x")
    expect_violation(client, "after the end")


def data_after_close(client, _):
    channel = session(client, "sleep 30")
    client.packet(cMSG_CHANNEL_CLOSE, channel.remote_chanid)
    client.packet(cMSG_CHANNEL_DATA, channel.remote_chanid, "x")
    expect_violation(client, "does not exist")


def data_before_the_confirmation(client, _):
    # The server's number of a channel is easy to guess. It waits for the tunnel's target, which lets nobody in until its queue has room again.
    target = socket.create_server(("127.0.0.1", 0), backlog=0)
    in_queue = [socket.create_connection(target.getsockname())]
    windows, read = [], client.packetizer.read_message

    def read_message():
        kind, message = read()
        if kind in (MSG_CHANNEL_OPEN_SUCCESS, MSG_CHANNEL_WINDOW_ADJUST):
            windows.append(kind)
        return kind, message
    client.packetizer.read_message = read_message
    client.global_request("keepalive@openssh.com", wait=True)  # its thread is in the old one until something comes
    asked, send = threading.Event(), client._send_user_message

    def send_user_message(message):
        send(message)
        asked.set()
    client._send_user_message = send_user_message
    opening = threading.Thread(target=client.open_channel, args=("direct-tcpip", target.getsockname(), ("127.0.0.1", 1)), kwargs={"timeout": 30})
    opening.start()
    assert asked.wait(10), "the channel was not asked for"
    for _ in range(20):
        client.packet(cMSG_CHANNEL_EXTENDED_DATA, 0, 1, "x" * 32768)
    client.global_request("keepalive@openssh.com", wait=True)  # answered after the data
    assert windows == [], windows
    in_queue.append(target.accept()[0])
    opening.join()
    deadline = time.time() + 10
    while len(windows) < 2 and time.time() < deadline:
        time.sleep(0.02)
    assert windows == [MSG_CHANNEL_OPEN_SUCCESS, MSG_CHANNEL_WINDOW_ADJUST], windows
    assert session(client, "echo still").recv(100) == b"still\n"


def window_overflow(client, _):
    channel = session(client, "sleep 30")
    client.packet(cMSG_CHANNEL_WINDOW_ADJUST, channel.remote_chanid, 0xFFFFFFFF)
    expect_violation(client, "window over 4 GiB")


def length_that_lies(client, _):
    channel = session(client, "sleep 30")
    client.packet(cMSG_CHANNEL_DATA, channel.remote_chanid, b"\xff\xff\xff\xffabc")
    expect_violation(client, "malformed")


def malformed_request(client, _):
    channel = session(client, "sleep 30")
    client.packet(cMSG_CHANNEL_REQUEST, channel.remote_chanid, "pty-req", True, "xterm")
    expect_violation(client, "malformed channel request")


def answer_to_nothing(client, _):
    channel = session(client, "sleep 30")
    client.packet(cMSG_CHANNEL_SUCCESS, channel.remote_chanid)
    expect_violation(client, "not made")


def session_after_no_more_sessions(client, _):
    client.packet(cMSG_GLOBAL_REQUEST, "no-more-sessions@openssh.com", False)
    client.packet(cMSG_CHANNEL_OPEN, "session", 0, 1 << 20, 1 << 15)
    expect_violation(client, "no more")


def a_flood_of_requests(client, _):
    channel = session(client, "sleep 30")
    for _ in range(2000):
        if not client.is_active():
            break
        try:
            # The test server takes them one by one; the flood outruns it, or is answered: both are right.
            client.packet(cMSG_CHANNEL_REQUEST, channel.remote_chanid, "env", False, "A", "b")
        except (EOFError, OSError):
            break
    if client.wait_for_end(1):
        assert "too many" in client.reason, client.reason


def long_requests_that_nobody_takes(client, port_and_key):
    # The test server takes none from a tunnel: what waits is bounded in bytes too, however few requests they are.
    tunnel = client.open_channel("direct-tcpip", ("127.0.0.1", port_and_key[0]), ("127.0.0.1", 1), timeout=10)
    for _ in range(200):
        try:
            client.packet(cMSG_CHANNEL_REQUEST, tunnel.remote_chanid, "env", False, "A" * 30000, "b")
        except (EOFError, OSError):
            break
    expect_violation(client, "too many")


def a_name_without_end(client, _):
    client.packet(cMSG_CHANNEL_OPEN, "direct-tcpip", 0, 1 << 20, 1 << 15, "h" * 20000, 80, "localhost", 1)
    expect_violation(client, "malformed channel open")


def questions_during_a_key_exchange(client, _):
    # The client begins one and does not go on with it; the answers, which have to wait for its end, are bounded.
    client._parse_kex_init = lambda _: time.sleep(3600)
    client._send_kex_init()
    question = Message()
    question.add_byte(cMSG_GLOBAL_REQUEST)
    question.add_string("keepalive@openssh.com")
    question.add_boolean(True)
    deadline = time.time() + 30
    while time.time() < deadline:  # much of it may wait in the sockets before the server has read enough
        try:
            client.packetizer.send_message(question)
        except (EOFError, OSError):
            return
    raise AssertionError("the server keeps every answer")


def too_many_channels(client, _):
    opened = []
    try:
        for _ in range(300):
            opened.append(client.open_session(timeout=10))
    except paramiko.ChannelException as refused:
        assert refused.code == 4, refused
    assert len(opened) == 256, len(opened)
    opened[0].close()
    time.sleep(0.2)
    assert session(client, "echo again").recv(100) == b"again\n"


def unknown_channel_type(client, _):
    try:
        client.open_channel("unheard-of@example", timeout=10)
        assert False, "it was opened"
    except paramiko.ChannelException as refused:
        assert refused.code == 3, refused
    assert session(client, "echo still").recv(100) == b"still\n"


def globals_in_order(client, _):
    for _ in range(50):
        client.packet(cMSG_GLOBAL_REQUEST, "keepalive@openssh.com", True)
    assert session(client, "echo alive").recv(100) == b"alive\n"
    assert client.is_active()


def many_small_packets_at_once(client, _):
    # Written in one piece: a reader that calls itself for each needs a deep stack.
    pieces = []
    write = client.packetizer.write_all
    client.packetizer.write_all = pieces.append
    for _ in range(20_000):
        client.packet(cMSG_IGNORE, "")
    client.packetizer.write_all = write
    write(b"".join(pieces))
    assert session(client, "echo alive").recv(100) == b"alive\n"


def bytes_before_close_arrive(client, _):
    target = f"/tmp/ssh-test.{os.getpid()}"
    size = 1_900_000  # within the first window
    try:
        channel = session(client, f"sleep 1; cat > {target}; echo done >> {target}")
        channel.sendall(b"y" * size)
        channel.close()
        client.close()
        deadline = time.time() + 10
        while time.time() < deadline:
            if os.path.exists(target) and os.path.getsize(target) == size + 5:
                return
            time.sleep(0.05)
        raise AssertionError(f"{os.path.getsize(target)} bytes of {size}")
    finally:
        os.unlink(target)


def a_client_that_does_not_read(client, port_and_key):
    # Its window is large, its socket full: the server stops reading the command's output, and serves others.
    channel = client.open_session(window_size=2**31, timeout=10)
    client.packetizer.read_message = lambda: time.sleep(3600)
    m = Message()
    m.add_byte(cMSG_CHANNEL_REQUEST)
    m.add_int(channel.remote_chanid)
    m.add_string("exec")
    m.add_boolean(False)
    m.add_string("cat /dev/zero")
    client._send_message(m)
    time.sleep(1)
    other = connect(*port_and_key)
    assert session(other, "echo others").recv(100) == b"others\n"
    rss = int(next(line for line in open(f"/proc/{os.getppid()}/status") if line.startswith("VmRSS")).split()[1])
    assert rss < 400_000, f"{rss} KiB"
    other.close()


CASES = {case.__name__: case for case in (
    more_than_the_window, more_than_a_packet, no_such_channel, data_after_eof, data_after_close, data_before_the_confirmation,
    window_overflow, length_that_lies,
    malformed_request, answer_to_nothing, session_after_no_more_sessions, a_flood_of_requests, long_requests_that_nobody_takes, a_name_without_end,
    questions_during_a_key_exchange, too_many_channels,
    unknown_channel_type, globals_in_order, many_small_packets_at_once, bytes_before_close_arrive, a_client_that_does_not_read)}


def main():
    if sys.argv[1:] == ["list"]:
        print("\n".join(CASES))
        return
    port, key, case = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    client = connect(port, key)
    CASES[case](client, (port, key))
    os._exit(0)  # paramiko's threads may hang on purpose


if __name__ == "__main__":
    main()
