"""Place items that came after the versions in use: find the known items that each resembles most.

By the vectors of the texts, of the images, and of the user's own where both have one; without any, by
labels and group. The neighbours travel to serving with the catalogue, under a change number.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from django.conf import settings
from django.db import transaction

from inference.actions.load_items import next_change
from inference.cache import cache_client
from inference.encoders.image_vectors import image_vectors_of
from inference.encoders.item_vectors import custom_vectors_of, stored_vectors
from inference.encoders.vector_graph import VectorGraph
from inference.models import Item, ModelVersion, Surface
from inference.outages import is_outage
from inference.serving.artifact import ArtifactError, check_artifact
from inference.serving.centred import centred, mean_of
from inference.serving.changes import announce_catalogue
from inference.serving.placed_items import MAX_NEIGHBOURS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from inference.serving.artifact import Floats

# Items that are looked through: 150 MB of vectors in a worker. Of more, each new item is compared with
# those whose texts a graph says are nearest to its own.
MAX_KNOWN = 100_000
NEAR_TEXTS = 200
MIN_WEIGHT = 0.05  # a neighbour that resembles an item less says nothing of it
CHUNK = 5000
_IN_USE = (
    ModelVersion.Alias.CHAMPION,
    ModelVersion.Alias.CHALLENGER,
    ModelVersion.Alias.SHADOW,
)


@dataclass(frozen=True, slots=True)
class KnownItems:
    """Items that every version in use knows.

    Attributes:
        ids: m of them.
        texts: vectors of their texts, float32 (m, d), of length 1 or 0.
        supplied: vectors of the user's own, (m, e), of length 1 or 0.
        images: vectors of their images, as they are stored, (m, i), zeros for none.
        labels: of each.
        groups: of each; "" for none.
    """

    ids: Sequence[str]
    texts: Floats
    supplied: Floats
    images: Floats
    labels: Sequence[frozenset[str]] = field(default_factory=list)
    groups: Sequence[str] = field(default_factory=list)


def place_items(items: Sequence[Item]) -> int:
    """Place those items that a version in use does not know; return how many were written.

    Raises:
        ArtifactError: the object store, which holds a version in use, is away.
    """
    by_project: dict[int, list[Item]] = defaultdict(list)
    for item in items:
        by_project[item.project_id].append(item)
    return sum(_place_in(project, theirs) for project, theirs in by_project.items())


def place_missing(*, project_id: int) -> int:
    """Place what a version that has just come into use does not know; return how many were written.

    A training run may take hours, and items come meanwhile.
    """
    known = _known_to_all(_digests(project_id))
    count, chunk = 0, []
    for item in Item.objects.filter(project_id=project_id).iterator(chunk_size=CHUNK):
        # What every version has learnt by now needs no place any more.
        if bool(item.neighbours) == (item.item_id in known):
            chunk.append(item)
        if len(chunk) == CHUNK:
            count, chunk = count + _place_in(project_id, chunk), []
    return count + _place_in(project_id, chunk)


def needs_places(*, project_id: int) -> bool:
    """Whether there are items that a version in use does not know, and that have no place in it."""
    known = _known_to_all(_digests(project_id))
    if not known:
        return False
    # One whose text waits for its vector is placed with it.
    settled = Item.objects.filter(project_id=project_id, vector_due_at__isnull=True)
    items = settled.values_list("item_id", "neighbours")
    return any(
        bool(neighbours) == (item_id in known)
        for item_id, neighbours in items.iterator(chunk_size=CHUNK)
    )


def _place_in(project_id: int, items: Sequence[Item]) -> int:
    digests = _digests(project_id)
    known = _known_to_all(digests)
    if not items or not known:
        return 0
    new = [item for item in items if item.item_id not in known]
    placed = _neighbours_of(project_id, digests, new) if new else []
    place_of = {item.item_id: place for item, place in zip(new, placed, strict=True)}
    changed = []
    for item in items:
        neighbours = place_of.get(item.item_id, [])
        if item.neighbours != neighbours:
            item.neighbours = neighbours
            changed.append(item)
    if changed:
        _write(project_id, changed)
    return len(changed)


def _neighbours_of(
    project_id: int, digests: tuple[str, ...], items: Sequence[Item]
) -> list[list[list[str | float]]]:
    """Return per item its nearest ones among all that every version knows."""
    if len(_known_to_all(digests)) <= MAX_KNOWN:
        return nearest_of(items, _known_items(project_id, digests))
    graph = _graph_of_texts(project_id, digests)
    vectors = stored_vectors(items)
    lines = []
    for item, vector in zip(items, vectors, strict=True):
        near = graph.nearest(vector, NEAR_TEXTS) if graph is not None and vector.any() else []
        rows = list(Item.objects.filter(pk__in=[key for key, _ in near]))
        # What has no text is placed by its labels, among the first ones.
        known = _described(rows) if rows else _known_items(project_id, digests)
        lines += nearest_of([item], known)
    return lines


def _write(project_id: int, items: Sequence[Item]) -> None:
    with transaction.atomic():
        change = next_change(project_id)  # first, as every writer of a catalogue does
        for item in items:
            item.change = change
        # Deleted meanwhile: the row stays as the deletion left it.
        exist = set(
            Item.objects.select_for_update(no_key=True)
            .filter(pk__in=[item.pk for item in items])
            .order_by("pk")
            .values_list("pk", flat=True)
        )
        Item.objects.bulk_update(
            [item for item in items if item.pk in exist], ["neighbours", "change"], batch_size=1000
        )
        transaction.on_commit(lambda: announce_catalogue(cache_client()))


def nearest_of(items: Sequence[Item], known: KnownItems) -> list[list[list[str | float]]]:
    """Return per item its nearest known ones, [id, weight], nearest first; an empty list for none."""
    texts = stored_vectors(items)
    supplied = _supplied(items, known.supplied.shape[1])
    images = _images(items, known.images.shape[1])
    mean = mean_of(known.images)
    images, known_images = centred(images, mean), centred(known.images, mean)
    lines = []
    for place, item in enumerate(items):
        sides = [
            (texts[place], known.texts),
            (supplied[place], known.supplied),
            (images[place], known_images),
        ]
        weights = _likeness(item, sides, known)
        near = np.argsort(-weights, kind="stable")[:MAX_NEIGHBOURS]
        lines.append(
            [
                [known.ids[one], round(float(weights[one]), 4)]
                for one in near
                if weights[one] >= MIN_WEIGHT
            ]
        )
    return lines


def _likeness(item: Item, sides: Sequence[tuple[Floats, Floats]], known: KnownItems) -> Floats:
    """Return how much each known item is like an item, (m,), at most 1.

    Args:
        item: to be placed.
        sides: of each kind of vector, its own, (d,), and those of the known items, (m, d).
        known: items to place it among.
    """
    likeness = np.zeros(len(known.ids), dtype=np.float32)
    count = np.zeros(len(known.ids), dtype=np.float32)
    for own, theirs in sides:
        if own.any() and theirs.any():
            has = theirs.any(axis=1)
            likeness[has] += theirs[has] @ own
            count[has] += 1
    if count.any():
        return (likeness / np.maximum(count, 1)).astype(np.float32)
    labels = frozenset(item.labels)
    for place, (others, group) in enumerate(zip(known.labels, known.groups, strict=True)):
        if labels and others:
            likeness[place] = len(labels & others) / len(labels | others)
        if item.group_id and item.group_id == group:
            likeness[place] = 1.0
    return likeness


def _supplied(items: Sequence[Item], width: int) -> Floats:
    """Return the user's own vectors of that width, (n, width), zeros for none."""
    vectors = np.zeros((len(items), width), dtype=np.float32)
    for row, item in zip(vectors, items, strict=True):
        own = custom_vectors_of([item])
        if own is not None and own.shape[1] == width:
            row[:] = own[0]
    return vectors


def _images(items: Sequence[Item], width: int) -> Floats:
    """Return the vectors of items' images where they have that width, (n, width), zeros for none."""
    vectors = image_vectors_of(items) if width else None
    if vectors is None or vectors.shape[1] != width:
        return np.zeros((len(items), width), dtype=np.float32)
    return vectors


def forget_known_items() -> None:
    """Read the vectors of known items anew, the next time that an item is placed."""
    _known_items.cache_clear()
    _graph_of_texts.cache_clear()


def _digests(project_id: int) -> tuple[str, ...]:
    versions = ModelVersion.objects.filter(
        surface__project_id=project_id, surface__kind=Surface.Kind.RECOMMEND, alias__in=_IN_USE
    )
    digests = set(versions.values_list("artifact_sha256", flat=True))
    # What cannot be read is left out of what is remembered by these: it may be readable again.
    return tuple(sorted(digest for digest in digests if _items_of(digest)))


def _items_of(digest: str) -> tuple[str, ...]:
    """Return the items of a version; none of what holds no items, as an order, or is damaged.

    Raises:
        ArtifactError: the object store is away. Without the version's items, places would be wrong.
    """
    try:
        return _read_items(digest)
    except ArtifactError as error:
        if is_outage(error):
            raise
        return ()


@lru_cache(maxsize=16)
def _read_items(digest: str) -> tuple[str, ...]:
    folder, manifest = check_artifact(settings.BAKEOFF.artifacts, digest)
    if "items.json" not in manifest["files"]:
        return ()
    return tuple(json.loads((folder / "items.json").read_bytes()))


@lru_cache(maxsize=4)
def _known_to_all(digests: tuple[str, ...]) -> frozenset[str]:
    """Return the items that every version with items knows: all of them can place by these."""
    known = [frozenset(_items_of(digest)) for digest in digests]
    return frozenset.intersection(*known) if known else frozenset()


@lru_cache(maxsize=1)  # a catalogue's vectors are large, and items of one project come together
def _known_items(project_id: int, digests: tuple[str, ...]) -> KnownItems:
    known = _known_to_all(digests)
    ids = [item_id for item_id in _items_of(digests[0]) if item_id in known][:MAX_KNOWN]
    items: dict[str, Item] = {}
    for start in range(0, len(ids), CHUNK):
        chunk = Item.objects.filter(project_id=project_id, item_id__in=ids[start : start + CHUNK])
        items |= {item.item_id: item for item in chunk}
    return _described([items[item_id] for item_id in ids if item_id in items])


@lru_cache(maxsize=1)  # as large, and as long in use
def _graph_of_texts(project_id: int, digests: tuple[str, ...]) -> VectorGraph | None:
    """Return the vectors of the texts of all known items by their database ids; None without any."""
    known, graph = _known_to_all(digests), None
    rows = Item.objects.filter(project_id=project_id).order_by("pk").iterator(chunk_size=CHUNK)
    for chunk in _batched(rows, CHUNK):
        items = [item for item in chunk if item.item_id in known]
        vectors = stored_vectors(items)
        has = np.flatnonzero(vectors.any(axis=1))  # none where the width is 0
        if graph is None and len(has):
            graph = VectorGraph(vectors.shape[1])
        if graph is not None and len(has):
            graph.put([items[place].pk for place in has], vectors[has])
    return graph


def _batched(rows: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Return rows by lists of a size."""
    left = iter(rows)
    while chunk := list(islice(left, size)):
        yield chunk


def _described(rows: Sequence[Item]) -> KnownItems:
    """Return what known items are compared by."""
    supplied = custom_vectors_of(rows) if rows else None
    images = image_vectors_of(rows)
    return KnownItems(
        ids=[row.item_id for row in rows],
        texts=stored_vectors(rows),
        supplied=np.zeros((len(rows), 0), np.float32) if supplied is None else supplied,
        images=np.zeros((len(rows), 0), np.float32) if images is None else images,
        labels=[frozenset(row.labels) for row in rows],
        groups=[row.group_id for row in rows],
    )
