"""How variants were served: what is a failure, and what is only a newcomer."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from uuid_utils import uuid7

from experiments.actions.look_at_experiment import look_at_experiment
from experiments.looks.serving_quality import serving_of
from experiments.models import Experiment, Slate
from experiments.models.served_variant import ServedVariant
from experiments.reports.experiment_report import report_on
from tests.support import builders
from tests.support.dashboard import sign_in
from tests.support.html import has


def test_a_newcomer_is_no_fallback_and_nobody_is_expected_in_nothing(lane, shop):
    experiment = shop.run_experiment()
    lane.refresh()
    report = report_on(Experiment.objects.get(pk=experiment.pk))
    assert [row.expected_share for row in report.variants] == [0.5, 0.5]
    for n in range(12):
        body = {"surface": "home-feed", "unit_id": f"new-{n}"}
        assert lane.post("/v1/recommend", body, shop.public).json()["fallback"] == "default_list"
    failed = Slate.objects.filter(experiment=experiment).order_by("recommendation_id").first()
    Slate.objects.filter(pk=failed.pk).update(fallback="timeout")
    served = serving_of(experiment, since=builders.now() - timedelta(minutes=5), now=builders.now())
    variants = {variant.pk: variant.key for variant in experiment.variants.all()}
    (hit,) = [row for row in served if row.variant == variants[failed.variant_id]]
    (other,) = [row for row in served if row is not hit]
    assert hit.fallback == hit.errors == 1 / hit.slates
    assert hit.cold == (hit.slates - 1) / hit.slates
    assert (other.fallback, other.errors, other.cold) == (0, 0, 1)
    assert ServedVariant.from_json(hit.variant, hit.as_json()) == hit
    assert hit.generation is None
    assert "generation" not in hit.as_json()  # what such looks store is as it was


ANSWER = {"outcome": "completed", "provider": "local", "tokens_in": 12, "tokens_out": 5}


def answer(
    shop, experiment, variant: str, cost: float, recommendation_id: str | None = None, **facts
) -> None:
    builders.make_slate(
        shop, "u1", (), experiment_id=experiment.pk, cost=cost, latency_ms=200.0,
        variant_id=experiment.variants.get(key=variant).pk, generation=ANSWER | facts,
        recommendation_id=recommendation_id or str(uuid7()),
    )  # fmt: skip


def test_a_report_adds_up_what_generated_answers_cost(shop):
    experiment = shop.run_experiment(**builders.QUICK_POLICY | {"planned_units": 5000})
    for n, costs in enumerate(([0.01, 0.03], [0.02])):
        for cost in costs:
            answer(shop, experiment, "control", cost)
        answer(shop, experiment, "treatment", 0.1, tokens_out=50)
        answer(shop, experiment, "treatment", 9.0, outcome="cached")  # no model was asked
        answer(shop, experiment, "treatment", 9.0, provider=None, tokens_in=None, tokens_out=None)
        units = {key: range(100 * n, 100 * n + 40) for key in ("control", "treatment")}
        builders.visits(experiment, {"control": 1, "treatment": 1}, units=units)
        look = look_at_experiment(experiment_id=experiment.pk)
        assert {row.variant for row in look.served_variants} == {"control", "treatment"}
    report = report_on(Experiment.objects.get(pk=experiment.pk))
    control, treatment = report.generation["control"], report.generation["treatment"]
    assert (control.answers, control.tokens_in, control.tokens_out) == (3, 36, 15)
    assert control.cost_per_answer == pytest.approx(0.02)
    assert (treatment.answers, treatment.tokens_out_per_answer) == (2, 50)
    assert treatment.cost == pytest.approx(0.2)
    assert treatment.mean_latency_ms == 200
    address = f"/experiments/{shop.project.slug}/{experiment.key}/"
    page = sign_in(shop.project).get(address).content.decode()
    assert has(page, data_generation="control")
    row = page.split('data-generation="treatment"')[1].split("</tr>")[0]
    assert re.findall(r">([^<>]+)</td>", row) == ["Treatment", "2", "0.1", "0.2", "12", "50", "200 ms"]
    assert report.as_json()["generation"]["control"]["answers"] == 3


def test_an_answer_that_was_in_flight_at_a_look_counts_once_in_the_next(shop):
    """Its id is of the time when it began, before the look; its row is written when it has ended."""
    experiment = shop.run_experiment(**builders.QUICK_POLICY | {"planned_units": 5000})
    early = str(uuid7())
    looks = []
    for n in range(3):
        answer(shop, experiment, "treatment", 0.1)
        if n == 1:
            answer(shop, experiment, "control", 0.25, recommendation_id=early)
        units = {key: range(100 * n, 100 * n + 40) for key in ("control", "treatment")}
        builders.visits(experiment, {"control": 1, "treatment": 1}, units=units)
        looks.append(look_at_experiment(experiment_id=experiment.pk))
    report = report_on(Experiment.objects.get(pk=experiment.pk))
    assert (report.generation["control"].answers, report.generation["control"].cost) == (1, 0.25)
    assert report.generation["treatment"].answers == 3
    (late,) = [row for row in looks[1].served_variants if row.variant == "control"]
    assert late.generation.answers == 1


def test_the_first_look_after_an_upgrade_counts_from_where_the_one_before_ended(shop):
    experiment = shop.run_experiment(**builders.QUICK_POLICY | {"planned_units": 5000})
    for n in range(2):
        answer(shop, experiment, "control", 0.1)
        builders.visits(
            experiment, {"control": 1, "treatment": 1},
            units={key: range(100 * n, 100 * n + 40) for key in ("control", "treatment")},
        )  # fmt: skip
        look_at_experiment(experiment_id=experiment.pk)
        experiment.refresh_from_db()
        del experiment.sequential_state["answers_to"]
        experiment.save()
    assert report_on(experiment).generation["control"].answers == 2


def test_a_report_of_lists_has_no_generation_costs(shop):
    experiment = shop.run_experiment(**builders.QUICK_POLICY)
    builders.visits(experiment, {"control": 1, "treatment": 1}, units=20)
    look_at_experiment(experiment_id=experiment.pk)
    assert report_on(experiment).generation == {}
