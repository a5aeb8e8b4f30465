"""Change a catalogue: write items, have their texts embedded, and notify serving processes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction

from experiments.actions.record_load import record_load
from experiments.bounds import MAX_PROPERTIES_BYTES, BoundsError, check
from inference.actions.change_items import change_item, delete_items
from inference.actions.load_items import EMBEDDED, ItemDraft, load_items, next_change
from inference.actions.store_image import erase_unused_images, image_to_store, store_image
from inference.cache import cache_client
from inference.sending import EMBED_ITEMS, send
from inference.serving.changes import announce_catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from inference.models import Item

EMBED_CHUNK = 500  # items per message: a worker that stops loses no more than seconds of work


def load_catalogue(
    *,
    project_id: int,
    items: Iterable[ItemDraft],
    by: str,
    named: Collection[str] | None = None,
    refused: Callable[[ItemDraft, str], None] = lambda _draft, _why: None,
    progress: Callable[[int], None] = lambda _count: None,
) -> list[int]:
    """Load a file of items, add new ones and change known ones.

    Returns the database ids of those that are to be embedded, once each.

    Args:
        project_id: whose catalogue.
        items: in any order; the last of several with one id counts.
        by: who loads.
        named: fields that are written, where the others of a stored item stay; None writes all.
        refused: is called with an item that breaks a rule once it is merged, and the reason: it stays
            as it is stored.
        progress: is called with the number of items of each chunk, after its commit.
    """

    def accepts(draft: ItemDraft, merged: ItemDraft) -> bool:
        try:
            _check_merged(merged, named or ())
        except BoundsError as error:
            refused(draft, str(error))
            return False
        return True

    with record_load(project_id, by=by, what="items", progress=progress) as count:
        ids = load_items(
            project_id=project_id, items=items, named=named, accepts=accepts, progress=count
        )
    ids = list(dict.fromkeys(ids))  # once each, however often its file names it
    _embed(ids)
    announce_catalogue(cache_client())
    return ids


def write_items(*, project_id: int, items: Sequence[ItemDraft]) -> int:
    """Write a few items that a product sends; return how many.

    They are data like events, sent by the thousand: the audit trail does not list them.
    """
    with transaction.atomic():
        ids = load_items(project_id=project_id, items=items)
        # A worker that reads before the commit would find no item.
        transaction.on_commit(partial(_embed, ids))
        transaction.on_commit(_announce)
    return len(ids)


def patch_item(*, project_id: int, item_id: str, changes: Mapping[str, Any]) -> Item | None:
    """Change some fields of an item; return it, or None when there is no such item.

    Raises:
        BoundsError: its properties are too large by now, or it ends before it begins.
    """
    with transaction.atomic():
        item = change_item(project_id=project_id, item_id=item_id, changes=changes)
        if item is not None:
            _check_merged(item, changes)
            if EMBEDDED & set(changes):
                transaction.on_commit(partial(_embed, [item.pk]))
            transaction.on_commit(_announce)
    return item


def _check_merged(item: Item | ItemDraft, named: Collection[str]) -> None:
    """Refuse what a merge made too large, or of a wrong span; what was not named stops nothing."""
    if "properties" in named:
        check(item.properties, "properties", max_bytes=MAX_PROPERTIES_BYTES)
    if not {"published_at", "expires_at"}.isdisjoint(named):
        _require_span(item)


def _require_span(item: Item | ItemDraft) -> None:
    begins, ends = item.published_at, item.expires_at
    if begins is not None and ends is not None and ends <= begins:
        rule = f"after published_at, {begins.isoformat()}"
        raise BoundsError("expires_at", ends.isoformat(), rule)


def put_item_image(*, project_id: int, item_id: str, content: bytes) -> Item | None:
    """Give an item an image from its file; return the item, or None when there is no such item.

    Raises:
        ImageRefusedError: the file is no image that can be read.
    """
    png = image_to_store(content)
    with transaction.atomic():
        next_change(project_id)  # before the image: what deletes unused ones waits here
        changes = {"image_sha256": store_image(project_id, png)}
        item = patch_item(project_id=project_id, item_id=item_id, changes=changes)
        if item is None:
            erase_unused_images(project_id, {changes["image_sha256"]})
    return item


def remove_items(*, project_id: int, item_ids: Sequence[str]) -> int:
    """Delete items; return how many there were."""
    with transaction.atomic():
        count = delete_items(project_id=project_id, item_ids=item_ids)
        transaction.on_commit(_announce)
    return count


def _announce() -> None:
    announce_catalogue(cache_client())


def _embed(ids: Sequence[int]) -> None:
    for start in range(0, len(ids), EMBED_CHUNK):
        send(EMBED_ITEMS, ids[start : start + EMBED_CHUNK])
