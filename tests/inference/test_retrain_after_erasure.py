"""`bakeoff units erase --retrain`: what served and had learnt from an erased unit learns without it."""

from __future__ import annotations

import pytest
from django.conf import settings

from experiments.actions.advance_challenger import advance_challenger
from experiments.tasks import advance_surface
from inference.models import TrainingRun
from inference.tasks import run_training
from inference.training.snapshot import Likes, SnapshotDestroyedError, read_snapshot
from tests.support.commands import run
from tests.support.learning import train

UNIT = "u003"


@pytest.fixture
def surface(learner):
    """A surface whose champion is item-knn with settings of its own."""
    first = train(learner, "item-knn", neighbours=7)
    assert first.version, first.message
    advance_challenger(surface=learner)
    return learner


def erase(surface, unit) -> str:
    return run("units", "erase", unit, "--yes", "--retrain", "--project", surface.project.slug)


def test_the_champions_recipe_learns_anew_without_the_unit(surface):
    first = surface.versions.champions().get()
    assert UNIT in read_snapshot(settings.BAKEOFF.snapshots, first.snapshot.sha256, Likes).unit_ids
    assert "No champion has learnt from data that were destroyed." in erase(surface, "stranger")
    assert TrainingRun.objects.filter(surface=surface).count() == 1
    output = erase(surface, UNIT)
    queued = TrainingRun.objects.get(surface=surface, version=None)
    assert f"home-feed: run {queued.pk} of item-knn queued" in output
    assert (queued.algorithm, queued.params) == (first.recipe, first.params)
    again = erase(surface, "stranger")
    assert (
        "home-feed: not trained: a run of item-knn on surface 'home-feed' is active already." in again
    )
    run_training(queued.pk)
    queued.refresh_from_db()
    learnt = read_snapshot(settings.BAKEOFF.snapshots, queued.snapshot.sha256, Likes).unit_ids
    assert UNIT not in learnt
    assert "u004" in learnt
    with pytest.raises(SnapshotDestroyedError):
        read_snapshot(settings.BAKEOFF.snapshots, first.snapshot.sha256, Likes)
    # A refit although nothing is newer: it passed the gate, so it serves without a test.
    advance_surface(surface.pk)
    assert surface.versions.champions().get() == queued.version
