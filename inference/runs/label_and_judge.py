"""A classifier's run, free of Django: split, check, fit, gate, fit on all where it is cheap, export."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.classifiers import CLASSIFIERS
from inference.encoders.text_length import notes_on_length
from inference.evaluation.gate import Rival, Serving, judge
from inference.evaluation.labelling import score_labels
from inference.options import FitOptions
from inference.runs.label_checks import check_labels_preserved, notes_on_recall
from inference.runs.outcome import (
    CHEAP_SECONDS,
    LEARNING_SHARES,
    Recipe,
    RunError,
    RunPlan,
    RunProgress,
    RunResult,
)
from inference.runs.serving_checks import apply_findings, check_export, check_served_labels
from inference.serving.artifact import ArtifactDraft, Floats, artifact_bytes, save_artifact
from inference.serving.model_worker import open_worker_model
from inference.training.data import LabelledData
from inference.training.label_names import MAX_LABELS
from inference.training.split import split_examples

if TYPE_CHECKING:
    from inference.evaluation.scores import Scores
    from inference.runs.serving_checks import Finding
    from inference.training.snapshot import Examples

MIN_JUDGED = 20
PROBE = "tfidf"
PROBE_PARAMS = {"max_steps": 50}


def label_and_judge(plan: RunPlan, examples: Examples, progress: RunProgress) -> RunResult:
    """Run.

    The champion's recipe is fitted on the same earlier examples as the challenger, so that neither has
    seen what is held out. Without a champion the rival is the prior: always to answer with each label's
    share.

    Raises:
        RunError: too little data, or a leak.
    """
    classifier = CLASSIFIERS[plan.recipe.algorithm]
    everything = _data(examples)
    earlier, later = split_examples(examples)
    if len(later) < MIN_JUDGED:
        raise RunError(f"held-out examples == {len(later)}, must be at least {MIN_JUDGED}.")
    data, held = everything.rows(earlier), everything.rows(later)
    prior = Rival("the labels' shares", _prior(data, held), beaten="log_score")
    checks = _checks(plan, data, held, prior.scores)
    rival = prior
    parts = classifier.seeds + (1 if classifier.refits else 0) + (plan.champion is not None)
    if plan.champion is not None:
        told = progress.part(0, parts, f"the champion ({plan.champion.label})")
        rival = Rival(
            plan.champion.label, _FitScore(_fit(plan, plan.champion, data, 0, told), held).scores
        )
    first = int(plan.champion is not None)
    judged, draft = [], None
    for seed in range(classifier.seeds):
        start = time.perf_counter()
        draft = _fit(plan, plan.recipe, data, seed, progress.part(first + seed, parts, f"seed {seed}"))
        fit_seconds = time.perf_counter() - start
        judged.append(_FitScore(draft, held, fit_seconds))
    exported = judged[-1]
    if classifier.refits or draft is None:
        last = progress.part(parts - 1, parts, "on all")
        draft = _fit(plan, plan.recipe, everything, plan.seed, last)
        exported = _FitScore(draft, held)
    digest = save_artifact(plan.place.artifacts, replace(draft, about={**draft.about, **plan.about}))
    gate = judge(
        rival,
        [one.scores for one in judged],
        _measure(plan, digest, held),
        plan.rule,
        random_seed=plan.seed,
        about={
            "checks": checks,
            "window": _window(examples, data, held),
            "slices": _slices(judged[0], held, data),
            "calibration": judged[0].scores.curves["calibration"],
            "learning": _learning(plan, data, held, judged[0]),
            "prior": {"accuracy": prior.scores.mean("accuracy")},
            "notes": _notes(plan, draft, everything, judged[0], held),
        },
    )
    findings = _findings(plan, held, judged, exported)
    if rival is not prior:
        findings.append(check_labels_preserved(rival, judged[0].scores, held))
    return RunResult(artifact_sha256=digest, gate=apply_findings(gate, findings))


def _findings(
    plan: RunPlan, held: LabelledData, judged: list[_FitScore], exported: _FitScore
) -> list[Finding]:
    """Return what the checks beside the gate's rule say of the export."""
    correct = np.mean([one.scores.per_unit["accuracy"] for one in judged], axis=0)
    return [
        check_export(plan.rule, [one.scores for one in judged], exported.scores),
        check_served_labels(plan, held, correct, exported.scores.per_unit["accuracy"]),
    ]


def _notes(
    plan: RunPlan, draft: ArtifactDraft, data: LabelledData, judged: _FitScore, held: LabelledData
) -> list[str]:
    """Return what a person should know of the fit, in sentences."""
    notes = []
    fit = draft.about.get("fit", {})
    if not fit.get("converged", True):
        notes.append(
            f"the regression has not converged in {fit['steps']} steps: raise max_steps, or lower "
            "inverse_l2."
        )
    if CLASSIFIERS[plan.recipe.algorithm].reads_encoder:
        notes += notes_on_length(plan.place.encoder, data.texts)
    return notes + notes_on_recall(judged.scores, held)


def _data(examples: Examples) -> LabelledData:
    labels = sorted(set(examples.labels))
    if not 2 <= len(labels) <= MAX_LABELS:
        raise RunError(f"labels == {len(labels)}, must be between 2 and {MAX_LABELS}.")
    index = {label: i for i, label in enumerate(labels)}
    truth = np.array([index[label] for label in examples.labels], dtype=np.int64)
    return LabelledData(examples.texts, examples.features, truth, labels)


def _fit(
    plan: RunPlan, recipe: Recipe, data: LabelledData, seed: int, progress: RunProgress
) -> ArtifactDraft:
    options = plan.options(recipe, seed, len(data.texts), progress)
    return CLASSIFIERS[recipe.algorithm].fit(data, options)


class _FitScore:
    """A model's probabilities of the held-out examples, as serving would give them."""

    def __init__(self, draft: ArtifactDraft, held: LabelledData, fit_seconds: float = 0.0) -> None:
        self.fit_seconds = fit_seconds
        with tempfile.TemporaryDirectory() as scratch:
            classifier = open_worker_model(Path(scratch), save_artifact(Path(scratch), draft))
            found = classifier.probabilities(held.texts, held.features)
            self.probabilities: Floats = check_probabilities(found)
        self.scores: Scores = score_labels(self.probabilities, held.truth)


def _learning(
    plan: RunPlan, data: LabelledData, held: LabelledData, whole: _FitScore
) -> list[dict[str, float]]:
    """Return the primary metric of fits on growing shares of the examples, whole labels kept."""
    if whole.fit_seconds > CHEAP_SECONDS:
        return []
    quiet = replace(plan, place=replace(plan.place, checkpoints=None))
    primary = plan.rule.primary
    order = np.random.default_rng(plan.seed).permutation(len(data.texts))
    # The first of every label, in the order that was dealt, then the rest: none may be unknown.
    first = np.unique(data.truth[order], return_index=True)[1]
    order = np.concatenate([order[first], np.delete(order, first)])
    points = []
    for share in LEARNING_SHARES:
        part = data.rows(np.sort(order[: max(len(first), round(share * len(order)))]))
        scores = _FitScore(_fit(quiet, plan.recipe, part, plan.seed, RunProgress()), held).scores
        points.append({"rows": len(part.texts), primary: scores.mean(primary)})
    return [*points, {"rows": len(data.texts), primary: whole.scores.mean(primary)}]


def check_probabilities(found: Floats) -> Floats:
    """Return them as shares of 1.

    Raises:
        RunError: some are not finite or negative, or a row has none.
    """
    found = np.asarray(found, dtype=np.float32)
    if not np.isfinite(found).all() or (found < 0).any() or (found.sum(1) <= 0).any():
        raise RunError("the model's probabilities are not finite, negative, or all 0 for some text.")
    shares: Floats = found / found.sum(1, keepdims=True)
    return shares


def _prior(data: LabelledData, held: LabelledData) -> Scores:
    counts = np.bincount(data.truth, minlength=len(data.labels)) + 1
    shares = (counts / counts.sum()).astype(np.float32)
    return score_labels(np.tile(shares, (len(held.truth), 1)), held.truth)


def _checks(
    plan: RunPlan, data: LabelledData, held: LabelledData, prior: Scores
) -> list[dict[str, str]]:
    """Fail a run whose held-out labels can be read from elsewhere; return what was checked.

    Raises:
        RunError: a leak.
    """
    dealt = np.random.default_rng(plan.seed).permutation(data.truth)
    # Labels without a meaning are learnt slowly; whether they leak shows long before the end.
    probe = CLASSIFIERS[PROBE].fit(replace(data, truth=dealt), FitOptions(params=PROBE_PARAMS))
    share = _FitScore(probe, held).scores.mean("accuracy")
    chance = max(prior.mean("accuracy"), 1 / len(data.labels))
    most = chance + 5 * float(np.sqrt(max(chance * (1 - chance), 0.01) / len(held.truth)))
    if share > most:
        raise RunError(
            f"accuracy after a fit on shuffled labels == {share:.4f}, must be at most {most:.4f}: "
            "held-out labels can be read from the inputs."
        )
    return [
        {"check": "no text that is learnt from is judged by", "said": f"{len(held.texts)} examples"},
        {
            "check": "a fit on shuffled labels is no better than chance",
            "said": f"accuracy {share:.3f}, at most {most:.3f}",
        },
    ]


def _measure(plan: RunPlan, digest: str, held: LabelledData) -> Serving:
    """Time what a request does: label one text."""
    classifier = open_worker_model(plan.place.artifacts, digest)
    times = []
    for i in range(min(100, len(held.texts))):
        start = time.perf_counter()
        classifier.probabilities([held.texts[i]], [held.features[i]])
        times.append((time.perf_counter() - start) * 1000)
    return Serving(
        latency_p95_ms=float(np.quantile(times, 0.95)),
        bytes=artifact_bytes(plan.place.artifacts, digest),
    )


def _window(examples: Examples, data: LabelledData, held: LabelledData) -> dict[str, Any]:
    return {
        "from": float(min(examples.labelled_at)),
        "to": float(max(examples.labelled_at)),
        "labels": len(data.labels),
        "learnt": len(data.texts),
        "judged": len(held.texts),
        "by_visitors": sum(1 for unit in examples.unit_ids if unit),
    }


def _slices(judged: _FitScore, held: LabelledData, data: LabelledData) -> list[dict[str, Any]]:
    """Return the labels that the challenger gets wrong most, and how often they were learnt from."""
    correct = judged.scores.per_unit["accuracy"]
    learnt = np.bincount(data.truth, minlength=len(data.labels))
    rows: list[dict[str, Any]] = []
    for label in np.unique(held.truth):
        mine = held.truth == label
        rows.append(
            {
                "slice": f"{data.labels[label]} ({learnt[label]} learnt)",
                "metric": "recall",
                "count": int(mine.sum()),
                "challenger": float(correct[mine].mean()),
            }
        )
    return sorted(rows, key=lambda row: row["challenger"])[:20]
