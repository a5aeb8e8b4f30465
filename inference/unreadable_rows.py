"""Read many rows, so that one that cannot be read hides no other.

A row may hold what PostgreSQL takes and Python does not: JSON with a number of 5,000 digits, JSON that
is not what its column means. Django reads a page of rows at once and fails for all of them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from django.core.exceptions import ObjectDoesNotExist
from django.db import InterfaceError, OperationalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import Model, QuerySet

logger = logging.getLogger(__name__)
Row = TypeVar("Row", bound="Model")


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A row that cannot be read.

    Attributes:
        name: its key, or its id where the table has no keys.
        error: why, in one line.
    """

    name: str
    error: str


def read_rows(
    rows: QuerySet[Row],
    *,
    start: int = 0,
    stop: int | None = None,
    check: Callable[[Row], object] = lambda _row: None,
) -> tuple[list[Row], list[UnreadableRow]]:
    """Return the rows that can be read, in their order, and those that cannot.

    Args:
        rows: ordered.
        start: place of the first.
        stop: place after the last.
        check: raises what it likes for a row that is read and makes no sense.

    Raises:
        OperationalError, InterfaceError: the database is away, which is no fault of a row.
    """
    try:
        readable = list(rows[start:stop])
        for row in readable:
            check(row)
    except (OperationalError, InterfaceError):
        raise
    except Exception:  # noqa: BLE001  whatever a row makes Django or the check raise: found out below
        return _read_one_by_one(rows, start, stop, check)
    return readable, []


def _read_one_by_one(
    rows: QuerySet[Row], start: int, stop: int | None, check: Callable[[Row], object]
) -> tuple[list[Row], list[UnreadableRow]]:
    has_key = any(field.name == "key" for field in rows.model._meta.fields)  # noqa: SLF001
    names = list(rows.values_list("pk", "key" if has_key else "pk")[start:stop])
    readable, unreadable = [], []
    for pk, name in names:
        try:
            row = rows.get(pk=pk)
            check(row)
        except ObjectDoesNotExist:  # deleted meanwhile
            continue
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            logger.exception("%s '%s' cannot be read", rows.model.__name__, name)
            line = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            unreadable.append(UnreadableRow(str(name), line))
        else:
            readable.append(row)
    return readable, unreadable
