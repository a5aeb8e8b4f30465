"""The queue of challengers, what starts the next experiment, and what people do to both."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from bakeoff.accounts.actors import PLATFORM
from bakeoff.accounts.models import AuditEntry
from experiments.actions.advance_challenger import advance_challenger
from experiments.actions.change_queue import (
    NotQueuedError,
    drop_challenger,
    hold_challenger,
    prioritise_challenger,
    release_challenger,
)
from experiments.actions.define_experiment import define_experiment
from experiments.actions.draft_test import draft_test
from experiments.actions.edit_draft import discard_draft
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.promote_version import promote_version
from experiments.actions.record_decision import DecisionDraft, record_decision
from experiments.actions.start_experiment import CannotStartError, start_experiment
from experiments.actions.step_ramp import roll_back_experiment
from experiments.actions.stop_experiment import stop_experiment
from experiments.actions.tidy_queue import tidy_queue
from experiments.models import Experiment, Metric, programme_of
from experiments.programme.harm import harm_class_of, required_users
from experiments.programme.queue import read_queue
from experiments.programme.start_conditions import find_obstacle
from experiments.stats.policy import Policy
from experiments.tasks import advance_surface, retrain_due_surfaces
from inference.models import ModelVersion, Snapshot, Surface
from tests.support import builders
from tests.support.broker import lose_messages, messages

TASTE = [1] * 10


@pytest.fixture
def shop(tables):
    shop = builders.make_shop()
    builders.set_programme(shop)
    return shop


def snapshot(shop, name, days_ago=0.0):
    return Snapshot.objects.create(
        surface=shop.surface,
        sha256=name,
        rows=1,
        units=1,
        watermark=timezone.now() - timedelta(days=days_ago),
    )


def labels(shop):
    return [row.version.label for row in read_queue(shop.surface)]


def alias_of(version):
    version.refresh_from_db()
    return version.alias


def test_the_newest_of_an_algorithm_supersedes_those_that_wait(shop):
    shop.surface.start_experiments = False
    shop.surface.save()
    old, new = (builders.make_version(shop.surface, TASTE) for _ in range(2))
    other = builders.make_version(shop.surface, TASTE, algorithm="ease")
    assert advance_challenger(surface=shop.surface) is None
    assert labels(shop) == [new.label, other.label]
    assert alias_of(old) == ModelVersion.Alias.CANDIDATE
    move = old.moves.last()
    assert (move.reason, move.evidence) == ("superseded by popularity@3", {"queue": "superseded"})


def test_nothing_is_tested_that_learnt_from_older_data_than_the_champion(shop):
    ModelVersion.objects.filter(pk=shop.champion.pk).update(snapshot=snapshot(shop, "new"))
    old = snapshot(shop, "old", days_ago=1)
    stale = builders.make_version(shop.surface, TASTE, algorithm="ease", snapshot=old)
    assert advance_challenger(surface=shop.surface) is None
    assert alias_of(stale) == ModelVersion.Alias.CANDIDATE
    assert "older data than the champion, popularity@1" in stale.moves.last().reason


def test_a_version_that_lost_is_tried_again_only_on_other_data(shop):
    data = snapshot(shop, "data")
    policy = builders.QUICK_POLICY
    shop.surface.policy = policy
    shop.surface.save()
    builders.make_version(shop.surface, TASTE, algorithm="ease", snapshot=data)
    experiment = advance_challenger(surface=shop.surface)
    builders.visits(experiment, {"control": 2, "treatment": 1})
    assert look_at_experiment(experiment_id=experiment.pk).action == "roll_back"
    again = builders.make_version(shop.surface, TASTE, algorithm="ease", snapshot=data)
    assert advance_challenger(surface=shop.surface) is None
    assert alias_of(again) == ModelVersion.Alias.CANDIDATE
    assert again.moves.last().reason == "ease@1 lost with the same data and parameters"
    fresh = snapshot(shop, "more data")
    third = builders.make_version(shop.surface, TASTE, algorithm="ease", snapshot=fresh)
    assert advance_challenger(surface=shop.surface).treatments.get().model_version == third


def test_what_leaves_by_itself_supersedes_nothing(shop):
    """A newer number that learnt from older data than the champion leaves alone."""
    ModelVersion.objects.filter(pk=shop.champion.pk).update(snapshot=snapshot(shop, "its", 1))
    fresh = builders.make_version(shop.surface, TASTE, algorithm="ease", snapshot=snapshot(shop, "new"))
    old = snapshot(shop, "old", days_ago=2)
    stale = builders.make_version(shop.surface, TASTE, algorithm="ease", snapshot=old)
    assert advance_challenger(surface=shop.surface).treatments.get().model_version == fresh
    assert stale.moves.last().evidence == {"queue": "older_data"}


@transaction.atomic
def end(experiment, action, **evidence):
    Experiment.objects.filter(pk=experiment.pk).update(state="ended")
    record_decision(
        DecisionDraft(
            surface=experiment.surface,
            action=action,
            reason="a test",
            created_by=PLATFORM,
            experiment=experiment,
            evidence=evidence,
        )
    )


@pytest.mark.parametrize("case", ["holdback", "another treatment", "won", "rolled back by a person"])
def test_only_a_lost_test_counts_as_lost(shop, case):
    """What is the same but for its number is tried, whatever happened to others around it."""
    data = snapshot(shop, "data")
    before = builders.make_version(shop.surface, TASTE, algorithm="ease", snapshot=data)
    experiment = shop.define(before)
    if case == "holdback":
        Experiment.objects.filter(pk=experiment.pk).update(purpose="holdback")
        end(experiment, "stop_inconclusive")
    elif case == "another treatment":
        end(experiment, "roll_back", variant="another")
    elif case == "won":
        Experiment.objects.filter(pk=experiment.pk).update(shipped_variant="treatment")
        end(experiment, "roll_back")  # of another treatment, by an end that names none
    else:
        experiment = start_experiment(experiment=experiment, by="ann")
        roll_back_experiment(experiment=experiment, by="ann", reason="complaints")
    again = builders.make_version(shop.surface, TASTE, algorithm="ease", snapshot=data)
    tidy_queue(shop.surface)
    lost = case == "rolled back by a person"
    assert alias_of(again) == ("candidate" if lost else "challenger")


def test_a_restored_champion_lets_versions_on_newer_data_than_its_own_be_tested(shop):
    """The champion's data count, not those of the one that was taken back."""
    ModelVersion.objects.filter(pk=shop.champion.pk).update(snapshot=snapshot(shop, "first", 9))
    ahead = builders.make_version(shop.surface, TASTE, algorithm="als", snapshot=snapshot(shop, "last"))
    promote_version(version=ahead, by="ann", reason="a test")
    between = builders.make_version(
        shop.surface, TASTE, algorithm="ease", snapshot=snapshot(shop, "between", 5)
    )
    promote_version(version=shop.champion, by="ann", reason="back")
    # Data that were erased since have ended when they did.
    Snapshot.objects.filter(surface=shop.surface).update(destroyed_at=timezone.now())
    assert advance_challenger(surface=shop.surface).treatments.get().model_version == between


def test_priority_goes_before_value_and_value_before_the_gate(shop):
    def waiting(algorithm, **gate):
        version = builders.make_version(shop.surface, TASTE, algorithm=algorithm)
        version.gate |= gate
        version.save()
        return version

    def off_policy(estimate):
        value = {"earned": 0.2, "estimate": estimate, "interval": [-0.01, 0.05]}
        return {"about": {"off_policy": value}}

    better_at_gate = {
        "rule": {"primary": "ndcg"},
        "rows": {"ndcg": {"challenger": 0.3, "champion": 0.2}},
    }
    waiting("first")
    waiting("gate", **better_at_gate)
    waiting("value", **off_policy(0.22))
    last = waiting("last", **off_policy(0.1))
    assert labels(shop) == ["value@1", "gate@1", "first@1", "last@1"]
    row = read_queue(shop.surface)[0]
    assert row.expected_change == pytest.approx(0.1)
    assert row.expected_interval == pytest.approx((-0.05, 0.25))
    prioritise_challenger(version=last, priority=1, by="ann")
    assert labels(shop)[0] == "last@1"
    assert advance_challenger(surface=shop.surface).treatments.get().model_version == last


def test_people_hold_release_and_drop_what_waits(shop):
    first = builders.make_version(shop.surface, TASTE, algorithm="first")
    second = builders.make_version(shop.surface, TASTE, algorithm="second")
    hold_challenger(version=first, by="ann", reason="not yet")
    assert [row.place for row in read_queue(shop.surface)] == [1, 0]
    experiment = advance_challenger(surface=shop.surface)
    assert experiment.treatments.get().model_version == second
    stop_experiment(experiment=experiment, by="ann")
    assert advance_challenger(surface=shop.surface) is None
    release_challenger(version=first, by="ann")
    drop_challenger(version=first, by="ann", reason="too slow")
    assert advance_challenger(surface=shop.surface) is None
    assert alias_of(first) == ModelVersion.Alias.CANDIDATE
    assert first.moves.last().reason == "too slow"
    for act in (hold_challenger, drop_challenger):
        with pytest.raises(NotQueuedError, match="first@1 is candidate, must wait"):
            act(version=first, by="ann")
    rows = AuditEntry.objects.filter(project=shop.project, action__endswith="challenger")
    assert list(rows.order_by("id").values_list("action", flat=True)) == [
        "hold challenger", "release challenger", "drop challenger",
    ]  # fmt: skip


def test_a_held_version_is_superseded_by_nothing(shop):
    old = builders.make_version(shop.surface, TASTE, algorithm="ease")
    hold_challenger(version=old, by="ann")
    new = builders.make_version(shop.surface, TASTE, algorithm="ease")
    assert advance_challenger(surface=shop.surface).treatments.get().model_version == new
    assert alias_of(old) == ModelVersion.Alias.CHALLENGER


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"primary_metric": None}, "no_primary_metric"),
        ({"paused": True}, "paused"),
        ({"cooldown_days": 1}, "cooling_down"),
    ],
)
def test_what_keeps_the_next_experiment_from_starting(shop, changes, kind):
    builders.make_version(shop.surface, TASTE, algorithm="ease")
    stop_experiment(experiment=advance_challenger(surface=shop.surface), by="ann")
    builders.make_version(shop.surface, TASTE, algorithm="ease")
    builders.set_programme(shop, **changes)
    assert advance_challenger(surface=shop.surface) is None
    obstacle = find_obstacle(programme_of(shop.surface), timezone.now())
    assert obstacle.kind == kind
    assert (obstacle.until is not None) == (kind == "cooling_down")
    builders.set_programme(shop, paused=False)
    assert advance_challenger(surface=shop.surface).state == Experiment.State.RUNNING


def test_an_automatic_experiment_is_what_the_programme_says(shop):
    Metric.objects.create(project=shop.project, key="orders", kind="mean", event="order")
    builders.set_programme(
        shop,
        guardrails=[{"metric": "orders", "margin": 0.03}],
        approval="propose",
        ramp=[
            {"share": 0.01, "minimum_seconds": 60},
            {"share": 0.05, "minimum_seconds": 60},
            {"share": 0.2, "minimum_seconds": 120},
            {"share": 0.5, "minimum_seconds": 0},
        ],
    )
    builders.make_version(shop.surface, TASTE, algorithm="ease")
    experiment = advance_challenger(surface=shop.surface)
    assert experiment.name == "ease@1 against popularity@1"
    assert experiment.primary.metric == shop.metric
    guardrail = experiment.metrics.get(role="guardrail", metric__key="orders")
    assert guardrail.margin == 0.03
    assert experiment.parsed_policy.promote is False
    assert [variant.weight for variant in experiment.variants.all()] == [0.5, 0.5]
    assert experiment.allocation == pytest.approx(0.02)
    steps = [(step["allocation"], step["after_seconds"], step["harm"]) for step in experiment.ramp]
    assert steps == [
        (pytest.approx(0.1), 60, "total_failure"),
        (pytest.approx(0.4), 60, "errors_times_10"),
        (1.0, 120, "errors_times_3"),
    ]
    units = [step["units"] for step in experiment.ramp]
    assert units == sorted(units)
    # Primary, the surface's own guardrail, errors, fallbacks, and two of latency share the level.
    assert units[0] == required_users(harm_class_of(0.01), alpha=0.001, tests=6)


@pytest.mark.parametrize(
    ("ship_when", "algorithm", "expected"),
    [
        ("", "ease", "significant"),
        ("", "popularity", "valuable"),  # a refit of the champion's algorithm
        ("significant", "popularity", "significant"),
        ("valuable", "ease", "valuable"),
    ],
)
def test_when_it_ships_follows_from_the_programme_and_the_challenger(
    shop, ship_when, algorithm, expected
):
    programme = builders.set_programme(shop, ship_when=ship_when)
    challenger = builders.make_version(shop.surface, TASTE, algorithm=algorithm)
    draft = draft_test(programme, challenger=challenger, champion=shop.champion, primary=shop.metric)
    policy = Policy.parse(draft.policy)
    assert (policy.ship_when, policy.prior_sd) == (expected, 0.03)


def test_two_workers_at_once_start_one_experiment(shop):
    builders.make_version(shop.surface, TASTE, algorithm="ease")
    builders.make_version(shop.surface, TASTE, algorithm="als")
    both, started = threading.Barrier(2), []

    def advance() -> None:
        try:
            both.wait(60)
            started.append(advance_challenger(surface=shop.surface))
        except CannotStartError:
            started.append(None)
        finally:
            connection.close()

    threads = [threading.Thread(target=advance) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    (experiment,) = [one for one in started if one is not None]
    assert list(shop.surface.experiments.all()) == [experiment]
    assert len(labels(shop)) == 1


def test_a_person_who_stops_a_draft_that_is_about_to_start_finds_nothing_left(shop):
    """An operator's discard between the definition and the start: the challenger waits again."""
    version = builders.make_version(shop.surface, TASTE, algorithm="ease")
    experiment = shop.define(version)
    assert labels(shop) == []
    discard_draft(experiment=experiment, by="ann")
    assert labels(shop) == ["ease@1"]
    assert advance_challenger(surface=shop.surface).treatments.get().model_version == version


def test_a_challenger_that_cannot_start_goes_back_to_the_queue(shop):
    lost = builders.make_version(shop.surface, TASTE, algorithm="ease")
    ModelVersion.objects.filter(pk=lost.pk).update(artifact_sha256="0" * 64)
    with pytest.raises(CannotStartError):
        advance_challenger(surface=shop.surface)
    assert labels(shop) == ["ease@1"]
    assert not shop.surface.experiments.exists()


def test_a_draft_whose_worker_was_killed_lets_its_challenger_wait_again(shop):
    version = builders.make_version(shop.surface, [1] * 10)
    programme = programme_of(shop.surface)
    draft = draft_test(
        programme, challenger=version, champion=shop.champion, primary=programme.primary_metric
    )
    left = define_experiment(draft)
    assert advance_challenger(surface=shop.surface) is None  # another worker may be about to start it
    Experiment.objects.filter(pk=left.pk).update(created_at=timezone.now() - timedelta(minutes=1))
    started = advance_challenger(surface=shop.surface)
    assert started.pk != left.pk
    assert started.treatments.get().model_version == version
    assert not Experiment.objects.filter(pk=left.pk).exists()


@pytest.mark.usefixtures("empty_schedule")
def test_each_surface_is_advanced_by_a_message_of_its_own(shop):
    lose_messages()
    retrain_due_surfaces()
    assert messages("default") == []
    builders.make_version(shop.surface, TASTE, algorithm="ease")
    retrain_due_surfaces()
    assert messages("default") == [[shop.surface.pk]]
    lose_messages()
    Surface.objects.filter(pk=shop.surface.pk).update(retrain_algorithm="popularity")
    retrain_due_surfaces()
    assert messages("default") == [[shop.surface.pk]] * 2  # to send on, and to retrain
    Surface.objects.filter(pk=shop.surface.pk).update(last_retrained_at=timezone.now())
    lose_messages()
    retrain_due_surfaces()
    assert messages("default") == [[shop.surface.pk]]  # it was retrained a moment ago
    for _ in range(2):  # it may come twice
        advance_surface(shop.surface.pk)
    assert shop.surface.experiments.get().state == Experiment.State.RUNNING
