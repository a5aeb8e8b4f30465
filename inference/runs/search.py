"""Search hyper-parameters: random draws, of which the better half goes on with twice the users.

Successive halving (Jamieson & Talwalkar 2016) over `SHARES` of the units. Trials are judged on a
validation part of what is learnt from, each unit's last fifth: what a run holds out to judge by is no
part of it. The defaults take part in every round, so the search ends with something better there, or
with them. Every trial that is finished is written down, so that a run's next attempt goes on.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.algorithms import recommenders
from inference.recommenders.blend import mean_ndcg
from inference.recommenders.search_space import SPACES, draw_params
from inference.runs.outcome import OutOfTimeError, Recipe, RunProgress
from inference.serving.scorers import scorer_of
from inference.training.split import hold_out_last

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from inference.runs.ranking_run import RankingRun
    from inference.training.data import TrainingData

SHARES = (0.25, 0.5, 1.0)  # of the units, round by round
MAX_JUDGED = 500  # units a trial is judged on


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search ended with.

    Attributes:
        recipe: the best on the validation part in the last round that was finished.
        trials: fits that were judged.
        validation: NDCG of the best and of the defaults in that round.
    """

    recipe: Recipe
    trials: int
    validation: tuple[float, float] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what a run's page shows."""
        best, default = self.validation or (None, None)
        return {"trials": self.trials, "ndcg": best, "default_ndcg": default}


@dataclass(slots=True)
class _Validation:
    """Fits and judges trials of one algorithm."""

    run: RankingRun
    algorithm: str
    progress: RunProgress
    learnt: TrainingData
    histories: Sequence[NDArray[np.int64]]
    wanted: Sequence[NDArray[np.int64]]
    notes: Path | None
    expected: int
    scores: dict[str, float] = field(default_factory=dict)

    def score(self, recipe: Recipe, share: float) -> float:
        """Return the NDCG of a trial that learns from a share of the units."""
        key = f"{recipe.key}-{share}"
        if key not in self.scores:
            done = min(len(self.scores) / self.expected, 0.99)

            def report(_share: float, line: str) -> None:
                self.progress.report(done, line)

            # Before the fit too: one that is quick reports nothing until its end.
            report(0.0, f"trial {len(self.scores) + 1}")
            order = np.random.default_rng(self.run.plan.seed).permutation(len(self.learnt.liked))
            chosen = np.sort(order[: max(2, round(share * len(order)))])
            aside = replace(self.run.plan, place=replace(self.run.plan.place, checkpoints=None))
            options = aside.options(recipe, aside.seed, len(chosen), RunProgress(report))
            draft = recommenders()[self.algorithm].fit(self.learnt.of_units(chosen), options)
            scorer = scorer_of(draft.form, draft.arrays.__getitem__)
            one = np.ones(1)
            self.scores[key] = float(mean_ndcg([scorer], [one], self.histories, self.wanted)[0])
            self._write_down()
        return self.scores[key]

    def _write_down(self) -> None:
        if self.notes is not None:
            self.notes.parent.mkdir(parents=True, exist_ok=True)
            new = self.notes.with_suffix(".new")
            new.write_text(json.dumps(self.scores))
            new.replace(self.notes)


def search_params(
    run: RankingRun,
    default: Recipe,
    trials: int,
    progress: RunProgress,
) -> SearchResult:
    """Return the best recipe of an algorithm, with the default's encoder.

    Args:
        run: whose learnt rows are split into what trials learn from and what judges them.
        default: whose hyper-parameters are searched, before any draw.
        trials: draws of the first round.
        progress: is told of a trial's steps. It raises `OutOfTimeError` when the time is over: then the
            last round that was finished decides.
    """
    algorithm = default.algorithm
    learnt, judged, wanted = hold_out_last(run.data(run.split.past, default))
    if algorithm not in SPACES or not judged:
        return SearchResult(default, 0)
    every = -(-len(judged) // MAX_JUDGED)
    folder = run.plan.place.checkpoints
    notes = folder / "search" / f"{algorithm}.json" if folder is not None else None
    validation = _Validation(
        run=run,
        algorithm=algorithm,
        progress=progress,
        learnt=learnt,
        histories=[learnt.liked[unit] for unit in judged[::every]],
        wanted=wanted[::every],
        notes=notes,
        expected=2 * trials + len(SHARES),
    )
    if notes is not None and notes.exists():
        validation.scores = json.loads(notes.read_bytes())
    rng = np.random.default_rng((run.plan.seed, zlib.crc32(algorithm.encode())))
    recipes = [default, *(_draw(default, rng) for _ in range(trials))]
    result = SearchResult(default, 0)
    for share in SHARES:
        scored = []
        for recipe in recipes:
            try:
                scored.append((validation.score(recipe, share), recipe))
            except OutOfTimeError:
                return replace(result, trials=len(validation.scores))
        ranked = sorted(scored, key=lambda pair: -pair[0])
        best, of_default = ranked[0], scored[0][0]
        result = SearchResult(best[1], len(validation.scores), (best[0], of_default))
        half = [recipe for _, recipe in ranked if recipe is not default]
        recipes = [default, *half[: -(-len(half) // 2)]]
    return result


def _draw(default: Recipe, rng: np.random.Generator) -> Recipe:
    return replace(default, params={**default.params, **draw_params(default.algorithm, rng)})
