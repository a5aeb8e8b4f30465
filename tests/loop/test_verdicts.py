"""A verdict is carried out, whoever dies in between; what cannot serve ends its experiment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from experiments.actions.look_at_experiment import is_due, look_at_experiment
from experiments.models import Experiment, Look
from experiments.reports.verdict import summarise_verdict
from experiments.tasks import halt_unservable_experiments, take_due_look, take_due_looks
from inference.cache import cache_client
from inference.serving.changes import read_unserved
from tests.support import builders
from tests.support.broker import lose_messages, messages
from tests.support.builders import QUICK_POLICY, visits
from tests.support.fast_lane import test_database_url

# The process dies between the look's commit and its carrying out.
DIE = """
import os, django
django.setup()
from experiments.actions import look_at_experiment as module
module.carry_out = lambda **_: os.kill(os.getpid(), 9)
module.look_at_experiment(experiment_id={})
"""


@pytest.fixture
def experiment(shop):
    return shop.run_experiment(**QUICK_POLICY, look_every_seconds=3600.0)


@pytest.mark.parametrize(
    ("clicks", "action"),
    [({"control": 1, "treatment": 2}, "ship"), ({"control": 2, "treatment": 1}, "roll_back")],
)
def test_a_verdict_whose_process_was_killed_is_carried_out(shop, experiment, clicks, action):
    visits(experiment, clicks)
    variables = {**os.environ, "DATABASE_URL": test_database_url()}
    done = subprocess.run([sys.executable, "-c", DIE.format(experiment.pk)], env=variables, check=False)
    assert done.returncode == -signal.SIGKILL
    experiment.refresh_from_db()
    assert (experiment.state, experiment.looks.get().action) == (Experiment.State.RUNNING, action)
    lose_messages()
    take_due_looks()
    assert [experiment.pk] in messages("analysis")
    take_due_look(experiment.pk)
    take_due_look(experiment.pk)  # a message that comes twice
    experiment.refresh_from_db()
    assert experiment.state == Experiment.State.ENDED
    decision = experiment.decisions.get()
    assert (decision.action, decision.evidence["look"]) == (action, 1)
    assert experiment.looks.count() == 1


def test_a_proposal_waits_for_a_person(shop):
    experiment = shop.run_experiment(**QUICK_POLICY, promote=False, look_every_seconds=3600.0)
    visits(experiment, {"control": 1, "treatment": 2})
    look_at_experiment(experiment_id=experiment.pk)
    take_due_look(experiment.pk)
    experiment.refresh_from_db()
    assert experiment.state == Experiment.State.RUNNING


def test_a_look_of_a_clock_that_was_fast_holds_up_no_other(shop, experiment):
    visits(experiment, {"control": 1, "treatment": 1}, units=20)
    now = timezone.now()
    look_at_experiment(experiment_id=experiment.pk, now=now)
    assert not is_due(experiment, now)
    Look.objects.filter(experiment=experiment).update(taken_at=now + timedelta(hours=3))
    assert is_due(experiment, now)


@pytest.mark.parametrize("lost", ["control", "treatment"])
def test_a_variant_that_cannot_serve_ends_its_experiment_by_name(lane, shop, lost):
    challenger = builders.make_version(shop.surface, list(range(1, 11)))
    for version in (shop.champion, challenger):  # artifacts of their own, which may be lost
        version.artifact_sha256 = builders.make_popularity(
            shop.items, list(range(1, 11)), of=f"{shop.project.slug} {version.pk}"
        )
        version.save()
    experiment = shop.define(challenger, **QUICK_POLICY, promote=False)
    answer = lane.client.post(
        f"/v1/experiments/{experiment.key}/start", headers={"X-API-Key": shop.secret}
    )
    assert answer.status_code == 200, answer.text
    halt_unservable_experiments()
    experiment.refresh_from_db()
    assert experiment.state == Experiment.State.RUNNING
    version = experiment.variants.get(key=lost).model_version
    folder = settings.BAKEOFF.artifacts / version.artifact_sha256
    folder.rename(folder.with_name(f"lost-{version.pk}"))
    lane.gateway._config._reader.versions.models.clear()  # as a process that was started anew
    lane.refresh()
    assert version.pk in read_unserved(cache_client())
    halt_unservable_experiments()
    experiment.refresh_from_db()
    assert experiment.state == Experiment.State.ENDED
    decision = experiment.decisions.get()
    assert decision.action == "halt"
    assert decision.reason.startswith(
        f"variant '{lost}' cannot serve: {version.label} cannot be loaded"
    )
    assert summarise_verdict(experiment).sentence.startswith(f"Halted: variant '{lost}' cannot serve")
