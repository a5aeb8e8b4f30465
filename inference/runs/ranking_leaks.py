"""Whether a recommender would be judged on what it learnt from: checks that fail a run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from inference.algorithms import CUSTOM, recommenders
from inference.runs.outcome import Recipe, RunError, cheap_recipe

if TYPE_CHECKING:
    from inference.runs.ranking_run import RankingRun
    from inference.serving.artifact import Floats
    from inference.training.data import TrainingData
    from inference.training.split import SplitData

# In place of a custom model, whose fit, if it has one, is not the platform's to repeat: quick, and it
# learns any pattern of items liked together.
STAND_IN = Recipe("item-knn", {})


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
    """Return the recipe's hit rate after likes were dealt anew, and the most that chance allows."""
    data = run.data(run.split.past)
    recipe = STAND_IN if run.plan.recipe.algorithm in CUSTOM else run.plan.recipe
    mixed = _shuffle(data, np.random.default_rng(run.plan.seed))
    probe = run.judge(run.fit_probe(cheap_recipe(recipe, recommenders()), mixed)).scores
    popular = run.judge(run.fit_probe(Recipe("popularity", {}), data)).scores
    # Chance is what popularity gets, or a list drawn at random where items are few.
    chance = max(popular.mean("hit_rate"), _random_hit_rate(run))
    # Five standard errors of a share; the floor of its variance keeps a share near 0 from having none.
    noise = float(np.sqrt(max(chance * (1 - chance), 0.05) / len(run.judged)))
    return probe.mean("hit_rate"), chance + 5 * noise


def _shuffle(data: TrainingData, rng: np.random.Generator) -> TrainingData:
    """Deal likes to units anew, and texts and vectors to items.

    Both, because a model that reads texts would find from a unit's real items those that are like them,
    whatever it has learnt. How often each item was liked stays as it was.
    """
    ends = np.cumsum([len(liked) for liked in data.liked])[:-1]
    dealt = rng.permutation(len(data.item_ids))

    def deal(vectors: Floats | None) -> Floats | None:
        return None if vectors is None else np.asarray(vectors)[dealt]

    texts = data.item_texts
    return replace(
        data,
        liked=np.split(rng.permutation(data.pairs[1]), ends),
        item_vectors=deal(data.item_vectors),
        item_texts=None if texts is None else [texts[i] for i in dealt],
        custom_vectors=deal(data.custom_vectors),
        image_vectors=deal(data.image_vectors),
        chance=None,  # of likes that are not these any more, as the weights and dislikes
        importance=None,
        disliked=None,
        features=(),
        words=None,
    )


def _random_hit_rate(run: RankingRun) -> float:
    """Return how often a list of k items drawn at random holds a held-out one."""
    split, k = run.split, run.plan.rule.k
    count = len(split.item_ids)
    rates = [
        1 - (1 - k / max(count - len(split.past[i].items), k)) ** len(split.later[i])
        for i in run.judged
    ]
    return float(np.mean(rates))
