"""Load a catalogue: new items are added, known ones replaced or merged, and their texts embedded."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from inference.actions.collect_words import add_words
from inference.actions.known_properties import remember_properties
from inference.models import Item
from inference.serving.composed_text import composed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

# What encoders read, and what an item is placed by among those that a version has learnt.
EMBEDDED = frozenset(
    {"title", "text", "properties", "labels", "image_url", "image_sha256", "vector", "group_id"}
)
WORDED = frozenset({"title", "text", "properties", "labels"})  # what words are found in
CHUNK = 1000  # rows a statement: few round trips, and a short transaction


@dataclass(frozen=True, slots=True)
class ItemDraft:
    """An item to be written, as a whole: what is not named has its default.

    Attributes:
        item_id: its name in the product.
        title: of the item.
        text: that says more of it.
        properties: by name.
        vector: of the user's own, of an image say.
        available: whether it may be shown.
        published_at: not shown before; None for no such time.
        expires_at: not shown from then on.
        group_id: names the product of which it is a variant.
        labels: categories, brands, topics.
        url: of its page.
        image_url: of its picture.
        price: in the product's currency.
    """

    item_id: str
    title: str = ""
    text: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    vector: Sequence[float] | None = None
    available: bool = True
    published_at: datetime | None = None
    expires_at: datetime | None = None
    group_id: str = ""
    labels: Sequence[str] = ()
    url: str = ""
    image_url: str = ""
    price: float | None = None

    def row(self, project_id: int, change: int) -> Item:
        """Return the row of the table."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return Item(
            **{
                **values,
                "properties": composed(dict(self.properties)),
                "labels": composed(list(self.labels)),
                "vector": as_bytes(self.vector),
            },
            project_id=project_id,
            change=change,
            updated_at=timezone.now(),
            vector_due_at=Now(),  # on the database's clock, as the reconciler compares it
        )


FIELDS = frozenset(one.name for one in fields(ItemDraft)) - {"item_id"}
ALWAYS_WRITTEN = ("change", "deleted_at", "updated_at")


def load_items(
    *,
    project_id: int,
    items: Iterable[ItemDraft],
    named: Collection[str] | None = None,
    accepts: Callable[[ItemDraft, ItemDraft], bool] = lambda _draft, _merged: True,
    progress: Callable[[int], None] = lambda _count: None,
) -> list[int]:
    """Write items by their ids; return the database ids of those that are due for `embed_items`.

    They are all, but those that are stored where `named` has nothing that is embedded.

    Args:
        project_id: whose.
        items: as they are to be.
        named: their fields that are written, where a stored item keeps the others; of properties,
            those of a draft replace those of the same name, and null deletes one. None writes all.
        accepts: whether an item may be written, of its draft and what is merged of it; else it is
            left out.
        progress: is called with the number of items of each chunk, after its commit.
    """
    rows = iter(items)
    due: list[int] = []
    while chunk := list(islice(rows, CHUNK)):
        # One statement may not touch a row twice: the last draft of an id counts.
        drafts = {draft.item_id: draft for draft in chunk}
        # In the transaction of its rows, as the number's order is that of the commits.
        with transaction.atomic():
            change = next_change(project_id)
            if named is None:
                due += _write(project_id, drafts.values(), change, FIELDS)
                count = len(chunk)
            else:
                new, known = _with_stored(project_id, drafts, named, accepts)
                due += _write(project_id, new, change, FIELDS)
                due += _write(project_id, known, change, FIELDS.intersection(named))
                count = len(new) + len(known)
        progress(count)
    return due


def _write(
    project_id: int, drafts: Collection[ItemDraft], change: int, named: Collection[str]
) -> list[int]:
    """Write named fields of items, all of what is new; return which are due for embedding."""
    if not drafts:
        return []
    embeds = not EMBEDDED.isdisjoint(named)
    Item.deleted_or_not.bulk_create(
        [draft.row(project_id, change) for draft in drafts],
        update_conflicts=True,
        unique_fields=["project", "item_id"],
        update_fields=[*sorted(named), *ALWAYS_WRITTEN, *(["vector_due_at"] if embeds else [])],
    )
    if not embeds:
        return []  # what words are found in is embedded, too
    ids = [draft.item_id for draft in drafts]
    rows = Item.objects.filter(project_id=project_id, item_id__in=ids)
    keys = list(rows.values_list("pk", flat=True))
    if not WORDED.isdisjoint(named):
        add_words(project_id=project_id, item_pks=keys)
        properties = {composed(name) for draft in drafts for name in draft.properties}
        remember_properties(project_id=project_id, names=properties)
    return keys


def _with_stored(
    project_id: int,
    drafts: Mapping[str, ItemDraft],
    named: Collection[str],
    accepts: Callable[[ItemDraft, ItemDraft], bool],
) -> tuple[list[ItemDraft], list[ItemDraft]]:
    """Return the accepted drafts of new items, and of known ones with what they keep.

    After `next_change` no other writer comes between.
    """
    stored = {
        row.item_id: row for row in Item.objects.filter(project_id=project_id, item_id__in=drafts)
    }
    new: list[ItemDraft] = []
    known: list[ItemDraft] = []
    for key, draft in drafts.items():
        merged = _merged(draft, stored.get(key), named)
        if accepts(draft, merged):
            (known if key in stored else new).append(merged)
    return new, known


def _merged(draft: ItemDraft, row: Item | None, named: Collection[str]) -> ItemDraft:
    stored: dict[str, Any] = {}
    if row is not None:
        stored = {one.name: getattr(row, one.name) for one in fields(draft) if one.name not in named}
        stored["item_id"] = draft.item_id
    if stored.get("vector") is not None:
        stored["vector"] = np.frombuffer(stored["vector"], dtype="<f4").tolist()
    if "properties" not in stored:
        # A column is replaced as it is, also where it holds objects: no merge patch.
        changes = composed(dict(draft.properties))
        before = composed(row.properties) if row is not None else {}
        stored["properties"] = {name: value for name, value in before.items() if name not in changes}
        stored["properties"] |= {name: value for name, value in changes.items() if value is not None}
    return replace(draft, **stored)


def next_change(project_id: int) -> int:
    """Return the number of a change of a project's catalogue; until the commit no other has one.

    Writers of one project wait for each other here, before they touch any item: none meets another's
    half-written rows, and two that write the same items cannot lock each other out.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            # Of a catalogue that begins now, words are stored as its items are.
            "INSERT INTO inference_cataloguestate AS state "
            "(project_id, number, words_number, words_collected_at) "
            "VALUES (%s, 1, 1, statement_timestamp()) "
            "ON CONFLICT (project_id) DO UPDATE SET number = state.number + 1 RETURNING number",
            [project_id],
        )
        (number,) = cursor.fetchone()
    return int(number)


def as_bytes(vector: Sequence[float] | None) -> bytes | None:
    """Return a vector as the table holds it."""
    return None if vector is None else np.asarray(vector, dtype="<f4").tobytes()
