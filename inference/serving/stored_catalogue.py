"""A large catalogue on disk: written by one web process, mapped by all of a machine.

A million items as objects are a gigabyte in each process, and some twenty seconds of reading at each
start. Here an item is a piece of JSON in a file, its times are arrays, its id is found by a hash table,
and each property of few distinct values is a column of codes for filters. A process holds in memory
what changed since the file was written. A row stands for the same item in the file and in memory.

Guarantees: a folder is renamed when it is whole; a file that is not as its description says is refused;
a process that has mapped a folder keeps it, whoever deletes it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import orjson

from inference.serving.catalogue_row import CatalogueRow
from inference.serving.text_table import TextTable, table_arrays

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

DESCRIPTION, BODIES = "catalogue.json", "bodies.bin"
SCHEMA = 2
MAX_VALUES = 50_000  # distinct ones of a property that has a column; titles have none
MAX_PARSED = 4096  # rows that a process holds parsed: those that are shown most


class StoredCatalogueError(Exception):
    """A stored catalogue is damaged, or of another version of this program."""


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A property of all stored rows.

    Attributes:
        codes: per row, the place of its value, int32 (n,).
        values: the distinct values; the first stands for none.
    """

    codes: NDArray[np.int32]
    values: Sequence[Any]


class StoredCatalogue:
    """The rows of one project as of a change, mapped from disk.

    Attributes:
        change: number of the last change that is in it.
        property_counts: how many items have each property.
        table: the items' ids.
        times: by name, (n,): `published_at`, `expires_at`, `created_at`, in seconds since 1970.
        exists, available: of each item, (n,).
        changes: number of the change that wrote each item last, (n,).
        placed: rows of items that have neighbours.
    """

    def __init__(self, folder: Path) -> None:
        """Check and map a folder.

        Raises:
            StoredCatalogueError: it is damaged, or gone.
        """
        self._folder = folder
        about = _check(folder)
        self.change: int = about["change"]
        self.property_counts: Mapping[str, int] = about["property_counts"]
        self._columns: Mapping[str, str] = about["columns"]
        self.table = TextTable(lambda name: self._load(f"ids.{name}"))
        self.times = {name: self._load(name) for name in ("published_at", "expires_at", "created_at")}
        self.exists, self.available = self._load("exists"), self._load("available")
        self.changes, self.placed = self._load("changes"), self._load("placed")
        self._ends = self._load("ends").data
        self._bodies = np.memmap(folder / BODIES, np.uint8, "r").data

    def __len__(self) -> int:
        return len(self.exists)

    def _load(self, name: str) -> NDArray[Any]:
        loaded = np.load(self._folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        # A memory map of an empty array is an error in numpy.
        return loaded.view(np.ndarray) if loaded.size else np.zeros(loaded.shape, loaded.dtype)

    def row(self, place: int) -> CatalogueRow:
        """Return one item."""
        body = self._bodies[self._ends[place - 1] if place else 0 : self._ends[place]]
        fields, properties, neighbours = orjson.loads(body)
        if "labels" in fields:
            fields["labels"] = tuple(fields["labels"])
        return CatalogueRow(
            item_id=self.table[place],
            exists=bool(self.exists[place]),
            available=bool(self.available[place]),
            published_at=float(self.times["published_at"][place]),
            expires_at=float(self.times["expires_at"][place]),
            fields=fields,
            properties=properties,
            created_at=float(self.times["created_at"][place]),
            neighbours=tuple((name, weight) for name, weight in neighbours),
            change=int(self.changes[place]),
        )

    def rows(self) -> StoredRows:
        """Return all rows, which may be changed and added to in memory."""
        return StoredRows(self)

    def column(self, name: str) -> StoredColumn | None:
        """Return a field or property of every row; None where it has too many distinct values."""
        stem = self._columns.get(name)
        if stem is None:
            return None
        values = orjson.loads((self._folder / f"{stem}.json").read_bytes())
        return StoredColumn(self._load(stem), values)


def _check(folder: Path) -> dict[str, Any]:
    """Return the description of a folder whose every file is as it says."""
    try:
        about: dict[str, Any] = orjson.loads((folder / DESCRIPTION).read_bytes())
        if about["schema"] != SCHEMA:
            raise StoredCatalogueError(
                f"schema of {folder.name} == {about['schema']}, must be {SCHEMA}."
            )
        for name, digest in about["files"].items():
            if _sha256(folder / name) != digest:
                raise StoredCatalogueError(f"file {name} of catalogue {folder.name} was changed.")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoredCatalogueError(f"catalogue {folder.name} cannot be read: {error}.") from error
    return about


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class StoredRows(Sequence[CatalogueRow]):
    """The rows of a stored catalogue, with those that were changed or added since in memory."""

    def __init__(self, stored: StoredCatalogue) -> None:
        """Begin as they are stored."""
        self._stored = stored
        self._changed: dict[int, CatalogueRow] = {}
        self._added: list[CatalogueRow] = []
        self._parsed: dict[int, CatalogueRow] = {}

    def __len__(self) -> int:
        return len(self._stored) + len(self._added)

    @property
    def in_memory(self) -> int:
        """How many rows are held in memory."""
        return len(self._changed) + len(self._added)

    @overload
    def __getitem__(self, place: int) -> CatalogueRow: ...

    @overload
    def __getitem__(self, place: slice) -> list[CatalogueRow]: ...

    def __getitem__(self, place: int | slice) -> CatalogueRow | list[CatalogueRow]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        if place >= len(self._stored):
            return self._added[place - len(self._stored)]
        row = self._changed.get(place) or self._parsed.get(place)
        if row is None:
            row = self._stored.row(place)
            if len(self._parsed) >= MAX_PARSED:
                self._parsed.clear()
            self._parsed[place] = row
        return row

    def __setitem__(self, place: int, row: CatalogueRow) -> None:
        if place >= len(self._stored):
            self._added[place - len(self._stored)] = row
        else:
            self._changed[place] = row

    def append(self, row: CatalogueRow) -> None:
        """Add a row behind all others."""
        self._added.append(row)

    def each(self) -> Iterator[CatalogueRow]:
        """Return all rows, one after another, without remembering any."""
        for place in range(len(self._stored)):
            yield self._changed.get(place) or self._stored.row(place)
        yield from self._added[:]


@dataclass(slots=True)
class _GrowingColumn:
    codes: array[int]
    code_of: dict[bytes, int]
    values: list[Any]


class CatalogueWriter:
    """Writes a stored catalogue row by row; what is long goes to the disk at once."""

    def __init__(self, root: Path) -> None:
        """Begin a folder within a root.

        Raises:
            OSError: the root cannot be written.
        """
        root.mkdir(parents=True, exist_ok=True)
        self._root = root
        self._folder = Path(tempfile.mkdtemp(prefix=".new-", dir=root))
        self._bodies = (self._folder / BODIES).open("wb")
        self._ids: list[str] = []
        self._ends, self._changes, self._placed = array("q"), array("q"), array("i")
        self._exists, self._available = array("b"), array("b")
        self._times = {name: array("d") for name in ("published_at", "expires_at", "created_at")}
        self._columns: dict[str, _GrowingColumn | None] = {}
        self._items_with: Counter[str] = Counter()
        self._end = 0

    def add(self, row: CatalogueRow) -> None:
        """Add an item."""
        place = len(self._ids)
        body = orjson.dumps([row.fields, row.properties, row.neighbours])
        self._bodies.write(body)
        self._end += len(body)
        self._ids.append(row.item_id)
        self._ends.append(self._end)
        self._changes.append(row.change)
        self._exists.append(row.exists)
        self._available.append(row.available)
        for name, times in self._times.items():
            times.append(getattr(row, name))
        if row.neighbours:
            self._placed.append(place)
        for name in row.properties:
            self._items_with[name] += row.exists
        # A field comes before a property of the same name, as for filters.
        for name, value in {**row.properties, **row.fields}.items():
            if value is not None:
                self._code(name, value, place)

    def _code(self, name: str, value: Any, place: int) -> None:
        if name not in self._columns:
            self._columns[name] = _GrowingColumn(array("i"), {}, [None])
        column = self._columns[name]
        if column is None:
            return
        key = orjson.dumps(value)
        code = column.code_of.get(key)
        if code is None:
            if len(column.values) >= MAX_VALUES:
                self._columns[name] = None
                return
            code = column.code_of[key] = len(column.values)
            column.values.append(value)
        # Rows in between do not have it.
        column.codes.frombytes(bytes(column.codes.itemsize * (place - len(column.codes))))
        column.codes.append(code)

    def finish(self, project: int, change: int) -> StoredCatalogue:
        """Write the rest, take the folder's name, and map it; older ones of the project are deleted.

        Args:
            project: whose items they are.
            change: number of the last change that is in them.

        Raises:
            OSError: the disk is full, say.
        """
        try:
            self._write_rest(change)
            target = self._root / folder_name(project, change)
            shutil.rmtree(target, ignore_errors=True)
            self._folder.rename(target)
        finally:
            self.discard()
        for other in stored_folders(self._root, project):
            if other != target:
                shutil.rmtree(other, ignore_errors=True)
        return StoredCatalogue(target)

    def discard(self) -> None:
        """Delete what was written, where it was not finished."""
        self._bodies.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write_rest(self, change: int) -> None:
        count = len(self._ids)
        arrays: dict[str, NDArray[Any]] = {
            **{f"ids.{name}": one for name, one in table_arrays(self._ids).items()},
            **{name: np.frombuffer(one) for name, one in self._times.items()},
            "exists": np.frombuffer(self._exists, bool),
            "available": np.frombuffer(self._available, bool),
            "changes": np.frombuffer(self._changes, np.int64),
            "ends": np.frombuffer(self._ends, np.int64),
            "placed": np.array(self._placed, np.int32),
        }
        columns: dict[str, str] = {}
        for name, column in self._columns.items():
            if column is not None:
                stem = columns[name] = f"column{len(columns)}"
                codes = np.zeros(count, np.int32)
                codes[: len(column.codes)] = column.codes
                arrays[stem] = codes
                (self._folder / f"{stem}.json").write_bytes(orjson.dumps(column.values))
        for name, one in arrays.items():
            np.save(self._folder / f"{name}.npy", one, allow_pickle=False)
        self._bodies.flush()
        os.fsync(self._bodies.fileno())
        about = {
            "schema": SCHEMA,
            "change": change,
            "property_counts": dict(sorted(self._items_with.items())),
            "columns": columns,
            "files": {path.name: _sha256(path) for path in self._folder.iterdir()},
        }
        (self._folder / DESCRIPTION).write_bytes(orjson.dumps(about))


def folder_name(project: int, change: int) -> str:
    """Return the name of a project's folder as of a change."""
    return f"{project}-{change}"


def stored_folders(root: Path, project: int) -> list[Path]:
    """Return the folders of a project, newest first."""
    folders = [path for path in root.glob(f"{project}-*") if path.name.split("-")[1].isdigit()]
    return sorted(folders, key=lambda path: -int(path.name.split("-")[1]))
