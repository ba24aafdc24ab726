"""Takes and gives bytes, as the far end of a tunnel: sink.py prints its port on 127.0.0.1 and serves until its input ends. A connection says one
line: "up N" (N bytes follow, then it answers "ok"), "down N" (it sends N bytes) or "hold" (it stays open)."""

import socket
import sys
import threading

ZEROS = bytes(1 << 20)


def serve(stream):
    with stream:
        line = b""
        while not line.endswith(b"\n"):
            byte = stream.recv(1)
            if not byte:
                return
            line += byte
        word, _, number = line.decode().partition(" ")
        left = int(number or 0)
        if word == "hold":
            HELD.append(stream.dup())
            return
        if word == "down":
            while left > 0:
                left -= stream.send(ZEROS[:min(left, len(ZEROS))])
        elif word == "up":
            buffer = bytearray(len(ZEROS))
            while left > 0:
                got = stream.recv_into(buffer)
                if got == 0:
                    return
                left -= got
        stream.sendall(b"ok\n")


HELD = []
listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
print(listener.getsockname()[1], flush=True)


def accept():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


threading.Thread(target=accept, daemon=True).start()
sys.stdin.read()
