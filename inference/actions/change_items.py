"""Change single fields of an item, and delete items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from inference.actions.collect_words import add_words
from inference.actions.known_properties import remember_properties, remember_properties_of
from inference.actions.load_items import EMBEDDED, WORDED, as_bytes, next_change
from inference.actions.merge_patch import merge_patch
from inference.actions.store_image import erase_unused_images
from inference.models import Item
from inference.serving.composed_text import composed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# What a deleted item keeps is its name: versions that learnt it must not show it.
_EMPTY: dict[str, Any] = {
    "title": "",
    "text": "",
    "properties": {},
    "vector": None,
    "labels": [],
    "url": "",
    "image_url": "",
    "image_sha256": "",
    "price": None,
    "group_id": "",
    "neighbours": [],
    "vector_due_at": None,
}


def change_item(*, project_id: int, item_id: str, changes: Mapping[str, Any]) -> Item | None:
    """Change the fields of an item that are named; return it, or None when there is no such item.

    Args:
        project_id: whose.
        item_id: of an item.
        changes: fields of `ItemDraft` and their values; properties are merged by their names, and null
            deletes one. And `image_sha256`, of an image that was stored.
    """
    values = dict(changes)
    if "vector" in values:
        values["vector"] = as_bytes(values["vector"])
    if "labels" in values:
        values["labels"] = composed(values["labels"])
    if EMBEDDED & set(values):
        values["vector_due_at"] = Now()
    with transaction.atomic():
        values |= {"change": next_change(project_id), "updated_at": timezone.now()}
        items = Item.objects.filter(project_id=project_id, item_id=item_id)
        if "properties" in values:
            stored = items.values_list("properties", flat=True).first()
            values["properties"] = merge_patch(composed(stored), composed(values["properties"]))
        before = set(items.values_list("image_sha256", flat=True)) - {""}
        changed = items.update(**values)
        if "image_sha256" in values:
            erase_unused_images(project_id, before)
        item = items.get() if changed else None
        if item is not None and WORDED & set(values):
            add_words(project_id=project_id, item_pks=[item.pk])
            remember_properties(project_id=project_id, names=item.properties)
        return item


def delete_items(*, project_id: int, item_ids: Sequence[str]) -> int:
    """Delete items, and all that is known of them but their ids; return how many there were."""
    with transaction.atomic():
        change = next_change(project_id)
        items = Item.objects.filter(project_id=project_id, item_id__in=item_ids)
        uploads = set(items.exclude(image_sha256="").values_list("image_sha256", flat=True))
        keys = list(items.values_list("pk", flat=True))
        remember_properties_of(project_id=project_id, item_pks=keys)
        count = items.update(
            **_EMPTY, change=change, deleted_at=timezone.now(), updated_at=timezone.now()
        )
        erase_unused_images(project_id, uploads)
    return count
