"""A recommender's run, free of Django: split, check, fit, export, gate.

What is judged has learnt from the earlier likes alone; what is exported has learnt from all of them.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.algorithms import PRETRAIN
from inference.evaluation.gate import Rival, judge
from inference.runs.ablation import ablation, image_counts, notes_on_images
from inference.runs.item_indexes import build_and_note_indexes
from inference.runs.latency import time_in_turn
from inference.runs.outcome import Recipe, RunError, RunPlan, RunProgress, RunResult
from inference.runs.portfolio import choose_if_several
from inference.runs.ranking_leaks import check_ranking_leaks
from inference.runs.ranking_run import Catalogue, RankingRun
from inference.runs.ranking_views import notes_on_ranking_data, ranking_views
from inference.runs.refits import add_refit, compare_rankings
from inference.runs.serving_checks import apply_findings, check_export, check_served_ranking
from inference.serving.artifact import ArtifactError, artifact_bytes, save_artifact
from inference.training.near_items import with_near_items

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference.evaluation.gate import GateResult, Serving
    from inference.runs.off_policy_view import Log
    from inference.runs.rankings import JudgedRankings
    from inference.runs.serving_checks import Finding
    from inference.serving.artifact import ArtifactDraft
    from inference.training.snapshot import Likes

POPULARITY = "popularity"
FITTING = 0.85  # of the progress behind the choice of a recipe, before what was fitted is judged
TIMED_UNITS = 200  # requests whose latency is measured: enough for a 95th percentile


def fit_and_judge(
    plan: RunPlan,
    likes: Likes,
    catalogue: Catalogue,
    progress: RunProgress,
    *,
    gap_seconds: float = 0.0,
    log: Log | None = None,
) -> RunResult:
    """Train a recommender and put it through the gate.

    The champion's recipe is fitted on the same earlier likes as the challenger, so that neither has
    seen what is held out.

    Args:
        plan: what is trained, and against which champion.
        likes: the snapshot.
        catalogue: the items.
        progress: receives the share done and losses.
        gap_seconds: the surface's attribution window, for likes that were recorded live.
        log: what was served with exploration, for the value off-policy.

    Raises:
        RunError: too little data, or a leak.
    """
    run = RankingRun.of(plan, likes, catalogue, gap_seconds=gap_seconds)
    run, progress, tried = choose_if_several(run, progress)
    plan = run.plan
    checks = check_ranking_leaks(run)
    champion, seeds, draft = _fit_all(run, log, progress.span(0.0, FITTING))
    progress.report(FITTING, "judging")
    digest = save_artifact(plan.place.artifacts, draft)
    serving = _measure_serving(run, digest)
    recipes = judge(
        _rival(run, champion),
        [seed.scores for seed in seeds],
        serving,
        run.gate_rule,
        random_seed=plan.seed,
        about={
            "checks": checks,
            **tried,
            **ranking_views(run, seeds[0], champion),
            "ablation": ablation(run, seeds[0]),
            "images": image_counts(run.catalogue),
            "ranks": dict(draft.about.get("ranks", {})),
        },
    )
    _require_finite(recipes)
    gate = _refuse_lower_value(recipes, seeds[0].off_policy)
    gate = apply_findings(gate, _findings(run, draft, seeds))
    notes = [*notes_on_ranking_data(run), *build_and_note_indexes(run, digest)]
    notes += notes_on_images(gate.about["ablation"], run.plan.rule.primary)
    gate = replace(gate, about={**gate.about, "notes": notes})
    if plan.tested is not None:
        tested = compare_rankings(plan, plan.tested, run, seeds)
        gate = add_refit(gate, recipes, tested, plan.tested, serving)
    progress.report(1.0, "judged")
    return RunResult(artifact_sha256=digest, gate=gate, recipe=run.plan.recipe)


def _fit_all(
    run: RankingRun, log: Log | None, progress: RunProgress
) -> tuple[JudgedRankings | None, list[JudgedRankings], ArtifactDraft]:
    """Return the champion's fit and the challenger's, judged, and what is exported."""
    champion = _judge_champion(run, progress)
    return champion, _judge_seeds(run, log, progress), _fit_on_all(run, progress)


def _judge_champion(run: RankingRun, progress: RunProgress) -> JudgedRankings | None:
    """Fit the champion's recipe on the earlier likes; None when there is no champion."""
    champion = run.plan.champion
    if champion is None:
        return None
    progress.report(0.0, f"scoring the champion ({champion.label}) on {len(run.judged)} units")
    part = progress.part(0, _parts(run), f"the champion ({champion.label})")
    return run.judge(run.fit(champion, run.split.past, run.plan.seed, part))


def _parts(run: RankingRun) -> int:
    """Return how many fits the run shows as its progress: champion, seeds, and the last on all."""
    return (run.plan.champion is not None) + run.algorithm.seeds + 1


def _rival(run: RankingRun, champion: JudgedRankings | None) -> Rival | None:
    """Return whom the challenger is judged against; a first version is shown beside popularity."""
    if champion is None or run.plan.champion is None:
        if run.plan.recipe.algorithm in {PRETRAIN, POPULARITY}:
            return None
        popular = run.fit_probe(Recipe(POPULARITY, {}), run.data(run.split.past))
        return Rival(POPULARITY, run.judge(popular).scores, decides=False)
    # An encoder is adapted to be better than it was: nothing is served until it is.
    must_win = run.plan.recipe.algorithm == PRETRAIN
    return Rival(
        run.plan.champion.label, champion.scores, beaten=run.plan.rule.primary if must_win else None
    )


def _judge_seeds(run: RankingRun, log: Log | None, progress: RunProgress) -> list[JudgedRankings]:
    """Fit the challenger on the earlier likes, once per seed; the first is judged off-policy too."""
    first, seeds = int(run.plan.champion is not None), []
    for seed in range(run.algorithm.seeds):
        part = progress.part(first + seed, _parts(run), f"seed {seed}")
        fit = run.timed_fit(run.plan.recipe, run.split.past, seed, part)
        seeds.append(run.judge(fit.draft, log=log if seed == 0 else None, fit_seconds=fit.seconds))
    return seeds


def _fit_on_all(run: RankingRun, progress: RunProgress) -> ArtifactDraft:
    """Fit what is exported: on every like, the held-out ones too."""
    last = progress.part(_parts(run) - 1, _parts(run), "on all")
    draft = run.fit(run.plan.recipe, run.split.whole, run.plan.seed, last)
    if not run.is_remote:
        draft = with_near_items(draft, run.data(run.split.whole))
    return replace(draft, about={**draft.about, **run.plan.manifest})


def _findings(run: RankingRun, draft: ArtifactDraft, seeds: list[JudgedRankings]) -> list[Finding]:
    """Compare the export with what was judged, and with what serves now."""
    if run.is_remote:  # a remote model is the same before and after: no fit of ours can spoil it
        return []
    exported = run.judge(draft)
    return [
        check_export(run.plan.rule, [seed.scores for seed in seeds], exported.scores),
        check_served_ranking(run.plan, run.split, run.judged, seeds, exported),
    ]


def _require_finite(gate: GateResult) -> None:
    """Fail a run whose model has diverged.

    Raises:
        RunError: a metric is not finite.
    """
    wrong = [name for name, row in gate.rows.items() if not np.isfinite(row["challenger"])]
    if wrong:
        raise RunError(f"metrics {wrong} are not finite: the model has diverged.")


def _refuse_lower_value(gate: GateResult, value: Mapping[str, Any] | None) -> GateResult:
    """Refuse what would have earned less than what was served, where the log says so."""
    if value is None or not value.get("worse"):
        return gate
    low, high = value["interval"]
    return gate.refused_for(
        f"off-policy value == {value['estimate']:.4f} a slate over {value['supported']} positions, "
        f"{low:+.4f} to {high:+.4f} beside what was served ({value['earned']:.4f})"
    )


def _measure_serving(run: RankingRun, digest: str) -> Serving:
    """Time what a request does, score candidates for one unit, in turn with what serves now."""
    root, served = run.plan.place.artifacts, run.plan.served
    other = None
    if served is not None and not run.is_remote:  # a remote model has a deadline, whoever else serves
        with contextlib.suppress(ArtifactError, OSError, ValueError):
            other = run.answer_by(served.digest)
    requests = min(TIMED_UNITS, len(run.judged))
    return time_in_turn(requests, run.answer_by(digest), other).serving(artifact_bytes(root, digest))
