"""Rules about one request: what they say of the candidates that a version has for it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from experiments.slate_rules.columns import of_length_one
from experiments.slate_rules.filters import property_of
from experiments.slate_rules.named_properties import named_properties
from experiments.slate_rules.rules import VECTORS, SlateRules, check_properties
from inference.serving.eligible import Eligible
from inference.serving.rule_draw import Cap, Diversity, SlotRules
from inference.serving.ruled_candidates import RuledCandidates

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from experiments.slate_rules.filters import Filters
    from inference.serving.artifact import Floats, Indices
    from inference.serving.catalogue import Catalogue, Mask

DAY = 86_400.0
OLDEST = 0.05  # of the advantage of a new item: what is older is not pushed down for ever


class RequestRules(NamedTuple):
    """Rules, bound to a catalogue and a request.

    Attributes:
        rules: the surface's and the request's together.
        filters: of the project's catalogue.
        context: the request's.
        exclude: what the request does not want.
        allowed: what may be shown, and passes the filters.
        named: candidates that the request names.
    """

    rules: SlateRules
    filters: Filters
    context: Mapping[str, Any]
    exclude: Collection[str]
    allowed: Eligible
    named: Collection[str] = ()

    @property
    def catalogue(self) -> Catalogue:
        """The project's items."""
        return self.filters.catalogue

    def about(
        self,
        names: Sequence[str],
        vectors: Callable[[], Floats] | None,
        rows: Indices | None = None,
    ) -> RuledCandidates:
        """Return what holds among candidates, and what is pinned beside them.

        A pin of what neither the catalogue nor the request knows is passed over: it would be a place
        without a title.

        Args:
            names: ids of the candidates.
            vectors: returns the version's vectors of them, (m, d); None where there is no version.
            rows: theirs in the catalogue, (m,), -1 for none; None to look them up by name.
        """
        rows = self.catalogue.rows_named(names) if rows is None else rows
        pins, place_of = self.pins(), {}
        if pins:
            # Of what may be twenty thousand names, those of pins alone.
            wanted = set(pins.values())
            place_of = {item_id: at for at, item_id in enumerate(names) if item_id in wanted}
            pins = {
                position: item_id
                for position, item_id in pins.items()
                if item_id in place_of or item_id in self.named or self.allowed.knows(item_id)
            }
            beside = [item_id for item_id in pins.values() if item_id not in place_of]
            place_of |= {item_id: at for at, item_id in enumerate(beside, start=len(names))}
            names = [*names, *beside] if beside else names
            rows = np.concatenate([rows, self.catalogue.rows_named(beside)])
        rules = SlotRules(
            boosts=self._boosts(rows),
            buried=self._buried(rows),
            pins={position - 1: place_of[item_id] for position, item_id in pins.items()},
            caps=[
                Cap(self.filters.column(path).lists(rows), limit)
                for path, limit in self.rules.caps.items()
            ],
            diversity=self._diversity(rows, vectors),
        )
        return RuledCandidates(names, rules)

    def with_vectors(self, ruled: RuledCandidates, vectors: Callable[[], Floats]) -> RuledCandidates:
        """Return what `about` returned without vectors with these; it may run in a thread."""
        rule = self.rules.diversity
        if rule is None or rule.by != VECTORS:
            return ruled
        diversity = _by_vectors(vectors(), len(ruled.names), rule.strength)
        return replace(ruled, rules=replace(ruled.rules, diversity=diversity))

    def has_room(self, rows: Indices, shown: Sequence[str]) -> bool:
        """Return whether caps leave any item for a slate.

        Args:
            rows: of the items in the catalogue, (m,), -1 for none.
            shown: ids of what is in the slate.
        """
        inside = self.catalogue.rows_named(shown)
        is_open = ~np.isin(rows, inside[inside >= 0])
        for path, limit in self.rules.caps.items():
            column = self.filters.column(path)
            values, counts = np.unique(column.lists(inside), return_counts=True)
            full = values[(values >= 0) & (counts >= limit)]
            is_open &= ~np.isin(column.lists(rows), full).any(axis=1)
        return bool(is_open.any())

    def pins(self) -> dict[int, str]:
        """Return the pins of items that may be shown, by position from 1."""
        return {
            position: item_id
            for position, item_id in self.rules.pins.items()
            if item_id not in self.exclude and self.allowed.has(item_id)
        }

    def _boosts(self, rows: Indices) -> Floats | None:
        if not self.rules.boosts and self.rules.half_life_days is None:
            return None
        boosts = np.ones(len(rows), dtype=np.float32)
        for boost in self.rules.boosts:
            boosts[self._held(boost.filter, rows)] *= boost.by
        if self.rules.half_life_days is not None:
            ages = np.zeros(len(rows))  # of what the catalogue does not hold, nothing is known
            known = rows >= 0
            ages[known] = np.maximum(time.time() - self.catalogue.dates_of(rows[known]), 0.0) / DAY
            lost = 0.5 ** (ages / self.rules.half_life_days)
            boosts *= np.maximum(lost, OLDEST).astype(np.float32)
        return boosts

    def _buried(self, rows: Indices) -> Mask | None:
        if not self.rules.buried:
            return None
        buried = np.zeros(len(rows), dtype=bool)
        for condition in self.rules.buried:
            buried |= self._held(condition, rows)
        return buried

    def _held(self, condition: Mapping[str, Any], rows: Indices) -> Mask:
        mask = self.filters.mask(condition, self.context)
        held = np.zeros(len(rows), dtype=bool)
        inside = (rows >= 0) & (rows < len(mask))
        held[inside] = mask[rows[inside]]
        return held

    def _diversity(self, rows: Indices, vectors: Callable[[], Floats] | None) -> Diversity | None:
        rule = self.rules.diversity
        if rule is None:
            return None
        if rule.by == VECTORS:
            own = vectors() if vectors is not None else np.zeros((0, 0), dtype=np.float32)
            return _by_vectors(own, len(rows), rule.strength)
        column = self.filters.column(rule.by)
        features = column.features(rows)
        if features is None:
            codes = column.lists(rows)
            items, places = (codes >= 0).nonzero()
            # As wide as there are values among the candidates.
            values, numbered = np.unique(codes[items, places], return_inverse=True)
            features = np.zeros((len(rows), len(values)), dtype=np.float32)
            features[items, numbered] = 1.0
            features = of_length_one(features)
        return Diversity(features, rule.strength)


def _by_vectors(vectors: Floats, count: int, strength: float) -> Diversity:
    features = np.zeros((count, vectors.shape[1]), dtype=np.float32)
    features[: len(vectors)] = vectors  # of what is pinned and no candidate nothing is known
    return Diversity(of_length_one(features), strength)


def bind_rules(
    stored: SlateRules,
    requested: SlateRules,
    filters: Filters,
    *,
    context: Mapping[str, Any],
    exclude: Collection[str],
    named: Collection[str] = (),
) -> RequestRules:
    """Return the rules of a request.

    Args:
        stored: the surface's.
        requested: the request's own.
        filters: of the project's catalogue.
        context: the request's.
        exclude: what the request does not want.
        named: candidates that the request names.

    Raises:
        RuleError: a rule of the request names a property that no item has or has had and no stored
            rule names, or compares a number with a text.
    """
    if requested:
        # What a saved rule names is no typing error, whatever became of its items.
        filters.catalogue.remember_properties(property_of(path) for path, _ in named_properties(stored))
        check_properties(requested, filters.require_known)
        for condition in requested.filters:
            filters.require(condition, context, "filter")
        for condition in requested.buried:
            filters.require(condition, context, "bury")
        for boost in requested.boosts:
            filters.require(boost.filter, context, "boost")
    rules = stored.joined_with(requested)
    mask = filters.catalogue.shown()
    for condition in rules.filters:
        held = filters.mask(condition, context)
        mask = mask[: len(held)] & held[: len(mask)]
    for condition in (*rules.buried, *(boost.filter for boost in rules.boosts)):
        filters.mask(condition, context)  # here, where a context that does not fit is refused
    allowed = Eligible(filters.catalogue, mask, bool(rules.filters))
    return RequestRules(rules, filters, context, exclude, allowed, named)
