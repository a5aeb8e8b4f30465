"""Do the same to many, so that trouble with one is its own.

Guarantees: every item is tried unless it failed moments ago; a failure is logged with its traceback,
counted and kept for the health page; one that keeps failing is tried less and less often.
"""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeVar, cast

import orjson
from django.db import DatabaseError, connection
from redis.exceptions import RedisError

from inference.cache import cache_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from django.db.models import Model

logger = logging.getLogger(__name__)
FAILURES = "bakeoff:failures"
MAX_PAUSE_SECONDS = 300.0
FORGOTTEN_SECONDS = 12 * MAX_PAUSE_SECONDS
MIN_FAILURES_SHOWN = 3
Item = TypeVar("Item", bound="Model")


@dataclass(frozen=True, slots=True)
class Failure:
    """Work that failed and has not succeeded since.

    Attributes:
        work: what was tried, such as `refresh`.
        subject: on what.
        project_id: whose that is.
        count: how often in a row.
        error: the last error.
        at: when it failed last, in seconds of the epoch.
    """

    work: str
    subject: str
    project_id: int
    count: int
    error: str
    at: float

    @property
    def is_resting(self) -> bool:
        """Whether it is too early to try again; a clock that was set back does not matter."""
        pause = min(2.0 ** min(self.count, 10), MAX_PAUSE_SECONDS)
        return 0 <= time.time() - self.at < pause


def for_each(
    items: Iterable[Item], act: Callable[[Item], object], *, work: str, project: Callable[[Item], int]
) -> int:
    """Do something to each item; return for how many it failed.

    Args:
        items: rows.
        act: what is done to one.
        work: its name on the health page.
        project: the id of an item's project.
    """
    failures, failed = _read_failures(), 0
    for item in items:
        field = f"{work}:{item.pk}"
        before = failures.get(field)
        if before is not None and before.is_resting:
            continue
        try:
            act(item)
        except Exception as error:
            failed += 1
            count = (before.count if before else 0) + 1
            logger.exception("%s of '%s' failed, %d in a row", work, item, count)
            line = f"{type(error).__name__}: {error}"[:300]
            _keep(field, Failure(work, str(item), project(item), count, line, time.time()))
            if isinstance(error, DatabaseError):
                connection.close_if_unusable_or_obsolete()  # the next one must not fail with it
        else:
            if before is not None:
                _forget(field)
    return failed


def read_failures(project_ids: Iterable[int]) -> list[Failure]:
    """Return what has failed again and again in some projects, worst first."""
    wanted = set(project_ids)
    failures = [
        failure
        for failure in _read_failures().values()
        if failure.count >= MIN_FAILURES_SHOWN
        and failure.project_id in wanted
        and time.time() - failure.at < FORGOTTEN_SECONDS  # its row is gone, or ended
    ]
    return sorted(failures, key=lambda failure: -failure.count)


def _read_failures() -> dict[str, Failure]:
    try:
        fields = cast("dict[bytes, bytes]", cache_client().hgetall(FAILURES))
    except (RedisError, OSError):  # without the cache nothing rests and nothing is shown
        return {}
    return {field.decode(): Failure(**orjson.loads(body)) for field, body in fields.items()}


def _keep(field: str, failure: Failure) -> None:
    try:
        cache_client().hset(FAILURES, field, cast("str", orjson.dumps(asdict(failure))))
    except (RedisError, OSError) as error:
        logger.warning("a failure is not kept: %s", error)


def _forget(field: str) -> None:
    try:
        cache_client().hdel(FAILURES, field)
    except (RedisError, OSError) as error:
        logger.warning("a failure is not forgotten: %s", error)
