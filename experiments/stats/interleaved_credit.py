"""What the clicks on one drafted slate say of its versions.

Two credits. **Counterfactual**: click × (e(r_v) − e(r_0)) / E[e(place shown) · shown], where r_v and
r_0 are the item's ranks under the version and under the control, e is examination and the expectation
is over the coins of the draft. Under the position-based model its mean is the number of clicks that the
version's own list would have had, less that of the control's: an A/B in one slate, but for items that
no coin ever shows, the last of one list alone, which count for nobody. **Team**: clicks on
the version's picks less those on the control's; what all versions have in the same first places is
credited to nobody. The second is a check: it says less, and assumes less.

A slate without a click is 0 in both and need not be read.

References:
    Joachims, Swaminathan, Schnabel (2017), Unbiased learning-to-rank with biased feedback, WSDM:
    inverse propensity of examination. Radlinski, Kurup, Joachims (2008), CIKM: team draft.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

from experiments.stats.examination import examination

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

MIN_EXAMINATION = 0.05  # of an expectation that divides: a click never weighs more than 20
MAX_STATES = 4096  # of a draft's round: beyond them the most likely stand for all

# Ranks of an item in each ranking, control first; 0 where it is in none of its places.
Ranks = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DraftedSlate:
    """A drafted slate as it was stored.

    Attributes:
        teams: index of the version that drafted each place; None for what no version drafted.
        ranks: of each place's item in each version's list.
        rest: likewise of the items that were left over.
    """

    teams: tuple[int | None, ...]
    ranks: tuple[Ranks, ...]
    rest: tuple[Ranks, ...]

    @property
    def common_places(self) -> int:
        """How many first places hold the same item in every version's own list."""
        best = {ranks[0] for ranks in (*self.ranks, *self.rest) if len(set(ranks)) == 1}
        count = 0
        while count + 1 in best:
            count += 1
        return count


class Credit(NamedTuple):
    """What the clicks on a slate say of one version against the control.

    Attributes:
        score: counterfactual clicks of the version less those of the control.
        control: counterfactual clicks of the control.
        team: clicks on its picks less those on the control's, common first places left out.
    """

    score: float = 0.0
    control: float = 0.0
    team: int = 0

    def __add__(self, other: object) -> Credit:
        """Return the sum of two slates of one unit."""
        if not isinstance(other, Credit):
            return NotImplemented
        return Credit(self.score + other.score, self.control + other.control, self.team + other.team)


@dataclass(slots=True)
class SwapClicks:
    """Clicks by place, of rounds whose places a coin has dealt out; what `fit_decay` reads."""

    clicks: dict[tuple[int, ...], list[int]] = field(default_factory=dict)

    def add(self, slate: DraftedSlate, clicked: Collection[int]) -> None:
        """Count a slate's clicks.

        Args:
            slate: the slate.
            clicked: places that were clicked, from 0.
        """
        for start, end in dealt_rounds(slate):
            hits = [int(place in clicked) for place in range(start, end)]
            if any(hits):
                places = tuple(range(start + 1, end + 1))
                before = self.clicks.get(places, [0] * len(places))
                self.clicks[places] = [n + hit for n, hit in zip(before, hits, strict=True)]


def credit_of(slate: DraftedSlate, clicked: Collection[int], *, decay: float) -> list[Credit]:
    """Return the credit of every version but the control, in their order.

    Args:
        slate: the slate.
        clicked: places that were clicked, from 0.
        decay: of the examination curve.
    """
    versions = len(slate.ranks[0]) if slate.ranks else 0
    expected = expected_examination(slate, decay=decay)
    common = slate.common_places
    earned = [Credit()] * max(versions - 1, 0)
    for place in clicked:
        ranks, team = slate.ranks[place], slate.teams[place]
        weight = 1 / max(expected.get(ranks, 0.0), MIN_EXAMINATION)
        control = examination(ranks[0], decay) * weight
        is_common = len(set(ranks)) == 1 and ranks[0] <= common
        for version in range(1, versions):
            own = examination(ranks[version], decay) * weight
            sign = 0 if is_common or team is None else (team == version) - (team == 0)
            earned[version - 1] += Credit(own - control, control, sign)
    return earned


def expected_examination(slate: DraftedSlate, *, decay: float) -> Mapping[Ranks, float]:
    """Return of each item, by its ranks, how likely it is looked at over all coins of the draft."""
    items = tuple(sorted((*slate.ranks, *slate.rest)))
    return _expected(items, len(slate.ranks), decay)


@lru_cache(maxsize=2048)  # a popular list comes again and again
def _expected(items: tuple[Ranks, ...], k: int, decay: float) -> Mapping[Ranks, float]:
    """Follow the draft through all its coins; sets of taken items that are equal are one state."""
    rankings = _rankings(items)
    total: dict[Ranks, float] = defaultdict(float)
    states, place = {0: 1.0}, 0
    while place < k and states:
        after: dict[int, float] = defaultdict(float)
        picked = 0
        for taken, chance in states.items():
            orders = _orders(len(rankings))
            for order in orders:
                mask, count = taken, 0
                for team in order:
                    pick = next((one for one in rankings[team] if not mask >> one & 1), None)
                    if pick is None or place + count >= k:
                        continue
                    mask |= 1 << pick
                    count += 1
                    seen = examination(place + count, decay)
                    total[items[pick]] += chance / len(orders) * seen
                after[mask] += chance / len(orders)
                picked = max(picked, count)
        states, place = _likeliest(after), place + picked
        if not picked:
            break
    return dict(total)


def _rankings(items: Sequence[Ranks]) -> list[list[int]]:
    versions = len(items[0]) if items else 0
    return [
        sorted((n for n, ranks in enumerate(items) if ranks[v] > 0), key=lambda n: items[n][v])
        for v in range(versions)
    ]


@lru_cache(maxsize=8)
def _orders(teams: int) -> tuple[tuple[int, ...], ...]:
    return tuple(permutations(range(teams)))


def _likeliest(states: Mapping[int, float]) -> dict[int, float]:
    """Return the states, or the likeliest where they are too many, with chances that sum to one."""
    if len(states) <= MAX_STATES:
        return dict(states)
    chosen = sorted(states.items(), key=lambda state: -state[1])[:MAX_STATES]
    whole = sum(chance for _, chance in chosen)
    return {mask: chance / whole for mask, chance in chosen}


def dealt_rounds(slate: DraftedSlate) -> list[tuple[int, int]]:
    """Return the rounds, as places from and to, in which every team wanted another item.

    There each of the items is as likely in every place: a swap that the coin has made or not.
    """
    versions = len(slate.ranks[0]) if slate.ranks else 0
    rounds, left = [], [*slate.ranks, *slate.rest]
    for start in range(0, len(slate.ranks) - versions + 1, max(versions, 1)):
        end = start + versions
        tops = {
            min((ranks for ranks in left if ranks[v] > 0), key=lambda ranks: ranks[v], default=None)
            for v in range(versions)
        }
        drafted = slate.ranks[start:end]
        if None not in tops and len(tops) == versions and tops == set(drafted) and versions > 1:
            rounds.append((start, end))
        for ranks in drafted:
            left.remove(ranks)
    return rounds
