"""Read what changed in catalogues since the last reading."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg

from bakeoff.gateway.timeouts import shut_down
from experiments.rules.row_isolation import isolate_values
from inference.serving.catalogue import ALWAYS, NEVER, Catalogue, CatalogueRow

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)
_NUMBERS = "SELECT project_id, number FROM inference_cataloguestate"
# Items of before changes were numbered have the number 0: whoever reads for the first time reads all.
_ITEMS = """SELECT project_id, item_id, deleted_at IS NULL, available, published_at, expires_at, title,
    url, image_url, price, labels, group_id, properties, created_at, neighbours FROM inference_item"""
_CHANGED = f"{_ITEMS} WHERE project_id = %s AND change > %s"
CHUNK = 5000  # rows that are fetched at once: a first reading may bring a million


class CatalogueReader:
    """Reads catalogues; one in a process, used by one thread at a time."""

    def __init__(self, database_url: str) -> None:
        """Remember where to read."""
        self._url = database_url
        self._connection: psycopg.Connection | None = None

    def hang_up(self) -> None:
        """End a reading that another thread waits for; it raises there."""
        if self._connection is not None:
            shut_down(self._connection)

    def read(self, catalogues: dict[int, Catalogue], *, everything: bool) -> None:
        """Bring catalogues up to date; blocks.

        Args:
            catalogues: by project; what is new is added.
            everything: whether nothing has been read yet.

        Raises:
            psycopg.Error: PostgreSQL is away.
        """
        if self._connection is None or self._connection.closed:
            self._connection = _connect(self._url)
        try:
            # One snapshot: what is claimed to be read is what the numbers of that moment count.
            with self._connection.transaction():
                _read(self._connection, catalogues, everything=everything)
        except psycopg.Error:
            self.close()
            raise

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _connect(url: str) -> psycopg.Connection:
    # Nothing is prepared, because a pooler may stand in between.
    connection = psycopg.connect(url, connect_timeout=3, prepare_threshold=None)
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    isolate_values(connection)
    return connection


def _read(
    connection: psycopg.Connection, catalogues: dict[int, Catalogue], *, everything: bool
) -> None:
    numbers: dict[int, int] = dict(connection.execute(_NUMBERS).fetchall())
    for project in catalogues.keys() - numbers.keys():  # its project was deleted
        del catalogues[project]
    if everything:
        by_project: dict[int, list[CatalogueRow]] = {}
        for project, row in _fetch(connection, _ITEMS, []):
            by_project.setdefault(project, []).append(row)
        for project, rows in by_project.items():
            catalogues[project] = Catalogue()
            catalogues[project].apply(rows, numbers.get(project, 0))
        return
    for project, number in numbers.items():
        catalogue = catalogues.get(project)
        if catalogue is not None and number == catalogue.change:
            continue
        if catalogue is None or number < catalogue.change:  # new, or of a database that was restored
            catalogue = Catalogue()
            seen = -1
        else:
            seen = catalogue.change
        catalogue.apply([row for _, row in _fetch(connection, _CHANGED, [project, seen])], number)
        catalogues[project] = catalogue


def _fetch(
    connection: psycopg.Connection, statement: str, values: list[int]
) -> Iterator[tuple[int, CatalogueRow]]:
    with connection.cursor(name="catalogue") as cursor:  # on the server: not all rows at once
        cursor.itersize = CHUNK
        cursor.execute(statement, values)
        for row in cursor:
            yield row[0], _row_of(*row[1:])


def _row_of(  # noqa: PLR0913, PLR0917  the columns of the statement
    item_id: str,
    exists: bool,  # noqa: FBT001
    available: bool,  # noqa: FBT001
    published_at: Any,
    expires_at: Any,
    title: str,
    url: str,
    image_url: str,
    price: float | None,
    labels: Any,
    group_id: str,
    properties: Any,
    created_at: Any,
    neighbours: Any,
) -> CatalogueRow:
    fields = {
        "title": title,
        "url": url,
        "image_url": image_url,
        "price": price,
        "labels": tuple(one for one in labels if isinstance(one, str))
        if isinstance(labels, list)
        else (),
        "group_id": group_id,
    }
    return CatalogueRow(
        item_id=item_id,
        exists=exists,
        available=available,
        # A time that Python does not know is none: the table's constraint refuses new ones.
        published_at=published_at.timestamp() if isinstance(published_at, datetime) else ALWAYS,
        expires_at=expires_at.timestamp() if isinstance(expires_at, datetime) else NEVER,
        fields={name: value for name, value in fields.items() if value not in {None, "", ()}},
        properties=properties if isinstance(properties, dict) else {},
        created_at=created_at.timestamp() if isinstance(created_at, datetime) else 0.0,
        neighbours=_neighbours_of(neighbours),
    )


def _neighbours_of(value: Any) -> tuple[tuple[str, float], ...]:
    """Return neighbours as the worker wrote them; none where somebody else has written there."""
    if not value:  # nearly every item
        return ()
    try:
        return tuple((str(name), float(weight)) for name, weight in value if float(weight) > 0)
    except (TypeError, ValueError):
        return ()
