"""A new TLS certificate while people are at work: nobody notices."""

import asyncio
import concurrent.futures
import hashlib
import http.client
import json
import re
import socket
import ssl
import subprocess

import pytest
import websockets

from berthbox import wait_until
from portal import web_link

INSECURE = ssl._create_unverified_context()


def served_certificate(port):
    """The fingerprint of the certificate that a new connection meets."""
    with socket.create_connection(("127.0.0.1", port)) as plain, INSECURE.wrap_socket(plain, server_hostname="localhost") as secure:
        return hashlib.sha256(secure.getpeercert(binary_form=True)).hexdigest()


class Browser:
    """Just enough of one to log in: cookies, an Origin, and connections that are kept."""

    def __init__(self, box):
        self.ports, self.cookies = {"portal": box.web_port, "workspaces": box.web_port + 1}, {}
        self.connections = {face: http.client.HTTPSConnection("localhost", port, context=INSECURE, timeout=120) for face, port in self.ports.items()}

    def ask(self, face, method, path, body=None):
        headers = {"Cookie": self.cookie_header(), "Origin": f"https://localhost:{self.ports[face]}", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        connection = self.connections[face]
        connection.request(method, path, body and json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.split(";")[0]
        return answer, text

    def cookie_header(self):
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())


@pytest.fixture
def browser_of_ada(box, ada):
    """Logged in, and let over to Jupyter on the workspace origin."""
    browser = Browser(box)
    token = re.search(r"#token=(\S+)", web_link(ada)).group(1)
    answer, text = browser.ask("portal", "POST", "/api/v1/login/link", {"token": token})
    assert answer.status == 200, text
    answer, text = browser.ask("portal", "GET", "/w/ada/main/jupyter/api/status")
    assert answer.status in (302, 303, 307), text
    answer, text = browser.ask("workspaces", "GET", re.sub(r"^https://[^/]+", "", answer.getheader("Location")))
    assert any(name.startswith("__Host-berth-w-") for name in browser.cookies), text

    def jupyter_answers():
        return browser.ask("workspaces", "GET", "/w/ada/main/jupyter/api/status")[0].status == 200

    wait_until(jupyter_answers, "Jupyter answers", timeout=90)
    return browser


def new_certificate(box):
    """Puts another self-signed pair in the place of the one in use, as certbot would."""
    old = next(box.state.rglob("certificate.pem"))
    made = box.dir / "made.pem", box.dir / "made-key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-out", made[0], "-keyout", made[1]], check=True, capture_output=True)
    for source, target in zip(made[::-1], (old.with_name("key.pem"), old)):
        part = target.with_name(target.name + ".part")
        status = target.stat()
        part.write_bytes(source.read_bytes())
        part.chmod(0o600)
        subprocess.run(["chown", f"{status.st_uid}:{status.st_gid}", part], check=True)
        part.rename(target)


def test_a_new_certificate_drops_nothing(box, ada, browser_of_ada):
    """An open connection and an open WebSocket go on over the change; new ones meet the new certificate, on both origins."""
    browser = browser_of_ada
    before = served_certificate(box.web_port)
    kept = {face: connection.sock for face, connection in browser.connections.items()}

    async def across():
        address = f"wss://localhost:{browser.ports['workspaces']}/w/ada/main/jupyter/api/events/subscribe"
        origin = f"https://localhost:{browser.ports['workspaces']}"
        async with websockets.connect(address, ssl=INSECURE, origin=origin, additional_headers={"Cookie": browser.cookie_header()}) as events:
            await (await events.ping())
            new_certificate(box)
            for port in browser.ports.values():
                await asyncio.to_thread(wait_until, lambda port=port: served_certificate(port) != before, "the new certificate is served")
            await (await events.ping())

    with concurrent.futures.ThreadPoolExecutor(1) as thread:  # the browser of other tests holds an event loop in this one
        thread.submit(asyncio.run, across()).result()
    assert browser.ask("portal", "GET", "/api/v1/me")[0].status == 200
    assert browser.ask("workspaces", "GET", "/w/ada/main/jupyter/api/status")[0].status == 200
    assert {face: connection.sock for face, connection in browser.connections.items()} == kept  # the very connections of before


def test_a_broken_certificate_changes_nothing(box, ada):
    """A certificate without its key is not used: the old one goes on."""
    certificate = next(box.state.rglob("certificate.pem"))
    before, good = served_certificate(box.web_port), certificate.read_bytes()
    certificate.write_bytes(b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    try:
        wait_until(lambda: "web.certificate" in box.logs(200) and "kept" in box.logs(200), "the fault is logged")
        assert served_certificate(box.web_port) == before
    finally:
        certificate.write_bytes(good)
