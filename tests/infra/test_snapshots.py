"""Training data in S3, as moto's server speaks it: one machine freezes it, another one trains."""

from __future__ import annotations

from dataclasses import replace

import obstore
import pytest
from django.conf import settings as django_settings

from bakeoff.accounts.models import AuditEntry
from experiments.actions.erase_unit import CannotEraseError, erase_unit
from experiments.actions.retrain_surface import retrain_surface
from inference.actions.queue_training import CannotTrainError, freeze_rows
from inference.actions.train_in_child import TEMPORARY
from inference.models import Snapshot, TrainingRun
from inference.serving import remote_store
from inference.serving.remote_store import use_remote
from inference.tasks import run_training
from inference.training.snapshot import Likes, SnapshotDestroyedError, read_snapshot
from inference.training.snapshot_files import destroy_snapshot
from inference.training_process.attempt import attempt_run
from tests.support import builders
from tests.support.learning import make_likes

URL = "s3://shop/trainings"


@pytest.fixture
def machines(s3, settings, monkeypatch, tmp_path):
    """Move this process, and those that it starts, to one of two machines."""
    monkeypatch.setenv("BAKEOFF_ARTIFACTS", URL)
    homes = {name: tmp_path / name for name in ("one", "two")}
    for home in homes.values():
        for folder in ("artifacts", "snapshots"):
            use_remote(home / folder, URL)

    def move_to(name):
        settings.BAKEOFF = replace(django_settings.BAKEOFF, home=homes[name])
        monkeypatch.setenv("BAKEOFF_HOME", str(homes[name]))
        return homes[name]

    yield move_to
    for home in homes.values():
        for folder in ("artifacts", "snapshots"):
            use_remote(home / folder, "")


def stored() -> list[str]:
    bucket = remote_store._open(URL)
    return [one["path"] for batch in obstore.list(bucket, "snapshots") for one in batch]


def test_a_machine_trains_on_what_another_one_froze(learner, machines):
    one = machines("one")
    run = retrain_surface(surface=learner, algorithm="popularity", trigger="a test", params={})
    assert f"snapshots/{run.snapshot.sha256}.parquet" in stored()
    two = machines("two")
    run_training(run.pk)
    run.refresh_from_db()
    assert run.state == TrainingRun.State.PASSED, run.message
    assert (two / "artifacts" / run.version.artifact_sha256).is_dir()
    assert not [*one.glob("snapshots/*"), *two.glob("snapshots/*")]
    read = read_snapshot(two / "snapshots", run.snapshot.sha256, Likes)
    assert len(read.unit_ids) == run.snapshot.rows
    destroy_snapshot(one / "snapshots", run.snapshot.sha256, destroyed_at=builders.now())
    with pytest.raises(SnapshotDestroyedError, match="a unit in it was erased"):
        read_snapshot(two / "snapshots", run.snapshot.sha256, Likes)


def test_a_training_waits_for_a_store_that_is_away_and_ends_without_its_data(
    learner, machines, s3, capsys
):
    one = machines("one")
    run = retrain_surface(surface=learner, algorithm="popularity", trigger="a test", params={})
    TrainingRun.objects.filter(pk=run.pk).update(state=TrainingRun.State.RUNNING, lease=1)
    destroy_snapshot(one / "snapshots", run.snapshot.sha256, destroyed_at=builders.now())
    machines("two")
    assert attempt_run(run.pk, 1) == 1
    assert "a unit in it was erased" in capsys.readouterr().err
    s3.stop()
    assert attempt_run(run.pk, 1) == TEMPORARY
    assert f"a server was away: {URL} does not answer" in capsys.readouterr().err
    TrainingRun.objects.filter(pk=run.pk).update(state="cancelled")
    with pytest.raises(CannotTrainError, match=f"cannot be stored: {URL} does not answer: "):
        freeze_rows(learner, make_likes(seed=1))
    Snapshot.objects.create(surface=learner, sha256="a" * 64, rows=1, units=1)
    project = learner.project_id
    with pytest.raises(CannotEraseError, match=f"training data may hold the unit: {URL} does not"):
        erase_unit(project_id=project, unit_id="ann", by="a test")
    assert not AuditEntry.objects.filter(project=project, action="erase").exists()
