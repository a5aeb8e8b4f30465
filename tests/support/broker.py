"""The broker as tests see it: its own database of the bundled Valkey."""

from __future__ import annotations

import contextlib
import json
from base64 import b64decode

import redis

from bakeoff.environment import read_environment
from inference.cache import cache_client
from inference.message_marks import MARKS


def broker() -> redis.Redis:
    return redis.Redis.from_url(f"unix://{read_environment().run_folder}/valkey.sock?db=1")


def lose_messages() -> None:
    """Lose all that the broker holds, as a server does that was full or lost its disk.

    And let a minute pass: what was sent counts as waiting no more.
    """
    broker().flushdb()
    if marks := cache_client().keys(f"{MARKS}*"):
        cache_client().delete(*marks)


def messages(queue: str) -> list[list]:
    """The arguments of the messages that wait in a queue, oldest first."""
    bodies = [json.loads(body) for body in reversed(broker().lrange(queue, 0, -1))]
    return [json.loads(b64decode(body["body"]))[0] for body in bodies]


@contextlib.contextmanager
def full_broker():
    """A server that takes no message: its memory is full."""
    client = cache_client()
    client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        client.config_set("maxmemory", 0)
