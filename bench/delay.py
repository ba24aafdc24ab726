"""A relay that makes every byte later and no stream slower: delay.py ONE_WAY_MS TARGET_PORT [TARGET_PORT…] prints one port of its own for each."""

import collections
import socket
import sys
import threading
import time

CHUNK = 256 * 1024
HELD = 256 << 20  # bytes on the way in one direction: 150 ms at 1.7 GB/s


def carry(source, target, delay):
    """Reads at once, passes on after `delay` seconds: one thread takes, this one gives."""
    line, some, room = collections.deque(), threading.Semaphore(0), threading.Semaphore(HELD // CHUNK)

    def take():
        while True:
            room.acquire()
            try:
                data = source.recv(CHUNK)
            except OSError:
                data = b""
            line.append((time.monotonic() + delay, data))
            some.release()
            if not data:
                return
    threading.Thread(target=take, daemon=True).start()
    while True:
        some.acquire()
        due, data = line.popleft()
        room.release()
        wait = due - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        try:
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(data)
        except OSError:
            source.close()
            return


def serve(listener, port, delay):
    while True:
        client = listener.accept()[0]
        server = socket.create_connection(("127.0.0.1", port))
        for side in (client, server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for source, target in ((client, server), (server, client)):
            threading.Thread(target=carry, args=(source, target, delay), daemon=True).start()


def main():
    delay = float(sys.argv[1]) / 1000
    for port in sys.argv[2:]:
        listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=serve, args=(listener, int(port), delay), daemon=True).start()
        print(listener.getsockname()[1], flush=True)
    sys.stdin.read()  # until whoever started this ends


if __name__ == "__main__":
    main()
