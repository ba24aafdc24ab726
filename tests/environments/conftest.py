"""Fixtures of the tests of the builder: a channel of real packages, and what is made from it."""

import pytest

import channel as channels
from building import builder


@pytest.fixture(scope="session")
def channel():
    return channels.cached()


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def solve(channel, cache):
    def run(*dependencies, code=0, current=None, extra="", options=()):
        text = f"channels:\n  - {channel}\ndependencies:\n" + "".join(f"  - {d}\n" for d in dependencies) + extra
        more = ["--current", current] if current else []
        return builder("solve", "-", "--cache", cache, *more, *options, text=text, code=code)
    return run


@pytest.fixture
def install(solve, cache, tmp_path):
    def run(*dependencies, code=0, extra="", name="prefix"):
        lock = tmp_path / f"{name}.json"
        lock.write_text(solve(*dependencies, extra=extra)["lock"])
        answer = builder("install", "--lock", lock, "--prefix", tmp_path / name, "--cache", cache, code=code)
        if code == 0:
            answer = builder("finish", "--lock", lock, "--prefix", tmp_path / name)
        return tmp_path / name, answer
    return run
