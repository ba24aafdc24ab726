"""The server against its own OpenAPI description: schemathesis sends what fits it and what does not, as an admin with a token."""

import json
import ssl
import subprocess
import sys
import urllib.request

import pytest

# Long answers and what would take the box away from the other tests; each is tested elsewhere.
LEFT_OUT = ["/workspaces/{user}/{name}/start", "/workspaces/{user}/{name}/terminal", "/events", "/environments/{user}/{name}/plan", "/environments-check",
            "/environments/{user}/{name}/install", "/environments/{user}/{name}/verify", "/environments-gc"]
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method"


@pytest.fixture(scope="module")
def admin(box):
    """An admin of the tests' own and a token of theirs."""
    client = box.add_user("schema-admin")
    box.berth("user", "role", "schema-admin", "admin")
    yield client.run("berth token create schemathesis --scope all --expires 1h")
    box.berth("user", "remove", "schema-admin", check=False)


def test_the_description_is_served_and_kept(box):
    """It is public, it is OpenAPI 3.1, and docs/openapi.json is the same."""
    with urllib.request.urlopen(f"https://localhost:{box.web_port}/api/v1/openapi.json", timeout=30, context=ssl._create_unverified_context()) as answer:
        served = json.loads(answer.read())
    assert served["openapi"] == "3.1.0" and "/keys" in served["paths"]
    printed = subprocess.run([box.bin / "berthd", "--openapi"], capture_output=True, text=True, check=True).stdout
    assert json.loads(printed) == served


@pytest.mark.timeout(300)
def test_the_server_does_what_it_says(box, admin):
    """No request, sound or not, gets a server error or an answer that the description does not know."""
    url = f"https://localhost:{box.web_port}/api/v1"
    left_out = [word for path in LEFT_OUT for word in ("--exclude-path", path)]
    # Not to end the login that the test itself rests on.
    left_out += ["--exclude-method", "DELETE"]
    # Another host key, and no client of the other tests would believe that it meets the same server.
    left_out += ["--exclude-operation-id", "post_host_keys"]
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--header", f"Authorization: Bearer {admin}", "--tls-verify", "false",
         "--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", "8", "--max-time", "60", "--seed", "1", "--request-timeout", "30",
         "--continue-on-failure", "--no-shrink",
         # How quickly values are made up says something of the machine, not of the server.
         "--suppress-health-check", "all", *left_out],
        capture_output=True, text=True, timeout=280, cwd=box.dir)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
