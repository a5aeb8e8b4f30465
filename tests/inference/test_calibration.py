"""One temperature per run: fitted on a validation part, never on what judges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bakeoff.dashboard.run_page import draw_calibration
from inference.evaluation.gate import GateRule
from inference.evaluation.labelling import score_labels
from inference.runs.label_and_judge import label_and_judge
from inference.runs.label_calibration import (
    CalibratedRecipe,
    choose_scale,
    fit_temperature,
    undo_temperature,
    without_maps,
)
from inference.runs.label_run import LabelRun
from inference.runs.outcome import Recipe, RunPlan, RunProgress, Workplace
from inference.serving.artifact import load_draft
from inference.serving.text_classifiers import softmax
from inference.training.snapshot import Examples

WORDS = {"routine": ["cough", "sprain", "rash"], "urgent": ["chest", "stroke", "bleeding"]}


def noisy_examples(each=250, wrong=0.25, seed=0, routine=2) -> Examples:
    """Texts of which a share is labelled at random: nobody can be surer than that.

    Of `routine` texts all but one are of that label.
    """
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for n in range(2 * each):
        label = "routine" if n % routine else "urgent"
        notes = [f"note{number}" for number in rng.integers(200, size=6)]
        texts.append(" ".join([*rng.choice(WORDS[label], 1), *notes]))
        labels.append(str(rng.choice(list(WORDS))) if rng.random() < wrong else label)
    return Examples(
        [""] * len(texts), texts, [{}] * len(texts), labels, list(map(float, range(2 * each)))
    )


def plan_of(tmp_path, **params) -> RunPlan:
    recipe = Recipe("tfidf", params)
    return RunPlan(recipe, None, GateRule.for_labels(), Workplace(tmp_path / "artifacts"))


def test_a_temperature_makes_confidence_true():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (4000, 3))
    truth = (logits + rng.gumbel(size=logits.shape)).argmax(1)  # softmax of these logits is true
    sure = softmax((3 * logits).astype(np.float32))
    temperature = fit_temperature(sure, truth)
    assert temperature == pytest.approx(3, rel=0.1)
    calibrated = softmax((np.log(np.maximum(sure, 1e-12)) / temperature).astype(np.float32))
    errors = [score_labels(p, truth).whole["calibration_error"] for p in (sure, calibrated)]
    assert errors[0] > 0.1
    assert errors[1] < 0.02
    assert undo_temperature(calibrated, temperature) == pytest.approx(sure, abs=1e-3)


def test_probabilities_that_are_true_already_mostly_stay_as_they_are():
    unchanged = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        logits = rng.normal(0, 1.5, (600, 3))
        truth = (logits + rng.gumbel(size=logits.shape)).argmax(1)
        true = softmax(logits.astype(np.float32))
        assert fit_temperature(true, truth) != 1  # chance would bend each
        unchanged += choose_scale(true, truth).temperature == 1
        assert choose_scale(softmax((2 * logits).astype(np.float32)), truth).temperature > 1.5
    assert unchanged >= 8


def test_a_few_rows_that_are_all_right_do_not_ask_for_certainty():
    probabilities = np.tile(np.array([[0.8, 0.2]], np.float32), (50, 1))
    assert fit_temperature(probabilities, np.zeros(50, np.int64)) > 0.15


def test_a_run_calibrates_what_it_exports_and_says_so(tmp_path):
    plan = plan_of(tmp_path, inverse_l2=1e4)
    result = label_and_judge(plan, noisy_examples(wrong=0.5), RunProgress())
    view = result.gate.about["temperature"]
    assert view["temperature"] > 1.5
    assert view["rows"] >= 50
    assert view["error_after"] < 0.6 * view["error_before"]
    assert view["error_after"] == result.gate.rows["calibration_error"]["challenger"]
    about = load_draft(tmp_path / "artifacts", result.artifact_sha256).about
    assert about["calibration"]["temperature"] == view["temperature"]
    chart = draw_calibration(result.gate.about["calibration"], view["bins_before"])
    assert chart.svg.count('fill-opacity="0"') == len(view["bins_before"])


def test_lines_per_label_are_taken_where_a_temperature_cannot_mend_it(tmp_path):
    # Labels that weigh alike are stated as if they were as frequent: no temperature undoes that.
    plan = plan_of(tmp_path, class_weight="balanced")
    result = label_and_judge(plan, noisy_examples(each=900, routine=8), RunProgress())
    view = result.gate.about["temperature"]
    assert view["method"] == "isotonic"
    assert view["brier"]["isotonic"] < 0.9 * view["brier"]["temperature"]
    assert view["error_after"] < 0.6 * view["error_before"]
    draft = load_draft(tmp_path / "artifacts", result.artifact_sha256)
    run = LabelRun.of(plan, noisy_examples(each=900, routine=8))
    bent = run.predict(without_maps(draft), run.held_out)
    stated, shares = (draft.arrays[name] for name in ("isotonic_stated", "isotonic_shares"))
    first, end = draft.arrays["isotonic_corners"][1:]
    line = np.interp(bent[:, 1], stated[first:end], shares[first:end])
    served = run.predict(draft, run.held_out)
    assert served.sum(1) == pytest.approx(1, abs=1e-6)
    assert np.corrcoef(served[:, 1], line)[0, 1] > 0.99


def test_what_judges_does_not_change_the_temperature(tmp_path):
    plan, examples = plan_of(tmp_path), noisy_examples()
    run = LabelRun.of(plan, examples)
    other = replace(run.held_out, truth=1 - run.held_out.truth)
    changed = replace(run, held_out=other, whole=other)
    temperatures = [
        CalibratedRecipe.of(one, plan.recipe, RunProgress()).calibration for one in (run, changed)
    ]
    assert temperatures[0] == temperatures[1]
    assert temperatures[0] is not None


def test_what_is_dear_never_learns_from_the_validation_part(tmp_path, monkeypatch):
    from inference.classifiers.tfidf import Tfidf

    monkeypatch.setattr(Tfidf, "refits", False)
    plan = plan_of(tmp_path)
    run = LabelRun.of(plan, noisy_examples())
    recipe = CalibratedRecipe.of(run, plan.recipe, RunProgress())
    assert recipe.validation is not None
    assert not set(recipe.learnt.texts) & set(recipe.validation.texts)
    assert recipe.fit(0, RunProgress()).about["calibration"]["rows"] == len(recipe.validation.texts)


def test_with_few_rows_nothing_is_calibrated(tmp_path):
    run = LabelRun.of(plan_of(tmp_path), noisy_examples(each=60))
    recipe = CalibratedRecipe.of(run, run.plan.recipe, RunProgress())
    assert (recipe.validation, recipe.calibration) == (None, None)
    assert "calibration" not in recipe.fit(0, RunProgress()).about
