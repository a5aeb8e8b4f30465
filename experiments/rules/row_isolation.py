"""What is malformed in the configuration is its own trouble: its last good value serves on.

Guarantees: whatever one row holds, the others are read; each malformed row is named once, for the
health page and the log.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from psycopg import DataError
from psycopg.types.datetime import TimestamptzLoader
from psycopg.types.json import set_json_loads

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

logger = logging.getLogger(__name__)
T = TypeVar("T")
MAX_ISSUES = 100  # as many as a heartbeat and a page can carry


@dataclass(frozen=True, slots=True)
class ConfigurationIssue:
    """A row that cannot be followed.

    Attributes:
        project_id: whose it is.
        subject: what it configures.
        message: what is wrong with it.
    """

    project_id: int
    subject: str
    message: str


@dataclass(slots=True)
class RowReader:
    """Reads rows one by one and collects what is wrong with them."""

    issues: list[ConfigurationIssue] = field(default_factory=list)

    def read(self, project_id: int, subject: str, parse: Callable[[], T], last_good: T) -> T:
        """Return what `parse` returns, or the last good value when the row is malformed."""
        try:
            return parse()
        except Exception as error:  # noqa: BLE001  whatever it is, it must stay this row's trouble
            self.report(project_id, subject, f"{type(error).__name__}: {error}")
            return last_good

    def report(self, project_id: int, subject: str, message: str) -> None:
        """Note that something of a project cannot be followed."""
        if len(self.issues) < MAX_ISSUES:
            self.issues.append(ConfigurationIssue(project_id, subject, message[:300]))


class _Malformed:
    """Stands for what cannot be read; no rule takes it for a value."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __repr__(self) -> str:
        return self._what


def isolate_values(connection: psycopg.Connection) -> None:
    """Let what cannot be read fail where its row is parsed, not where rows are fetched."""
    set_json_loads(_loads, connection)
    connection.adapters.register_loader("timestamptz", _TimeLoader)


class _TimeLoader(TimestamptzLoader):
    """PostgreSQL knows times that Python does not: infinity, and years of five digits."""

    def load(self, data: Any) -> Any:
        try:
            return super().load(data)
        except DataError as error:
            return _Malformed(str(error))


def _loads(data: str | bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return _Malformed("JSON that is nested too deep")


def texts(value: Any, name: str) -> tuple[str, ...]:
    """Return a JSON list of texts.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"{name} == {value!r:.80}, must be a list of texts.")
    return tuple(value)


def moment(value: Any, name: str) -> datetime:
    """Return a time.

    Raises:
        ValueError: it is one that Python has not.
    """
    if not isinstance(value, datetime):
        raise ValueError(f"{name} == {value!r:.80}, must be a time.")  # noqa: TRY004
    return value


def check_writable(*values: Any) -> None:
    """Refuse what cannot be sent to a client.

    Raises:
        TypeError: it is nested too deep, or no JSON.
    """
    orjson.dumps(values, default=str)
