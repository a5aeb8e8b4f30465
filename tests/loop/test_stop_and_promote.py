"""A rollback ends what is tested in the same act; long names break no loop."""

from __future__ import annotations

import pytest

from experiments.actions.advance_challenger import advance_challenger
from experiments.models import Experiment
from experiments.tasks import advance_surface
from inference.models import ModelVersion, Surface
from tests.support import builders


@pytest.fixture
def tested(shop) -> Experiment:
    """A running experiment, and a challenger that waits for the next."""
    experiment = shop.run_experiment()
    builders.make_version(shop.surface, [2] * 10, algorithm="ease")
    return experiment


def promote(lane, shop, version, **body):
    path = f"/v1/surfaces/{version.surface.key}/models/{version.algorithm}/{version.number}/promote"
    return lane.post(path, {"reason": "a test", **body}, shop.secret)


def test_a_rollback_ends_the_experiment_before_the_loop_starts_another(lane, shop, tested):
    old = builders.make_version(shop.surface, [3] * 10, algorithm="als", alias="retired")
    refused = promote(lane, shop, old)
    assert refused.status_code == 409
    assert "has a running experiment: stop it first" in refused.json()["error"]["message"]
    answer = promote(lane, shop, old, stop_experiment=True)
    assert answer.status_code == 200, answer.text
    assert answer.json()["alias"] == "champion"
    tested.refresh_from_db()
    assert tested.state == Experiment.State.ENDED
    assert [d.action for d in shop.surface.decisions.order_by("pk")] == ["stop_inconclusive", "promote"]
    builders.set_programme(shop)
    following = advance_challenger(surface=shop.surface)
    assert following.control.model_version == old  # what the loop tests next, it tests against it


def test_a_version_that_cannot_serve_leaves_the_experiment_running(lane, shop, tested):
    lost = builders.make_version(shop.surface, [3] * 10, algorithm="als", alias="retired")
    ModelVersion.objects.filter(pk=lost.pk).update(artifact_sha256="0" * 64)
    assert promote(lane, shop, lost, stop_experiment=True).status_code == 409
    tested.refresh_from_db()
    assert tested.state == Experiment.State.RUNNING


@pytest.mark.parametrize("seed", ["", "s" * 60])
def test_long_names_make_a_key_that_fits(shop, seed):
    Surface.objects.filter(pk=shop.surface.pk).update(key="k" * 64, seed=seed)
    shop.surface.refresh_from_db()
    builders.set_programme(shop)
    waiting = builders.make_version(shop.surface, [2] * 10, algorithm="n" * 64)
    advance_surface(shop.surface.pk)
    experiment = Experiment.objects.get(variants__model_version=waiting)
    assert experiment.state == Experiment.State.RUNNING
    assert len(experiment.key) == 100
    assert experiment.key.startswith("k" * 64 + "-n")
