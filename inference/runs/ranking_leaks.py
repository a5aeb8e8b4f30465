"""Whether a recommender would be judged on what it learnt from: checks that fail a run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from inference.options import FitOptions
from inference.recommenders import RECOMMENDERS
from inference.runs.outcome import RunError

if TYPE_CHECKING:
    from inference.runs.ranking_run import RankingRun
    from inference.training.split import SplitData

PROBE = "item-knn"  # quick, and it learns any pattern of items liked together


def check_ranking_leaks(run: RankingRun) -> list[dict[str, str]]:
    """Return what was checked.

    Raises:
        RunError: a leak.
    """
    _check_items_apart(run.split)
    _check_times_apart(run.split)
    hit_rate, limit = _fit_on_shuffled(run)
    if hit_rate > limit:
        raise RunError(
            f"hit rate after a fit on shuffled likes == {hit_rate:.4f}, must be at most "
            f"{limit:.4f} (chance): what is held out can be read from the inputs."
        )
    units = f"{len(run.judged)} units"
    return [
        {"check": "held-out items are not learnt from", "said": units},
        {"check": "nothing learnt from is later than what is held out", "said": units},
        {
            "check": "a fit on shuffled likes is no better than chance",
            "said": f"hit rate {hit_rate:.3f}, at most {limit:.3f}",
        },
    ]


def _check_items_apart(split: SplitData) -> None:
    for past, later in zip(split.past, split.later, strict=True):
        if len(np.intersect1d(past.items, later)):
            raise RunError("a unit's held-out items are among those learnt from: leak.")


def _check_times_apart(split: SplitData) -> None:
    for past, whole, later in zip(split.past, split.whole, split.later, strict=True):
        held_out_at = whole.at[np.isin(whole.items, later)]
        if len(past.at) and len(held_out_at) and past.at.max() > held_out_at.min():
            raise RunError("a unit's like that is learnt from is later than a held-out one: leak.")


def _fit_on_shuffled(run: RankingRun) -> tuple[float, float]:
    """Return a probe's hit rate after likes were dealt anew, and the most that chance allows."""
    rng = np.random.default_rng(run.plan.seed)
    data = run.data(run.split.past)
    _, items = data.pairs
    shuffled = rng.permutation(items)
    ends = np.cumsum([len(liked) for liked in data.liked])[:-1]
    # Without texts and chances: they would say what a shuffled like no longer does.
    mixed = replace(data, liked=np.split(shuffled, ends), item_vectors=None, chance=None)
    probe = run.judge(RECOMMENDERS[PROBE].fit(mixed, FitOptions())).scores
    popular = run.judge(RECOMMENDERS["popularity"].fit(data, FitOptions())).scores
    # Chance is what popularity gets, or a list drawn at random where items are few.
    chance = max(popular.mean("hit_rate"), _random_hit_rate(run))
    # Five standard errors of a share; the floor of its variance keeps a share near 0 from having none.
    noise = float(np.sqrt(max(chance * (1 - chance), 0.05) / len(run.judged)))
    return probe.mean("hit_rate"), chance + 5 * noise


def _random_hit_rate(run: RankingRun) -> float:
    """Return how often a list of k items drawn at random holds a held-out one."""
    split, k = run.split, run.plan.rule.k
    count = len(split.item_ids)
    rates = [
        1 - (1 - k / max(count - len(split.past[i].items), k)) ** len(split.later[i])
        for i in run.judged
    ]
    return float(np.mean(rates))
