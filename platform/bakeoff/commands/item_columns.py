"""Items from the rows of a file: the columns that serving knows, and all others as properties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.data_files.amounts import AmountColumn
from bakeoff.data_files.columns import FieldColumns
from bakeoff.data_files.properties import PropertyColumns
from bakeoff.data_files.values import as_json_value, id_of, is_blank, text_of
from experiments import bounds
from experiments.bounds import MAX_ID, MAX_TITLE, BoundsError
from experiments.column_names import fold_name
from inference.actions.load_items import ItemDraft
from inference.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from bakeoff.data_files.properties import StoredKinds
    from bakeoff.data_files.rows import RowStream

# The file's own columns by these names, or others that are named by an option each.
FIELDS = (
    *("item_id", "title", "text", "available", "published_at", "expires_at", "group_id"),
    *("labels", "url", "image_url", "price"),
)
MAX_LABELS = 50
MAX_URL = 2000
_TRUTH = {"": True, "1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


class ItemColumns:
    """Reads items from the rows of one file.

    Attributes:
        repeated: how many rows had the id of one before.
    """

    def __init__(
        self,
        file: Path,
        named: Mapping[str, str | Sequence[str] | None],
        as_text: Sequence[str],
        stored: StoredKinds | None = None,
        *,
        replace: bool = False,
    ) -> None:
        """Begin with the columns that were named.

        Args:
            file: which is read.
            named: by field of an item, the column or columns that hold it.
            as_text: columns of properties that stay texts.
            stored: what the properties of items that are there hold; None does not look.
            replace: whether items are written as a whole, what has no column included.
        """
        self._replace, self._fields = replace, frozenset[str]()
        self._file, self._columns = file, FieldColumns(named)
        self._properties = PropertyColumns(file, as_text, stored=stored)
        self._ids: set[str] = set()
        self._amounts = AmountColumn("price", low=0, rule="0 or more, such as 12.90")
        self._prices, self._first_price = 0, ""
        self._near: dict[str, str] = {}
        self.repeated = 0

    def prepare(self, stream: RowStream) -> None:
        """Refuse a file without ids, or without a column that was named; see what its columns hold.

        Raises:
            DatasetError: with the columns that the file has.
        """
        self._columns.check(self._file, stream.columns, ["item_id"])
        names = self._columns.names_of(stream.columns)
        rest = [name for name in names if name not in FIELDS]
        self._fields = frozenset(FIELDS).intersection(names) | ({"properties"} if rest else set())
        self._properties.prepare(stream, rest)
        self._amounts.prepare(self._file, stream, self._columns)
        folded = {fold_name(field): field for field in FIELDS if field not in names}
        self._near = {name: folded[fold_name(name)] for name in rest if fold_name(name) in folded}

    def read(self, row: dict[str, Any]) -> ItemDraft:
        """Return the item of a row; a price that cannot be read is left out, and counted.

        Raises:
            BoundsError: a value breaks a rule.
        """
        fields = self._columns.fields(row)
        item = ItemDraft(
            id_of(fields, "item_id"),
            text_of(fields, "title", max_length=MAX_TITLE),
            text_of(fields, "text"),
            self._properties_of(fields),
            available=_truth(fields, "available"),
            published_at=_moment(fields, "published_at"),
            expires_at=_moment(fields, "expires_at"),
            group_id=id_of(fields, "group_id", min_length=0),
            labels=_labels(fields.get("labels")),
            url=_web_address(fields, "url"),
            image_url=_web_address(fields, "image_url"),
            price=self._price(fields.get("price")),
        )
        if item.published_at and item.expires_at and item.expires_at <= item.published_at:
            raise BoundsError("expires_at", item.expires_at.isoformat(), "after published_at")
        self.repeated += item.item_id in self._ids
        self._ids.add(item.item_id)
        return item

    def leave_out(self, item: ItemDraft) -> None:
        """Count an item no more: what its row and the stored item make together breaks a rule."""
        self._ids.discard(item.item_id)

    @property
    def named(self) -> frozenset[str] | None:
        """The fields that the file has columns of; None where items are replaced as a whole."""
        return None if self._replace else self._fields

    def _properties_of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the properties of a row, and null for what its cell says that the item has no more."""
        values = self._properties.read(row)
        return values if self._replace else {**dict.fromkeys(self._properties.names), **values}

    @property
    def distinct(self) -> int:
        """How many items there were."""
        return len(self._ids)

    def sentences(self) -> Iterator[str]:
        """Say what the columns were read as, and what was left out."""
        yield from self._properties.sentences()
        for name, field in self._near.items():
            option = f"--{field.replace('_', '-')}"
            yield f"'{name}' is a property, not the {field}: {option} '{name}' reads it as that."
        if self.repeated:
            rows = counted(self.repeated, "row", "repeats", "repeat")
            yield f"{rows} an item_id: the last one holds."
        if self._prices:
            yield (
                f"{counted(self._prices, 'price', 'is', 'are')} left out, the first because "
                f"{self._first_price}"
            )

    def _price(self, value: Any) -> float | None:
        value = as_json_value(value)
        if is_blank(value):
            return None
        try:
            return self._amounts.read(value)
        except BoundsError as error:  # an item without a price is better than none
            self._prices += 1
            self._first_price = self._first_price or str(error)
            return None


def _truth(row: dict[str, Any], name: str) -> bool:
    value = row.get(name)
    written = "" if is_blank(value) else str(value).strip().lower()
    if written not in _TRUTH:
        raise BoundsError(name, value, "true or false")
    return _TRUTH[written]


def _moment(row: dict[str, Any], name: str) -> datetime | None:
    value = as_json_value(row.get(name))
    return None if is_blank(value) else bounds.moment(value, name)


def _labels(value: Any) -> list[str]:
    """Read a list, or a text whose labels stand between `|`."""
    parts = value if isinstance(value, list) else ("" if is_blank(value) else str(value)).split("|")
    labels = [str(part).strip() for part in parts if not is_blank(part)]
    if len(labels) > MAX_LABELS:
        raise BoundsError("labels", f"{len(labels)} of them", f"at most {MAX_LABELS}")
    return [bounds.text(label, "labels", max_length=MAX_ID) for label in labels]


def _web_address(row: dict[str, Any], name: str) -> str:
    url = text_of(row, name, max_length=MAX_URL)
    if url and not url.startswith(("https://", "http://")):
        raise BoundsError(name, url, "an address that starts with https:// or http://")
    return url
