"""From totals to a promoted champion, with a record that can be recomputed."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import orjson
import pytest
from django.db import IntegrityError, transaction

from experiments.actions.advance_challenger import advance_challenger
from experiments.actions.define_experiment import CannotDefineError
from experiments.actions.look_at_experiment import is_due, look_at_experiment
from experiments.actions.promote_version import promote_version
from experiments.actions.record_decision import hash_of
from experiments.actions.start_experiment import CannotStartError, start_experiment
from experiments.actions.stop_experiment import ship_experiment, stop_experiment
from experiments.ingest.rows import Rows
from experiments.models import Decision, Experiment
from experiments.models.experiment import WrongStateError
from experiments.reports.experiment_report import report_on
from experiments.reports.verdict import summarise_verdict
from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput
from inference.actions.move_champion import CannotPromoteError
from inference.models import ModelVersion
from tests.support import builders
from tests.support.builders import QUICK_POLICY, visits


@pytest.fixture
def experiment(shop):
    return shop.run_experiment(**QUICK_POLICY)


def test_the_better_model_is_promoted(shop, experiment):
    visits(experiment, {"control": 1, "treatment": 2})
    look = look_at_experiment(experiment_id=experiment.pk)
    assert look.action == "ship"
    decision = experiment.decisions.get()
    assert decision.promoted == experiment.variants.get(key="treatment").model_version
    assert decision.replaced == shop.champion
    assert shop.surface.versions.champions().get() == decision.promoted
    shop.champion.refresh_from_db()
    assert shop.champion.alias == ModelVersion.Alias.RETIRED
    experiment.refresh_from_db()
    assert experiment.state == Experiment.State.ENDED
    verdict = summarise_verdict(experiment)
    assert verdict.sentence.startswith("Shipped popularity@2. It raised clicks per user by 67%: ")
    assert verdict.units == 400


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"rule": "fixed", "alpha": 0.1}, "90% CI, one fixed analysis"),
        ({"rule": "always_valid"}, "95% CI, valid at any time"),
        (
            {"rule": "group_sequential", "alpha": 0.01, "reserve": 0.001},
            "99% CI, valid at any time",
        ),
    ],
)
def test_the_verdict_names_the_rule_and_the_level_of_its_interval(shop, policy, words):
    experiment = shop.run_experiment(**QUICK_POLICY, **policy)
    visits(experiment, {"control": 1, "treatment": 2})
    look_at_experiment(experiment_id=experiment.pk)
    experiment.refresh_from_db()
    assert words in summarise_verdict(experiment).details
    assert words in report_on(experiment).metrics[0].described


def test_the_verdict_on_a_flag_names_its_variant(shop):
    """A variant of a flag has a value and no version."""
    experiment = shop.run_experiment(**QUICK_POLICY)
    visits(experiment, {"control": 2, "treatment": 1})
    look_at_experiment(experiment_id=experiment.pk)
    experiment.variants.update(model_version=None)
    experiment.refresh_from_db()
    assert summarise_verdict(experiment).sentence.startswith(
        "Rolled back treatment. It lowered clicks per user by "
    )


def test_serving_confirms_the_promotion(lane, shop, experiment):
    visits(experiment, {"control": 1, "treatment": 2})
    look_at_experiment(experiment_id=experiment.pk)
    confirmed = experiment.decisions.get().read_back
    assert confirmed
    assert all(seconds is not None and seconds < 5 for seconds in confirmed.values())
    answer = lane.post("/v1/recommend", {"surface": "home-feed", "unit_id": "anybody"}, shop.public)
    assert answer.json()["model"] == "popularity@2"


def test_the_worse_model_is_rolled_back(shop, experiment):
    visits(experiment, {"control": 2, "treatment": 1})
    assert look_at_experiment(experiment_id=experiment.pk).action == "roll_back"
    assert shop.surface.versions.champions().get() == shop.champion
    loser = experiment.variants.get(key="treatment").model_version
    assert loser.alias == ModelVersion.Alias.REJECTED


def test_a_look_can_be_recomputed_from_its_record(shop, experiment):
    visits(experiment, {"control": 1, "treatment": 2})
    look_at_experiment(experiment_id=experiment.pk)
    evidence = Decision.objects.get(experiment=experiment).evidence
    again = take_look(LookInput.from_json(evidence["inputs"]))
    assert orjson.loads(orjson.dumps(again.as_json())) == evidence["result"]


def test_decisions_are_chained_by_hash(shop, experiment):
    first = stop_experiment(experiment=experiment, by="a person")
    second = promote_version(
        version=experiment.variants.get(key="treatment").model_version, by="a person", reason="why not"
    )
    assert second.previous_sha256 == first.sha256
    for decision in (first, second):
        stored = Decision.objects.get(pk=decision.pk)
        assert hash_of(stored) == stored.sha256
    stored.reason = "another reason"
    assert hash_of(stored) != stored.sha256


def test_nothing_is_decided_from_an_unhealthy_experiment(shop, experiment):
    visits(experiment, {"control": 1, "treatment": 2}, units=200)
    control = experiment.variants.get(key="control")
    extra = [builders.exposure(control, unit=f"extra-{n}") for n in range(300)]
    builders.write(Rows(exposures=extra))
    assert look_at_experiment(experiment_id=experiment.pk).action == "halt"
    assert shop.surface.versions.champions().get() == shop.champion
    assert not report_on(Experiment.objects.get(pk=experiment.pk)).healthy


def test_approve_only_proposes_and_a_person_ships(shop):
    experiment = shop.run_experiment(**QUICK_POLICY, promote=False)
    visits(experiment, {"control": 1, "treatment": 2})
    assert look_at_experiment(experiment_id=experiment.pk).action == "ship"
    assert not experiment.decisions.exists()
    ship_experiment(experiment=experiment, variant="treatment", by="a person")
    assert shop.surface.versions.champions().get().label == "popularity@2"


def test_an_ended_experiment_is_not_looked_at(shop, experiment):
    stop_experiment(experiment=experiment, by="a person")
    assert look_at_experiment(experiment_id=experiment.pk) is None


def test_looks_are_due_as_the_policy_says(shop, experiment):
    assert is_due(experiment, builders.now())
    look_at_experiment(experiment_id=experiment.pk)
    assert not is_due(experiment, builders.now())
    assert is_due(experiment, builders.now() + timedelta(seconds=60))


def test_a_look_at_the_same_totals_is_not_stored_again(shop, experiment):
    assert look_at_experiment(experiment_id=experiment.pk).number == 1
    assert look_at_experiment(experiment_id=experiment.pk) is None
    visits(experiment, {"control": 1, "treatment": 1}, units=20)
    assert look_at_experiment(experiment_id=experiment.pk).number == 2


def test_one_experiment_runs_on_a_surface(shop, experiment):
    other = shop.define(builders.make_version(shop.surface, [1] * 10))
    with pytest.raises(CannotStartError, match="has a running experiment"):
        start_experiment(experiment=other, by="a person")


def test_it_does_not_start_or_stop_twice(shop, experiment):
    with pytest.raises(WrongStateError, match="is running, must be draft"):
        start_experiment(experiment=experiment, by="a person")
    stop_experiment(experiment=experiment, by="a person")
    with pytest.raises(WrongStateError, match="is ended, must be running"):
        stop_experiment(experiment=experiment, by="a person")


def test_a_refused_version_needs_somebody_who_answers_for_it(shop):
    refused = builders.make_version(shop.surface, [1] * 10, alias="rejected")
    with pytest.raises(CannotDefineError, match="was refused by its gate"):
        shop.define(refused)


def test_the_champion_is_not_moved_under_an_experiment(shop, experiment):
    with pytest.raises(CannotPromoteError, match="has a running experiment"):
        promote_version(version=shop.champion, by="a person", reason="again")


def test_the_champion_cannot_be_promoted_again(shop):
    with pytest.raises(CannotPromoteError, match="already"):
        promote_version(version=shop.champion, by="a person", reason="again")


def test_two_champions_are_impossible(shop):
    with pytest.raises(IntegrityError), transaction.atomic():
        builders.make_version(shop.surface, [1] * 10, alias="champion")


def test_a_version_that_passed_its_gate_starts_its_experiment(shop):
    builders.set_programme(shop)
    version = builders.make_version(shop.surface, [1] * 10)
    experiment = advance_challenger(surface=shop.surface)
    assert experiment.state == Experiment.State.RUNNING
    assert experiment.treatments.get().model_version == version
    assert advance_challenger(surface=shop.surface) is None


@pytest.mark.parametrize(("failed", "alias"), [(0, "challenger"), (5, "rejected")])
def test_a_challenger_goes_through_shadow_first_where_the_surface_asks(shop, failed, alias):
    builders.set_programme(shop)
    shop.surface.shadow_first = 20
    shop.surface.save()
    version = builders.make_version(shop.surface, [1] * 10)
    assert advance_challenger(surface=shop.surface) is None
    version.refresh_from_db()
    assert version.alias == "shadow"
    for n in range(20):
        assert advance_challenger(surface=shop.surface) is None
        version.shadow_answers.create(
            recommendation_id=uuid4(),
            served_by="x@1",
            overlap=0.5,
            latency_ms=1.0,
            error="slow" if n < failed else "",
        )
    experiment = advance_challenger(surface=shop.surface)
    version.refresh_from_db()
    assert version.alias == alias
    assert (experiment is None) == bool(failed)
    assert "in shadow: 20 answers" in version.moves.last().reason


def test_the_first_version_takes_the_empty_throne(shop):
    shop.surface.versions.champions().delete()
    version = builders.make_version(shop.surface, [1] * 10)
    assert advance_challenger(surface=shop.surface) is None
    assert shop.surface.versions.champions().get() == version
