"""Do the same to many rows, so that a failure of one is its own.

Guarantees: every row is tried unless it failed moments ago; a failure is logged with its traceback,
counted and kept for the health page; one that keeps failing is tried less and less often, until it is
changed. A row that cannot even be read, such as one with a time that Python does not have, fails alone.
"""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeVar, cast

import orjson
from django.db import DatabaseError, connection
from django.db.models.expressions import RawSQL
from redis.exceptions import RedisError

from inference.cache import cache_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from django.db.models import ForeignObjectRel, Model, QuerySet

logger = logging.getLogger(__name__)
FAILURES = "bakeoff:failures"
MAX_PAUSE_SECONDS = 300.0  # a cause that goes away is noticed within five minutes
FORGOTTEN_SECONDS = 12 * MAX_PAUSE_SECONDS
MIN_FAILURES_SHOWN = 3  # once or twice is a deadlock or a restart
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
        version: of its rows as they were then; another version is tried at once.
    """

    work: str
    subject: str
    project_id: int
    count: int
    error: str
    at: float
    version: str = ""

    @property
    def is_resting(self) -> bool:
        """Whether it is too early to try again; a clock that was set back does not matter."""
        pause = min(2.0 ** min(self.count, 10), MAX_PAUSE_SECONDS)
        return 0 <= time.time() - self.at < pause


def for_each(
    rows: QuerySet[Item],
    act: Callable[[Item], object],
    *,
    work: str,
    depends_on: Sequence[str] = (),
) -> int:
    """Do something to each row; return for how many it failed.

    Args:
        rows: of a table with `project_id`; each is read by itself, when its turn comes.
        act: what is done to one.
        work: its name on the health page.
        depends_on: relations of a row, such as `metrics`; a change of one of their rows ends the rest
            of a failed row, as a change of itself does.
    """
    failures, failed = _read_failures(), 0
    # Ids first: a row that cannot be read would end the loop for all that come after it.
    for pk, project_id in list(rows.values_list("pk", "project_id")):
        field = f"{work}:{pk}"
        before = failures.get(field)
        if before and before.is_resting and before.version == _version(rows, pk, depends_on):
            continue
        subject = f"{rows.model.__name__} {pk}"
        try:
            if (item := rows.filter(pk=pk).first()) is None:
                continue  # it is no longer one of them
            subject = str(item)
            act(item)
        except Exception as error:
            failed += 1
            count = (before.count if before else 0) + 1
            logger.exception("%s of '%s' failed, %d in a row", work, subject, count)
            line = f"{type(error).__name__}: {error}"[:300]
            if isinstance(error, DatabaseError):
                connection.close_if_unusable_or_obsolete()  # the next one must not fail with it
            version = _version(rows, pk, depends_on)
            _record(field, Failure(work, subject, project_id, count, line, time.time(), version))
        else:
            if before is not None:
                _clear(field)
    return failed


def _version(rows: QuerySet[Item], pk: int, depends_on: Sequence[str]) -> str:
    """Return what changes with every change of a row and of the rows that it depends on.

    PostgreSQL gives each version of a row the transaction that wrote it, which needs no column of ours
    and can be read of a row that cannot be.
    """
    meta = rows.model._meta  # noqa: SLF001  documented by Django
    try:
        versions = [_xmins(rows.model, pk=pk)]
        for name in depends_on:
            relation = meta.get_field(name)
            related = cast("type[Model]", relation.related_model)
            back = cast("ForeignObjectRel", relation.remote_field).name
            versions.append(_xmins(related, **{back: pk}))
    except DatabaseError:  # the database is away: the failure is kept all the same
        return ""
    return " ".join(versions)


def _xmins(model: type[Model], **where: int) -> str:
    table = model._meta.db_table  # noqa: SLF001
    xmin = RawSQL(f'"{table}"."xmin"::text', ())  # noqa: S611  the name of a table
    rows = model._base_manager.filter(**where).order_by("pk")  # noqa: SLF001
    return ",".join(rows.annotate(row_version=xmin).values_list("row_version", flat=True))


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


def _record(field: str, failure: Failure) -> None:
    try:
        cache_client().hset(FAILURES, field, cast("str", orjson.dumps(asdict(failure))))
    except (RedisError, OSError) as error:
        logger.warning("a failure is not recorded: %s", error)


def _clear(field: str) -> None:
    try:
        cache_client().hdel(FAILURES, field)
    except (RedisError, OSError) as error:
        logger.warning("a failure is not cleared: %s", error)
