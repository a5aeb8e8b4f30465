"""Search hyper-parameters: random draws, of which the better half goes on with twice the rows.

Successive halving (Jamieson & Talwalkar 2016) over `SHARES` of the units, or of the examples. Trials
are judged on a validation part of what is learnt from: what a run holds out is no part of it.
The defaults take part in every round, so the search ends with something better there, or with them.
Every trial that is finished is written down, so that a run's next attempt goes on. A draw that fails
loses to every other.
"""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.algorithms import params_of
from inference.evaluation.gate import DECISION_COST
from inference.options import draw_params
from inference.runs.outcome import OutOfTimeError, RunError, RunProgress
from inference.serving.artifact import ArtifactError

if TYPE_CHECKING:
    from pathlib import Path

    from inference.runs.outcome import Recipe, Validation
    from inference.runs.portfolio_run import PortfolioRun

SHARES = (0.25, 0.5, 1.0)  # of the rows, round by round
# Of one candidate or draw: its rows or parameters are refused, its answers are none, it cannot be read.
FAILURES = (ValueError, RunError, ArtifactError)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search ended with.

    Attributes:
        recipe: the best on the validation part in the last round that was finished.
        trials: fits that were judged.
        metric: by which they were.
        validation: its value of the best and of the defaults in that round, higher is better; -inf of
            what failed.
    """

    recipe: Recipe
    trials: int
    metric: str = ""
    validation: tuple[float, float] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what is kept with the candidate."""
        if self.validation is None:
            return {"trials": self.trials}
        sign = -1 if self.metric == DECISION_COST else 1
        best, default = self.validation
        figures = {self.metric: sign * best, f"default_{self.metric}": sign * default}
        # Where the defaults failed they have no value, and JSON no infinity.
        known = {name: value for name, value in figures.items() if math.isfinite(value)}
        return {"trials": self.trials, **known}


@dataclass(slots=True)
class _Trials:
    """Fits and judges draws of one algorithm, each once."""

    validation: Validation
    progress: RunProgress
    notes: Path | None
    expected: int
    values: dict[str, float] = field(default_factory=dict)

    def value(self, recipe: Recipe, share: float) -> float:
        """Return the value of a trial that learns from a share of the rows; -inf where it fails."""
        key = f"{recipe.key}-{share}"
        if key not in self.values:
            done = min(len(self.values) / self.expected, 0.99)

            def report(_share: float, line: str) -> None:
                self.progress.report(done, line)

            # Before the fit too: one that is quick reports nothing until its end.
            report(0.0, f"trial {len(self.values) + 1}")
            self.values[key] = self._value_of(recipe, share, RunProgress(report))
            self._write_down()
        return self.values[key]

    def _value_of(self, recipe: Recipe, share: float, progress: RunProgress) -> float:
        try:
            value = self.validation.value_of(recipe, share, progress)
        except FAILURES:  # the other draws go on without it
            return -math.inf
        return -math.inf if math.isnan(value) else value

    def _write_down(self) -> None:
        if self.notes is not None:
            self.notes.parent.mkdir(parents=True, exist_ok=True)
            new = self.notes.with_suffix(".new")
            new.write_text(json.dumps(self.values))
            new.replace(self.notes)


def search_params(
    run: PortfolioRun,
    default: Recipe,
    draws: int,
    progress: RunProgress,
) -> SearchResult:
    """Return the best recipe of an algorithm, with the default's encoder.

    Args:
        run: whose learnt rows are split into what trials learn from and what judges them.
        default: whose hyper-parameters are searched, before any draw.
        draws: of the first round.
        progress: is told of a trial's steps. It raises `OutOfTimeError` when the time is over: then the
            last round that was finished decides.
    """
    plan, rng = run.plan, np.random.default_rng((run.plan.seed, zlib.crc32(default.algorithm.encode())))
    params = params_of(run.kind, default.algorithm)
    validation = run.validation_of(default) if draw_params(params, np.random.default_rng(0)) else None
    if validation is None:
        return SearchResult(default, 0)
    folder = plan.place.checkpoints
    # By metric: where costs were stated between two attempts, values of both would be compared.
    name = f"{default.algorithm}-{validation.metric}.json"
    notes = folder / "search" / name if folder is not None else None
    trials = _Trials(validation, progress, notes, 2 * draws + len(SHARES))
    if notes is not None and notes.exists():
        trials.values = json.loads(notes.read_bytes())
    drawn = [draw_params(params, rng) for _ in range(draws)]
    recipes = [default, *(replace(default, params={**default.params, **one}) for one in drawn)]
    result = SearchResult(default, 0)
    for share in SHARES:
        valued = []
        for recipe in recipes:
            try:
                valued.append((trials.value(recipe, share), recipe))
            except OutOfTimeError:
                return replace(result, trials=len(trials.values))
        ranked = sorted(valued, key=lambda pair: -pair[0])
        best, of_default = ranked[0], valued[0][0]
        if best[0] == -math.inf:  # none of them suits; the fit with the defaults says why
            return replace(result, trials=len(trials.values))
        result = SearchResult(best[1], len(trials.values), validation.metric, (best[0], of_default))
        half = [recipe for _, recipe in ranked if recipe is not default]
        recipes = [default, *half[: -(-len(half) // 2)]]
    return result
