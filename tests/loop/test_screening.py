"""Screening: interleaving as a gate between shadow and the ramp of a challenger."""

from __future__ import annotations

import pytest

from experiments.actions import check_interleaving
from experiments.actions.advance_challenger import advance_challenger
from experiments.actions.carry_out import Verdict, carry_out
from experiments.actions.change_programme import CannotChangeProgrammeError
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.start_experiment import CannotStartError
from experiments.models import Experiment, programme_of
from experiments.programme.queue import read_queue
from experiments.reports.programme_warnings import programme_warnings
from experiments.tasks import halt_unservable_experiments
from inference.serving.models import open_model
from tests.support import builders
from tests.support.interleaving import OURS, THEIRS, Visits


@pytest.fixture
def screened(shop):
    """A surface whose programme screens two challengers at once, with three that wait."""
    builders.set_programme(shop, interleave_first=2)
    for name, likes in (("ease", range(1, 11)), ("item-knn", range(3, 13)), ("tfidf", range(5, 15))):
        builders.make_version(shop.surface, list(likes), algorithm=name)
    return shop


def labels(experiment):
    return [variant.model_version.label for variant in experiment.variants.all()]


def test_waiting_challengers_are_screened_before_one_is_tested(screened, monkeypatch):
    opened = []

    def open_and_note(root, digest):
        opened.append(digest)
        return open_model(root, digest)

    monkeypatch.setattr(check_interleaving, "open_model", open_and_note)
    experiment = advance_challenger(surface=screened.surface)
    # Each once when they are chosen and once when the experiment is defined.
    drafting = [variant.model_version.artifact_sha256 for variant in experiment.variants.all()]
    assert sorted(opened) == sorted(drafting * 2)
    assert experiment.mode == "interleave"
    assert labels(experiment) == ["popularity@1", "ease@1", "item-knn@1"]
    assert (experiment.policy["promote"], experiment.breaker_alpha) == (False, 0.0)
    assert 2 <= (experiment.ends_at - experiment.started_at).days <= 3
    assert advance_challenger(surface=screened.surface) is None  # it runs
    assert [row.version.label for row in read_queue(screened.surface)] == ["tfidf@1"]


def test_what_users_prefer_is_tested_next_and_what_they_like_less_is_rejected(screened):
    screening = advance_challenger(surface=screened.surface)
    screening.policy["window_seconds"] = 60.0
    screening.save()
    for metric in screening.metrics.all():
        metric.spec["window_seconds"] = 60.0
        metric.save()
    visits = Visits(screened, screening, rankings=(OURS, THEIRS, ("i4", "i5", "i6", "i7")))
    for n in range(160):
        visits.serve(f"u{n}", likes=("i9", "i8", "i0") if n % 4 else ("i9",))
    visits.commit()
    assert look_at_experiment(experiment_id=screening.pk).action == "prefer"
    versions = {one.label: one.alias for one in screened.surface.versions.all()}
    assert (versions["ease@1"], versions["item-knn@1"]) == ("challenger", "rejected")
    queue = read_queue(screened.surface)
    assert [row.version.label for row in queue] == ["ease@1", "tfidf@1"]
    assert queue[0].preference > 0
    test = advance_challenger(surface=screened.surface)
    assert (test.mode, labels(test)) == ("split", ["popularity@1", "ease@1"])


def test_without_a_verdict_what_looked_better_is_tested_and_the_rest_is_not(screened):
    screening = advance_challenger(surface=screened.surface)
    screening.ends_at = builders.now()
    screening.save()
    for metric in screening.metrics.all():
        metric.spec["window_seconds"] = 60.0
        metric.save()
    visits = Visits(screened, screening, rankings=(OURS, THEIRS, ("i4", "i5", "i6", "i7")))
    for n in range(8):
        visits.serve(f"u{n}", likes=("i9",))
    visits.commit()
    assert look_at_experiment(experiment_id=screening.pk).action == "stop_inconclusive"
    assert [row.version.label for row in read_queue(screened.surface)] == ["ease@1", "tfidf@1"]


@pytest.mark.parametrize(("broken", "screened_too"), [("item-knn", "tfidf@1"), ("ease", None)])
def test_a_version_that_cannot_be_interleaved_keeps_no_other_from_it(screened, broken, screened_too):
    version = screened.surface.versions.get(algorithm=broken)
    version.artifact_sha256 = "0" * 64
    version.save()
    if screened_too is None:  # it is the next itself, and would be tested at once
        with pytest.raises(CannotStartError):
            advance_challenger(surface=screened.surface)
        assert not Experiment.objects.filter(surface=screened.surface).exists()
        return
    experiment = advance_challenger(surface=screened.surface)
    assert labels(experiment) == ["popularity@1", "ease@1", screened_too]


def test_a_metric_of_amounts_is_not_interleaved_and_the_programme_says_so(screened):
    screened.metric.value, screened.metric.kind = "sum", "mean"
    screened.metric.save()
    assert advance_challenger(surface=screened.surface).mode == "split"
    assert programme_warnings(programme_of(screened.surface))[-1] == (
        "Challengers are not screened by interleaving: value of 'clicks' == 'sum', must be 'count' or "
        "'items': interleaving counts events."
    )


def test_what_cannot_be_screened_is_tested_at_once(screened):
    screened.metric.direction = "decrease"
    screened.metric.save()
    experiment = advance_challenger(surface=screened.surface)
    assert (experiment.mode, labels(experiment)) == ("split", ["popularity@1", "ease@1"])


def test_a_person_stops_it_and_nothing_is_promoted(screened):
    screening = advance_challenger(surface=screened.surface)
    verdict = Verdict(action="stop_inconclusive", reason="stopped by ann")
    carry_out(experiment=screening, verdict=verdict, by="ann")
    assert screened.surface.versions.champions().get() == screened.champion
    assert not Experiment.objects.running().filter(surface=screened.surface).exists()


@pytest.mark.parametrize("lost", ["control", "treatment"])
def test_what_cannot_be_loaded_ends_it_once_and_not_again_at_each_tick(lane, screened, lost):
    screening = advance_challenger(surface=screened.surface)
    version = screening.variants.get(key=lost).model_version
    type(version).objects.filter(pk=version.pk).update(artifact_sha256="0" * 64)
    lane.refresh()
    halt_unservable_experiments()
    assert screening.decisions.get().reason.startswith(f"variant '{lost}' cannot serve")
    versions = {one.label: one.alias for one in screened.surface.versions.all()}
    assert (versions["ease@1"], versions["item-knn@1"]) == ("candidate", "candidate")
    assert [row.version.label for row in read_queue(screened.surface)] == ["tfidf@1"]


@pytest.mark.parametrize("value", [4, -1, True, 1.5, "two"])
def test_a_number_that_breaks_its_rule_is_refused(shop, value):
    with pytest.raises(CannotChangeProgrammeError, match=r"must be a whole number in \[0, 3\]"):
        builders.set_programme(shop, interleave_first=value)


def test_surfaces_without_lists_screen_nothing(shop):
    shop.surface.kind = "classify"
    shop.surface.save()
    with pytest.raises(CannotChangeProgrammeError, match="of kind 'classify', must be 0"):
        builders.set_programme(shop, interleave_first=1)
