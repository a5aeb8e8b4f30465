"""What a slate of `/v1/similar` goes by: one item as the whole history, or what stands in for it.

A recommender that reads histories answers for any item that it has learnt, and the items whose texts
and images are nearest join its list, the more the fewer have liked the item; they are all of the list
where it has learnt nothing of the item. One that it does not know is answered for by another variant
of the same product, by the known item whose text is nearest, or else by the labels that items share.
One that reads none ranks alike beside every item: there labels and nearest texts come first, and its
own order fills the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inference.serving.fused_ranker import FusedRanker
from inference.serving.near_items import weight_of
from inference.serving.ordered_items import OrderedItems
from inference.serving.placed_items import PlacedItems
from inference.serving.ranker import Ranker

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from experiments.slate_rules.filters import Filters
    from inference.serving.artifact import Floats
    from inference.serving.near_items import NearItems
    from inference.serving.ranker import ItemRanker

SIMILAR_TO = "$similar_to"  # in a slate's context: no product names a value of its own so
BY_GROUP, BY_TEXT, BY_LABELS = "similar_by_group", "similar_by_text", "similar_by_labels"
UNKNOWN, DEFAULT = "unknown_item", "default_list"


@dataclass(frozen=True, slots=True)
class Subject:
    """The item that a slate is to be like.

    Attributes:
        item_id: its name.
        variants: other items of the same group.
        labels: of the item.
        title: of the item.
    """

    item_id: str
    variants: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    title: str = ""

    @classmethod
    def of(cls, item_id: str, filters: Filters) -> Subject:
        """Look an item up; of one that the catalogue does not hold nothing is known."""
        catalogue = filters.catalogue
        row = catalogue.find(item_id)
        if row is None:
            return cls(item_id)
        fields = catalogue.rows[row].fields
        variants: tuple[str, ...] = ()
        if "group_id" in fields:
            rows = np.flatnonzero(filters.mask({"group_id": fields["group_id"]}, {}))
            variants = tuple(catalogue.rows[one].item_id for one in rows.tolist() if one != row)
        return cls(item_id, variants, tuple(fields.get("labels", ())), fields.get("title", ""))

    def exclude(self, others: Collection[str]) -> Collection[str]:
        """Return what may not be shown: the item, its variants, and what the request excludes."""
        return (self.item_id, *self.variants, *others)


@dataclass(frozen=True, slots=True)
class StandIn:
    """What answers for an item.

    Attributes:
        ranker: of the version, or its items in the order of shared labels; None for none that works.
        recent: item ids that stand for a history, newest first.
        nearline_reason: of the fallback when these are read.
        default_reason: of the fallback when the default order is all that there is.
    """

    ranker: ItemRanker | None
    recent: tuple[str, ...]
    nearline_reason: str | None = None
    default_reason: str | None = DEFAULT

    @property
    def is_alike_for_all(self) -> bool:
        """Whether it ranks alike beside every item."""
        ranker = self.ranker
        return (
            ranker is not None
            and not (ranker.reads_history or ranker.is_remote)
            and self.default_reason == DEFAULT
        )

    def by_texts(self, nearest: Sequence[str]) -> StandIn:
        """Return the items whose texts are nearest before all others; the same where none is known.

        Args:
            nearest: item ids, nearest first.
        """
        version = _version_of(self.ranker)
        known = [] if version is None else version.indices_of(nearest)
        if version is None or not known:
            return self
        scores = np.zeros(len(version.item_ids), dtype=np.float32)
        scores[known] = np.arange(len(known), 0, -1) / len(known)
        return StandIn(OrderedItems.of(version, scores), self.recent, default_reason=BY_TEXT)


def stand_in_for(subject: Subject, ranker: ItemRanker | None, filters: Filters) -> StandIn:
    """Return what a version is to answer by.

    Args:
        subject: what the items are to be like.
        ranker: of the version, with items that are placed among its own, or None when there is none
            that works.
        filters: of the project's catalogue.
    """
    recent = (subject.item_id,)
    version = _version_of(ranker)
    if version is None or version.is_remote:
        return StandIn(ranker, recent)
    if version.reads_history:
        if _can_rank_by(version, subject.item_id):
            is_learnt = version.knows([version.index[subject.item_id]])
            fused = _fused(ranker, version, subject.item_id)
            return StandIn(fused, recent, nearline_reason=None if is_learnt else BY_TEXT)
        variants = tuple(item_id for item_id in subject.variants if _can_rank_by(version, item_id))
        if variants:
            fused = _fused(ranker, version, variants[0])
            return StandIn(fused, variants, nearline_reason=BY_GROUP)
        if isinstance(ranker, PlacedItems) and ranker.places(subject.item_id):  # as its neighbour
            return StandIn(_beside_placed(ranker, subject.item_id), recent, nearline_reason=BY_TEXT)
    shared = _shared_labels(subject, version, filters)
    if shared is None:
        return StandIn(ranker, recent, default_reason=UNKNOWN if version.reads_history else DEFAULT)
    return StandIn(OrderedItems.of(version, shared), recent, default_reason=BY_LABELS)


def _can_rank_by(version: ItemRanker, item_id: str) -> bool:
    """Whether a version has learnt anything of an item, or knows items with texts near its own."""
    place = version.index.get(item_id)
    if place is None:
        return False
    lines = _near_items_of(version)
    return version.knows([place]) or (lines is not None and len(lines.of(place)) > 0)


def _near_items_of(version: ItemRanker) -> NearItems | None:
    return version.near_items if isinstance(version, Ranker) else None


def _fused(ranker: ItemRanker | None, version: ItemRanker, item_id: str) -> ItemRanker | None:
    """Return a ranker whose lists the nearest items of one join; the same where none is known."""
    lines = _near_items_of(version)
    if lines is None:
        return ranker
    place = version.index[item_id]
    near = lines.of(place)
    if not len(near):
        return ranker
    fused = FusedRanker(version, near, float(lines.weights[place]))
    return ranker.on(fused) if isinstance(ranker, PlacedItems) else fused


def _beside_placed(ranker: PlacedItems, item_id: str) -> ItemRanker:
    """Return a ranker whose lists the known items join among which a new one is placed."""
    return ranker.on(FusedRanker(ranker.base, ranker.neighbours_of(item_id), weight_of(0)))


def _version_of(ranker: ItemRanker | None) -> ItemRanker | None:
    """Return the version's own ranker, without the items that came after it."""
    return ranker.base if isinstance(ranker, PlacedItems) else ranker


def _shared_labels(subject: Subject, ranker: ItemRanker, filters: Filters) -> Floats | None:
    """Return how many of the subject's labels each item of the version has; None for none at all."""
    if not subject.labels:
        return None
    masks = [filters.mask({"labels": label}, {}) for label in subject.labels]
    count = min(map(len, masks))  # a row that came in between is no row of the first ones
    per_row = np.stack([mask[:count] for mask in masks]).sum(axis=0, dtype=np.float32)
    rows = filters.catalogue.places_of(ranker)
    shared = np.zeros(len(rows), dtype=np.float32)
    known = (rows >= 0) & (rows < count)
    shared[known] = per_row[rows[known]]
    return shared if shared.any() else None
