"""`bakeoff train` with several classifiers: judged on the same rows, the best goes on, draws are searched."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from bakeoff.accounts.keys import SECRET
from bakeoff.accounts.models import ApiKey
from experiments.actions.advance_challenger import advance_challenger
from experiments.actions.change_surface import CannotChangeSurfaceError, patch_surface
from experiments.actions.retrain_surface import retrain_surface
from inference.actions.example_draft import ExampleDraft
from inference.actions.load_examples import load_examples
from inference.algorithms import LabelPortfolio, classifiers, default_algorithm
from inference.evaluation.gate import GateRule
from inference.models import Example, Surface, TrainingRun
from inference.runs.label_run import LabelRun
from inference.runs.outcome import Labelling, Recipe, RunError, RunPlan, RunProgress, Workplace
from inference.runs.portfolio import choose_recipe
from inference.runs.search import search_params
from inference.serving.label_costs import LabelCosts
from inference.tasks import run_training
from inference.training.snapshot import Examples
from tests.support import builders
from tests.support.commands import run as run_bakeoff
from tests.support.dashboard import sign_in
from tests.support.learning import make_examples, train
from tests.support.waiting import wait_until


@contextmanager
def trained_meanwhile(surface):
    """A worker for the next run of a surface, while a command waits for it."""

    def work() -> None:
        queued = surface.training_runs.filter(state="queued")
        wait_until(queued.exists, "a queued run")
        run_training(queued.get().pk)
        advance_challenger(surface=surface)  # the command waits for the loop's next tick
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    yield
    worker.join()


def run_train(desk, *options, status=0) -> str:
    with trained_meanwhile(desk.surface):
        return run_bakeoff("train", "intents", *options, "--project", desk.project.slug, status=status)


def candidates_of(run) -> list[dict]:
    assert run.version is not None, run.message
    return run.version.gate["about"]["candidates"]


def label_run(tmp_path, portfolio, *, costs=None, each=40) -> LabelRun:
    drafts = make_examples(each)
    labelling = Labelling(LabelCosts.parse(costs or {}, None))
    plan = RunPlan(
        recipe=Recipe("auto", {}),
        champion=None,
        rule=GateRule.for_labels(),
        place=Workplace(tmp_path / "artifacts", checkpoints=tmp_path / "checkpoints"),
        portfolio=portfolio,
        labelling=labelling,
    )
    examples = Examples(
        [""] * len(drafts),
        [one.text for one in drafts],
        [{} for _ in drafts],
        [one.label for one in drafts],
        [float(n) for n in range(len(drafts))],
    )
    return LabelRun.of(plan, examples)


def test_a_surface_that_labels_tries_several_by_default():
    assert default_algorithm("classify") == "auto"
    assert LabelPortfolio().names == ["tfidf", "frozen-head", "bert"]


def test_train_tries_several_searches_each_and_goes_on_with_the_best(desk, client):
    shown = run_train(desk, "--algorithms", "tfidf,frozen-head", "--search", "2")
    run = desk.surface.training_runs.get()
    tried = candidates_of(run)
    assert [one["algorithm"] for one in tried] == ["tfidf", "frozen-head"]
    (chosen,) = [one for one in tried if one["state"] == "chosen"]
    assert chosen["log_score"] == max(one["log_score"] for one in tried)
    assert (run.version.algorithm, run.version.params) == (chosen["algorithm"], chosen["params"])
    # What was judged as a candidate is what the gate judged: the same fit, on the same rows.
    assert run.version.gate["rows"]["log_score"]["challenger"] == pytest.approx(chosen["log_score"])
    for one in tried:
        assert one["search"]["trials"] == 3 + 2 + 2
        assert (one["search"]["log_score"] > one["search"]["default_log_score"]) == bool(one["params"])
        assert f"{one['log_score']:.4f}" in shown
    client.force_login(builders.make_root())
    page = client.get(reverse("run", args=[run.pk])).content.decode()
    for one in tried:
        assert f'data-candidate="{one["algorithm"]}" data-state="{one["state"]}"' in page
        assert f"{one['accuracy']:.4f}" in page
    assert "Hit rate" not in page
    assert f"{chosen['log_score']:.4f}" in run_bakeoff(
        "runs", "show", str(run.pk), "--project", desk.project.slug
    )


def test_a_transformer_is_tried_and_fitted_once(desk, lane):
    params = {"algorithms": ["tfidf", "bert"], "budget_seconds": 600.0}
    run = train(desk.surface, "auto", **params)
    assert {one["algorithm"]: one["state"] for one in candidates_of(run)}.keys() == {"tfidf", "bert"}
    assert {one["state"] for one in candidates_of(run)} == {"chosen", "judged"}
    key = ApiKey.make(desk.project, SECRET, name="a test")[1]
    lane.refresh()
    rows = lane.client.get(
        "/v1/surfaces/intents/training-runs", headers={"Authorization": f"Bearer {key}"}
    ).json()
    (answer,) = rows["items"] if isinstance(rows, dict) else rows
    assert [one["algorithm"] for one in answer["candidates"]] == ["tfidf", "bert"]
    assert all(one["log_score"] < 0 < one["accuracy"] for one in answer["candidates"])
    assert all(one["ndcg"] is None for one in answer["candidates"])


def test_costs_decide_where_the_surface_states_them(tmp_path):
    costs = {"billing": {"delivery": 20, "account": 20}}
    portfolio = LabelPortfolio(algorithms=["tfidf"], search=3)
    run = label_run(tmp_path, portfolio, costs=costs)
    _, (one,) = choose_recipe(run, portfolio, RunProgress())
    assert one["decision_cost"] >= 0
    assert one["search"]["decision_cost"] <= one["search"]["default_decision_cost"]
    trial = run.try_recipe(Recipe("tfidf", {}), RunProgress())
    assert trial.value == -trial.figures["decision_cost"]


def test_a_search_is_the_same_again_and_goes_on_after_a_kill(tmp_path):
    run = label_run(tmp_path, LabelPortfolio())
    first = search_params(run, Recipe("tfidf", {}), 4, RunProgress())
    assert first.trials == 5 + 3 + 2
    assert set(first.recipe.params) <= {"inverse_l2", "least"}
    value_of = run.validation_of(Recipe("tfidf", {})).value_of
    judged = [value_of(one, 1.0, RunProgress()) for one in (first.recipe, Recipe("tfidf", {}))]
    assert first.validation == tuple(judged)
    assert bool(first.recipe.params) == (judged[0] > judged[1])
    lines = []
    progress = RunProgress(report=lambda _share, line: lines.append(line))
    assert search_params(run, Recipe("tfidf", {}), 4, progress) == first
    assert not lines
    other = label_run(tmp_path / "again", LabelPortfolio())
    assert search_params(other, Recipe("tfidf", {}), 4, RunProgress()) == first


class Slow:
    """Reports forever, and never ends by itself."""

    name = "slow"
    reads_encoder = False
    seeds = 1
    refits = True

    def fit(self, _data, options):
        while True:
            options.report(0.5, "still fitting")


class Fails(Slow):
    """Refuses every row."""

    def fit(self, _data, _options):
        raise ValueError("these rows are not for it.")


def test_who_is_out_of_time_or_fails_is_listed_and_fails_no_run(tmp_path, monkeypatch):
    monkeypatch.setitem(classifiers(), "slow", Slow())
    monkeypatch.setitem(classifiers(), "fails", Fails())
    portfolio = LabelPortfolio(algorithms=["slow", "fails", "tfidf"], budget_seconds=3000.0)
    ticks = count()  # every look at the clock takes a second
    run, tried = choose_recipe(
        label_run(tmp_path, portfolio), portfolio, RunProgress(), now=lambda: float(next(ticks))
    )
    states = {one["algorithm"]: one["state"] for one in tried}
    assert states == {"slow": "out_of_time", "fails": "failed", "tfidf": "chosen"}
    assert tried[1]["reason"] == "these rows are not for it."
    assert 900 < tried[0]["seconds"] < 1100  # a third of the time
    assert run.plan.recipe == Recipe("tfidf", {})


class Diverges(Slow):
    """Has weights that are no numbers, or whose sums are none."""

    refits = False

    def __init__(self, name, value):
        self.array, self.value = name, value

    def fit(self, data, options):
        draft = classifiers()["tfidf"].fit(data, replace(options, params={}))
        arrays = {name: array.copy() for name, array in draft.arrays.items()}
        arrays[self.array][:] = self.value
        return replace(draft, arrays=arrays)


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
@pytest.mark.parametrize(
    ("array", "value", "reason"),
    [
        ("offset", np.nan, "array 'offset' holds a number that is not finite"),
        ("weights", 3e38, "the model's probabilities are not finite"),
    ],
)
def test_a_candidate_that_answers_no_numbers_fails_alone(tmp_path, monkeypatch, array, value, reason):
    monkeypatch.setitem(classifiers(), "diverges", Diverges(array, value))
    portfolio = LabelPortfolio(algorithms=["diverges", "tfidf"])
    run, tried = choose_recipe(label_run(tmp_path, portfolio), portfolio, RunProgress())
    assert [one["state"] for one in tried] == ["failed", "chosen"]
    assert reason in tried[0]["reason"]
    assert run.plan.recipe == Recipe("tfidf", {})
    alone = LabelPortfolio(algorithms=["diverges"])
    with pytest.raises(RunError, match=f"no candidate could be judged: diverges: {reason}"):
        choose_recipe(label_run(tmp_path / "alone", alone), alone, RunProgress())


class FailsSometimes(type(classifiers()["tfidf"])):
    """Fits what `tfidf` does, but refuses some parameters on more than 60 rows: in the last round."""

    def __init__(self, refuses):
        self.refuses = refuses

    def fit(self, data, options):
        if len(data.texts) > 60 and self.refuses(options.params):
            raise ValueError("these rows are not for it.")
        return super().fit(data, options)


def searched_where(tmp_path, monkeypatch, refuses):
    monkeypatch.setitem(classifiers(), "tfidf", FailsSometimes(refuses))
    return search_params(label_run(tmp_path, LabelPortfolio()), Recipe("tfidf", {}), 4, RunProgress())


def test_a_draw_that_fails_loses_and_the_search_goes_on(tmp_path, monkeypatch):
    found = searched_where(tmp_path, monkeypatch, bool)  # every draw fails in the last round
    assert (found.recipe, found.trials) == (Recipe("tfidf", {}), 5 + 3 + 2)
    assert found.as_json()["log_score"] == found.as_json()["default_log_score"] < 0


def test_a_draw_wins_where_the_defaults_fail(tmp_path, monkeypatch):
    found = searched_where(tmp_path, monkeypatch, lambda params: not params)
    assert set(found.recipe.params) <= {"inverse_l2", "least"}
    assert found.recipe.params
    assert found.as_json().keys() == {"trials", "log_score"}


def test_where_all_fail_the_last_round_that_was_finished_decides(tmp_path, monkeypatch):
    found = searched_where(tmp_path, monkeypatch, lambda _params: True)
    assert found.trials == 5 + 3 + 2
    assert found.metric == "log_score"


def test_trials_by_log_score_are_not_ranked_among_costs(tmp_path):
    by_score = label_run(tmp_path, LabelPortfolio())
    search_params(by_score, Recipe("tfidf", {}), 2, RunProgress())
    costs = {"billing": {"delivery": 20, "account": 20}}
    resumed = label_run(tmp_path, LabelPortfolio(), costs=costs)
    afresh = label_run(tmp_path / "afresh", LabelPortfolio(), costs=costs)
    wanted = search_params(afresh, Recipe("tfidf", {}), 2, RunProgress())
    assert search_params(resumed, Recipe("tfidf", {}), 2, RunProgress()) == wanted


def test_the_champions_recipe_is_among_the_candidates(desk):
    first = train(desk.surface, "tfidf", inverse_l2=3.0)
    assert first.state == TrainingRun.State.PASSED, first.message
    desk.surface.versions.update(alias="champion")
    tried = candidates_of(train(desk.surface, "auto", algorithms=["tfidf"]))
    assert [one["params"] for one in tried] == [{}, {"inverse_l2": 3.0}]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--algorithms", "tfidfs"), "algorithms: 'tfidfs', must be among"),
        (("--algorithms", "tfidfs"), "Did you mean 'tfidf'?"),
        (("--algorithms", "private-head"), "algorithms: 'private-head', must be among"),
        (("--algorithms", "ease"), "algorithms: 'ease', must be among"),
        (("--algorithm", "frozenhead"), "Did you mean 'frozen-head'?"),
        (("--search", "501"), "parameter search == 501, must be at least 0 and at most 500."),
        (("--budget-seconds", "0"), "parameter budget_seconds == 0, must be above 0"),
        (
            ("--algorithm", "auto", "--params", '{"blend": true}'),
            "parameter == 'blend', must be one of",
        ),
    ],
)
def test_what_cannot_be_tried_is_refused_before_it_is_queued(desk, options, message):
    command = ("train", "intents", *options, "--project", desk.project.slug)
    assert message in " ".join(run_bakeoff(*command, status=1).split())
    assert not desk.surface.training_runs.exists()


def test_too_few_examples_are_said_with_how_many_are_missing_before_a_run_is_queued(desk):
    Example.objects.filter(surface=desk.surface).delete()
    load_examples(surface_id=desk.surface.pk, examples=make_examples(3))
    command = ("train", "intents", "--algorithms", "tfidf", "--project", desk.project.slug)
    shown = " ".join(run_bakeoff(*command, status=1).split())
    why = "held-out examples == 3, must be at least 20. Of 9 examples with 3 labels"
    assert why in shown
    answer = Client().post(
        "/v1/surfaces/intents/training-runs",
        {"algorithm": "tfidf"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {ApiKey.make(desk.project, SECRET, name='a test')[1]}"},
    )
    assert answer.status_code == 422
    assert why in answer.json()["error"]["message"]
    address = reverse("surface-train", args=[desk.project.slug, "intents"])
    page = sign_in(desk.project, role="operator").post(address, {"algorithm": "tfidf"}, follow=True)
    assert "Only 3 examples would be held out" in page.content.decode()
    assert not desk.surface.training_runs.exists()
    more = int(re.search(r"load about (\d+) more, spread over the labels", shown)[1])
    load_examples(surface_id=desk.surface.pk, examples=make_examples(10 + more // 3))
    run = retrain_surface(surface=desk.surface, algorithm="tfidf", trigger="a test")
    assert run.state == "queued"


def test_one_label_is_said(desk):
    Example.objects.filter(surface=desk.surface).delete()
    drafts = [ExampleDraft(f"e{n}", f"text {n}", "billing", {}) for n in range(200)]
    load_examples(surface_id=desk.surface.pk, examples=drafts)
    shown = run_train(desk, "--algorithms", "tfidf", status=1)
    assert "labels == 1, must be between 2 and" in " ".join(shown.split())


def test_a_schedule_may_name_a_portfolio_of_classifiers(desk):
    values = {"retrain_algorithm": "auto", "retrain_params": {"algorithms": ["tfidf"], "search": 5}}
    patch_surface(surface=desk.surface, changes=values, by="a test")
    assert Surface.objects.get(pk=desk.surface.pk).retrain_algorithm == "auto"
    for field, value, words in (
        ("retrain_params", {"algorithms": ["bertt"]}, "Did you mean 'bert'?"),
        ("retrain_algorithm", "tfidd", "Did you mean 'tfidf'?"),
    ):
        with pytest.raises(CannotChangeSurfaceError) as refused:
            patch_surface(surface=desk.surface, changes={field: value}, by="a test")
        assert refused.value.field == field
        assert words in str(refused.value)
