"""Which classifier of several goes to the gate: the best that passes there; what cannot be fitted is listed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from inference.algorithms import LabelPortfolio
from inference.encoders import item_vectors
from inference.evaluation.gate import GateRule, Rival
from inference.evaluation.labelling import score_labels
from inference.models import TrainingRun
from inference.runs.outcome import Recipe, RunPlan, RunProgress, Trial, Workplace
from inference.runs.portfolio import choose_recipe
from tests.support.commands import run as run_bakeoff
from tests.support.learning import train

TRUTH = np.arange(400) % 2
# The share of rows that each answers right, how sure it is there, and how sure where it is wrong.
ANSWERS = {
    "sure": (0.9, 0.99, 0.6),  # the best log score
    "careful": (1.0, 0.8, 0.5),  # right more often
    "plain": (1.0, 0.75, 0.5),
    "wild": (0.5, 0.9, 0.9),  # worse than no model
}


def scores_of(name):
    share, right, wrong = ANSWERS[name]
    is_right = np.arange(len(TRUTH)) % 100 < 100 * share
    of_truth = np.where(is_right, right, 1 - wrong)
    rows = np.stack([of_truth, 1 - of_truth], axis=1)
    rows[TRUTH == 1] = rows[TRUTH == 1][:, ::-1]
    return score_labels(rows.astype(np.float32), TRUTH)


@dataclass(frozen=True)
class Judged:
    """A run whose candidates answer as `ANSWERS` says."""

    plan: RunPlan
    kind: str = "classify"

    def with_plan(self, plan):
        return replace(self, plan=plan)

    def try_recipe(self, recipe, _progress):
        scores = scores_of(recipe.algorithm)
        return Trial(recipe, 1.0, scores.mean("log_score"), {}, scores)

    def first_rival(self):
        shares = score_labels(np.full((len(TRUTH), 2), 0.5, dtype=np.float32), TRUTH)
        return Rival("the labels' shares", shares, beaten="log_score")

    def validation_of(self, _default):
        return None


def choose(tmp_path, *names, champion=None):
    portfolio = LabelPortfolio(algorithms=list(names))
    plan = RunPlan(
        recipe=Recipe("auto", {}),
        champion=champion and Recipe(champion, {}, f"{champion}@1"),
        rule=GateRule.for_labels(),
        place=Workplace(tmp_path),
        portfolio=portfolio,
    )
    run, tried = choose_recipe(Judged(plan), portfolio, RunProgress())
    assert [one["algorithm"] for one in tried if one["state"] == "chosen"] == [
        run.plan.recipe.algorithm
    ]
    return run.plan.recipe.algorithm, {one["algorithm"]: one["reason"] for one in tried}


def test_what_the_gate_would_refuse_hides_no_candidate_that_passes(tmp_path):
    best = {name: scores_of(name).mean("log_score") for name in ANSWERS}
    assert max(best, key=best.get) == "sure"
    chosen, reasons = choose(tmp_path, "sure", "careful", "plain", champion="plain")
    assert chosen == "careful"
    assert reasons["sure"].startswith("accuracy may be as low as 0.8")
    assert reasons["careful"] == reasons["plain"] == ""


def test_without_a_champion_the_best_log_score_goes_on(tmp_path):
    chosen, reasons = choose(tmp_path, "wild", "plain", "sure", "careful")
    assert chosen == "sure"
    assert "log_score is better than the labels' shares by" in reasons["wild"]


def test_where_all_would_be_refused_the_best_goes_on(tmp_path):
    chosen, reasons = choose(tmp_path, "wild")
    assert chosen == "wild"
    assert reasons["wild"]


@pytest.fixture
def without_encoder(tmp_path, settings, monkeypatch):
    """An installation whose encoder cannot be had: its folder is empty."""
    (tmp_path / "empty").mkdir()
    caches = [
        getattr(item_vectors, name) for name in ("encoder_path", "encoder_sha256", "why_no_encoder")
    ]
    monkeypatch.setenv("BAKEOFF_ENCODER", str(tmp_path / "empty"))
    settings.BAKEOFF = replace(settings.BAKEOFF, encoder=str(tmp_path / "empty"))
    for one in caches:
        one.cache_clear()
    yield
    for one in caches:
        one.cache_clear()


def test_what_needs_no_encoder_is_trained_where_it_cannot_be_had(desk, without_encoder):
    run = train(desk.surface, "auto", algorithms=["tfidf", "frozen-head"])
    assert run.state == TrainingRun.State.PASSED, run.message
    tried = run.version.gate["about"]["candidates"]
    assert {one["algorithm"]: one["state"] for one in tried} == {
        "tfidf": "chosen",
        "frozen-head": "failed",
    }
    assert "the encoder cannot be had: encoder '" in tried[1]["reason"]
    assert "holds no config.json" in tried[1]["reason"]
    alone = train(desk.surface, "auto", algorithms=["frozen-head"])
    assert alone.state == TrainingRun.State.FAILED
    assert "no candidate could be judged: frozen-head: the encoder cannot be had" in alone.message


def test_a_parameter_of_one_algorithm_says_what_to_name(desk):
    command = ("train", "intents", "--params", '{"inverse_l2": 3}', "--project", desk.project.slug)
    shown = " ".join(run_bakeoff(*command, status=1).split())
    assert "parameter 'inverse_l2' belongs to ['bert', 'frozen-head', 'tfidf']" in shown
    assert 'name one, as "algorithm": "tfidf".' in shown
    assert not desk.surface.training_runs.exists()
