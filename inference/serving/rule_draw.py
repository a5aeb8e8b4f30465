"""The draw of a slate under rules: pins, caps and diversity, slot by slot.

What depends on the slots before it cannot be filtered first. So every slot is a draw of its own: what
the caps still allow is ranked anew, by rank and, with diversity, by how little it resembles what
stands above; one is drawn by the weights r^(−1/τ) of these ranks. The chance of a slot given those
before it follows from its rank and from how many were allowed, and both are logged with it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.serving.explore import draw_one, draw_slate, propensities_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    from inference.serving.artifact import Floats, Indices
    from inference.serving.catalogue import Mask

MAX_POOL = 1000  # candidates that slots are drawn from: the best ones
BURIED = 1e9  # ranks further down than any candidate


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so many items of one value in a slate.

    Attributes:
        values: per candidate, the codes of its values; -1 fills the line, and is no value.
        limit: how many, at least 1.
    """

    values: NDArray[np.int32]
    limit: int


@dataclass(frozen=True, slots=True)
class Diversity:
    """How much an item loses that resembles one above it.

    Attributes:
        features: per candidate, a vector of length 1, or 0 for one that resembles nothing.
        strength: from 0, none, to 1, where the rank counts for nothing.
    """

    features: Floats
    strength: float


@dataclass(frozen=True, slots=True)
class NewItems:
    """A share of the slots for items that came after the version.

    Attributes:
        mask: per candidate, whether it is one, (m,).
        share: chance of a slot to be drawn among them, in (0, 1), as long as there are others too.
    """

    mask: Mask
    share: float


@dataclass(frozen=True, slots=True)
class SlotRules:
    """What holds within a slate, about candidates by their index.

    There may be more of them than are ranked: what is pinned, and no version knows.

    Attributes:
        boosts: per candidate, what its rank is divided by; None where all are 1.
        buried: per candidate, whether it comes after all others; None where none is.
        pins: by position from 0, the candidate that stands there.
        caps: of the slate.
        diversity: or None.
        new: a share of the slots for new items, or None.
    """

    boosts: Floats | None = None
    buried: Mask | None = None
    pins: Mapping[int, int] = field(default_factory=dict)
    caps: Sequence[Cap] = ()
    diversity: Diversity | None = None
    new: NewItems | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what a version in shadow is asked under; not new items, which are this process's."""
        return {
            "boosts": None if self.boosts is None else self.boosts.tolist(),
            "buried": None if self.buried is None else self.buried.tolist(),
            "pins": list(self.pins.items()),
            "caps": [[cap.values.tolist(), cap.limit] for cap in self.caps],
            "diversity": None
            if self.diversity is None
            else [self.diversity.features.tolist(), self.diversity.strength],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> SlotRules:
        """Read what `as_json` wrote; nothing rules nothing."""
        boosts, buried = stored.get("boosts"), stored.get("buried")
        diversity = stored.get("diversity")
        return cls(
            boosts=None if boosts is None else np.array(boosts, dtype=np.float32),
            buried=None if buried is None else np.array(buried, dtype=bool),
            pins={int(position): int(place) for position, place in stored.get("pins", ())},
            caps=[Cap(np.array(values, np.int32), limit) for values, limit in stored.get("caps", ())],
            diversity=None
            if diversity is None
            else Diversity(np.array(diversity[0], dtype=np.float32), diversity[1]),
        )

    @property
    def by_slot(self) -> bool:
        """Whether a slot depends on those before it."""
        return bool(self.pins or self.caps or self.diversity is not None)


@dataclass(frozen=True, slots=True)
class DrawnSlot:
    """What stands in a slot.

    Attributes:
        candidate: its index.
        rank: among what was allowed there, from 1; 0 for a pinned one.
        allowed: how many that were; None where all slots are one draw.
        propensity: given the slots before it.
        chance: that the slot was drawn among new items, or that it was drawn among the others: rank
            and allowed are of these alone; None where that was not drawn.
    """

    candidate: int
    rank: int
    allowed: int | None
    propensity: float
    chance: float | None = None


def rerank(order: Indices, rules: SlotRules) -> Indices:
    """Return the candidates best first, after boosts and what is buried.

    A boost of 2 counts an item of rank 10 as one of rank 5: ranks and not scores are divided, so a
    boost is the same in every variant, whatever the scale of its scores.

    Args:
        order: candidates, best first, (m,).
        rules: of the slate.
    """
    if rules.boosts is None and rules.buried is None:
        return order
    place = np.arange(1, len(order) + 1, dtype=np.float64)
    if rules.boosts is not None:
        place /= rules.boosts[order]
    if rules.buried is not None:
        place += BURIED * rules.buried[order]
    return order[np.argsort(place, kind="stable")]


def draw_by_slot(
    order: Indices,
    k: int,
    rules: SlotRules,
    *,
    temperature: float,
    rng: Generator | None,
) -> list[DrawnSlot]:
    """Draw a slate slot by slot; it is shorter than k when the caps leave nothing.

    Args:
        order: candidates, best first.
        k: slots.
        rules: of the slate.
        temperature: τ ≥ 0; 0 takes the best of each slot.
        rng: source of the draw; None at τ = 0.
    """
    state = _Slate(_pool(order, rules), rules, k)
    slots: list[DrawnSlot] = []
    for position in range(k):
        pin = state.pins.get(position)
        if pin is not None:
            state.take(pin)
            slots.append(DrawnSlot(pin, 0, 1, 1.0))
            continue
        ranked = state.ranked()
        if not len(ranked):
            continue  # a shorter slate: what is pinned further down moves up
        ranked, chance = _choose(ranked, rules.new, rng)
        slot = _draw(ranked, k, temperature, rng)
        if chance is not None:
            slot = replace(slot, propensity=slot.propensity * chance, chance=chance)
        state.take(slot.candidate)
        slots.append(slot)
    return slots


def _pool(order: Indices, rules: SlotRules) -> Indices:
    """Return the best candidates, and all new ones: their share holds wherever they rank."""
    if rules.new is None or len(order) <= MAX_POOL:
        return order[:MAX_POOL]
    rest = order[MAX_POOL:]
    return np.concatenate([order[:MAX_POOL], rest[rules.new.mask[rest]]])


def draw_at_once(
    order: Indices, k: int, new: NewItems | None, *, temperature: float, rng: Generator | None
) -> list[DrawnSlot]:
    """Draw a slate of which no slot depends on what stands in another.

    With new items each slot is first drawn to be one for them, or one for the others; ranks are those
    among the new items, or among the others.

    Args:
        order: candidates, best first.
        k: slots.
        new: a share of the slots for new items, or None.
        temperature: τ ≥ 0; 0 takes the best.
        rng: source of the draw; None at τ = 0 and without new items.
    """
    is_new = np.zeros(len(order), bool) if new is None else new.mask[order]
    queues = []
    for mask in (~is_new, is_new):
        ranked = order[mask]
        # All k of each: so no chance depends on how many slots the later ones will be.
        drawn = draw_slate(len(ranked), k, temperature=temperature, rng=rng)
        queues.append(deque((int(ranked[rank]), rank + 1, chance) for rank, chance in drawn))
    slots: list[DrawnSlot] = []
    while len(slots) < k and any(queues):
        chance, chosen = None, int(not queues[0])
        if all(queues) and new is not None and rng is not None:
            chosen = int(rng.random() < new.share)
            chance = new.share if chosen else 1 - new.share
        candidate, rank, propensity = queues[chosen].popleft()
        slots.append(
            DrawnSlot(candidate, rank, None, propensity * (1.0 if chance is None else chance), chance)
        )
    return slots


def propensity_of(rank: int, allowed: int, k: int, chance: float = 1.0, *, temperature: float) -> float:
    """Return the chance of a slot from what is logged of it."""
    if rank == 0 or temperature <= 0:
        return chance
    (drawn,) = propensities_of([rank - 1], allowed, k, temperature=temperature)
    return drawn * chance


def _choose(
    ranked: Indices, new: NewItems | None, rng: Generator | None
) -> tuple[Indices, float | None]:
    """Draw whether a slot is for new items or for the others; return these and the chance of it."""
    if new is None or rng is None:
        return ranked, None
    is_new = new.mask[ranked]
    if is_new.all() or not is_new.any():
        return ranked, None
    chosen = rng.random() < new.share
    return ranked[is_new == chosen], new.share if chosen else 1 - new.share


def _draw(ranked: Indices, k: int, temperature: float, rng: Generator | None) -> DrawnSlot:
    count = len(ranked)
    if temperature <= 0 or rng is None:
        return DrawnSlot(int(ranked[0]), 1, count, 1.0)
    rank, chance = draw_one(count, k, temperature=temperature, rng=rng)
    return DrawnSlot(int(ranked[rank]), rank + 1, count, chance)


class _Slate:
    """What is in a slate so far, and what may still come into it."""

    def __init__(self, order: Indices, rules: SlotRules, k: int) -> None:
        """Begin with an empty slate.

        Args:
            order: candidates, best first.
            rules: of the slate.
            k: slots.
        """
        self._rules = rules
        self._counts: list[dict[int, int]] = [{} for _ in rules.caps]
        # What is pinned further down counts from the start: a cap holds in the slate as a whole, and
        # of pins that break one together, those further down are no pins.
        self.pins: dict[int, int] = {}
        for position, candidate in sorted(rules.pins.items()):
            if position < k and self._fits(candidate):
                self.pins[position] = candidate
                self._count(candidate)
        self._pinned = set(self.pins.values())
        self._pool = order
        if self._pinned:
            self._pool = order[~np.isin(order, list(self._pinned))]
        self._left = np.ones(len(self._pool), dtype=bool)
        # Of the pool alone, once: each slot reads them again.
        self._place_of = {candidate: place for place, candidate in enumerate(self._pool.tolist())}
        self._cap_values = [cap.values[self._pool] for cap in rules.caps]
        if rules.diversity is not None:
            strength = rules.diversity.strength
            self._features = rules.diversity.features[self._pool]
            # Maximal marginal relevance (Carbonell & Goldstein 1998), with the rank for the relevance.
            relevance = 1 - np.arange(len(self._pool)) / max(len(self._pool), 1)
            self._relevance = (1 - strength) * relevance
            self._resemblance = np.zeros(len(self._pool), dtype=np.float32)
        for n, (cap, counts) in enumerate(zip(rules.caps, self._counts, strict=True)):
            for value, count in counts.items():
                if count >= cap.limit:
                    self._close(n, value)

    def take(self, candidate: int) -> None:
        """Put a candidate into the next slot."""
        if candidate not in self._pinned:
            self._left[self._place_of[candidate]] = False
            self._count(candidate)
            self._close_full(candidate)
        diversity = self._rules.diversity
        if diversity is not None:
            likeness = self._features @ diversity.features[candidate]
            np.maximum(self._resemblance, likeness, out=self._resemblance)

    def ranked(self) -> Indices:
        """Return what may come into the next slot, best first."""
        diversity = self._rules.diversity
        if diversity is None:
            return self._pool[self._left]
        # Methods of arrays here and below: numpy's functions cost as much again for so few numbers.
        (left,) = self._left.nonzero()
        lost = diversity.strength * self._resemblance[left] - self._relevance[left]
        ranked: Indices = self._pool[left[lost.argsort(kind="stable")]]
        return ranked

    def _values(self, cap: Cap, candidate: int) -> list[int]:
        return [value for value in cap.values[candidate].tolist() if value >= 0]

    def _fits(self, candidate: int) -> bool:
        return all(
            counts.get(value, 0) < cap.limit
            for cap, counts in zip(self._rules.caps, self._counts, strict=True)
            for value in self._values(cap, candidate)
        )

    def _count(self, candidate: int) -> None:
        for cap, counts in zip(self._rules.caps, self._counts, strict=True):
            for value in self._values(cap, candidate):
                counts[value] = counts.get(value, 0) + 1

    def _close_full(self, candidate: int) -> None:
        for n, (cap, counts) in enumerate(zip(self._rules.caps, self._counts, strict=True)):
            for value in self._values(cap, candidate):
                if counts[value] >= cap.limit:
                    self._close(n, value)

    def _close(self, cap: int, value: int) -> None:
        """Leave out what has a value of which the slate is full."""
        values = self._cap_values[cap]
        # A column at a time: of most properties there is one.
        for place in range(values.shape[1]):
            self._left &= values[:, place] != value
