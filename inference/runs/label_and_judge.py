"""A classifier's run, free of Django: split, check, fit, export, gate.

What is judged has learnt from the earlier examples alone; what is exported has learnt from all of them
where a second fit is cheap, and is one of the judged fits where it is dear.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from inference.evaluation.gate import Rival, judge
from inference.runs.label_calibration import CalibratedRecipe
from inference.runs.label_checks import check_labels_preserved
from inference.runs.label_groups import check_gaps
from inference.runs.label_images import image_views
from inference.runs.label_leaks import check_label_leaks
from inference.runs.label_noise import note_doubtful_labels
from inference.runs.label_run import NO_IMAGES, ExampleImages, JudgedLabels, LabelRun
from inference.runs.label_views import label_views
from inference.runs.latency import time_in_turn
from inference.runs.outcome import RunPlan, RunProgress, RunResult
from inference.runs.portfolio import choose_if_several
from inference.runs.refits import add_refit, compare_labels
from inference.runs.serving_checks import apply_findings, check_export, check_served_labels
from inference.serving.artifact import ArtifactError, artifact_bytes, save_artifact
from inference.serving.models import ENDPOINT, PYTHON

if TYPE_CHECKING:
    from inference.evaluation.gate import Serving
    from inference.runs.serving_checks import Finding
    from inference.serving.artifact import ArtifactDraft
    from inference.training.snapshot import Examples

FITTING = 0.85  # of the progress behind the choice of a recipe, before what was fitted is judged
TIMED_TEXTS = 100  # requests whose latency is measured


def label_and_judge(
    plan: RunPlan,
    examples: Examples,
    progress: RunProgress,
    *,
    images: ExampleImages = NO_IMAGES,
) -> RunResult:
    """Train a classifier and put it through the gate.

    The champion's recipe is fitted on the same earlier examples as the challenger, so that neither has
    seen what is held out. Without a champion the rival is the prior: always to answer with each label's
    share.

    Args:
        plan: what is trained, and against which champion.
        examples: the snapshot.
        progress: receives the share done and losses.
        images: of the examples.

    Raises:
        RunError: too little data, or a leak.
    """
    run = LabelRun.of(plan, examples, images)
    prior = run.prior()
    run, progress, tried = choose_if_several(run, progress)
    plan = run.plan
    progress.report(0.0, "checking for leaks")
    checks = check_label_leaks(run, prior)
    fits = progress.span(0.0, FITTING)
    rival = _judge_champion(run, fits) or run.first_rival()
    recipe = CalibratedRecipe.of(run, plan.recipe, _calibration_part(run, fits))
    seeds, draft = _judge_seeds(run, recipe, fits)
    draft, exported = _fit_on_all(run, recipe, fits) if run.algorithm.refits else (draft, seeds[-1])
    progress.report(FITTING, "judging")
    draft = replace(draft, about={**draft.about, **plan.manifest})
    digest = save_artifact(plan.place.artifacts, draft)
    serving = _measure_serving(run, digest)
    views = label_views(run, seeds[0], prior, draft, progress.span(FITTING, 1.0))
    recipes = judge(
        rival,
        [seed.scores for seed in seeds],
        serving,
        plan.rule,
        random_seed=plan.seed,
        about={"checks": checks, **tried, **views, **image_views(run, seeds[0])},
    )
    gate = apply_findings(recipes, _findings(run, rival, seeds, exported))
    gate = note_doubtful_labels(gate)
    if plan.tested is not None:
        tested = compare_labels(plan, plan.tested, run, seeds)
        gate = add_refit(gate, recipes, tested, plan.tested, serving)
    progress.report(1.0, "judged")
    return RunResult(artifact_sha256=digest, gate=gate, recipe=plan.recipe)


def _parts(run: LabelRun) -> int:
    """Return how many fits the run shows: champion, temperature, seeds, and the last on all.

    What is fitted on all is what has a fit for its temperature.
    """
    return run.algorithm.seeds + 2 * run.algorithm.refits + (run.plan.champion is not None)


def _calibration_part(run: LabelRun, progress: RunProgress) -> RunProgress:
    place = int(run.plan.champion is not None)
    return progress.part(place, _parts(run), f"calibration, fit {place + 1} of {_parts(run)}")


def _judge_champion(run: LabelRun, progress: RunProgress) -> Rival | None:
    """Fit the champion's recipe on the earlier examples; None when there is no champion."""
    champion = run.plan.champion
    if champion is None:
        return None
    part = progress.part(0, _parts(run), f"the champion ({champion.label})")
    return Rival(champion.label, run.judge(run.calibrated_fit(champion, 0, part).draft).scores)


def _judge_seeds(
    run: LabelRun, recipe: CalibratedRecipe, progress: RunProgress
) -> tuple[list[JudgedLabels], ArtifactDraft]:
    """Fit the challenger on the earlier examples, once per seed; return the last draft too."""
    first = int(run.plan.champion is not None) + run.algorithm.refits
    seeds = []
    for seed in range(run.algorithm.seeds):
        part = progress.part(first + seed, _parts(run), f"seed {seed}")
        fit = run.calibrated_fit(recipe.recipe, seed, part, calibrated=recipe)
        seeds.append(run.judge(fit.draft, fit_seconds=fit.seconds))
    return seeds, fit.draft


def _fit_on_all(
    run: LabelRun, recipe: CalibratedRecipe, progress: RunProgress
) -> tuple[ArtifactDraft, JudgedLabels]:
    """Fit what is exported: on every example, the held-out ones too."""
    last = progress.part(_parts(run) - 1, _parts(run), "on all")
    draft = recipe.fit_on_all(run.plan.seed, last)
    return draft, run.judge(draft)


def _findings(
    run: LabelRun, rival: Rival, seeds: list[JudgedLabels], exported: JudgedLabels
) -> list[Finding]:
    """Compare the export with what was judged and what serves now; compare labels with the champion."""
    correct = np.mean([seed.scores.per_unit["accuracy"] for seed in seeds], axis=0)
    findings = [
        check_export(run.plan.rule, [seed.scores for seed in seeds], exported.scores),
        check_served_labels(run.plan, run.held_out, correct, exported.scores.per_unit["accuracy"]),
    ]
    gaps = check_gaps(seeds[0].groups, run.plan.labelling.max_gap)
    findings += [gaps] if gaps is not None else []
    if run.plan.champion is not None:  # the prior has no labels to give up
        findings.append(check_labels_preserved(rival, seeds[0].scores, run.held_out))
    return findings


def _measure_serving(run: LabelRun, digest: str) -> Serving:
    """Time what a request does, label one text, in turn with what serves now."""
    root, served = run.plan.place.artifacts, run.plan.served
    other = None
    # A custom model answers elsewhere: its time is not this machine's.
    if served is not None and not {served.algorithm, run.plan.recipe.algorithm} & {ENDPOINT, PYTHON}:
        with contextlib.suppress(ArtifactError, OSError, ValueError):
            other = run.answer_by(served.digest)
    requests = min(TIMED_TEXTS, len(run.held_out.texts))
    return time_in_turn(requests, run.answer_by(digest), other).serving(artifact_bytes(root, digest))
