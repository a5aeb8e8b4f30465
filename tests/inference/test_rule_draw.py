"""Slates under rules: caps and pins hold in every one, and what is logged gives the chances again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from inference.serving.explore import draw_slate
from inference.serving.rule_draw import (
    Cap,
    Diversity,
    NewItems,
    SlotRules,
    draw_at_once,
    draw_by_slot,
    propensity_of,
    rerank,
)

ORDER = np.arange(30, dtype=np.int32)
BRANDS = (np.arange(30, dtype=np.int32) % 4)[:, None]  # candidate 0, 4, 8, … are of one brand
LABELS = np.stack([np.arange(30) % 3, np.where(np.arange(30) % 2, 7, -1)], axis=1).astype(np.int32)


def draws(rules, count=300, k=6, temperature=1.0):
    rng = np.random.default_rng(0)
    return [draw_by_slot(ORDER, k, rules, temperature=temperature, rng=rng) for _ in range(count)]


def test_a_boost_counts_an_item_as_of_a_better_rank():
    boosts = np.ones(30)
    boosts[9], boosts[2] = 4.0, 0.25
    assert rerank(ORDER, SlotRules(boosts=boosts)).tolist()[:5] == [0, 1, 9, 3, 4]
    assert rerank(ORDER, SlotRules(boosts=boosts)).tolist().index(2) == 10
    buried = np.zeros(30, dtype=bool)
    buried[[0, 5]] = True
    assert rerank(ORDER, SlotRules(buried=buried)).tolist()[-2:] == [0, 5]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_caps_hold_in_every_slate(temperature):
    rules = SlotRules(caps=[Cap(BRANDS, 1), Cap(LABELS, 2)])
    for slate in draws(rules, temperature=temperature):
        chosen = [slot.candidate for slot in slate]
        assert len(set(chosen)) == len(chosen) == 4  # four brands, one of each: two slots stay empty
        assert len({candidate % 4 for candidate in chosen}) == 4
        assert sum(candidate % 2 for candidate in chosen) <= 2


def test_a_pin_stands_where_it_is_put_and_counts_for_the_caps():
    rules = SlotRules(pins={2: 20, 0: 28}, caps=[Cap(BRANDS, 2)])
    for slate in draws(rules):
        assert (slate[0].candidate, slate[2].candidate) == (28, 20)
        assert (slate[0].propensity, slate[0].rank) == (1.0, 0)
        # Both are of one brand: none of it may stand anywhere else.
        assert all(slot.candidate % 4 for slot in slate[1:2] + slate[3:])


def test_diversity_brings_what_is_different_up():
    features = np.zeros((30, 2), dtype=np.float32)
    features[:20, 0], features[20:, 1] = 1, 1
    plain = draw_by_slot(
        ORDER, 3, SlotRules(diversity=Diversity(features, 0.0)), temperature=0.0, rng=None
    )
    assert [slot.candidate for slot in plain] == [0, 1, 2]
    diverse = draw_by_slot(
        ORDER, 3, SlotRules(diversity=Diversity(features, 0.5)), temperature=0.0, rng=None
    )
    assert [slot.candidate for slot in diverse][:2] == [0, 20]


@pytest.mark.parametrize(
    "rules",
    [
        SlotRules(caps=[Cap(BRANDS, 2)]),
        SlotRules(pins={1: 5}, caps=[Cap(LABELS, 3)]),
        SlotRules(diversity=Diversity(np.eye(30, dtype=np.float32)[:, ::-1], 0.4)),
        SlotRules(caps=[Cap(BRANDS, 2)], pins={1: 5}, new=NewItems(ORDER > 22, 0.3)),
    ],
)
def test_what_is_logged_gives_the_chances_again(rules):
    for slate in draws(rules, count=50):
        for slot in slate:
            chance = 1.0 if slot.chance is None else slot.chance
            again = propensity_of(slot.rank, slot.allowed, 6, chance, temperature=1.0)
            assert again == slot.propensity


@pytest.mark.parametrize("rules", [SlotRules(), SlotRules(caps=[Cap(BRANDS, 2)])])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_new_items_have_their_share_of_slots(rules, temperature):
    new, rng = NewItems(ORDER > 22, 0.2), np.random.default_rng(0)
    rules = replace(rules, new=new)
    slates = [
        draw_by_slot(ORDER, 4, rules, temperature=temperature, rng=rng)
        if rules.by_slot
        else draw_at_once(ORDER, 4, new, temperature=temperature, rng=rng)
        for _ in range(4000)
    ]
    slots = [slot for slate in slates for slot in slate]
    share = np.mean([slot.candidate > 22 for slot in slots])
    assert abs(share - 0.2) < 5 * np.sqrt(0.2 * 0.8 / len(slots))
    assert {slot.chance for slot in slots} == {0.2, 0.8}
    assert all(len({slot.candidate for slot in slate}) == 4 for slate in slates)
    first = [slate[0] for slate in slates]
    for candidate in (0, 1, 23, 24):
        chances = {slot.propensity for slot in first if slot.candidate == candidate}
        seen = np.mean([slot.candidate == candidate for slot in first])
        chance = chances.pop() if chances else 0.0
        assert not chances
        assert abs(seen - chance) < 5 * np.sqrt(max(chance, 1e-9) / len(first))


def test_a_slate_is_full_when_one_kind_runs_out():
    new, rng = NewItems(ORDER > 28, 0.5), np.random.default_rng(0)
    slates = [draw_at_once(ORDER, 6, new, temperature=1.0, rng=rng) for _ in range(200)]
    assert all(len(slate) == 6 for slate in slates)
    only_new = draw_at_once(ORDER, 6, NewItems(ORDER >= 0, 0.5), temperature=0.0, rng=rng)
    assert [slot.candidate for slot in only_new] == [0, 1, 2, 3, 4, 5]
    assert all(slot.chance is None and slot.propensity == 1.0 for slot in only_new)


def test_the_chances_are_those_of_the_draw():
    """First slots of 20,000 slates beside their logged chances; five standard errors."""
    rules = SlotRules(caps=[Cap(BRANDS, 1)])
    slates = draws(rules, count=20_000, k=2)
    firsts = np.bincount([slate[0].candidate for slate in slates], minlength=30) / len(slates)
    chances = {slate[0].candidate: slate[0].propensity for slate in slates}
    for candidate, chance in chances.items():
        assert abs(firsts[candidate] - chance) < 5 * np.sqrt(chance / len(slates))
    seconds = [slate[1] for slate in slates if slate[0].candidate == 0]
    share = np.mean([slot.rank == 1 for slot in seconds])
    chance = next(slot.propensity for slot in seconds if slot.rank == 1)
    assert abs(share - chance) < 5 * np.sqrt(chance / len(seconds))


def test_without_rules_the_first_slot_is_the_plain_draws():
    plain = draw_slate(30, 6, temperature=1.0, rng=np.random.default_rng(1))
    by_slot = draw_by_slot(ORDER, 6, SlotRules(), temperature=1.0, rng=np.random.default_rng(1))
    first = dict(plain[:1])
    assert by_slot[0].propensity == pytest.approx(
        propensity_of(by_slot[0].rank, 30, 6, temperature=1.0)
    )
    assert all(
        chance == pytest.approx(propensity_of(rank + 1, 30, 6, temperature=1.0))
        for rank, chance in first.items()
    )
