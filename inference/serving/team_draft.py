"""Team draft: one slate of several rankings, in which each item stands for the version that drafted it.

In each round the teams pick in an order that a coin decides anew; each picks the first item of its
ranking that is not taken. With two rankings it is the team draft of Radlinski, Kurup and Joachims
(2008, CIKM), with more the team-draft multileaving of Schuth et al. (2014, CIKM).

Guarantees: no item stands twice; every team has as many picks as every other, to one; equal rankings
give that ranking; `chance` is the probability of the item in its place, given the places before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

NOT_RANKED = 0  # the rank of an item that a ranking does not hold

# Chances by the teams that wait, as bits; an empty set is the end of a round.
_Beliefs = tuple[tuple[int, float], ...]


class Pick(NamedTuple):
    """One place of a drafted slate.

    Attributes:
        item_id: what stands there.
        team: index of the ranking that drafted it.
        ranks: its rank in each ranking, from 1; `NOT_RANKED` where it is in none of its places.
        chance: of this item in this place, given the places before it.
    """

    item_id: str
    team: int
    ranks: tuple[int, ...]
    chance: float


@dataclass(frozen=True, slots=True)
class Draft:
    """A drafted slate.

    Attributes:
        picks: in their order.
        rest: ranks in each ranking of the items that were left over, by which the draft can be thrown
            again without their names.
        left_over: those items, in the order of their best rank.
    """

    picks: tuple[Pick, ...]
    rest: tuple[tuple[int, ...], ...]
    left_over: tuple[str, ...] = ()


def draft_slate(rankings: Sequence[Sequence[str]], k: int, *, rng: Random) -> Draft:
    """Draft k items of several rankings.

    Args:
        rankings: item ids without repetition, best first; at least one ranking, each as long as it has.
        k: places.
        rng: source of the coins.
    """
    ranks = _ranks(rankings)
    taken: set[str] = set()
    # What is left of each ranking, and its first item that is not taken; None where all are.
    lefts = [iter(one) for one in rankings]
    tops = [next(left, None) for left in lefts]
    able = [team for team, top in enumerate(tops) if top is not None]
    able_mask = sum(1 << team for team in able)
    picks: list[Pick] = []
    waiting: list[int] = []
    beliefs: _Beliefs = ((0, 1.0),)
    while len(picks) < k and able:
        if not waiting:  # a round ends: each has picked, or has nothing left
            waiting = able.copy()
            rng.shuffle(waiting)
        team = waiting.pop(0)
        item = tops[team]
        assert item is not None  # noqa: S101  who has none does not wait
        wanting = [other for other in able if tops[other] == item]
        beliefs, chance = _follow(beliefs, able_mask, tuple(wanting))
        picks.append(Pick(item, team, ranks[item], chance))
        taken.add(item)
        for other in wanting:  # all others have their first item still
            for one in lefts[other]:
                if one not in taken:
                    tops[other] = one
                    break
            else:
                tops[other] = None
                able.remove(other)
                able_mask &= ~(1 << other)
                waiting = [one for one in waiting if one != other]
    rest = [item for item in ranks if item not in taken]
    rest.sort(key=lambda item: min(rank for rank in ranks[item] if rank != NOT_RANKED))
    return Draft(tuple(picks), tuple(ranks[item] for item in rest), tuple(rest))


@lru_cache(4096)  # of two teams there are a dozen states in all drafts; of four, hundreds
def _follow(beliefs: _Beliefs, able: int, wanting: tuple[int, ...]) -> tuple[_Beliefs, float]:
    """Return who may still have to pick in this round, and the chance of the item that was picked.

    The places alone do not say which of several teams that want an item has drafted it: so who comes
    next is a belief, over sets of teams.

    Args:
        beliefs: of who waits before the pick.
        able: teams with an item left, as bits.
        wanting: teams whose next item was picked.
    """
    after: dict[int, float] = {}
    chance = 0.0
    for teams, belief in beliefs:
        present = teams & able or able
        share = belief / present.bit_count()
        for team in wanting:
            if present >> team & 1:
                left = present & ~(1 << team)
                after[left] = after.get(left, 0.0) + share
                chance += share
    return tuple((teams, belief / chance) for teams, belief in after.items()), min(chance, 1.0)


def _ranks(rankings: Sequence[Sequence[str]]) -> dict[str, tuple[int, ...]]:
    """Return of each item its rank in each ranking."""
    places = [{item: rank for rank, item in enumerate(one, start=1)} for one in rankings]
    items = dict.fromkeys(item for ranking in rankings for item in ranking)
    return {item: tuple([one.get(item, NOT_RANKED) for one in places]) for item in items}
