"""What the queue and the cool-down count as a test: every mode but interleaving."""

from __future__ import annotations

import pytest
from django.utils import timezone

from bakeoff.accounts.actors import PLATFORM
from experiments.actions.advance_challenger import advance_challenger
from experiments.actions.carry_out import Verdict, carry_out
from experiments.actions.define_experiment import define_experiment
from experiments.actions.start_experiment import start_experiment
from experiments.actions.stop_experiment import stop_experiment
from experiments.actions.tidy_queue import tidy_queue
from experiments.models import programme_of
from experiments.programme.queue import read_queue
from experiments.programme.start_conditions import find_obstacle
from inference.actions.move_alias import move_alias
from inference.models import ModelVersion
from tests.support import blocks, builders

POLICIES = {
    "split": {},
    "bandit": {},
    "cluster": {"cluster_by": "store"},
    "switchback": blocks.POLICY,
    "interleave": {},
}
TESTS = sorted(POLICIES.keys() - {"interleave"})


@pytest.fixture
def shop(tables):
    shop = builders.make_shop()
    builders.set_programme(shop, cooldown_days=1)
    return shop


def run(shop, mode, **policy):
    """Start an experiment of a mode with a challenger of a person's."""
    draft = builders.draft(shop, shop.surface, mode, mode=mode, policy=POLICIES[mode] | policy)
    return start_experiment(experiment=define_experiment(draft), by="ann", approvals=("ann", "ben"))


def wait_again(experiment):
    """Let the challenger of an experiment wait for a test; return its label."""
    version = experiment.treatments.get().model_version
    if version.alias != ModelVersion.Alias.CHALLENGER:
        move_alias(version=version, to=ModelVersion.Alias.CHALLENGER, by="ann", reason="once more")
    return version.label


def queued(shop):
    return [row.version.label for row in read_queue(shop.surface)]


def obstacle(shop):
    found = find_obstacle(programme_of(shop.surface), timezone.now())
    return found and (found.kind, found.sentence)


@pytest.mark.parametrize("mode", POLICIES)
def test_an_experiment_of_any_mode_keeps_the_next_from_starting(shop, mode):
    run(shop, mode)
    builders.make_version(shop.surface, [1] * 10, algorithm="ease")
    assert obstacle(shop) == ("running", f"'{mode}' runs.")
    assert advance_challenger(surface=shop.surface) is None


@pytest.mark.parametrize("mode", TESTS)
def test_after_a_test_of_any_mode_its_version_waits_no_more_and_the_surface_settles(shop, mode):
    experiment = run(shop, mode)
    stop_experiment(experiment=experiment, by="ann")
    wait_again(experiment)
    assert queued(shop) == []
    assert obstacle(shop) == ("cooling_down", f"Cool-down of 1 days after '{mode}'.")
    builders.make_version(shop.surface, [1] * 10, algorithm="ease")
    assert advance_challenger(surface=shop.surface) is None
    builders.set_programme(shop, cooldown_days=0)
    assert advance_challenger(surface=shop.surface).treatments.get().model_version.label == "ease@1"


def test_after_an_interleaving_its_version_waits_for_its_test_at_once(shop):
    experiment = run(shop, "interleave")
    stop_experiment(experiment=experiment, by="ann")
    label = wait_again(experiment)
    assert queued(shop) == [label]
    assert obstacle(shop) is None
    test = advance_challenger(surface=shop.surface)
    assert (test.mode, test.treatments.get().model_version.label) == ("split", label)


def test_a_surface_settles_after_an_interleaving_that_shipped(shop):
    experiment = run(shop, "interleave", promote=True)
    carry_out(
        experiment=experiment, verdict=Verdict("ship", "users prefer it", "treatment"), by=PLATFORM
    )
    assert obstacle(shop) == ("cooling_down", "Cool-down of 1 days after 'interleave'.")


@pytest.mark.parametrize(("mode", "action", "waits"), [
    ("interleave", "stop_inconclusive", True),
    ("interleave", "roll_back", False),
    ("bandit", "stop_inconclusive", False),
])  # fmt: skip
def test_an_undecided_interleaving_is_no_loss_of_the_same_version(shop, mode, action, waits):
    experiment = run(shop, mode)
    lost = experiment.treatments.get().model_version
    carry_out(experiment=experiment, verdict=Verdict(action, "a test"), by=PLATFORM)
    again = builders.make_version(shop.surface, list(range(1, 11)))
    ModelVersion.objects.filter(pk=again.pk).update(artifact_sha256=lost.artifact_sha256)
    assert tidy_queue(shop.surface) == (0 if waits else 1)
    assert (again.label in queued(shop)) == waits
