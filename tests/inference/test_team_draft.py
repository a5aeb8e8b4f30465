"""The team draft: counting all of its coins is the oracle of its chances."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from random import Random

import pytest

from inference.serving.team_draft import NOT_RANKED, draft_slate

CLOSE = [list("abcdef"), list("acbfzy")]
THREE = [list("abcd"), list("bacx"), list("qrab")]


class Coins(Random):
    """Coins that fall as they are told: the order of the teams in each round."""

    def __init__(self, orders):
        super().__init__()
        self.orders = list(orders)

    def shuffle(self, x):
        order = self.orders.pop(0)
        x.sort(key=order.index)


def all_slates(rankings, k):
    """Return every slate that the coins can throw, with its probability."""
    rounds = -(-k // len(rankings))
    orders = list(permutations(range(len(rankings))))
    slates: Counter[tuple[str, ...]] = Counter()
    thrown = [[]]
    for _ in range(rounds):
        thrown = [[*before, order] for before in thrown for order in orders]
    for coins in thrown:
        draft = draft_slate(rankings, k, rng=Coins(coins))
        slates[tuple(pick.item_id for pick in draft.picks)] += 1 / len(thrown)
    return slates


@pytest.mark.parametrize(("rankings", "k"), [(CLOSE, 6), (CLOSE, 5), (THREE, 6)])
def test_chances_are_those_of_all_coins(rankings, k):
    slates = all_slates(rankings, k)
    assert len(slates) > 3
    for seed in range(40):
        draft = draft_slate(rankings, k, rng=Random(seed))
        items = [pick.item_id for pick in draft.picks]
        for place, pick in enumerate(draft.picks):
            before = sum(p for slate, p in slates.items() if list(slate[:place]) == items[:place])
            here = sum(
                p for slate, p in slates.items() if list(slate[: place + 1]) == items[: place + 1]
            )
            assert pick.chance == pytest.approx(here / before)


def test_equal_rankings_are_served_as_they_are():
    draft = draft_slate([list("abcd"), list("abcd")], 4, rng=Random(3))
    assert [pick.item_id for pick in draft.picks] == list("abcd")
    assert {pick.chance for pick in draft.picks} == {1.0}
    assert [pick.ranks for pick in draft.picks] == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert draft.rest == ()


def test_each_team_has_as_many_picks_and_what_is_left_keeps_its_ranks():
    for seed in range(20):
        draft = draft_slate(CLOSE, 6, rng=Random(seed))
        items = [pick.item_id for pick in draft.picks]
        assert len(set(items)) == 6
        assert Counter(pick.team for pick in draft.picks) == {0: 3, 1: 3}
        assert set(items) | set(draft.left_over) == set("abcdefzy")
        for item, ranks in zip(draft.left_over, draft.rest, strict=True):
            assert ranks == tuple(one.index(item) + 1 if item in one else NOT_RANKED for one in CLOSE)


def test_who_has_nothing_left_passes():
    draft = draft_slate([["a"], list("abc"), []], 5, rng=Random(0))
    assert [pick.item_id for pick in draft.picks] == list("abc")
    assert draft_slate([[], []], 5, rng=Random(0)).picks == ()
