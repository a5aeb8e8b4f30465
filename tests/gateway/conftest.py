"""Fixtures of the fast lane's rooms."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from experiments.ingest.spill import REFUSED, STREAM
from inference.cache import cache_client
from tests.support.outages import Outage


@pytest.fixture
def outage(shop):
    cache_client().delete(STREAM, REFUSED)
    outage = Outage()
    yield outage
    outage.stop()
    cache_client().delete(STREAM, REFUSED)


@pytest.fixture
def run_python():
    """Run code in a process with settings of its own; return what it prints."""

    def run(code: str, **variables: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **variables}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run
