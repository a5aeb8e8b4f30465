"""Whether a classifier would be judged on what it learnt from: checks that fail a run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from inference.algorithms import CUSTOM, classifiers
from inference.runs.outcome import Recipe, RunError, cheap_recipe

if TYPE_CHECKING:
    from inference.evaluation.scores import Scores
    from inference.runs.label_run import LabelRun

# In place of a custom model, whose fit, if it has one, is not the platform's to repeat.
STAND_IN = Recipe("tfidf", {})


def check_label_leaks(run: LabelRun, prior: Scores) -> list[dict[str, str]]:
    """Return what was checked.

    Args:
        run: the run.
        prior: scores of always answering with each label's share.

    Raises:
        RunError: a leak.
    """
    accuracy, limit = _fit_on_shuffled(run, prior)
    if accuracy > limit:
        raise RunError(
            f"accuracy after a fit on shuffled labels == {accuracy:.4f}, must be at most {limit:.4f}: "
            "held-out labels can be read from the inputs."
        )
    return [
        {
            "check": "no text that is learnt from is judged by",
            "said": f"{len(run.held_out.texts)} examples",
        },
        {
            "check": "a fit on shuffled labels is no better than chance",
            "said": f"accuracy {accuracy:.3f}, at most {limit:.3f}",
        },
    ]


def _fit_on_shuffled(run: LabelRun, prior: Scores) -> tuple[float, float]:
    """Return the recipe's accuracy after labels were dealt anew, and the most that chance allows.

    A short fit: labels without a meaning are learnt slowly, and whether they leak shows long before the
    end.
    """
    recipe = STAND_IN if run.plan.recipe.algorithm in CUSTOM else run.plan.recipe
    shuffled = np.random.default_rng(run.plan.seed).permutation(run.earlier.truth)
    probe = run.fit_aside(replace(run.earlier, truth=shuffled), cheap_recipe(recipe, classifiers()))
    accuracy = run.judge(probe).scores.mean("accuracy")
    chance = max(prior.mean("accuracy"), 1 / len(run.earlier.labels))
    # Five standard errors of a share; the floor of its variance keeps a share near 0 from having none.
    noise = float(np.sqrt(max(chance * (1 - chance), 0.01) / len(run.held_out.truth)))
    return accuracy, chance + 5 * noise
