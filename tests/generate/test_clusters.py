"""Experiments by cluster where texts are generated: the context is stored with the answer, not before."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.db import transaction
from django.utils import timezone

from bakeoff.gateway.generate.facts import Generation
from bakeoff.gateway.generate.texts import stored_context
from experiments.actions.check_clusters import TEXT_NAMES
from experiments.actions.define_experiment import CannotDefineError
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.ingest.rows import Rows
from experiments.looks.roll_up import roll_up
from experiments.models import Exposure, Observation
from tests.support import builders
from tests.support.clusters import visit

POLICY = {
    "cluster_by": "store", "planned_units": 200, "minimum_run_seconds": 0.0, "window_seconds": 60.0,
    "twyman_limit": 0.0,
}  # fmt: skip
STORES = ("north", "south", "east", "west", "harbour", "station", "market", "mill")
LEVELS = [0, 1, 2, 3, 4] * 4


@pytest.fixture
def experiment(chat):
    second = chat.add(text="You help briefly.")
    return chat.experiment(chat.versions[0], second, mode="cluster", **POLICY)


@pytest.fixture
def of_rows(chat):
    """What builders of rows read of a shop."""
    return SimpleNamespace(project=chat.project, surface=chat.surface, champion=chat.versions[0])


def look(experiment):
    taken = look_at_experiment(experiment_id=experiment.pk)
    experiment.refresh_from_db()
    return taken


def test_all_users_of_a_store_get_one_prompt(chat, experiment):
    variants = {}
    for store in STORES:
        for n in range(2):
            answer = chat.ask(user=f"{store}-{n}", metadata={"store": store})
            assert answer.status_code == 200, answer.text
            variants.setdefault(store, set()).add(chat.last().variant_id)
            assert chat.last().context["store"] == store
    assert all(len(one) == 1 for one in variants.values())
    assert len(set.union(*variants.values())) == 2
    with transaction.atomic():
        roll_up(experiment.pk, timezone.now())
    named = Observation.objects.filter(experiment=experiment).values_list("unit_id", "cluster")
    assert {(unit, unit.rsplit("-", 1)[0]) for unit, _ in named} == set(named)
    assert len(named) == 2 * len(STORES)


def test_the_name_is_stored_where_texts_are_not(chat, experiment):
    chat.set(store="none")
    chat.ask(user="u1", context={"store": "north"})
    assert chat.last().context == {"store": "north"}


def test_a_request_that_names_no_store_takes_no_part(chat, experiment):
    assert chat.ask(user="u1").status_code == 200
    assert chat.last().experiment_id is None
    assert not Exposure.objects.filter(experiment=experiment).exists()


def test_an_answer_that_is_stored_after_an_analysis_names_its_cluster_then(chat, experiment, of_rows):
    control, _ = experiment.variants.order_by("pk")
    at = builders.minutes_ago(5)
    builders.write(Rows(exposures=[builders.exposure(control, unit="u1", at=at)]))
    assert look(experiment).parsed_inputs.clusters.unnamed_units == 1
    slates = [
        builders.slate(
            of_rows, unit, experiment_id=experiment.pk, variant_id=control.pk, served_at=served,
            context={"store": store},
        )
        for unit, served, store in (
            ("u1", at, "north"), ("u1", builders.minutes_ago(1), "south"), ("u2", at, "east"),
        )
    ]  # fmt: skip
    builders.write(Rows(slates=slates))
    counts = look(experiment).parsed_inputs.clusters
    assert (counts.unnamed_units, counts.exposed_units) == (0, 1)
    # A later answer, of another store, is not the one by which the user met the variant.
    assert Observation.objects.get(experiment=experiment, unit_id="u1").cluster == "north"


def test_an_earlier_answer_does_not_stand_for_the_one_that_exposed(chat, experiment, of_rows):
    """A forced preview in another store came first; the answer that exposed is stored later."""
    control, _ = experiment.variants.order_by("pk")
    at, of_experiment = builders.minutes_ago(5), {"experiment_id": experiment.pk}
    preview = builders.slate(
        of_rows, "u1", variant_id=control.pk, served_at=builders.minutes_ago(6), forced=True,
        context={"store": "south"}, **of_experiment,
    )  # fmt: skip
    exposure = builders.exposure(control, unit="u1", at=at)
    builders.write(Rows(slates=[preview], exposures=[exposure]))
    assert look(experiment).parsed_inputs.clusters.unnamed_units == 1
    answer = builders.slate(
        of_rows, "u1", variant_id=control.pk, served_at=at, context={"store": "north"}, **of_experiment
    )
    builders.write(Rows(slates=[answer]))
    assert look(experiment).parsed_inputs.clusters.unnamed_units == 0
    assert Observation.objects.get(experiment=experiment, unit_id="u1").cluster == "north"


def test_a_verdict_counts_stores(chat, experiment, of_rows):
    visit(of_rows, experiment, LEVELS)
    rows = Rows()
    for unit, slate in chat.slates().values_list("unit_id", "recommendation_id"):
        variant, store, user = unit.rsplit("-", 2)
        if ((int(store) + int(user)) % 3 == 0) == (variant == "control"):  # a third, or two
            rows.feedback.append(
                builders.feedback(
                    of_rows, str(slate), unit_id=unit, received_at=builders.minutes_ago(4.9)
                )
            )
    builders.write(rows)
    taken = look(experiment)
    assert (taken.action, taken.parsed_result.variant) == ("ship", "treatment-1"), taken.reason
    (row,) = taken.parsed_result.comparisons
    assert row.effect.estimate == pytest.approx(1 / 3)
    assert taken.parsed_inputs.clusters.clusters == {"control": 20, "treatment-1": 20}
    assert taken.parsed_inputs.clusters.units == {"control": 120, "treatment-1": 120}


@pytest.mark.parametrize("name", TEXT_NAMES)
def test_an_attribute_of_a_name_that_texts_have_is_refused(chat, name):
    second = chat.add(text="You help briefly.")
    with pytest.raises(CannotDefineError) as refusal:
        chat.experiment(chat.versions[0], second, mode="cluster", **POLICY | {"cluster_by": name})
    assert refusal.value.field == "policy"
    assert str(refusal.value).startswith(
        f"cluster_by == '{name}' on a surface of kind 'generate', must be none of ['messages', "
    )


def test_those_are_all_names_that_texts_have():
    generation = Generation(streamed=False)
    generation.answer = "x" * 10
    for store in ("none", "redacted", "full"):
        assert set(stored_context(generation, store, [])) <= set(TEXT_NAMES)
    generation.answer = "x" * 1_000_000
    assert {"shortened"} <= set(stored_context(generation, "full", [])) <= set(TEXT_NAMES)
