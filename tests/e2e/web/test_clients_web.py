"""Clients that others wrote, aiohttp and `websockets`, against their own servers in a workspace, with Berth between them: what they say to each other
directly they must be able to say through it. The cases of configurable-http-proxy's and jupyter-server-proxy's tests are among them."""

import asyncio
import hashlib
import os
import pathlib
import re
import socket
import ssl
import threading
import time
import zlib

import aiohttp
import pytest
import websockets
from websockets.exceptions import ConnectionClosed
from yarl import URL

from berthbox import ROOT, fingerprint, resident, wait_until
from portal import INSECURE, copy_tree, enter, run_async

HTTP, WS = "/w/ada/main/port/8301", "/w/ada/main/port/8302"
LIBRARIES = ["websockets", "aiohttp", "aiosignal", "aiohappyeyeballs", "attr", "attrs", "frozenlist", "idna", "multidict", "propcache", "yarl", "typing_extensions.py"]
BULK = int(os.environ.get("BERTH_BULK_MIB", "512")) << 20  # 8192: what a person may well upload, on a machine with the time for it
SOCKETS = int(os.environ.get("BERTH_IDLE_SOCKETS", "1000"))
MEMORY = 24 << 20  # by which berthd may grow, whatever goes through it


@pytest.fixture(scope="module")
def server(box, ada):
    """The two servers run in ada's workspace."""
    packages = ROOT / ".venv/lib/python3.11/site-packages"
    copy_tree([packages / name for name in LIBRARIES if (packages / name).exists()], box.state / "homes/ada/.clients")
    ada.run("cat > server.py", input=(pathlib.Path(__file__).parent / "proxied_server.py").read_text())
    process = ada.popen("box", "ulimit -n 16384; PYTHONPATH=$HOME/.clients exec /opt/python/bin/python server.py 2>&1")
    line = process.stdout.readline().decode(errors="replace")
    assert line.startswith("ready"), line + process.stdout.read().decode(errors="replace")
    # It says a few lines for each WebSocket that was cut: with thousands of them it would stand still if nobody read that.
    reading = threading.Thread(target=process.stdout.read, daemon=True)
    reading.start()
    yield process
    process.kill()
    process.wait()
    reading.join()


class Visit:
    """A logged-in aiohttp session, and the cookies for other clients."""

    def __init__(self, box, http):
        self.http, self.origin = http, f"https://localhost:{box.web_port + 1}"
        self.url = self.origin + HTTP
        cookies = http.cookie_jar.filter_cookies(URL(self.origin + "/w/"))
        self.cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in cookies.items())

    def socket(self, path="/", **options):
        return websockets.connect(self.origin.replace("https", "wss") + WS + path, ssl=INSECURE, origin=self.origin, proxy=None,
                                  additional_headers={"Cookie": self.cookie}, open_timeout=60, **options)


@pytest.fixture
def visit(box, ada, server):
    """visit(test): runs test(visit) in a loop of its own."""
    def run(test, timeout=110):
        async def inside():
            connector = aiohttp.TCPConnector(ssl=INSECURE)
            async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), connector=connector, timeout=aiohttp.ClientTimeout(timeout)) as http:
                assert await enter(http, ada, HTTP + "/landing?by=login") == f"https://localhost:{box.web_port + 1}{HTTP}/landing?by=login"
                await test(Visit(box, http))
        run_async(inside(), timeout)
    return run


def test_gzip_redirects_and_relative_urls(visit):
    """Compressed bodies pass as they are; redirects and relative links lead to where they should, below the path."""
    async def test(v):
        async with v.http.get(v.url + "/gzip") as answer:
            assert answer.headers["Content-Encoding"] == "gzip" and await answer.text() == "twice " * 1000
        for kind in ("relative", "absolute", "whole"):
            async with v.http.get(f"{v.url}/deep/redirect/{kind}") as answer:
                assert (str(answer.url), await answer.text()) == (f"{v.url}/landing?by={kind}", f"landed by {kind}")
        async with v.http.get(v.url + "/deep/page/") as answer:
            link = answer.url.join(URL(re.search("href='(.*?)'", await answer.text()).group(1)))
            assert str(link) == f"{v.url}/deep/landing?by=link"
    visit(test)


def test_ranges(visit):
    """Parts of a file: one, the end, none that exists, and only when it has changed."""
    block = bytes(range(256)) * 4096

    async def test(v):
        async with v.http.get(v.url + "/ranges", headers={"Range": "bytes=1000-1999"}) as answer:
            assert (answer.status, answer.headers["Content-Range"], await answer.read()) == (206, f"bytes 1000-1999/{len(block)}", block[1000:2000])
        async with v.http.get(v.url + "/ranges", headers={"Range": "bytes=-10"}) as answer:
            assert (answer.status, await answer.read()) == (206, block[-10:])
        async with v.http.get(v.url + "/ranges", headers={"Range": f"bytes={len(block)}-"}) as answer:
            assert answer.status == 416
        async with v.http.get(v.url + "/ranges") as answer:
            assert (answer.status, await answer.read()) == (200, block)
            tag = answer.headers["ETag"]
        async with v.http.get(v.url + "/ranges", headers={"If-None-Match": tag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
        async with v.http.head(v.url + "/ranges") as answer:
            assert (answer.status, answer.headers["Content-Length"], await answer.read()) == (200, str(len(block)), b"")
    visit(test)


def test_server_sent_events(visit):
    """An event arrives before the next one has been made."""
    async def test(v):
        async with v.http.get(v.url + "/events", headers={"Accept": "text/event-stream"}) as answer:
            for number in range(3):
                lines = [await answer.content.readline() for _ in range(3)]
                assert lines == [b"id: %d\n" % number, b"data: event %d\n" % number, b"\n"]
                async with v.http.get(v.url + "/tick") as ticked:
                    assert await ticked.text() == "ticked"
            assert await answer.content.read() == b""
    visit(test)


def test_uploads(visit):
    """A body of unknown length arrives whole and in pieces, one of known length likewise; a server that refuses one early is heard."""
    pieces = [os.urandom(size) for size in (1, 70_000, 3, 1 << 20, 65_536, 5)]

    async def slowly():
        for piece in pieces:
            yield piece
            await asyncio.sleep(0)

    async def unwanted():  # no more than what is still read after an answer: a longer one would be cut off, with the answer perhaps
        for _ in range(20):
            yield bytes(10_000)
            await asyncio.sleep(0)

    async def test(v):
        whole = b"".join(pieces)
        async with v.http.put(v.url + "/upload", data=slowly()) as answer:
            said = await answer.json()
            assert (said["sha256"], said["size"], said["chunked"]) == (hashlib.sha256(whole).hexdigest(), len(whole), True)
        async with v.http.put(v.url + "/upload", data=whole, expect100=True) as answer:
            said = await answer.json()
            assert (said["sha256"], said["size"], said["chunked"]) == (hashlib.sha256(whole).hexdigest(), len(whole), False)
        async with v.http.post(v.url + "/refuse", data=unwanted()) as answer:
            assert (answer.status, await answer.text()) == (413, "too large for me")
    visit(test)


def peak(pid):
    return int(re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1)) << 10


def test_bulk_in_constant_memory(visit, box):
    """Half a gigabyte (BERTH_BULK_MIB: more) each way goes through a berthd that does not grow by it, also to a reader that is slower than the server."""
    pid = box.pid("berthd")

    async def zeros(left):
        block = bytes(1 << 20)
        while left:
            yield block[:left]
            left -= min(left, len(block))

    async def test(v):
        async with v.http.get(v.url + "/blocks?size=1000000") as answer:
            assert len(await answer.read()) == 1_000_000
        pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
        before = resident(pid)
        for size, query in ((BULK, ""), (64 << 20, "&chunked")):
            got = check = 0
            async with v.http.get(f"{v.url}/blocks?size={size}{query}") as answer:
                async for piece in answer.content.iter_chunked(1 << 18):
                    got += len(piece)
                    check = zlib.crc32(piece, check) if query else 0
            assert got == size
        assert check == zlib.crc32(bytes(range(256)) * 4096 * 64)
        async with v.http.post(v.url + "/sink", data=zeros(BULK), headers={"Content-Length": str(BULK)}) as answer:
            assert (await answer.json())["size"] == BULK
        async with v.http.get(v.url + f"/blocks?size={1 << 30}") as answer:  # 1 GiB that nobody reads on
            await answer.content.readexactly(1 << 20)
            await asyncio.sleep(0.5)
        print(f"berthd grew by {(peak(pid) - before) >> 10} KiB over {before >> 10} KiB")
        assert peak(pid) - before < MEMORY
    visit(test, timeout=110 + BULK // (4 << 20))


def test_websocket_subprotocol_and_deflate(visit):
    """The subprotocol is the one that the server chose, compression is agreed end to end, and the path arrives."""
    async def test(v):
        async with v.socket("/a/b?c=d", subprotocols=["v1.chat", "nobody-knows-this"]) as ws:
            assert ws.subprotocol == "v1.chat"
            await ws.send("who")
            assert await ws.recv() == "v1.chat ['permessage-deflate'] /a/b?c=d"
            text = "berth " * 20_000
            await ws.send(text)
            assert await ws.recv() == text
        async with v.socket(compression=None) as ws:
            assert ws.subprotocol is None
            await ws.send("who")
            assert await ws.recv() == "None [] /"
    visit(test)


def test_websocket_fragments_and_pings(visit):
    """Fragments stay fragments both ways, and pings are answered by the other end, not by what is between."""
    async def test(v):
        async with v.socket(ping_interval=None) as ws:
            await ws.send("fragments")
            parts = [part async for part in ws.recv_streaming()]
            assert "".join(parts) == "".join(f"part {number} " for number in range(5)) and len([part for part in parts if part]) == 5, parts
            await ws.send(part for part in (b"one ", b"two ", b"three"))
            assert await ws.recv() == b"one two three"
            assert await (await ws.ping(b"hello")) >= 0
            await ws.send("ping me")
            assert await ws.recv() == "you answered"
    visit(test)


def test_websocket_close_codes(visit):
    """Code and reason of a close arrive, whoever closes."""
    async def test(v):
        for code, reason in ((1000, "done"), (1011, "it broke"), (4001, "log in again, sailor")):
            async with v.socket() as ws:
                await ws.send(f"close {code} {reason}")
                with pytest.raises(ConnectionClosed) as closed:
                    await ws.recv()
                assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, reason)
        async with v.socket() as ws:
            await ws.close(4002, "enough")
            assert ws.close_code == 4002
    visit(test)


def test_websocket_message_of_64_mib(visit, box):
    """A message of 64 MiB comes back whole, and berthd keeps none of it."""
    pid = box.pid("berthd")
    message = os.urandom(1 << 20) * 64

    async def test(v):
        pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
        before = resident(pid)
        async with v.socket(max_size=80 << 20, compression=None, ping_interval=None) as ws:
            await ws.send(message)
            assert await ws.recv() == message
        assert peak(pid) - before < MEMORY
    visit(test)


def test_websocket_by_aiohttp(visit):
    """aiohttp's client, which has a WebSocket implementation of its own, talks to it too."""
    async def test(v):
        async with v.http.ws_connect(v.origin + WS + "/", headers={"Origin": v.origin}, protocols=("v2.chat",), compress=15, max_msg_size=0) as ws:
            assert ws.protocol == "v2.chat" and ws.compress
            await ws.send_bytes(b"x" * 3_000_000)
            assert await ws.receive_bytes() == b"x" * 3_000_000
            await ws.send_str("close 4009 later")
            message = await ws.receive()
            assert (message.type, message.data, message.extra) == (aiohttp.WSMsgType.CLOSE, 4009, "later")
    visit(test)


def test_route_changes_touch_nothing_else(visit, box, new_user):
    """While another's workspace stops and starts and their key is revoked, a long download and a WebSocket go on and lose no byte."""
    other, step, steps = new_user(), 1 << 18, 256
    block = bytes(range(256)) * (step // 256)

    async def test(v):
        async with v.socket(compression=None, ping_interval=None) as ws, v.http.get(f"{v.url}/blocks?size={step * steps}") as answer:
            left = steps

            async def goes_on():
                nonlocal left
                assert await answer.content.readexactly(step) == block
                left -= 1
                text = os.urandom(2_000).hex()
                await ws.send(text)
                assert await ws.recv() == text

            for change in ((other.run, "true"), (box.berth, "workspace", "stop", f"{other.user}/main"), (other.run, "true"),
                           (box.berth, "key", "revoke", fingerprint(other.key))):
                changing = asyncio.ensure_future(asyncio.to_thread(*change))
                while not changing.done():  # not faster than once a second: it is to be under way all the time
                    await goes_on()
                    await asyncio.wait([changing], timeout=1)
                await changing
            await goes_on()
            while left:
                await goes_on()
            assert await answer.content.read() == b""
    visit(test, timeout=250)


def test_many_idle_websockets(visit, box):
    """A thousand idle WebSockets (BERTH_IDLE_SOCKETS: more) cost little memory each, stay open, and others are served beside them."""
    pid = box.pid("berthd")

    async def open_one(v, gate):
        async with gate:
            reader, writer = await asyncio.open_connection("localhost", int(v.origin.rsplit(":", 1)[1]), ssl=INSECURE, limit=1024)
            writer.write((f"GET {WS}/idle HTTP/1.1\r\nHost: {v.origin[8:]}\r\nOrigin: {v.origin}\r\nCookie: {v.cookie}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 "), head
            return reader, writer

    async def test(v):
        gate = asyncio.Semaphore(16)
        first = await asyncio.gather(*(open_one(v, gate) for _ in range(32)))
        before = resident(pid)
        sockets = first + await asyncio.gather(*(open_one(v, gate) for _ in range(SOCKETS)))
        each = (resident(pid) - before) / SOCKETS
        print(f"{each / 1024:.1f} KiB of berthd for each idle WebSocket")
        assert each < 64 << 10  # a debug build needs more than a released one: bench/run web measures that
        async with v.http.get(v.url + "/gzip") as answer:
            assert answer.status == 200
        for reader, writer in (sockets[0], sockets[-1]):  # a masked "hi" comes back
            writer.write(b"\x81\x82\0\0\0\0hi")
            assert await reader.readexactly(4) == b"\x81\x02hi"
        assert not any(reader.at_eof() for reader, _ in sockets)
        for _, writer in sockets:
            writer.transport.abort()
    visit(test, timeout=110 + SOCKETS // 20)
    metric = 'berth_web_websockets'
    wait_until(lambda: all(float(line.split()[-1]) == 0 for line in box.get("/metrics").splitlines() if line.startswith(metric)), "all are gone", 60)


def test_a_hundred_thousand_fields(box, visit):
    """A request with 100,000 header fields is refused with 431 while others are served."""
    async def test(v):
        began = time.monotonic()
        with socket.create_connection(("localhost", box.web_port + 1), 60) as plain, INSECURE.wrap_socket(plain, server_hostname="localhost") as raw:
            raw.sendall(f"GET {HTTP}/landing?by=flood HTTP/1.1\r\nHost: {v.origin[8:]}\r\nCookie: {v.cookie}\r\n".encode())
            answer = b""
            try:
                raw.sendall(b"".join(b"X-Field-%d: %d\r\n" % (number, number) for number in range(100_000)) + b"\r\n")
            except (OSError, ssl.SSLError):
                pass  # it hung up in the middle, which it may
            try:
                while b"\r\n\r\n" not in answer and (piece := raw.recv(65_536)):
                    answer += piece
            except (OSError, ssl.SSLError):
                pass
            assert answer.startswith(b"HTTP/1.1 431 "), (answer[:200], time.monotonic() - began)
        async with v.http.get(v.url + "/landing?by=others") as served:
            assert await served.text() == "landed by others"
    visit(test)
