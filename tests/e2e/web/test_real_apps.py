"""Real Streamlit and TensorBoard in a workspace, in Chromium, both ways: below a path of the workspaces' origin and on origins of their own.
JupyterLab's two ways are in test_jupyter.py and test_apps.py."""

import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import pytest

from berthbox import wait_until
from portal import AppsBox, copy_tree, fetch, shoot

# About 100 MB to fetch and 450 MB unpacked, once; kept beside the workspace image.
PACKAGES = ["streamlit==1.67.0", "tensorboard==2.21.0"]

COUNTER = """
import streamlit as st
st.title("Counter")
if st.button("Count"):
    st.session_state.n = st.session_state.get("n", 0) + 1
st.write(f"counted {st.session_state.get('n', 0)}")
if file := st.file_uploader("A file"):
    data = file.getvalue()
    st.write(f"got {len(data)} bytes")
    st.download_button("Give it back", data[::-1], "back.bin")
"""

EVENTS = """
from tensorboard.summary import Writer
writer = Writer("tensorboard-logs/first-run")
for step in range(20):
    writer.add_scalar("loss", 1 / (step + 1), step)
writer.close()
"""

# Threads of numerical libraries would be one for each core of the machine.
RUN = "OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONPATH=$HOME/.real-apps exec /opt/python/bin/python"


def cached_packages():
    """The applications as a folder for PYTHONPATH, made at first use."""
    cache = pathlib.Path(os.environ.get("BERTH_CACHE") or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "berth")
    place = cache / f"apps-{hashlib.sha256(' '.join([*PACKAGES, EVENTS]).encode()).hexdigest()[:12]}"
    if not place.exists():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = pathlib.Path(tempfile.mkdtemp(prefix="apps-", dir=cache))
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", "--python-version", "3.11",
                        "--target", unfinished, *PACKAGES], check=True, timeout=900)
        subprocess.run([sys.executable, "-c", EVENTS], check=True, cwd=unfinished, env={**os.environ, "PYTHONPATH": str(unfinished)})
        subprocess.run(["chmod", "-R", "a+rX", unfinished], check=True)
        unfinished.rename(place)
    return place


@pytest.fixture(scope="module", params=["below a path", "on its own origin"])
def box(request, box):
    return box if request.param == "below a path" else request.getfixturevalue("wildcard_box")


@pytest.fixture(scope="module")
def apps(box):
    """Both applications run in ada's workspace; answers their ports."""
    ada = box.client()
    ada.run("cat > counter.py", input=COUNTER, timeout=180)
    copy_tree(cached_packages().iterdir(), box.state / "homes/ada/.real-apps")
    commands = {8501: "-m streamlit run counter.py --global.developmentMode false --server.port 8501 --server.address 127.0.0.1 --server.headless true --browser.gatherUsageStats false",
                6006: "-m tensorboard.main --logdir .real-apps/tensorboard-logs --port 6006"}
    running = {port: ada.popen("box", f"{RUN} {command} 2>&1", stderr=subprocess.DEVNULL) for port, command in commands.items()}
    for port, process in running.items():
        def answers(port=port, process=process):
            assert process.poll() is None, process.stdout.read().decode(errors="replace")
            return ada.ssh("box", f"curl -sf -o /dev/null localhost:{port}/", check=False).returncode == 0
        wait_until(answers, f"the application on port {port} answers", 120, 0.3)
    yield 8501, 6006
    for process in running.values():
        process.kill()
        process.communicate()


def open_app(portal, page, box, port):
    """Opens an application by its address on the portal; answers its tab and where it has landed."""
    tab = page.context.new_page()
    tab.set_default_timeout(60_000)
    tab.goto(f"{portal.url}/w/ada/main/port/{port}/")
    base = f"{portal.origin(port)}/" if isinstance(box, AppsBox) else f"{portal.workspace_url}/w/ada/main/port/{port}/"
    assert tab.url.startswith(base), tab.url
    return tab, base


def test_streamlit(portal, box, apps):
    """Streamlit counts clicks, takes a file with its XSRF token and gives one back."""
    tab, base = open_app(portal, portal.log_in(box.client()), box, apps[0])
    tab.get_by_role("heading", name="Counter").wait_for()
    for count in (1, 2, 3):
        tab.get_by_role("button", name="Count", exact=True).click()
        tab.get_by_text(f"counted {count}").wait_for()
    content = os.urandom(3 << 20)
    tab.locator("input[type=file]").set_input_files({"name": "data.bin", "mimeType": "application/octet-stream", "buffer": content})
    tab.get_by_text(f"got {len(content)} bytes").wait_for()
    for _ in range(5):
        with tab.expect_download() as download:
            tab.get_by_role("button", name="Give it back").click()
        if download.value.failure() is None:  # else Chromium gave it up by itself: see patient()
            break
    assert pathlib.Path(download.value.path()).read_bytes() == content[::-1]
    assert tab.get_by_text("counted 3").is_visible()
    shoot(tab, f"streamlit-{'origin' if isinstance(box, AppsBox) else 'path'}")
    assert tab.url.startswith(base)


def test_tensorboard(portal, box, apps):
    """TensorBoard shows the chart of a run."""
    tab, base = open_app(portal, portal.log_in(box.client()), box, apps[1])
    tab.get_by_text("first-run").first.wait_for()
    tab.get_by_text(re.compile("^loss$")).first.wait_for()
    tab.locator("scalar-card svg, scalar-card canvas").first.wait_for()
    assert fetch(tab, base + "data/runs") == 200
    shoot(tab, f"tensorboard-{'origin' if isinstance(box, AppsBox) else 'path'}")
    assert tab.url.startswith(base)
