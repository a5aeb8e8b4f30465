"""CUPAC on the platform: learnt before the start, frozen, evaluated by PostgreSQL, judged and shown."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from django.db import connection, transaction
from scipy import stats

from experiments.actions.maintain_partitions import maintain_partitions
from experiments.actions.start_experiment import start_experiment
from experiments.looks.roll_up import roll_up
from experiments.metrics.freeze import spec_of
from experiments.models import Experiment, Metric, Observation, SegmentsAtStart, Unit
from experiments.models.experiment import WrongStateError
from experiments.stats.cross_fit import predict
from experiments.stats.effects import compare
from experiments.stats.totals import Totals
from tests.support import builders

DAY = 86_400.0


@pytest.fixture
def shop(tables):
    return builders.make_shop()


OFTEN = [33.0, 32.0, 31.0, 30.0, 20.0, 19.6, 5.0, 3.0]  # days ago; the others came once, 20 days ago


def past_buyers(shop, units: int) -> None:
    """Customers of whom every third buys often."""
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO experiments_event (project_id, event_id, name, unit_id, item_known, value,
                occurred_at, properties, source)
            SELECT %s, 'e' || unit || '-' || days, 'purchase', 'p' || unit, true, 10 + unit %% 7,
                now() - make_interval(secs => 86400 * days), '{}', 'live'
            FROM generate_series(1, %s) AS unit, unnest(%s::float8[]) AS days
            WHERE unit %% 3 = 0 OR days = 20""",
            [shop.project.pk, units, OFTEN],
        )
    Unit.objects.bulk_create(
        Unit(
            project=shop.project,
            unit_id=f"p{unit}",
            attributes={"plan": "free" if unit % 3 else "pro"},
        )
        for unit in range(1, units + 1)
    )


def draft_of(shop, **fields) -> Experiment:
    spend = Metric.objects.create(
        project=shop.project, key="spend", kind="mean", event="purchase", value="sum",
        lookback_seconds=14 * DAY, covariate="prediction", **fields,
    )  # fmt: skip
    challenger = builders.make_version(shop.surface, list(range(1, len(shop.items) + 1)))
    experiment = shop.define(challenger, window_seconds=DAY)
    experiment.metrics.create(metric=spend, role="secondary")
    Experiment.objects.filter(pk=experiment.pk).update(segments=["plan"])
    experiment.refresh_from_db()
    return experiment


def test_the_model_is_fixed_at_the_start_and_postgresql_says_what_it_says(shop):
    past_buyers(shop, 600)
    started = start_experiment(experiment=draft_of(shop), by="a test", approvals=("ann", "ben"))
    role = started.metrics.get(metric__key="spend")
    model = spec_of(role, started).prediction
    assert (model.units, set(model.segments)) == (600, {"plan=pro", "plan=free"})
    assert len(model.trees) > 0
    variant, at = started.control, builders.now() - timedelta(hours=1)
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO experiments_exposure (project_id, experiment_id, variant_id, epoch,
                unit_id, unit_type, exposed_at)
            SELECT %s, %s, %s, 1, 'p' || unit, 'unit', %s FROM generate_series(1, 6) AS unit
            UNION ALL SELECT %s, %s, %s, 1, 'new', 'unit', %s""",
            [shop.project.pk, started.pk, variant.pk, at] * 2,
        )
        # A purchase after the exposure, and the plan that came of it, which no covariate may know.
        cursor.execute(
            """INSERT INTO experiments_event (project_id, event_id, name, unit_id, item_known, value,
                occurred_at, properties, source)
            VALUES (%s, 'late', 'purchase', 'p1', true, 900, %s, '{}', 'live')""",
            [shop.project.pk, at + timedelta(minutes=5)],
        )
    Unit.objects.filter(project=shop.project, unit_id="p1").update(attributes={"plan": "pro"})
    Unit.objects.filter(project=shop.project, unit_id="p2").update(attributes={})
    Unit.objects.create(project=shop.project, unit_id="new", attributes={"plan": "pro"})
    with transaction.atomic():
        roll_up(started.pk, builders.now())
    stored = {
        one.unit_id: one for one in Observation.objects.filter(experiment=started, metric=role.metric)
    }
    assert set(stored) == {"new", *(f"p{n}" for n in range(1, 7))}
    assert stored["p1"].value == 900
    plans = {f"p{n}": "free" if n % 3 else "pro" for n in range(1, 7)} | {"new": ""}
    expected = predict(
        model, np.array([features_of(unit, plans[unit], model) for unit in sorted(stored)])
    )
    stored_covariates = [stored[unit].covariate for unit in sorted(stored)]
    assert stored_covariates == pytest.approx(expected.tolist(), rel=1e-3, abs=0.01)
    # The purchase and the plans of afterwards change nothing, and who came later has no plan.
    assert stored["p1"].covariate == stored["p2"].covariate == stored["p4"].covariate
    assert stored["new"].covariate != stored["p4"].covariate
    assert {one.denominator_covariate for one in stored.values()} == {1.0}


def features_of(unit: str, plan: str, model) -> list[float]:
    """What a unit did in the 14 days before, by hand: sums, a count, how long ago; and its plan."""
    inside = [days - 1 / 24 for days in OFTEN if days < 14] if plan == "pro" else []
    value = 10 + int(unit[1:]) % 7 if inside else 0
    sums = [value * sum(days <= 14 / part for days in inside) for part in (1, 4, 16)]
    return [*sums, float(len(inside)), min(inside, default=14) / 14, max(inside, default=14) / 14,
            *(float(segment == f"plan={plan}") for segment in model.segments)]  # fmt: skip


def test_too_little_past_is_refused_with_the_number_and_the_rule(shop):
    past_buyers(shop, 40)
    draft = draft_of(shop)
    with pytest.raises(
        WrongStateError, match=r"units to learn a prediction from == 40, must be at least 500"
    ):
        start_experiment(experiment=draft, by="a test", approvals=("ann", "ben"))
    draft.refresh_from_db()
    assert draft.state == Experiment.State.DRAFT


def test_a_ratio_and_a_share_are_predicted_too(shop):
    past_buyers(shop, 600)
    draft = draft_of(shop)
    for key, fields in {
        "rate": {"kind": "ratio", "event": "purchase", "denominator": "purchase", "value": "sum"},
        "bought": {"kind": "proportion", "event": "purchase", "delay_seconds": 60.0},
    }.items():
        metric = Metric.objects.create(
            project=shop.project, key=key, lookback_seconds=14 * DAY, covariate="prediction", **fields,
        )  # fmt: skip
        draft.metrics.create(metric=metric, role="secondary")
    started = start_experiment(experiment=draft, by="a test", approvals=("ann", "ben"))
    assert all(
        spec_of(role, started).prediction.units == 600
        for role in started.metrics.exclude(role="primary")
    )
    with transaction.atomic():
        roll_up(started.pk, builders.now())


def test_a_segment_takes_out_variance_where_the_past_says_nothing_and_keeps_the_level(shop):
    """A/A splits of what the roll-up stored: buyers by plan, none of whom bought in the lookback."""
    units, at = 600, builders.now() - timedelta(hours=1)
    bought = """INSERT INTO experiments_event (project_id, event_id, name, unit_id, item_known, value,
            occurred_at, properties, source)
        SELECT %s, %s || unit, 'purchase', 'p' || unit, true,
            (1 + unit %% 2 * 4) * (1 + unit * %s %% 13), %s, '{}', 'live'
        FROM generate_series(1, %s) AS unit"""
    with connection.cursor() as cursor:
        cursor.execute(bought, [shop.project.pk, "before", 1, at - timedelta(days=20), units])
    Unit.objects.bulk_create(
        Unit(project=shop.project, unit_id=f"p{n}", attributes={"plan": "pro" if n % 2 else "free"})
        for n in range(1, units + 1)
    )
    started = start_experiment(experiment=draft_of(shop), by="a test", approvals=("ann", "ben"))
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO experiments_exposure (project_id, experiment_id, variant_id, epoch,
                unit_id, unit_type, exposed_at)
            SELECT %s, %s, %s, 1, 'p' || unit, 'unit', %s FROM generate_series(1, %s) AS unit""",
            [shop.project.pk, started.pk, started.control.pk, at, units],
        )
        cursor.execute(bought, [shop.project.pk, "after", 7, at + timedelta(minutes=5), units])
    with transaction.atomic():
        roll_up(started.pk, builders.now())
    stored = Observation.objects.filter(experiment=started, metric__key="spend").order_by("unit_id")
    values, covariates = map(np.array, zip(*stored.values_list("value", "covariate"), strict=True))
    rng, wrong, cuts = np.random.default_rng(6), 0, []
    for _ in range(400):
        treated = rng.random(units) < 0.5
        effect = compare(
            "mean", *(Totals.of(values[m], None, covariates[m]) for m in (~treated, treated))
        )
        wrong += effect.p_value < 0.05
        cuts.append(effect.variance_reduction)
    assert stats.binomtest(wrong, 400, 0.05).pvalue > 0.01
    assert np.mean(cuts) > 0.4


def test_a_start_copies_segments_only_where_a_prediction_reads_them(shop):
    past_buyers(shop, 600)
    draft = draft_of(shop)
    draft.metrics.filter(metric__key="spend").delete()
    started = start_experiment(experiment=draft, by="a test", approvals=("ann", "ben"))
    assert not SegmentsAtStart.objects.filter(experiment=started).exists()


def test_the_copy_goes_a_day_after_the_end(shop):
    past_buyers(shop, 600)
    started = start_experiment(experiment=draft_of(shop), by="a test", approvals=("ann", "ben"))
    copies = SegmentsAtStart.objects.filter(experiment=started)
    maintain_partitions(builders.now() + timedelta(days=2))
    assert copies.exists()  # it runs
    started.end(builders.now())
    maintain_partitions(builders.now())
    assert copies.exists()  # a look may still be at work
    maintain_partitions(builders.now() + timedelta(days=2))
    assert not copies.exists()
