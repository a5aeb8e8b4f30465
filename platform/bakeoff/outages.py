"""What a command says when a server that it needs is away: one sentence in place of a traceback.

Guarantees: an error that is a defect of ours is not taken for an outage, and keeps its traceback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.environment import SettingError, read_environment
from inference.sqlstates import AWAY, CANCELLED

if TYPE_CHECKING:
    from collections.abc import Iterator

POSTGRES_AWAY = "PostgreSQL does not answer ({reason}). {remedy}"
REDIS_AWAY = "Redis does not answer ({reason}). {remedy}"
DOCTOR = "`bakeoff doctor` says what to do."
MISSING_TABLE, MISSING_COLUMN = "42P01", "42703"


def outage_sentence(error: BaseException) -> str | None:
    """Return the sentence of an error that an outage caused, or None for any other error.

    A setting that breaks its rule counts as one: a person must be told, and nothing is broken.

    Drivers are looked up by name: a command that needs no server imports none.
    """
    for one in _chain(error):
        if isinstance(one, SettingError):
            return str(one)
        drivers = {f"{kind.__module__.split('.')[0]}.{kind.__name__}" for kind in type(one).__mro__}
        if "psycopg.Error" in drivers:
            return _postgres_sentence(one)
        if drivers & {"redis.RedisError", "kombu.OperationalError"}:
            return REDIS_AWAY.format(reason=_reason(one), remedy=DOCTOR)
    return None


def _postgres_sentence(error: BaseException) -> str | None:
    state = getattr(error, "sqlstate", None)
    if state in {MISSING_TABLE, MISSING_COLUMN} and (sentence := _schema_sentence()):
        return sentence
    if state == MISSING_TABLE:
        return "The database holds no tables of this version: `bakeoff up` makes them."
    names = {kind.__name__ for kind in type(error).__mro__}
    # Without a state the driver speaks itself: it could not connect, or its connection broke.
    broken = state is None and names & {"OperationalError", "InterfaceError"}
    if broken or (state or "").startswith((*AWAY, CANCELLED)):
        return POSTGRES_AWAY.format(reason=_reason(error), remedy=DOCTOR)
    return None


def _schema_sentence() -> str | None:
    from bakeoff.schema_version import WrongSchemaError, check_schema  # noqa: PLC0415  needs the driver

    try:
        check_schema(read_environment().database_url)
    except WrongSchemaError as error:
        return str(error)
    return None


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it: Django and Celery wrap what their drivers raise."""
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__
