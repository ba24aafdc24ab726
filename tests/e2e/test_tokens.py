"""API tokens: made over SSH, used by scripts on the portal, ended with what they rest on."""

import json
import ssl
import urllib.error
import urllib.request

import pytest

from berthbox import fingerprint


class Script:
    """A script with a token: no cookie, no CSRF token."""

    def __init__(self, box, secret):
        self.url, self.secret = f"https://localhost:{box.web_port}/api/v1", secret

    def __call__(self, path, method="GET", body=None):
        """The status and the parsed answer."""
        request = urllib.request.Request(self.url + path, method=method, data=json.dumps(body).encode() if body is not None else None,
                                         headers={"Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30, context=ssl._create_unverified_context()) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())


@pytest.fixture
def script(box):
    return lambda client, words: Script(box, client.run(f"berth token create {words}"))


def test_a_token_is_made_used_and_revoked(box, new_user, script):
    client = new_user()
    call = script(client, "ci --scope read --expires 2h")
    assert call("/me")[1]["user"]["name"] == client.user
    assert [key["fingerprint"] for key in call("/keys")[1]["items"]] == [fingerprint(client.key)]
    assert call(f"/workspaces/{client.user}/main/stop", "POST")[0] == 403
    token = json.loads(client.run("berth --json token list"))["items"][0]
    assert token["name"] == "ci" and token["state"] == "active" and token["scopes"] == ["read"]
    client.run(f"berth token revoke {token['id']}")
    assert call("/me")[0] == 401
    rows = {row["action"] for row in box.items("audit", "tail", "--limit", "20")}
    assert {"token.create", "token.revoke"} <= rows


@pytest.mark.parametrize("how", ["key revoke", "user disable"])
def test_a_token_ends_with_what_it_rests_on(box, new_user, script, how):
    client = new_user()
    call = script(client, "ci")
    assert call("/me")[0] == 200
    box.berth(*how.split(), fingerprint(client.key) if how == "key revoke" else client.user)
    assert call("/me")[0] == 401


def test_a_token_is_shown_once(box, new_user):
    """Standard output has the secret alone; nothing that Berth keeps has it."""
    client = new_user()
    done = client.ssh("box", "berth token create once")
    secret = done.stdout.strip()
    assert secret.startswith("berth_") and "\n" not in secret and "only time" in done.stderr
    assert secret not in client.run("berth --json token list")
    with box.backup("tokens.db") as store:
        assert secret[6:] not in "\n".join(store.iterdump())
    assert secret[6:] not in box.logs(10_000)


def test_roles_by_every_face(box, new_user, script):
    """What a role may is the same by SSH, by token and (as admin) on the admin socket."""
    client = new_user()
    for role, reads, changes in (("user", 403, 403), ("auditor", 200, 403), ("admin", 200, 200)):
        box.berth("user", "role", client.user, role)
        call = script(client, f"of-{role} --scope all")
        assert call("/users")[0] == reads
        assert (client.ssh("box", "berth user list", check=False).returncode == 0) == (reads == 200)
        assert call(f"/users/{client.user}", "PATCH", {"disabled": False})[0] == changes
        assert (client.ssh("box", f"berth user enable {client.user}", check=False).returncode == 0) == (changes == 200)
    assert box.berth("user", "show", client.user)["role"] == "admin"
