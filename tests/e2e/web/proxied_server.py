"""What test_clients_web.py has running in a workspace: an HTTP server by aiohttp on port 8301, a WebSocket server by `websockets` on 8302."""

import asyncio
import gzip
import hashlib
import os
import pathlib

import websockets
from aiohttp import web

BLOCK = bytes(range(256)) * 4096
tick = None


async def compressed(request):
    return web.Response(body=gzip.compress(b"twice " * 1000), headers={"Content-Encoding": "gzip", "Content-Type": "text/plain"})


async def redirect(request):
    return web.Response(status=302, headers={"Location": {"relative": "../../landing?by=relative", "absolute": "/landing?by=absolute",
                                                          "whole": "http://localhost:8301/landing?by=whole"}[request.match_info["kind"]]})


async def landing(request):
    return web.Response(text=f"landed by {request.query['by']}")


async def page(request):
    return web.Response(text="<a href='../landing?by=link'>go</a><img src='pixel.png'>", content_type="text/html")


async def events(request):
    """Each event waits for somebody to ask for /tick: a proxy that holds the first one back would wait for ever."""
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await answer.prepare(request)
    for number in range(3):
        await answer.write(f"id: {number}\ndata: event {number}\n\n".encode())
        await tick.wait()
        tick.clear()
    return answer


async def do_tick(request):
    tick.set()
    return web.Response(text="ticked")


async def upload(request):
    digest, size, pieces = hashlib.sha256(), 0, 0
    async for piece in request.content.iter_any():
        digest.update(piece)
        size += len(piece)
        pieces += 1
    return web.json_response({"sha256": digest.hexdigest(), "size": size, "pieces": pieces, "chunked": request.headers.get("Transfer-Encoding") == "chunked"})


async def sink(request):
    size = 0
    async for piece in request.content.iter_any():
        size += len(piece)
    return web.json_response({"size": size})


async def blocks(request):
    left = int(request.query["size"])
    answer = web.StreamResponse()
    if "chunked" in request.query:
        answer.enable_chunked_encoding()
    else:
        answer.content_length = left
    await answer.prepare(request)
    while left:
        piece = BLOCK[:left]
        await answer.write(piece)
        left -= len(piece)
    return answer


async def refuse(request):
    """Answers before it has read the body, and never reads it."""
    return web.Response(status=413, text="too large for me", headers={"Connection": "close"})


def choose(socket, offered):
    return next((name for name in ("v2.chat", "v1.chat") if name in offered), None)


async def serve_socket(socket):
    async for message in socket:
        if message == "ping me":
            await (await socket.ping(b"from the server"))
            await socket.send("you answered")
        elif message == "fragments":
            await socket.send(f"part {number} " for number in range(5))
        elif isinstance(message, str) and message.startswith("close "):
            _, code, reason = message.split(" ", 2)
            await socket.close(int(code), reason)
        elif message == "who":
            await socket.send(f"{socket.subprotocol} {[extension.name for extension in socket.protocol.extensions]} {socket.request.path}")
        else:
            await socket.send(message)


async def main():
    global tick
    tick = asyncio.Event()
    await asyncio.to_thread(pathlib.Path("ranges.bin").write_bytes, BLOCK)
    app = web.Application(client_max_size=0)
    app.add_routes([web.get("/gzip", compressed), web.get("/deep/redirect/{kind}", redirect), web.get("/landing", landing), web.get("/deep/page/", page),
                    web.get("/events", events), web.get("/tick", do_tick), web.put("/upload", upload), web.post("/sink", sink), web.get("/blocks", blocks),
                    web.post("/refuse", refuse), web.get("/ranges", lambda request: asyncio.sleep(0, web.FileResponse("ranges.bin")))])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 8301).start()
    async with websockets.serve(serve_socket, "127.0.0.1", 8302, select_subprotocol=choose, max_size=80 << 20, ping_interval=None, open_timeout=120,
                                backlog=4096):
        print(f"ready {os.getpid()}", flush=True)
        await asyncio.Event().wait()


asyncio.run(main())
