"""Training runs as the worker does them: a real subprocess on real tables."""

from __future__ import annotations

import signal
import subprocess
import time
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from experiments.actions.advance_challenger import advance_challenger
from experiments.actions.retrain_surface import retrain_surface
from experiments.ingest.load_events import PastEvent, load_events
from experiments.reports.param_words import write_params
from experiments.tasks import retrain_scheduled_surface
from inference.actions.load_items import ItemDraft, load_items
from inference.actions.queue_training import CannotTrainError
from inference.actions.register_version import LostLeaseError, register_version
from inference.models import Item, Surface, TrainingRun
from inference.serving.explore import draw_slate
from inference.tasks import run_training
from tests.support import builders
from tests.support.commands import run as run_bakeoff
from tests.support.learning import ITEMS, QUICK, make_likes, train
from tests.support.servers import WARM
from tests.support.warm_python import called_by


def test_a_run_makes_a_version_that_takes_the_empty_throne(learner):
    run = train(learner, "popularity")
    assert run.state == TrainingRun.State.PASSED, run.message
    assert (run.version.label, run.version.alias, run.progress) == ("popularity@1", "challenger", 1.0)
    assert run.version.snapshot == run.snapshot
    advance_challenger(surface=learner)
    assert learner.versions.champions().get() == run.version


def test_a_two_tower_run_embeds_gates_and_registers(learner):
    train(learner, "popularity")
    advance_challenger(surface=learner)
    run = train(learner, "two-tower", **QUICK)
    assert run.state in {TrainingRun.State.PASSED, TrainingRun.State.REFUSED}, run.message
    assert run.version.encoder_sha256
    assert set(run.version.gate["rows"]) >= {
        "ndcg",
        "recall",
        "precision",
        "f1",
        "hit_rate",
        "coverage",
    }
    assert len(run.version.gate["seeds"]) == 3


def test_a_run_of_several_registers_the_best_under_its_own_name(learner, client):
    train(learner, "popularity")
    advance_challenger(surface=learner)
    run = train(learner, "auto", algorithms=["popularity", "item-knn"])
    assert run.version is not None, run.message
    tried = run.version.gate["about"]["candidates"]
    (chosen,) = [one for one in tried if one["state"] == "chosen"]
    assert (run.algorithm, run.version.algorithm) == ("auto", chosen["algorithm"])
    assert run.version.params == chosen["params"]
    client.force_login(builders.make_root())
    page = client.get(reverse("run", args=[run.pk])).content.decode()
    for one in tried:
        assert f'data-candidate="{one["algorithm"]}" data-state="{one["state"]}"' in page
        assert f"{one['ndcg']:.4f}" in page
    shown = run_bakeoff("runs", "show", str(run.pk), "--project", learner.project.slug)
    assert all(f"{one['ndcg']:.4f}" in shown for one in tried)
    # One order on the page and in the shell, with the length of the lists; bytes are a whole number.
    for text in (page[page.index("data-candidate") :], shown):
        places = [text.lower().index(name) for name in ("ndcg@10", "recall@10", "coverage@10", "bytes")]
        assert places == sorted(places)
    assert "e+0" not in shown
    assert "{&#x27;" not in page  # parameters, a blend's parts among them, are no code


def test_lists_are_judged_among_what_could_be_shown_then(learner, client):
    """Last year's advertisements, liked by everybody, are no answer to what is liked today."""
    now = timezone.now()
    old = [f"old{n}" for n in range(20)]
    load_items(
        project_id=learner.project_id,
        items=[ItemDraft(item, "sold", expires_at=now - timedelta(days=2)) for item in old],
    )
    events = [
        PastEvent(f"{unit}:{item}", "rating", unit, item, 5.0, now - timedelta(days=3))
        for n, item in enumerate(old)
        for unit in (f"early{n}-{reader}" for reader in range(30))
    ]
    load_events(connection.connection, learner.project_id, events)
    run = train(learner, "popularity")
    assert run.version is not None, run.message
    assert run.version.gate["rows"]["ndcg"]["challenger"] > 0.05  # among all of them it is 0
    (note,) = [one for one in run.version.gate["about"]["notes"] if "expired" in one]
    assert f"20 of {len(ITEMS) + 20} had expired" in note
    client.force_login(builders.make_root())
    page = client.get(reverse("run", args=[run.pk])).content.decode()
    assert "Lists are judged only by items that could be shown at the time" in page


def test_parameters_are_written_for_people():
    assert write_params({"l2": 400.0, "keep": 500}) == "l2 = 400, keep = 500"
    parts = [{"algorithm": "ease", "params": {"l2": 400.0}}, {"algorithm": "als", "params": {}}]
    blend = {"parts": parts, "weights": [2.5123, 0.1]}
    assert write_params(blend) == "2.51 × ease (l2 = 400) + 0.1 × als"
    assert write_params({"parts": ["ease", "als"]}) == "ease + als"


def test_what_was_served_is_frozen_with_the_run_and_judged_off_policy(learner):
    train(learner, "popularity")
    advance_challenger(surface=learner)
    shop = SimpleNamespace(
        project=learner.project, surface=learner, champion=learner.versions.champions().get()
    )
    rng, items = np.random.default_rng(0), list(ITEMS)
    units = sorted(set(make_likes(units=60).unit_ids))
    for n in range(120):
        slots = [
            (items[rank], 1.0, rank + 1, chance, rank != place)
            for place, (rank, chance) in enumerate(draw_slate(len(items), 3, temperature=2.0, rng=rng))
        ]
        builders.make_slate(shop, units[n % len(units)], slots=slots, exploration=2.0)
    Surface.objects.filter(pk=learner.pk).update(exploration=2.0)
    learner.refresh_from_db()
    run = train(learner, "item-knn")
    assert run.answers.rows == 120
    value = run.version.gate["about"]["off_policy"]
    assert value["answers"] > 60
    assert {row["position"] for row in value["positions"]} == {1, 2, 3}
    assert value["supported"] == 0
    assert "effective sample size at position 1" in value["refused"]
    assert len(run.version.gate["about"]["learning"]) == 3


def test_a_failed_run_says_why_and_leaves_the_champion_alone(learner):
    train(learner, "popularity")
    advance_challenger(surface=learner)
    champion = learner.versions.champions().get()
    run = retrain_surface(surface=learner, algorithm="two-tower", trigger="a test")
    # As an earlier release queued it: today's refuses it at once.
    TrainingRun.objects.filter(pk=run.pk).update(params={"width": "wide"})
    run_training(run.pk)
    run.refresh_from_db()
    assert run.state == TrainingRun.State.FAILED
    assert run.message == "parameter width == 'wide', must be of type int."
    assert learner.versions.champions().get() == champion


def test_the_schedule_skips_what_has_not_changed(learner):
    train(learner, "popularity")
    Surface.objects.filter(pk=learner.pk).update(retrain_algorithm="popularity")
    retrain_scheduled_surface(learner.pk)
    last = learner.training_runs.first()
    assert (last.state, last.trigger) == (TrainingRun.State.SKIPPED, "schedule")
    retrain_scheduled_surface(learner.pk)
    assert learner.training_runs.first() == last


def test_the_schedule_trains_again_when_items_came(learner):
    train(learner, "popularity")
    Surface.objects.filter(pk=learner.pk).update(retrain_algorithm="popularity")
    Item.objects.filter(project=learner.project, item_id="i1").update(available=False, price=3.0)
    retrain_scheduled_surface(learner.pk)
    assert learner.training_runs.first().state == TrainingRun.State.SKIPPED
    Surface.objects.filter(pk=learner.pk).update(last_retrained_at=timezone.now() - timedelta(days=2))
    Item.objects.create(project=learner.project, item_id="new", title="a new one")
    retrain_scheduled_surface(learner.pk)
    assert learner.training_runs.first().state == TrainingRun.State.QUEUED


def test_one_run_at_a_time(learner):
    retrain_surface(surface=learner, algorithm="popularity", trigger="a test")
    with pytest.raises(CannotTrainError, match="is active already"):
        retrain_surface(surface=learner, algorithm="popularity", trigger="a test")


def test_an_unknown_recommender_is_refused(learner):
    with pytest.raises(CannotTrainError, match="algorithm == 'oracle', must be one of"):
        retrain_surface(surface=learner, algorithm="oracle", trigger="a test")


def test_a_run_that_lost_its_lease_cannot_publish(learner):
    run = retrain_surface(surface=learner, algorithm="popularity", trigger="a test")
    TrainingRun.objects.filter(pk=run.pk).update(lease=2, state="running")
    gate = {"passed": True, "rows": {}, "reasons": []}
    with pytest.raises(LostLeaseError):
        register_version(run_id=run.pk, lease=1, artifact_sha256="a", encoder_sha256="", gate=gate)
    assert not learner.versions.exists()


def test_a_killed_run_is_taken_over_and_finished(learner):
    run = retrain_surface(
        surface=learner,
        algorithm="two-tower",
        trigger="a test",
        params={**QUICK, "epochs": 4000, "most_steps": 4000},
    )
    TrainingRun.objects.filter(pk=run.pk).update(state="running", lease=1, heartbeat_at=timezone.now())
    process = subprocess.Popen([WARM, "-m", "inference.training_process", str(run.pk), "1"])
    deadline = time.monotonic() + 180
    while run.progress == 0:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
        run.refresh_from_db()
    assert (run.current_stage.phase, run.current_stage.steps) == ("seed 0", 4000)
    called_by(psutil.Process(process.pid)).kill()
    assert process.wait() == -signal.SIGKILL
    run_training(run.pk)  # a message that comes again while the run is not stale starts nothing
    run.refresh_from_db()
    assert (run.state, run.lease) == ("running", 1)
    stale = timezone.now() - timedelta(minutes=5)
    # Fewer epochs, so that the test ends; the checkpoint is beyond them and training goes on from it.
    TrainingRun.objects.filter(pk=run.pk).update(heartbeat_at=stale, params={**QUICK, "epochs": 5})
    assert run in TrainingRun.objects.abandoned()
    run_training(run.pk)
    run.refresh_from_db()
    assert run.lease == 2
    assert run.state in {TrainingRun.State.PASSED, TrainingRun.State.REFUSED}, run.message
