"""What tests of the life of keys ask and do: as the admin, and as a client that something cuts off."""

import time
import urllib.parse

from berthbox import fingerprint


def key_path(print_):
    return "/keys/" + urllib.parse.quote(print_, safe="")


def key_of(box, key):
    status, answer = box.api("GET", key_path(fingerprint(key)))
    assert status == 200, answer
    return answer


def audit(box, action):
    return [row for row in box.api("GET", "/audit?limit=10000")[1]["items"] if row["action"] == action]


def told(client):
    """What a login with a terminal says on stderr (whether the engine of the test can open one or not)."""
    return client.ssh("-tt", "box", "true", check=False).stderr


def held(client, command="read -r word; echo $word", *options):
    process = client.popen(*options, "box", f"echo up; {command}")
    assert process.stdout.readline().strip() == b"up"
    return process


def cut(process, within=15):
    """Waits for the end of a client; answers how long that took and what it said."""
    began = time.monotonic()
    if process.stdin and process.stdin.closed:
        process.stdin = None
    errors = process.communicate(timeout=within)[1]
    return time.monotonic() - began, errors.decode()


def rotate(box, user, key, **more):
    status, answer = box.api("POST", f"/users/{user}/keys/rotate", {"public_key": (key.parent / (key.name + ".pub")).read_text(), **more})
    assert status == 201, answer
    return answer
