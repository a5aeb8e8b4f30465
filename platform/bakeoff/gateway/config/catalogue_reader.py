"""Read what changed in catalogues since the last reading."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg

from bakeoff.gateway.config.stored_catalogues import (
    MIN_STORED,
    BeingStoredError,
    StoredCatalogues,
)
from bakeoff.gateway.timeouts import shut_down
from bakeoff.preferred_host import prefer_host_of
from experiments.rules.row_isolation import isolate_values
from inference.serving.catalogue import Catalogue
from inference.serving.catalogue_row import ALWAYS, NEVER, CatalogueRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from inference.serving.stored_catalogue import StoredCatalogue

logger = logging.getLogger(__name__)
_STATES = "SELECT project_id, number FROM inference_cataloguestate"
_ALL_NAMES = """SELECT project_id, property_names FROM inference_cataloguestate
    WHERE property_names IS NOT NULL"""
_NAMES = f"{_ALL_NAMES} AND project_id = %s"
# Items of before changes were numbered have the number 0: whoever reads for the first time reads all.
_ITEMS = """SELECT project_id, item_id, deleted_at IS NULL, available, published_at, expires_at, title,
    url, image_url, price, labels, group_id, properties, created_at, neighbours, change
    FROM inference_item"""
_CHANGED = f"{_ITEMS} WHERE project_id = %s AND change > %s"
_SMALL = f"{_ITEMS} WHERE project_id <> ALL(%s)"
_OLDER = """SELECT count(*), coalesce(sum(change), 0)::bigint FROM inference_item
    WHERE project_id = %s AND change <= %s"""
_COUNTS = "SELECT project_id, count(*) FROM inference_item GROUP BY project_id"
CHUNK = 5000  # rows that are fetched at once: a first reading may bring a million


class CatalogueReader:
    """Reads catalogues; one in a process, used by one thread at a time."""

    def __init__(self, database_url: str, stored: StoredCatalogues) -> None:
        """Remember where to read, and what is stored of large catalogues."""
        self._url, self._stored = database_url, stored
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
        while True:
            if self._connection is None or self._connection.closed:
                self._connection = _connect(self._url)
                self._url = prefer_host_of(self._connection, self._url)
            try:
                # One snapshot: what is claimed to be read is what the numbers of that moment count.
                with self._connection.transaction():
                    reading = _Reading(self._connection, self._stored, catalogues)
                    return reading.run(everything=everything)
            except BeingStoredError as error:
                error.wait()  # and read in a snapshot that is later than what the other stores
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


@dataclass(frozen=True, slots=True)
class _Reading:
    """One reading, in one snapshot."""

    connection: psycopg.Connection
    stored: StoredCatalogues
    catalogues: dict[int, Catalogue]

    def run(self, *, everything: bool) -> None:
        numbers: dict[int, int] = dict(self.connection.execute(_STATES).fetchall())
        for project in self.catalogues.keys() - numbers.keys():  # its project was deleted
            del self.catalogues[project]
        if everything:
            self._read_all(numbers)
            for project, names in self.connection.execute(_ALL_NAMES).fetchall():
                if project in self.catalogues:
                    self.catalogues[project].remember_properties(names)
            return
        for project, number in numbers.items():
            catalogue = self.catalogues.get(project)
            if catalogue is not None and number == catalogue.change:
                continue
            if catalogue is None or number < catalogue.change:  # new, or of a database restored
                catalogue = Catalogue()
                seen = -1
            else:
                seen = catalogue.change
            # All that is read first: what fails half-way is read again.
            names, rows = self._names_of(project), self._changed_since(project, seen)
            catalogue.apply(rows, number)
            self.catalogues[project] = self.stored.shrink(project, catalogue)
            self.catalogues[project].remember_properties(names)

    def _names_of(self, project: int) -> list[str]:
        """Return the properties that items have, or have had: many, so of what changed alone."""
        row = self.connection.execute(_NAMES, [project]).fetchone()
        return row[1] if row is not None else []

    def _read_all(self, numbers: Mapping[int, int]) -> None:
        counts: dict[int, int] = dict(self.connection.execute(_COUNTS).fetchall())
        large = [project for project, count in counts.items() if count > MIN_STORED]
        by_project: dict[int, list[CatalogueRow]] = {}
        for project, row in _fetch(self.connection, _SMALL, [large]):
            by_project.setdefault(project, []).append(row)
        for project, rows in by_project.items():
            self.catalogues[project] = Catalogue()
            self.catalogues[project].apply(rows, numbers.get(project, 0))
        for project in large:
            self.catalogues[project] = self._open_large(project, numbers.get(project, 0))
        self.stored.clean(large)

    def _open_large(self, project: int, number: int) -> Catalogue:
        """Return a catalogue as it is stored with what changed since, or read it as a whole."""
        stored = self.stored.find(project, number)
        if stored is not None:
            changed = self._changed_since(project, stored.change)
            if self._is_of(stored, project, changed):
                catalogue = Catalogue(stored)
                catalogue.apply(changed, number)
                return catalogue
            logger.warning("stored catalogue of project %s is of other items, read anew", project)
        return self.stored.store(project, number, lambda: self._every_row(project))

    def _every_row(self, project: int) -> Iterator[CatalogueRow]:
        return (row for _, row in _fetch(self.connection, _CHANGED, [project, -1]))

    def _changed_since(self, project: int, change: int) -> list[CatalogueRow]:
        return [row for _, row in _fetch(self.connection, _CHANGED, [project, change])]

    def _is_of(self, stored: StoredCatalogue, project: int, changed: Sequence[CatalogueRow]) -> bool:
        """Whether what is stored and did not change is what the database holds.

        A database that was restored counts on from an earlier change, and what it wrote before that
        number is not what was stored.
        """
        places = [stored.table.place_of.get(row.item_id) for row in changed]
        replaced = [place for place in places if place is not None]
        expected = (
            len(stored) - len(replaced),
            int(stored.changes.sum()) - int(stored.changes[replaced].sum()),
        )
        return self.connection.execute(_OLDER, [project, stored.change]).fetchone() == expected


def _fetch(
    connection: psycopg.Connection, statement: str, values: list[Any]
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
    change: int,
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
        change=change,
    )


def _neighbours_of(value: Any) -> tuple[tuple[str, float], ...]:
    """Return neighbours as the worker wrote them; none where somebody else has written there."""
    if not value:  # nearly every item
        return ()
    try:
        return tuple((str(name), float(weight)) for name, weight in value if float(weight) > 0)
    except (TypeError, ValueError):
        return ()
