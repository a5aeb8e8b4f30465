"""A replay's own files, of many shapes; rows that break a rule are set aside, and the rest counted."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bakeoff.data_files.columns import require_columns
from bakeoff.data_files.labelled import LabelledColumns, LabelledRow
from bakeoff.data_files.rejected import RejectedRows
from bakeoff.data_files.rows import DatasetError, read_rows, stream_rows
from bakeoff.data_files.values import as_sentences, id_of, is_blank, name_of
from bakeoff.replay.dataset import CatalogueItem, Dataset, Interaction
from experiments.amounts import read_amount
from experiments.bounds import BoundsError, is_decimal
from experiments.column_names import fold_name, missing_column
from inference.plurals import counted, verb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

GUESSES = {
    "item_id": ("item_id", "itemid", "movieid", "movie_id", "product_id", "asin", "id"),
    "user_id": ("user_id", "userid", "user", "visitor_id", "reviewer_id", "unit_id"),
    "text": ("title", "movie_title", "name", "text", "description"),
    "rating": ("rating", "stars", "score"),
    "timestamp": ("timestamp", "time", "ts", "date", "datetime", "occurred_at"),
}
MILLISECONDS_FROM = 1e11  # a second count this large would lie in the year 5138
MAX_ID = 200


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of columns; None is guessed."""

    item_id: str | None = None
    text: Sequence[str] = ()
    user_id: str | None = None
    rating: str | None = None
    timestamp: str | None = None


def find_column(columns: Sequence[str], wanted: str | None, what: str, path: Path) -> str | None:
    """Return the column that was named, or the first usual name that is there.

    Raises:
        DatasetError: the named one is not there.
    """
    if wanted is not None:
        require_columns(path, columns, [wanted])
        return wanted
    by_lower = {column.lower(): column for column in columns}
    return next((by_lower[name] for name in GUESSES[what] if name in by_lower), None)


def _needed(columns: Sequence[str], wanted: str | None, what: str, path: Path) -> str:
    column = find_column(columns, wanted, what, path)
    if column is None:
        option = what.replace("_", "-")
        raise DatasetError(f"'{path}' has columns {list(columns)}: name one with --{option}.")
    return column


def read_dataset(items: Path, interactions: Path, columns: Columns, *, positive: float) -> Dataset:
    """Read a user's own files.

    Raises:
        DatasetError: a file or a column is missing, no row can be used, or no rating is positive.
    """
    rows, log = read_rows(items), read_rows(interactions)
    notes: list[str] = []
    both = {items: list(rows[0]), interactions: list(log[0])}
    named = {path: _item_column(path, both, columns.item_id, notes) for path in both}
    catalogue = _read_items(rows, items, named[items], columns.text, notes)
    reader = _LogReader(interactions, list(log[0]), named[interactions], columns)
    read = list(reader.interactions(log, {entry.item_id for entry in catalogue}))
    reader.rejects.write()
    if not read:
        raise DatasetError(reader.nothing(items))
    ratings = [one.rating for one in read if one.rating is not None]
    if ratings and not max(ratings) >= positive:
        raise DatasetError(
            f"positive == {positive:g}, must be at most {max(ratings):g}, the highest rating of "
            f"'{interactions}': no interaction would be positive."
        )
    read.sort(key=lambda interaction: interaction.at)
    notes += reader.notes(read, len(log))
    return Dataset(interactions.stem, catalogue, read, positive, notes=notes)


def _item_column(
    path: Path, both: Mapping[Path, Sequence[str]], wanted: str | None, notes: list[str]
) -> str:
    """Return the column of the item's id; in one of the two files it may have another usual name.

    Raises:
        DatasetError: neither file has the named one, or this one has one that is spelled otherwise.
    """
    columns = both[path]
    if wanted is None or wanted in columns:
        return _needed(columns, wanted, "item_id", path)
    guess = find_column(columns, None, "item_id", path)
    is_typo = any(fold_name(column) == fold_name(wanted) for column in columns)
    if guess is None or is_typo or not any(wanted in names for names in both.values()):
        raise DatasetError(f"file '{path}' {missing_column(wanted, columns)}")
    notes.append(f"{path.name} has no column '{wanted}': '{guess}' is read as the item's id.")
    return guess


def _read_items(
    rows: Sequence[Mapping[str, Any]], path: Path, item: str, text: Sequence[str], notes: list[str]
) -> list[CatalogueItem]:
    names = list(rows[0])
    texts = [_needed(names, name, "text", path) for name in text] or [
        _needed(names, None, "text", path)
    ]
    catalogue: dict[str, CatalogueItem] = {}
    repeated = nameless = 0
    for row in rows:
        item_id = _name(row[item])
        parts = [part for name in texts if (part := as_sentences(row[name]))]
        if not 1 <= len(item_id) <= MAX_ID:
            nameless += 1
            continue
        repeated += item_id in catalogue
        title = parts[0][:500] if parts else ""
        catalogue.setdefault(item_id, CatalogueItem(item_id, title, ". ".join(parts[1:])))
    left = [
        f"{counted(repeated, 'row', 'repeats', 'repeat')} an item's id: the first holds"
        if repeated
        else "",
        f"{counted(nameless, 'row')} without an id {verb(nameless)} left out" if nameless else "",
    ]
    if any(left):
        notes.append(f"{path.name}: {'; '.join(one for one in left if one)}.")
    return list(catalogue.values())


def _name(value: Any) -> str:
    """Return an item's id; empty for what names nothing, as 1.5 does not."""
    try:
        return name_of(value, "item_id")
    except BoundsError:
        return ""


class _LogReader:
    """The rows of a log: which are used, and how many of the others there are by reason."""

    def __init__(self, path: Path, names: Sequence[str], item: str, columns: Columns) -> None:
        self._path, self._item = path, item
        self._user = _needed(names, columns.user_id, "user_id", path)
        self._rating = find_column(names, columns.rating, "rating", path)
        self._at = find_column(names, columns.timestamp, "timestamp", path)
        self._left: Counter[str] = Counter()
        self.rejects = RejectedRows(path)

    def interactions(
        self, rows: Sequence[dict[str, Any]], known: frozenset[str] | set[str]
    ) -> Iterator[Interaction]:
        for line, row in enumerate(rows, start=2):
            try:
                item = name_of(row[self._item], self._item)
                reason = self._reason_to_leave(row, item, known)
                if reason:
                    self._left[reason] += 1
                    continue
                yield Interaction(
                    unit_id=id_of(row, self._user),
                    item_id=item,
                    rating=read_amount(row[self._rating], self._rating) if self._rating else None,
                    at=_time(row[self._at], self._at) if self._at else float(line),
                )
            except BoundsError as error:
                self.rejects.add(row, line, str(error))

    def _reason_to_leave(
        self, row: Mapping[str, Any], item: str, known: frozenset[str] | set[str]
    ) -> str:
        if is_blank(row[self._user]):
            return "without a user's id"
        if not item:
            return "without an item's id"
        if item not in known:
            return "whose item is not in the catalogue"
        # A blank is no opinion: without a column of ratings every row is a like, a blank is none.
        return "with a blank rating" if self._rating and is_blank(row[self._rating]) else ""

    def nothing(self, items: Path) -> str:
        """Say why no row can be used."""
        parts = [f"{count} {reason}" for reason, count in self._left.most_common()]
        left = f" Left out: {', '.join(parts)}." if parts else ""
        rejected = f" {self.rejects.sentence()}" if self.rejects.count else ""
        return f"no row of '{self._path}' names an item of '{items}' and can be used.{left}{rejected}"

    def notes(self, read: Sequence[Interaction], total: int) -> Iterator[str]:
        """Say what was left out, and what repeats."""
        parts = [f"{count} {reason}" for reason, count in self._left.most_common()]
        if parts:
            used = f"{self._path.name}: {len(read)} of {total} rows are used"
            yield f"{used}; left out {', '.join(parts)}."
        if self.rejects.count:
            yield self.rejects.sentence()
        repeats = len(read) - len({(one.unit_id, one.item_id) for one in read})
        if repeats:
            rows = counted(repeats, "row", "repeats", "repeat")
            yield f"{self._path.name}: {rows} a user and an item: the earliest counts."


def _time(value: Any, field: str) -> float:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    written = str(value).strip()
    if is_decimal(written):
        number = float(written)
        return number / 1000 if number > MILLISECONDS_FROM else number
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        raise BoundsError(field, value, "seconds since 1970 or ISO 8601") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def read_labelled(
    path: Path, columns: LabelledColumns, tell: Callable[[str], None]
) -> list[LabelledRow]:
    """Read labelled texts; columns besides text and label are features.

    Args:
        path: of the file.
        columns: which of it are what.
        tell: is told how many rows were rejected.

    Raises:
        DatasetError: it is missing, unreadable, has no such columns, or no row that can be used.
    """
    stream = stream_rows(path)
    columns.check(path, stream.columns)
    rejects, rows = RejectedRows(path), []
    for line, row in enumerate(stream.rows, start=2):
        try:
            rows.append(columns.read(row))
        except BoundsError as error:
            rejects.add(row, line, str(error))
    rejects.write()
    if rejects.count:
        tell(rejects.sentence())
    if not rows:
        raise DatasetError(f"file '{path}' has no row that can be used.")
    return rows


def shuffle_labels(rows: Sequence[LabelledRow], seed: int) -> list[LabelledRow]:
    """Deal the labels anew: there is nothing to learn then."""
    labels = random.Random(seed).sample([row.label for row in rows], len(rows))  # noqa: S311
    return [LabelledRow(row.text, row.features, label) for row, label in zip(rows, labels, strict=True)]
