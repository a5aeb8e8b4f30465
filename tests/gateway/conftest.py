"""Fixtures of the fast lane's rooms."""

from __future__ import annotations

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
