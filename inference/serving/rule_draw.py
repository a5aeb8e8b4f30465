"""The draw of a slate under rules: pins, caps and diversity, slot by slot.

What depends on the slots before it cannot be filtered first. So every slot is a draw of its own: what
the caps still allow is ranked anew, by rank and, with diversity, by how little it resembles what
stands above; one is drawn by the weights r^(−1/τ) of these ranks. The chance of a slot given those
before it follows from its rank and from how many were allowed, and both are logged with it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

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


class DrawnSlot(NamedTuple):
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
    before: Sequence[DrawnSlot] | None = None,
) -> list[DrawnSlot]:
    """Draw a slate slot by slot; it is shorter than k when the caps leave nothing.

    The slots that were drawn from too few candidates stay, and the others are drawn from these: the
    chance of each, given those before it, is still what is logged of it.

    Args:
        order: candidates, best first.
        k: slots.
        rules: of the slate.
        temperature: τ ≥ 0; 0 takes the best of each slot.
        rng: source of the draw; None at τ = 0.
        before: the first slots, as they were drawn from some of the candidates; None for a new slate.
    """
    # All that there are where the best were too few.
    state = _Slate(_pool(order, rules) if before is None else order, rules, k)
    slots: list[DrawnSlot] = []
    drawn = before or ()
    for position in range(k):
        pin = state.pins.get(position)
        if pin is not None:
            state.take_pin(pin)
            slots.append(DrawnSlot(pin, 0, 1, 1.0))
            continue
        if position < len(drawn):
            state.take(drawn[position].candidate)
            slots.append(drawn[position])
            continue
        slot = state.draw(temperature, rng)
        if slot is not None:  # else a shorter slate: what is pinned further down moves up
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


class _Slate:
    """What is in a slate so far, and what may still come into it.

    A place is that of a candidate in the pool, which holds what is drawn from, best first.
    """

    def __init__(self, order: Indices, rules: SlotRules, k: int) -> None:
        """Begin with an empty slate.

        Args:
            order: candidates, best first.
            rules: of the slate.
            k: slots.
        """
        self._rules, self._k = rules, k
        self._counts: list[dict[int, int]] = [{} for _ in rules.caps]
        # What is pinned further down counts from the start: a cap holds in the slate as a whole, and
        # of pins that break one together, those further down are no pins.
        self.pins: dict[int, int] = {}
        for position, candidate in sorted(rules.pins.items()):
            if position < k and self._fits(candidate):
                self.pins[position] = candidate
                for cap, counts in zip(rules.caps, self._counts, strict=True):
                    _count(cap.values[candidate].tolist(), counts)
        self.pool = order
        if self.pins:
            self.pool = order[~np.isin(order, list(self.pins.values()))]
        self._open = np.ones(len(self.pool), dtype=bool)
        self._is_new = None if rules.new is None else rules.new.mask[self.pool]
        # Of the pool alone, once: each slot reads them again.
        self._cap_values = [cap.values[self.pool] for cap in rules.caps]
        for n, (cap, counts) in enumerate(zip(rules.caps, self._counts, strict=True)):
            for value, count in counts.items():
                if count >= cap.limit:
                    self._close(n, value)
        self._likeness = None if rules.diversity is None else _Likeness(rules.diversity, self.pool)

    def draw(self, temperature: float, rng: Generator | None) -> DrawnSlot | None:
        """Draw the next slot; None where nothing may come into it."""
        allowed, chance = self._choose(rng)
        count = int(np.count_nonzero(allowed))
        if not count:
            return None
        rank, propensity = 0, 1.0
        if temperature > 0 and rng is not None:
            rank, propensity = draw_one(count, self._k, temperature=temperature, rng=rng)
        place = self._place_of(allowed, rank)
        self._take(place)
        if chance is not None:
            propensity *= chance
        return DrawnSlot(int(self.pool[place]), rank + 1, count, propensity, chance)

    def take_pin(self, candidate: int) -> None:
        """Put what is pinned into the next slot; the caps have counted it from the start."""
        if self._likeness is not None:
            self._likeness.add(candidate)

    def take(self, candidate: int) -> None:
        """Put into the next slot what was drawn for it."""
        self._take(int(np.flatnonzero(self.pool == candidate)[0]))

    def _choose(self, rng: Generator | None) -> tuple[Mask, float | None]:
        """Draw whether a slot is for new items or for the others; return these and the chance of it."""
        new = self._rules.new
        if new is None or self._is_new is None or rng is None:
            return self._open, None
        ours, others = self._open & self._is_new, self._open & ~self._is_new
        if not ours.any() or not others.any():
            return self._open, None
        if rng.random() < new.share:
            return ours, new.share
        return others, 1 - new.share

    def _place_of(self, allowed: Mask, rank: int) -> int:
        """Return the place of what has a rank (from 0) among what is allowed."""
        if self._likeness is None:
            return int(allowed.argmax() if rank == 0 else allowed.nonzero()[0][rank])
        lost = np.where(allowed, self._likeness.lost, np.inf)
        # Nearly every slot takes the first: nothing is sorted for it. Of equals the first in both.
        return int(lost.argmin() if rank == 0 else lost.argsort(kind="stable")[rank])

    def _take(self, place: int) -> None:
        self._open[place] = False
        for n, (cap, counts) in enumerate(zip(self._rules.caps, self._counts, strict=True)):
            values = self._cap_values[n][place].tolist()
            _count(values, counts)
            for value in values:
                if value >= 0 and counts[value] >= cap.limit:
                    self._close(n, value)
        if self._likeness is not None:
            self._likeness.add(int(self.pool[place]))

    def _fits(self, candidate: int) -> bool:
        return all(
            counts.get(value, 0) < cap.limit
            for cap, counts in zip(self._rules.caps, self._counts, strict=True)
            for value in cap.values[candidate].tolist()
            if value >= 0
        )

    def _close(self, cap: int, value: int) -> None:
        """Leave out what has a value of which the slate is full."""
        values = self._cap_values[cap]
        # A column at a time: of most properties there is one.
        for column in range(values.shape[1]):
            self._open &= values[:, column] != value


class _Likeness:
    """How much each candidate of a pool resembles what is in the slate.

    Maximal marginal relevance (Carbonell & Goldstein 1998), with the rank for the relevance.

    Attributes:
        lost: per place, by how much the candidate comes later; the lowest is the best.
    """

    def __init__(self, diversity: Diversity, pool: Indices) -> None:
        """Begin with an empty slate.

        Args:
            diversity: of the slate.
            pool: candidates, best first.
        """
        self._of_all, self._strength = diversity.features, diversity.strength
        self._features = diversity.features[pool]
        relevance = 1 - np.arange(len(pool)) / max(len(pool), 1)
        self._relevance = (1 - self._strength) * relevance
        self._resemblance = np.zeros(len(pool), dtype=np.float32)
        self.lost: NDArray[np.float64] = -self._relevance

    def add(self, candidate: int) -> None:
        """Move what resembles a candidate further down: it is in the slate."""
        likeness = self._features @ self._of_all[candidate]
        np.maximum(self._resemblance, likeness, out=self._resemblance)
        self.lost = self._strength * self._resemblance - self._relevance


def _count(values: Sequence[int], counts: dict[int, int]) -> None:
    for value in values:
        if value >= 0:
            counts[value] = counts.get(value, 0) + 1
