"""Choose what a run makes: fit several algorithms, judge them on the same rows, go on with the best.

Candidates are fitted once each, with the run's seed, cheap ones first. Each may take its share of the
time that is left. One that is out of time is stopped at its next report and listed so; one that fails
is listed with its reason. Neither fails the run. Of recommenders, a blend of the best two competes
last. The best goes to the gate with all of its seeds, like a recipe that a person has named: of
classifiers the best of those that the gate would not refuse for their scores, since what is best by log
score may be wrong more often, and would hide the others every time.
"""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from inference.algorithms import NOT_TRIED, reads_texts
from inference.evaluation.gate import Rival, reasons_against
from inference.recommenders.blend import Blend
from inference.runs.outcome import ENCODER, OutOfTimeError, Recipe, RunError, RunProgress
from inference.runs.portfolio_run import PortfolioRun
from inference.runs.search import FAILURES, SearchResult, search_params
from inference.serving.orders import PARAMS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from inference.algorithms import Portfolio
    from inference.runs.outcome import Trial

CHOOSING = 0.6  # of a run's progress, where it has a portfolio
SEARCHING = 2 / 3  # of a candidate's time


Run = TypeVar("Run", bound=PortfolioRun)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One recipe that was tried.

    Attributes:
        recipe: what was fitted; with what its fit has decided, as the weights of a blend.
        seconds: how long that took, also where it was stopped.
        trial: how it did on the held-out rows; None where there is nothing to judge.
        state: judged, out_of_time or failed.
        reason: why it failed, or would be refused by the gate.
        search: how its hyper-parameters were found; None where they are the defaults.
    """

    recipe: Recipe
    seconds: float
    trial: Trial | None = None
    state: str = "judged"
    reason: str = ""
    search: SearchResult | None = None

    @property
    def refused(self) -> bool:
        """Whether the gate would refuse it for its scores."""
        return self.trial is not None and bool(self.reason)

    def as_json(self, chosen: Candidate) -> dict[str, Any]:
        """Return what the run's page shows."""
        return {
            "algorithm": self.recipe.algorithm,
            "params": dict(self.recipe.params),
            "seconds": round(self.seconds, 3),
            "state": "chosen" if self is chosen else self.state,
            "reason": self.reason,
            **({"search": self.search.as_json()} if self.search is not None else {}),
            **(self.trial.figures if self.trial is not None else {}),
        }


@dataclass(frozen=True, slots=True)
class _Clock:
    """The time of one candidate; it ends in whatever the candidate reports."""

    now: Callable[[], float]
    end: float

    def limit(self, progress: RunProgress) -> RunProgress:
        """Return progress that stops who reports too late."""

        def report(share: float, line: str) -> None:
            if share < 1 and self.now() > self.end:
                raise OutOfTimeError
            progress.report(share, line)

        return replace(progress, report=report)


def choose_if_several(run: Run, progress: RunProgress) -> tuple[Run, RunProgress, dict[str, Any]]:
    """Return the run of the recipe that goes to the gate, its progress, and what was tried before.

    Raises:
        RunError: no candidate of the run's portfolio could be judged.
    """
    if run.plan.portfolio is None:
        return run, progress, {}
    run, candidates = choose_recipe(run, run.plan.portfolio, progress.span(0.0, CHOOSING))
    return run, progress.span(CHOOSING, 1.0), {"candidates": candidates}


def choose_recipe(
    run: Run,
    portfolio: Portfolio,
    progress: RunProgress,
    *,
    now: Callable[[], float] = time.monotonic,
) -> tuple[Run, list[dict[str, Any]]]:
    """Try every candidate; return the run of the best one's recipe, and what is shown of all.

    Args:
        run: whose rows are learnt and judged.
        portfolio: what is tried, and for how long.
        progress: receives the share done.
        now: seconds of a clock.

    Raises:
        RunError: no candidate could be judged.
    """
    recipes = _recipes_of(run, portfolio)
    stages = len(recipes) + portfolio.blend
    tried: list[Candidate] = []
    for place, recipe in enumerate(recipes):
        if why := _why_unreadable(run, recipe):
            tried.append(Candidate(recipe, 0.0, state="failed", reason=why))
            continue
        part = progress.part(place, stages, recipe.algorithm)
        seconds = _seconds_left(portfolio, tried, stages)
        if portfolio.search and not recipe.hyper_params:
            tried.append(_search(run, recipe, part, seconds, now, portfolio.search))
        else:
            tried.append(_try(run, recipe, part, seconds, now))
    if portfolio.blend and (parts := _best_two(tried)):
        recipe = _blend_of(parts)
        part = progress.part(stages - 1, stages, recipe.algorithm)
        tried.append(_try(run, recipe, part, _seconds_left(portfolio, tried, stages), now))
    ranked = _ranked(tried)
    if not ranked:
        reasons = "; ".join(f"{one.recipe.algorithm}: {one.reason or one.state}" for one in tried)
        raise RunError(f"no candidate could be judged: {reasons}")
    tried = _with_refusals(run, tried)
    ranked = _ranked(tried)
    chosen = next((one for one in ranked if not one.refused), ranked[0])
    plan = replace(run.plan, recipe=chosen.recipe)
    if not chosen.recipe.is_as(plan.champion):
        plan = replace(plan, tested=None)  # no refit of the champion
    return run.with_plan(plan), [one.as_json(chosen) for one in tried]


def _recipes_of(run: PortfolioRun, portfolio: Portfolio) -> list[Recipe]:
    """Return what is tried before the blend; the champion's own recipe is always among them."""
    recipes = [Recipe(name, portfolio.params_of(name)) for name in portfolio.names]
    champion = run.plan.champion
    if (
        champion is not None
        and champion.algorithm not in NOT_TRIED
        and not any(recipe.is_as(champion) for recipe in recipes)
    ):
        recipes.append(Recipe(champion.algorithm, champion.params))
    return recipes


def _why_unreadable(run: PortfolioRun, recipe: Recipe) -> str:
    """Return why a recipe cannot be fitted: it reads texts by an encoder that cannot be had."""
    reads = reads_texts(run.kind, recipe.algorithm) and not recipe.encoder
    return run.plan.place.no_encoder if reads else ""


def _seconds_left(portfolio: Portfolio, tried: Sequence[Candidate], stages: int) -> float:
    """Return the next candidate's share: of what is left, as much as each that is still to come.

    What an earlier attempt at the run has finished counts with the time that it took there.
    """
    left = portfolio.budget_seconds - sum(one.seconds for one in tried)
    return max(left, 0.0) / max(stages - len(tried), 1)


def _search(
    run: PortfolioRun,
    recipe: Recipe,
    progress: RunProgress,
    seconds: float,
    now: Callable[[], float],
    trials: int,
) -> Candidate:
    """Search for hyper-parameters in two thirds of the time, and fit with them in what is left."""
    start = now()
    clock = _Clock(now, start + seconds * SEARCHING)
    result = SearchResult(recipe, 0)
    # What the data do not allow is said by the fit with the defaults.
    with contextlib.suppress(*FAILURES):
        limited = clock.limit(progress.span(0.0, SEARCHING))
        result = search_params(run, recipe, trials, limited)
    spent = now() - start
    last = progress.span(SEARCHING, 1.0)
    candidate = _try(run, result.recipe, last, max(seconds - spent, 0.0), now)
    return replace(candidate, seconds=candidate.seconds + spent, search=result)


def _try(
    run: PortfolioRun,
    recipe: Recipe,
    progress: RunProgress,
    seconds: float,
    now: Callable[[], float],
) -> Candidate:
    start = now()
    limited = _Clock(now, start + seconds).limit(progress)
    try:
        trial = run.try_recipe(recipe, limited)
    except OutOfTimeError:
        return Candidate(recipe, now() - start, state="out_of_time")
    # The data or a parameter does not allow it, or what it answers is no answer; others it may suit.
    except FAILURES as error:
        return Candidate(recipe, now() - start, state="failed", reason=str(error))
    if math.isnan(trial.value):  # would be ranked anywhere
        reason = "what decides between candidates is no number for it."
        return Candidate(recipe, trial.seconds, state="failed", reason=reason)
    return Candidate(trial.recipe, trial.seconds, trial)


def _with_refusals(run: PortfolioRun, tried: Sequence[Candidate]) -> list[Candidate]:
    """Return candidates with what the gate would say against those that it would refuse."""
    rival = _rival_of(run, tried)
    if rival is None:
        return list(tried)
    plan = run.plan
    judged: list[Candidate] = []
    for one in tried:
        if one.trial is None or one.trial.scores is None:
            judged.append(one)
            continue
        scores = [one.trial.scores]
        reasons = reasons_against(rival, scores, plan.rule, random_seed=plan.seed)
        judged.append(replace(one, reason="; ".join(reasons)))
    return judged


def _rival_of(run: PortfolioRun, tried: Sequence[Candidate]) -> Rival | None:
    """Return whom the gate will compare with: the champion's recipe, which is among the candidates."""
    champion = run.plan.champion
    if champion is None:
        return run.first_rival()
    for one in tried:
        if one.recipe.is_as(champion) and one.trial is not None and one.trial.scores is not None:
            return Rival(champion.label, one.trial.scores)
    return None


def _ranked(tried: Sequence[Candidate]) -> list[Candidate]:
    """Return what could be judged, best first; of two that are equal, the cheaper, tried first."""
    judged = [(one.trial.value, one) for one in tried if one.trial is not None]
    return [one for _, one in sorted(judged, key=lambda pair: -pair[0])]


def _best_two(tried: Sequence[Candidate]) -> list[Recipe]:
    """Return the parts of the blend: the best two of different algorithms; nothing without two.

    A blend reads all texts by one encoder, so what reads them by another than the best is no part, and
    it is fitted once, so an order that is made anew all the time is none either.
    """
    best: dict[str, Recipe] = {}
    for one in _ranked(tried):
        encoders = {part.encoder for part in best.values() if _reads_texts(part)}
        fits = not encoders or not _reads_texts(one.recipe) or one.recipe.encoder in encoders
        if fits and one.recipe.algorithm not in {
            Blend.name,
            *PARAMS,
        }:  # each of its parts is a candidate by itself
            best.setdefault(one.recipe.algorithm, one.recipe)
    parts = list(best.values())[:2]
    return parts if len(parts) == 2 else []


def _reads_texts(recipe: Recipe) -> bool:
    return reads_texts("recommend", recipe.algorithm)


def _blend_of(parts: Sequence[Recipe]) -> Recipe:
    """Return the recipe of a blend: what its parts are, and the encoder that all of them read by."""
    plain = [{"algorithm": part.algorithm, "params": part.hyper_params} for part in parts]
    encoder = next((part.encoder for part in parts if part.encoder), "")
    return Recipe(Blend.name, {"parts": plain, **({ENCODER: encoder} if encoder else {})})
