"""/metrics and the Grafana dashboard that draws it."""

import json
import re
import ssl
import urllib.request

from berthbox import ROOT


def metrics(box):
    """As Prometheus on this machine reads it."""
    context = ssl._create_unverified_context()
    with urllib.request.urlopen(f"https://localhost:{box.web_port}/metrics", context=context) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return answer.read().decode()


def test_every_line_is_well_formed(box, ada):
    """Each sample belongs to a described metric, each histogram ends with +Inf and its count, and no sample comes twice."""
    types, seen = {}, set()
    for line in metrics(box).splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types
            types[name] = kind
        elif not line.startswith("#"):
            sample, value = re.fullmatch(r'([a-z_]+(?:\{(?:[a-z]+="[^"\\]*",?)+\})?) ([0-9.e+-]+)', line).groups()
            assert sample not in seen
            seen.add(sample)
            float(value)
            name = sample.split("{")[0]
            base = re.sub("_(bucket|sum|count)$", "", name)
            assert name in types or types.get(base) == "histogram", line
    for name in [name for name, kind in types.items() if kind == "histogram"]:
        assert any(sample.startswith(f"{name}_bucket{{") and 'le="+Inf"' in sample for sample in seen), name


def test_what_was_done_is_counted(box, ada):
    """An SSH login and its bytes, and the running workspace, are in the numbers."""
    def value(sample):
        found = re.search(rf"^{re.escape(sample)} (\S+)$", metrics(box), re.M)
        return float(found.group(1)) if found else 0.0

    logins, latency, out = value("berth_ssh_logins_total"), value("berth_ssh_login_seconds_count"), value('berth_sessions_bytes_total{kind="exec",direction="out"}')
    ada.run("head -c 100000 /dev/zero | tr '\\0' x")
    assert value("berth_ssh_logins_total") == logins + 1
    assert value("berth_ssh_login_seconds_count") == latency + 1
    assert value('berth_sessions_bytes_total{kind="exec",direction="out"}') >= out + 100000
    assert value('berth_workspaces{state="running"}') >= 1
    assert value("berth_store_write_seconds_count") > 0


def test_the_dashboard_draws_what_there_is(box, ada):
    """Every metric that the dashboard asks for exists."""
    have = set(re.findall(r"^# TYPE (\S+)", metrics(box), re.M))
    board = json.loads((ROOT / "docs/grafana-dashboard.json").read_text())
    asked = set(re.findall(r"berth_[a-z_]+", " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])))
    assert {re.sub("_bucket$", "", name) for name in asked} <= have
