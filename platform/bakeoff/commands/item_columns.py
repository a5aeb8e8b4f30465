"""Items from the rows of a file: the columns that serving knows, and all others as properties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.commands.row_values import as_json_value, id_of, text_of
from experiments import bounds
from experiments.bounds import MAX_ID, MAX_PROPERTIES_BYTES, MAX_TITLE, MAX_VALUE, BoundsError
from inference.actions.load_items import ItemDraft

if TYPE_CHECKING:
    from datetime import datetime

KNOWN = frozenset(
    (
        *("item_id", "title", "text", "available", "published_at", "expires_at", "group_id"),
        *("labels", "url", "image_url", "price"),
    )
)
MAX_LABELS = 50
MAX_URL = 2000
_TRUTH = {"": True, "1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def read_item(row: dict[str, Any]) -> ItemDraft:
    """Return the item of a row.

    Raises:
        BoundsError: a value breaks a rule.
    """
    rest = {key: as_json_value(value) for key, value in row.items() if key not in KNOWN}
    bounds.check(rest, "properties", max_bytes=MAX_PROPERTIES_BYTES)
    return ItemDraft(
        id_of(row, "item_id"),
        text_of(row, "title", max_length=MAX_TITLE),
        text_of(row, "text"),
        rest,
        available=_truth(row, "available"),
        published_at=_moment(row, "published_at"),
        expires_at=_moment(row, "expires_at"),
        group_id=text_of(row, "group_id", max_length=MAX_ID),
        labels=_labels(row.get("labels")),
        url=_web_address(row, "url"),
        image_url=_web_address(row, "image_url"),
        price=_price(row.get("price")),
    )


def _truth(row: dict[str, Any], name: str) -> bool:
    value = row.get(name)
    written = "" if value is None else str(value).strip().lower()
    if written not in _TRUTH:
        raise BoundsError(name, value, "true or false")
    return _TRUTH[written]


def _moment(row: dict[str, Any], name: str) -> datetime | None:
    value = as_json_value(row.get(name))
    return None if value is None or value == "" else bounds.moment(value, name)


def _labels(value: Any) -> list[str]:
    """Read a list, or a text whose labels stand between `|`."""
    parts = value if isinstance(value, list) else str(value or "").split("|")
    labels = [str(part).strip() for part in parts if str(part).strip()]
    if len(labels) > MAX_LABELS:
        raise BoundsError("labels", f"{len(labels)} of them", f"at most {MAX_LABELS}")
    return [bounds.text(label, "labels", max_length=MAX_ID) for label in labels]


def _web_address(row: dict[str, Any], name: str) -> str:
    url = text_of(row, name, max_length=MAX_URL)
    if url and not url.startswith(("https://", "http://")):
        raise BoundsError(name, url, "an address that starts with https:// or http://")
    return url


def _price(value: Any) -> float | None:
    if value is None or value == "":
        return None
    number = bounds.decimal(value, "price") if isinstance(value, str) else as_json_value(value)
    return None if number is None else bounds.number(number, "price", low=0, high=MAX_VALUE)
