"""Team draft: one slate of several rankings, in which each item stands for the version that drafted it.

In each round the teams pick in an order that a coin decides anew; each picks the first item of its
ranking that is not taken. With two rankings it is the team draft of Radlinski, Kurup and Joachims
(2008, CIKM), with more the team-draft multileaving of Schuth et al. (2014, CIKM).

Guarantees: no item stands twice; every team has as many picks as every other, to one; equal rankings
give that ranking; `chance` is the probability of the item in its place, given the places before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

NOT_RANKED = 0  # the rank of an item that a ranking does not hold


@dataclass(frozen=True, slots=True)
class Pick:
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
    heads = [0] * len(rankings)
    picks: list[Pick] = []
    waiting: list[int] = []
    beliefs = {0: 1.0}
    while len(picks) < k:
        tops = [_top(ranking, heads, team, taken) for team, ranking in enumerate(rankings)]
        able = [team for team, top in enumerate(tops) if top is not None]
        if not able:
            break
        waiting = [team for team in waiting if tops[team] is not None]
        if not waiting:  # a round ends: each has picked, or has nothing left
            waiting = able
            rng.shuffle(waiting)
        team = waiting.pop(0)
        item = tops[team]
        assert item is not None  # noqa: S101  who has none does not wait
        wanting = [other for other, top in enumerate(tops) if top == item]
        able_mask = sum(1 << other for other, top in enumerate(tops) if top is not None)
        beliefs, chance = _follow(beliefs, able_mask, wanting)
        picks.append(Pick(item, team, ranks[item], chance))
        taken.add(item)
    rest = [item for item in ranks if item not in taken]
    rest.sort(key=lambda item: min(rank for rank in ranks[item] if rank != NOT_RANKED))
    return Draft(tuple(picks), tuple(ranks[item] for item in rest), tuple(rest))


def _follow(
    beliefs: Mapping[int, float], able: int, wanting: Sequence[int]
) -> tuple[dict[int, float], float]:
    """Return who may still have to pick in this round, and the chance of the item that was picked.

    The places alone do not say which of several teams that want an item has drafted it: so who comes
    next is a belief, over sets of teams.

    Args:
        beliefs: by the teams that wait, as bits; an empty set is the end of a round.
        able: teams with an item left, as bits.
        wanting: teams whose next item was picked.
    """
    after: dict[int, float] = {}
    chance = 0.0
    for teams, belief in beliefs.items():
        present = teams & able or able
        share = belief / present.bit_count()
        for team in wanting:
            if present >> team & 1:
                left = present & ~(1 << team)
                after[left] = after.get(left, 0.0) + share
                chance += share
    return {teams: belief / chance for teams, belief in after.items()}, min(chance, 1.0)


def _ranks(rankings: Sequence[Sequence[str]]) -> dict[str, tuple[int, ...]]:
    """Return of each item its rank in each ranking."""
    places = [{item: rank for rank, item in enumerate(one, start=1)} for one in rankings]
    items = dict.fromkeys(item for ranking in rankings for item in ranking)
    return {item: tuple(one.get(item, NOT_RANKED) for one in places) for item in items}


def _top(ranking: Sequence[str], heads: list[int], team: int, taken: set[str]) -> str | None:
    """Return a team's first item that is not taken; None where all are."""
    head = heads[team]
    while head < len(ranking) and ranking[head] in taken:
        head += 1
    heads[team] = head
    return ranking[head] if head < len(ranking) else None
