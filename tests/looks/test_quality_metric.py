"""What people and judges say of answers, as metrics of an experiment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from django.db import transaction

from experiments.actions.define_experiment import CannotDefineError, define_experiment
from experiments.actions.erase_unit import erase_unit
from experiments.actions.experiment_draft import ExperimentDraft, ExperimentMetricDraft, VariantDraft
from experiments.actions.rate_answer import rate_answer
from experiments.actions.record_score import record_score
from experiments.actions.sample_answers import sample_answers
from experiments.actions.start_experiment import start_experiment
from experiments.ingest.rows import Rows
from experiments.looks.roll_up import roll_up
from experiments.metrics.spec import JUDGE_SCORE, RATING
from experiments.models import Event, Metric, Observation, SampledAnswer, Slate, Total
from experiments.stats.effects import compare, critical_value
from experiments.stats.totals import Totals
from tests.support import builders, rated_answers

UNITS = 6


def quality(shop, event: str) -> Metric:
    return Metric.objects.create(
        project=shop.project, key=event.replace(".", "-").replace("_", "-"), kind="ratio",
        event=event, value="sum", denominator=event,
    )  # fmt: skip


def draft(shop, *metrics: ExperimentMetricDraft) -> ExperimentDraft:
    challenger = builders.make_version(shop.surface, list(range(1, 11)))
    return ExperimentDraft(
        surface=shop.surface,
        key=f"quality-{challenger.pk}",
        variants=[
            VariantDraft("control", shop.champion, 0.5, is_control=True),
            VariantDraft("treatment", challenger, 0.5),
        ],
        metrics=metrics,
        policy=builders.QUICK_POLICY,
    )


@pytest.fixture
def rated(shop):
    """An experiment on what people say, guarded by a judge, with an answer for each of six users."""
    metrics = (
        ExperimentMetricDraft(quality(shop, RATING)),
        ExperimentMetricDraft(quality(shop, JUDGE_SCORE), role="guardrail"),
    )
    experiment = define_experiment(draft(shop, *metrics))
    start_experiment(experiment=experiment, by="a test")
    rated_answers.plan(shop, label_share=1.0, points=5)
    rows = Rows()
    for n in range(UNITS):
        variant = experiment.variants.get(is_control=n % 2 == 0)
        rows.exposures.append(builders.exposure(variant, unit=f"u{n}"))
        rows.slates.append(
            rated_answers.generation(
                shop, experiment, f"u{n}", treatment=bool(n % 2), served_at=builders.minutes_ago(5)
            )
        )
    builders.write(rows)
    assert sample_answers(experiment=experiment) == UNITS
    return experiment


def rate(experiment, unit: str, *points: int) -> None:
    answer = SampledAnswer.objects.get(experiment=experiment, unit_id=unit)
    for reviewer, point in zip(("ann", "bob"), points, strict=False):
        rate_answer(answer=answer, point=point, by=reviewer)


def counted(experiment, event: str) -> dict[str, tuple[float, float]]:
    """Roll up; return value and denominator of each user who has any, and check that totals are their sums."""
    with transaction.atomic():
        roll_up(experiment.pk, builders.now())
    metric = experiment.metrics.get(metric__event=event).metric
    rows = Observation.objects.filter(experiment=experiment, metric=metric)
    totals = Total.objects.filter(experiment=experiment, metric=metric, segment="")
    for name in ("value", "denominator"):
        expected = sum(getattr(row, name) for row in rows)
        column = {"value": "sum_value", "denominator": "sum_denominator"}[name]
        assert sum(getattr(total, column) for total in totals) == pytest.approx(expected)
    return {row.unit_id: (row.value, row.denominator) for row in rows if row.denominator}


def test_a_rating_counts_when_two_people_have_given_it_however_late(rated):
    assert counted(rated, RATING) == {}
    rate(rated, "u0", 5, 3)
    rate(rated, "u1", 1)
    assert counted(rated, RATING) == {"u0": (0.75, 1.0)}
    rate(rated, "u1", 1, 2)
    assert counted(rated, RATING) == {"u0": (0.75, 1.0), "u1": (0.125, 1.0)}


def test_a_judges_score_counts_once_and_apart_from_people(rated):
    slate = Slate.objects.get(experiment=rated, unit_id="u2")
    for score in (0.9, 0.2):  # a judge that was changed reads it again
        record_score(slate=slate, name=JUDGE_SCORE, score=score)
    assert counted(rated, JUDGE_SCORE) == {"u2": (0.9, 1.0)}
    assert counted(rated, RATING) == {}


def test_nobody_outside_can_write_a_score(rated, shop):
    forged = {
        "unit": "u0",
        "value": 1.0,
        "at": builders.minutes_ago(4),
        "properties": {"experiment": rated.pk},
    }
    rows = Rows()
    rows.events += [
        builders.event(shop.project, name=RATING, **forged),
        builders.event(shop.project, name=RATING, source="loaded", **forged),
    ]
    builders.write(rows)
    assert counted(rated, RATING) == {}


def test_a_score_goes_with_its_user(rated, shop):
    rate(rated, "u0", 5, 5)
    assert Event.objects.filter(project=shop.project, source="rated").count() == 1
    erase_unit(project_id=shop.project.pk, unit_id="u0", by="a test")
    assert not Event.objects.filter(project=shop.project, source="rated").exists()


def test_a_judge_alone_does_not_decide(shop):
    judged = ExperimentMetricDraft(quality(shop, JUDGE_SCORE))
    with pytest.raises(CannotDefineError, match="must be guardrail or secondary") as refused:
        define_experiment(draft(shop, judged))
    assert refused.value.field == "metrics"
    people = ExperimentMetricDraft(quality(shop, RATING))
    define_experiment(draft(shop, people, replace(judged, role="secondary")))


def test_the_interval_holds_where_a_fifth_of_the_answers_is_rated():
    """Users differ in how many answers they get and how good; the truth is the mean of all answers."""
    rng = np.random.default_rng(18)
    hits = 0
    for _ in range(2000):
        groups = []
        for shift in (0.0, 0.05):
            answers = rng.poisson(3, 300) + 1
            taste = rng.normal(0.5 + shift, 0.1, 300)
            rated = rng.binomial(answers, 0.2)
            score = rated * taste + rng.normal(0, 0.2, 300) * np.sqrt(rated)
            groups.append(Totals.of(score.tolist(), rated.astype(float).tolist()))
        low, high = compare("ratio", *groups).interval(critical_value(0.05))
        hits += low <= 0.05 <= high
    assert abs(hits / 2000 - 0.95) < 3 * (0.95 * 0.05 / 2000) ** 0.5
