"""Whether simulated visitors come to the sample shop now: said in the cache, so that pages can tell."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from typing import cast

import orjson
import redis
import redis.exceptions

# Visitors who stopped without a word, as when their process is killed, are gone from pages after this.
FRESH_SECONDS = 15


@dataclass(frozen=True, slots=True)
class SampleStatus:
    """What pages say of the visitors.

    Attributes:
        visits: how many there were since this start.
        key: a public key, with which the shop's page can be opened.
    """

    visits: int
    key: str


def write_status(cache: redis.Redis, project_id: int, status: SampleStatus) -> None:
    """Say that visitors come; without the cache no page hears it."""
    with contextlib.suppress(redis.exceptions.RedisError, OSError):
        cache.set(_name(project_id), orjson.dumps(asdict(status)), ex=FRESH_SECONDS)


def read_status(cache: redis.Redis, project_id: int) -> SampleStatus | None:
    """Return what was said last; None where no visitors come."""
    with contextlib.suppress(redis.exceptions.RedisError, OSError):
        stored = cast("bytes | None", cache.get(_name(project_id)))
        return None if stored is None else SampleStatus(**orjson.loads(stored))
    return None


def _name(project_id: int) -> str:
    return f"sample:{project_id}"
