"""Surfaces and metrics that nobody uses any more: archived with their history, restored, or deleted."""

from __future__ import annotations

import pytest
from django.db import connection

from experiments.actions.create_serving_metrics import create_serving_metrics
from experiments.actions.mark_units import surfaces_to_mark
from experiments.actions.put_holdout import put_holdout
from experiments.actions.refresh_surface import surfaces_with_dirty_units
from experiments.actions.stop_experiment import stop_experiment
from experiments.models import Experiment, JudgePlan, Metric, Programme
from experiments.tasks import measure_holdouts, retrain_scheduled_surface
from inference.actions.queue_training import CannotTrainError, queue_run
from inference.models import Surface, TrainingRun
from tests.support import builders


@pytest.fixture
def call(lane, shop):
    def call(method, path, body=None, key=None):
        headers = {"Authorization": f"Bearer {key or shop.secret}"}
        return lane.client.request(method, f"/v1{path}", json=body, headers=headers)

    return call


def refused(answer, code: str, *words: str) -> None:
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (409, code), answer.text
    for part in words:
        assert part in error["message"], error["message"]


def keys(answer) -> list[str]:
    return [row["key"] for row in answer.json()]


def recommend(lane, shop):
    lane.refresh()
    body = {"surface": "home-feed", "unit_id": "u1", "k": 3}
    return lane.post("/v1/recommend", body, shop.public)


def test_an_archived_surface_leaves_lists_and_serving_and_comes_back(lane, shop, call):
    experiment = shop.run_experiment()
    stop_experiment(experiment=experiment, by="a test")
    assert recommend(lane, shop).status_code == 200
    answer = call("POST", "/surfaces/home-feed/archive")
    assert (answer.status_code, bool(answer.json()["archived_at"])) == (200, True)
    assert keys(call("GET", "/surfaces")) == []
    assert keys(call("GET", "/surfaces?archived=true")) == ["home-feed"]
    gone = recommend(lane, shop)
    assert (gone.status_code, gone.json()["error"]["code"]) == (410, "surface_archived")
    assert gone.json()["error"]["message"] == (
        "surface == 'home-feed', is archived: restore it, or ask another surface."
    )
    # Its history is there: the version, the experiment and its report.
    assert call("GET", "/surfaces/home-feed").json()["champion"] == shop.champion.label
    assert call("GET", f"/experiments/{experiment.key}/report.json").status_code == 200
    refused(call("POST", "/surfaces/home-feed/archive"), "wrong_state", "is archived already")

    assert call("POST", "/surfaces/home-feed/restore").json()["archived_at"] is None
    assert keys(call("GET", "/surfaces")) == ["home-feed"]
    assert recommend(lane, shop).json()["model"] == shop.champion.label
    refused(call("POST", "/surfaces/home-feed/restore"), "wrong_state", "is not archived")


def test_nothing_begins_on_an_archived_surface(shop, call):
    challenger = builders.make_version(shop.surface, list(range(1, 11)))
    call("POST", "/surfaces/home-feed/archive")
    sentence = "surface 'home-feed' is archived: restore it first."
    body = {
        "key": "trial", "surface": "home-feed", "metrics": [{"metric": "clicks"}],
        "variants": [
            {"key": "control", "model": shop.champion.label, "weight": 0.5, "is_control": True},
            {"key": "treatment", "model": challenger.label, "weight": 0.5},
        ],
    }  # fmt: skip
    for method, path, sent in [
        ("POST", "/experiments", body),
        ("PATCH", "/surfaces/home-feed", {"exploration": 0.1}),
        ("PUT", "/surfaces?replace=true", {"key": "home-feed"}),
        ("PATCH", "/surfaces/home-feed/autopilot", {"primary_metric": "clicks"}),
        ("POST", "/surfaces/home-feed/training-runs", {"algorithm": "popularity"}),
        ("POST", f"/surfaces/home-feed/models/popularity/{challenger.number}/promote", {}),
    ]:
        answer = call(method, path, sent)
        assert answer.status_code in {409, 422}, f"{path}: {answer.text}"
        assert answer.json()["error"]["message"] == sentence, path
    assert not Experiment.objects.filter(project=shop.project).exists()
    assert not TrainingRun.objects.filter(surface=shop.surface).exists()


def test_a_draft_of_before_does_not_start_there(shop, call):
    """One that was written while somebody archived the surface."""
    draft = shop.define(builders.make_version(shop.surface, list(range(1, 11))))
    Surface.objects.filter(pk=shop.surface.pk).update(archived_at=builders.now())
    answer = call("POST", f"/experiments/{draft.key}/start")
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        409, "surface 'home-feed' is archived: restore it first.",
    )  # fmt: skip


def test_a_draft_with_an_archived_metric_does_not_start(shop, call):
    """One that was written while somebody archived the metric."""
    draft = shop.define(builders.make_version(shop.surface, list(range(1, 11))))
    Metric.objects.filter(pk=shop.metric.pk).update(archived_at=builders.now())
    answer = call("POST", f"/experiments/{draft.key}/start")
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        409, "metric 'clicks' is archived: restore it first.",
    )  # fmt: skip
    draft.refresh_from_db()
    assert draft.state == Experiment.State.DRAFT


def test_no_training_is_queued_that_began_before_the_archive(shop):
    """Its surface was archived while the rows were frozen."""
    stale = Surface.objects.get(pk=shop.surface.pk)
    Surface.objects.filter(pk=shop.surface.pk).update(archived_at=builders.now())
    run = TrainingRun(surface=stale, algorithm="popularity", trigger="a test")
    with pytest.raises(CannotTrainError, match="surface 'home-feed' is archived: restore it first"):
        queue_run(run, action="train", subject="popularity")
    assert not shop.surface.training_runs.exists()


def test_a_surface_in_use_says_who_uses_it(shop, call):
    running = shop.run_experiment()
    refused(
        call("POST", "/surfaces/home-feed/archive"),
        "in_use",
        f"experiment '{running.key}' is running",
        "End or change this first",
    )
    stop_experiment(experiment=running, by="a test")
    draft = shop.define(builders.make_version(shop.surface, list(range(1, 11))))
    run = TrainingRun.objects.create(surface=shop.surface, algorithm="ease", trigger="a test")
    Surface.objects.create(project=shop.project, key="blog", text_classifier="home-feed")
    chat = Surface.objects.create(project=shop.project, key="chat", kind=Surface.Kind.GENERATE)
    JudgePlan.objects.create(surface=chat, judge=shop.champion)
    refused(
        call("POST", "/surfaces/home-feed/archive"),
        "in_use",
        f"experiment '{draft.key}' is a draft",
        f"training run {run.pk} is queued",
        "surface 'blog' names it as text_classifier",
        f"surface 'chat' is judged by its version {shop.champion.label}",
    )
    assert not Surface.objects.filter(project=shop.project, archived_at__isnull=False).exists()


def test_schedule_and_precomputing_leave_an_archived_surface_out(shop, call):
    events = [
        builders.event(shop.project, unit=f"u{n}", name="click", item_id=f"i{n % 5}") for n in range(40)
    ]
    builders.write(builders.Rows(events=events))
    Surface.objects.filter(pk=shop.surface.pk).update(
        retrain_algorithm="popularity", liked_events=["click"]
    )
    call("POST", "/surfaces/home-feed/archive")
    retrain_scheduled_surface(shop.surface.pk)
    assert not shop.surface.training_runs.exists()
    assert shop.surface not in surfaces_with_dirty_units()
    assert shop.surface not in surfaces_to_mark()
    call("POST", "/surfaces/home-feed/restore")
    retrain_scheduled_surface(shop.surface.pk)
    assert shop.surface.training_runs.get().state == TrainingRun.State.QUEUED
    # What its users did meanwhile is precomputed for it again.
    assert shop.surface in surfaces_to_mark()


def test_an_archive_ends_the_measurement_of_a_holdout_and_none_opens(shop, call):
    Programme.objects.create(surface=shop.surface, primary_metric=shop.metric)
    put_holdout(project=shop.project, share=0.05, by="a test")
    measure_holdouts()
    (measurement,) = Experiment.objects.running().filter(surface=shop.surface)
    assert call("POST", "/surfaces/home-feed/archive").status_code == 200
    measurement.refresh_from_db()
    assert measurement.state == Experiment.State.ENDED
    measure_holdouts()
    assert not Experiment.objects.running().filter(surface=shop.surface).exists()
    call("POST", "/surfaces/home-feed/restore")
    measure_holdouts()
    assert Experiment.objects.running().filter(surface=shop.surface).count() == 1


def test_a_surface_is_deleted_only_once_archived_and_where_nothing_depends_on_it(shop, call):
    refused(
        call("DELETE", "/surfaces/home-feed"), "has_history", "model versions", "archive it instead"
    )
    Surface.objects.create(project=shop.project, key="tpyo")
    # While it serves, its first answer may come at this moment.
    refused(call("DELETE", "/surfaces/tpyo"), "wrong_state", "is not archived: archive it first.")
    assert call("POST", "/surfaces/tpyo/archive").status_code == 200
    assert call("DELETE", "/surfaces/tpyo").status_code == 204
    assert call("DELETE", "/surfaces/tpyo").status_code == 404
    assert keys(call("GET", "/surfaces")) == ["home-feed"]


def test_an_archived_metric_is_offered_to_no_experiment(shop, call):
    assert call("POST", "/metrics/clicks/archive").status_code == 200
    assert "clicks" not in keys(call("GET", "/metrics"))
    assert keys(call("GET", "/metrics?archived=true")) == ["clicks"]
    challenger = builders.make_version(shop.surface, list(range(1, 11)))
    body = {
        "key": "trial", "surface": "home-feed", "metrics": [{"metric": "clicks"}],
        "variants": [
            {"key": "control", "model": shop.champion.label, "weight": 0.5, "is_control": True},
            {"key": "treatment", "model": challenger.label, "weight": 0.5},
        ],
    }  # fmt: skip
    for method, path, sent in [
        ("POST", "/experiments", body),
        ("PATCH", "/metrics/clicks", {"owner": "Ann"}),
        ("PATCH", "/surfaces/home-feed/autopilot", {"primary_metric": "clicks"}),
    ]:
        answer = call(method, path, sent)
        sentence = "metric 'clicks' is archived: restore it first."
        assert (answer.status_code, answer.json()["error"]["message"]) == (422, sentence), path
    refused(call("POST", "/metrics/clicks/archive"), "wrong_state", "is archived already")
    assert call("POST", "/metrics/clicks/restore").json()["archived_at"] is None
    refused(call("POST", "/metrics/clicks/restore"), "wrong_state", "is not archived")
    assert call("POST", "/experiments", body).status_code == 201


def test_a_metric_in_use_says_who_uses_it(shop, call):
    running = shop.run_experiment()
    refused(call("POST", "/metrics/clicks/archive"), "in_use", f"experiment '{running.key}' is running")
    stop_experiment(experiment=running, by="a test")
    guard = Metric.objects.create(project=shop.project, key="orders", kind="mean", event="order")
    Programme.objects.create(
        surface=shop.surface, primary_metric=shop.metric,
        guardrails=[{"metric": "orders", "margin": 0.05}],
    )  # fmt: skip
    for key in ("clicks", guard.key):
        refused(
            call("POST", f"/metrics/{key}/archive"),
            "in_use",
            "the autopilot of surface 'home-feed' names it",
        )
    create_serving_metrics(shop.project, "recommend")
    refused(call("POST", "/metrics/serving-errors/archive"), "in_use", "guards each automatic")
    # An archived surface's autopilot asks for nothing.
    call("POST", "/surfaces/home-feed/archive")
    for key in ("clicks", "orders", "serving-errors"):
        assert call("POST", f"/metrics/{key}/archive").status_code == 200, key
    # It comes back with what it names; metrics of serving come with it.
    back = call("POST", "/surfaces/home-feed/restore")
    refused(back, "wrong_state", "metric 'clicks', metric 'orders'. Restore this first.")
    for key in ("clicks", "orders"):
        assert call("POST", f"/metrics/{key}/restore").status_code == 200
    assert call("POST", "/surfaces/home-feed/restore").status_code == 200
    assert keys(call("GET", "/metrics?archived=true")) == []


def test_a_metric_is_deleted_only_where_no_experiment_had_it(shop, call):
    experiment = shop.run_experiment()
    stop_experiment(experiment=experiment, by="a test")
    refused(call("DELETE", "/metrics/clicks"), "has_history", "archive it instead")
    Metric.objects.create(project=shop.project, key="tpyo", kind="mean", event="order")
    assert call("DELETE", "/metrics/tpyo").status_code == 204
    assert call("DELETE", "/metrics/tpyo").status_code == 404


def test_what_an_archived_surface_names_is_not_deleted(shop, call):
    guard = Metric.objects.create(project=shop.project, key="orders", kind="mean", event="order")
    Programme.objects.create(
        surface=shop.surface, primary_metric=shop.metric,
        guardrails=[{"metric": "orders", "margin": 0.05}],
    )  # fmt: skip
    namer = Surface.objects.create(project=shop.project, key="chat", kind=Surface.Kind.GENERATE)
    Surface.objects.filter(pk=shop.surface.pk).update(theme_namer="chat")
    call("POST", "/surfaces/home-feed/archive")
    for path in ("/surfaces/chat", "/metrics/clicks", "/metrics/orders"):
        refused(call("DELETE", path), "in_use", "surface 'home-feed' names it")
    # What is gone nevertheless, by an earlier release or by hand, is said when it comes back.
    Metric.objects.filter(pk=guard.pk).delete()
    Surface.objects.filter(pk=namer.pk).delete()
    back = call("POST", "/surfaces/home-feed/restore")
    refused(back, "wrong_state", "does not exist: metric 'orders', surface 'chat'. Create this first.")
    assert call("GET", "/surfaces/home-feed").json()["archived_at"]


def test_long_lists_of_uses_are_cut(shop, call):
    for number in range(8):
        Surface.objects.create(project=shop.project, key=f"s{number}", theme_namer="home-feed")
    refused(call("POST", "/surfaces/home-feed/archive"), "in_use", "surface 's4'", "and 3 more")


def test_a_time_that_no_program_can_read_is_refused_by_the_tables(shop):
    with connection.cursor() as cursor, pytest.raises(Exception, match="archive_time_is_readable"):
        cursor.execute(
            "UPDATE inference_surface SET archived_at = 'infinity' WHERE id = %s", [shop.surface.pk]
        )
