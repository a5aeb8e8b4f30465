from __future__ import annotations

import numpy as np
import pytest

from experiments.training_data.interactions import examination_of
from experiments.training_data.signals import likes_of
from inference.evaluation.examination import examination_by_position
from inference.models import Surface
from inference.options import FitOptions
from inference.recommenders import RECOMMENDERS
from inference.training.data import TrainingData
from tests.support import builders

THETA = np.array([1.0, 0.7, 0.5, 0.35, 0.25])


def counts(rng, slates=40_000, swaps=True):
    """Slates of five whose items of rank r are liked with a chance of their own."""
    liked = np.array([0.5, 0.4, 0.3, 0.2, 0.1])
    shown, clicked = np.zeros((5, 5)), np.zeros((5, 5))
    for _ in range(slates):
        ranks = np.arange(5)
        if swaps:
            ranks = np.argsort(ranks + rng.gumbel(size=5))
        hit = rng.random(5) < liked[ranks] * THETA
        np.add.at(shown, (ranks, np.arange(5)), 1)
        np.add.at(clicked, (ranks, np.arange(5)), hit)
    return shown, clicked


def test_examination_is_found_from_swaps():
    examined = examination_by_position(*counts(np.random.default_rng(0)))
    assert examined == pytest.approx(THETA, abs=0.03)


def test_without_swaps_nothing_is_claimed():
    assert examination_by_position(*counts(np.random.default_rng(0), 2000, swaps=False)) is None


def test_a_like_far_down_counts_more():
    liked, chance = [np.array([0, 1])], [np.array([1.0, 0.25])]
    data = TrainingData(["a", "b"], None, liked, chance=chance)
    draft = RECOMMENDERS["popularity"].fit(data, FitOptions())
    assert np.expm1(draft.arrays["bias"]) == pytest.approx([1.0, 4.0])


def test_likes_carry_the_chance_of_where_they_stood(shop):
    Surface.objects.filter(pk=shop.surface.pk).update(exploration=1.0)
    shop.surface.refresh_from_db()
    rng = np.random.default_rng(1)
    events = []
    for n in range(600):
        order = rng.permutation(2)
        slots = [(f"i{r}", 0.5, int(r) + 1, 0.5, False) for r in order]
        slate = builders.make_slate(shop, f"u{n}", slots=slots, exploration=1.0)
        for position, rank in enumerate(order):
            if rng.random() < (0.8, 0.4)[position]:
                events.append((f"e{n}-{position}", f"u{n}", f"i{rank}", slate))
    rows = [
        builders.event(shop.project, unit=unit, event_id=event, item_id=item, recommendation_id=slate)
        for event, unit, item, slate in events
    ]
    builders.write(builders.Rows(events=rows))
    assert examination_of(shop.surface) == pytest.approx([1.0, 0.5], abs=0.1)
    likes = likes_of(shop.surface)
    assert len(likes.chance) == len(likes.unit_ids) == len(events)
    assert set(likes.chance) == {1.0, examination_of(shop.surface)[1]}
