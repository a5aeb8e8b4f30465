"""Debian's Redis 7.0 cannot hold what must not be lost: refused with one sentence, and never used."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import redis

from experiments.ingest.spill import REFUSED, STREAM
from tests.support import builders
from tests.support.outages import Outage, click

SENTENCE = "redis_version == 7.0.15, must be 7.2 or later (or any Valkey): it lacks WAITAOF."


def bakeoff(folder, url: str, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "bakeoff", *words]
    variables = {**os.environ, "REDIS_URL": url, "BAKEOFF_HOME": str(folder / "home")}
    return subprocess.run(
        command, env=variables, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.parametrize("words", [("up", "--port", "0"), ("doctor",)])
def test_it_is_refused_in_one_sentence(folder, redis70, words):
    done = bakeoff(folder, f"redis://127.0.0.1:{redis70.port}/0", *words)
    assert done.returncode == 1
    assert SENTENCE in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_nothing_is_kept_there_that_was_said_not_to_be(tables, redis70):
    """A web process that runs beside it all the same spills nothing: not now, and not later."""
    shop = builders.make_shop()
    outage = Outage(redis_url=f"redis://127.0.0.1:{redis70.port}/0")
    try:
        assert outage.lane.post("/v1/events", click(0), shop.public).json()["durability"] == "committed"
        assert outage.lane.client.get("/readyz").json()["no_spill"] == SENTENCE
        outage.postgres.cut()
        answer = outage.lane.post("/v1/events", click(1), shop.public)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "cannot_commit")
        assert outage.lane.client.get("/readyz").status_code == 503
        with redis.Redis(port=redis70.port) as client:
            assert (client.xlen(STREAM), client.xlen(REFUSED)) == (0, 0)
    finally:
        outage.stop()
