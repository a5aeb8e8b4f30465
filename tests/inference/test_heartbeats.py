"""What web processes say that they serve, as those who change it read it."""

from __future__ import annotations

import pytest

from inference.cache import cache_client
from inference.serving.heartbeats import ServingHeartbeat, read_heartbeats
from inference.serving.keys import SERVING, serving_key


@pytest.fixture
def cache(tables):
    client = cache_client()
    yield client
    names = ("alive:1", "killed:1")
    client.srem(SERVING, *names)
    client.delete(*(serving_key(name) for name in names))


def test_a_process_that_was_killed_is_forgotten(cache):
    cache.sadd(SERVING, "alive:1", "killed:1")
    cache.set(serving_key("alive:1"), b'{"champion": {"7": 3}, "changes": 2}', ex=60)
    heartbeats = read_heartbeats(cache)
    assert heartbeats["alive:1"] == ServingHeartbeat(champion={"7": 3}, changes=2)
    assert "killed:1" not in heartbeats
    assert not cache.sismember(SERVING, "killed:1")


def test_fields_of_another_version_are_passed_over(cache):
    cache.sadd(SERVING, "alive:1")
    cache.set(serving_key("alive:1"), b'{"from_the_future": 1}', ex=60)
    assert read_heartbeats(cache)["alive:1"] == ServingHeartbeat()
