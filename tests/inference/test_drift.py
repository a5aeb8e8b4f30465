from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from bakeoff.alerts.models import Alert
from experiments.actions.measure_drift import measure_drift
from inference.evaluation.drift import compare_numbers, compare_words
from inference.models import Surface
from inference.tasks import run_training
from tests.support import builders


def test_psi_by_hand_and_ks_by_scipy():
    rng = np.random.default_rng(0)
    earlier, recent = rng.normal(size=1000), rng.normal(0.8, 1, size=800)
    moved = compare_numbers("a", earlier, recent)
    before = np.array([b for b, _ in moved.shares])
    now = np.array([n for _, n in moved.shares])
    assert before == pytest.approx(np.full(10, 0.1), abs=0.005)
    assert moved.psi == pytest.approx(((now - before) * np.log(now / before)).sum())
    assert moved.drifted
    assert moved.p_value < 1e-10


@pytest.mark.parametrize("seed", range(20))
def test_what_has_not_moved_is_not_called_drift(seed):
    rng = np.random.default_rng(seed)
    assert not compare_numbers("a", rng.normal(size=400), rng.normal(size=300)).drifted
    words = [rng.choice(list("abcdef"), n).tolist() for n in (400, 300)]
    assert not compare_words("b", *words).drifted


def test_few_values_say_nothing():
    assert compare_numbers("a", [1.0] * 199, [2.0] * 1000) is None
    assert compare_words("a", ["x"] * 1000, ["y"] * 199) is None


def test_constant_numbers_do_not_break_it():
    assert not compare_numbers("a", [1.0] * 300, [1.0] * 300).drifted
    assert compare_numbers("a", [1.0] * 300, [2.0] * 300).p_value < 0.001


def test_a_surface_that_moved_is_retrained_and_promotes_nothing(shop):
    now = builders.now()
    for n in range(500):
        recent = n % 2
        at = now - timedelta(days=1 if recent else 6)
        builders.make_slate(
            shop,
            f"u{n}",
            served_at=at.isoformat(),
            slots=[("i0", (5.0 if recent else 0.0) + n / 1000, 1, 1.0, False)],
        )
    Surface.objects.filter(pk=shop.surface.pk).update(
        retrain_on_drift=True, retrain_algorithm="popularity"
    )
    shop.surface.refresh_from_db()
    report = measure_drift(surface=shop.surface, now=now)
    moved = {row["name"]: row["drifted"] for row in report.rows}
    assert moved["prediction: first score"]
    assert not moved["rate: fallback"]
    assert report.drifted
    assert not report.retrained  # nobody liked anything yet: there is nothing to learn from
    champion = shop.surface.versions.champions().get()
    assert champion == shop.champion
    alert = Alert.objects.get(project=shop.project)
    assert (alert.event, alert.subject) == ("drift", "home-feed")
    assert alert.summary.endswith("differ from before: prediction: first score.")
    measure_drift(surface=shop.surface, now=now)
    assert Alert.objects.filter(project=shop.project).count() == 1  # until a report has none


def test_a_surface_that_moved_queues_a_run_and_not_a_second_one(learner):
    now = builders.now()
    shop = SimpleNamespace(project=learner.project, surface=learner, champion=SimpleNamespace(pk=None))
    for n in range(500):
        at = now - timedelta(days=1 if n % 2 else 6)
        slots = [("i0", (5.0 if n % 2 else 0.0) + n / 1000, 1, 1.0, False)]
        builders.make_slate(shop, f"u{n}", served_at=at.isoformat(), slots=slots)
    learner.retrain_on_drift, learner.retrain_algorithm = True, "popularity"
    learner.save()
    assert measure_drift(surface=learner, now=now).retrained
    run = learner.training_runs.get()
    assert (run.algorithm, run.trigger, run.state) == ("popularity", "drift", "queued")
    assert not learner.versions.exists()
    run_training(run.pk)
    learner.refresh_from_db()
    assert not measure_drift(surface=learner, now=now).retrained  # it was retrained just now
    assert learner.training_runs.count() == 1
    assert learner.versions.get().alias == "challenger"  # and nothing was promoted


def test_a_quiet_surface_has_no_report(shop):
    assert measure_drift(surface=shop.surface, now=builders.now()) is None
