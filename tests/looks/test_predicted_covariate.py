"""CUPAC on the platform: learnt before the start, frozen, evaluated by PostgreSQL, judged and shown."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from django.db import connection, transaction

from experiments.actions.start_experiment import start_experiment
from experiments.looks.roll_up import roll_up
from experiments.metrics.freeze import spec_of
from experiments.models import Experiment, Metric, Observation, Unit
from experiments.models.experiment import WrongStateError
from experiments.stats.cross_fit import predict
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
    assert model.units == 600
    assert len(model.trees) > 0
    variant, at = started.control, builders.now() - timedelta(hours=1)
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO experiments_exposure (project_id, experiment_id, variant_id, epoch,
                unit_id, unit_type, exposed_at)
            SELECT %s, %s, %s, 1, 'p' || unit, 'unit', %s FROM generate_series(1, 6) AS unit""",
            [shop.project.pk, started.pk, variant.pk, at],
        )
        # A purchase after the exposure, and the plan that came of it, which no covariate may know.
        cursor.execute(
            """INSERT INTO experiments_event (project_id, event_id, name, unit_id, item_known, value,
                occurred_at, properties, source)
            VALUES (%s, 'late', 'purchase', 'p1', true, 900, %s, '{}', 'live')""",
            [shop.project.pk, at + timedelta(minutes=5)],
        )
    Unit.objects.filter(project=shop.project, unit_id="p1").update(attributes={"plan": "pro"})
    with transaction.atomic():
        roll_up(started.pk, builders.now())
    stored = {
        one.unit_id: one for one in Observation.objects.filter(experiment=started, metric=role.metric)
    }
    assert set(stored) == {f"p{n}" for n in range(1, 7)}
    assert stored["p1"].value == 900
    expected = predict(model, np.array([features_of(n) for n in range(1, 7)]))
    stored_covariates = [stored[f"p{n}"].covariate for n in range(1, 7)]
    assert stored_covariates == pytest.approx(expected.tolist(), rel=1e-3, abs=0.01)
    # Nothing of either lies in the lookback: the purchase and the plan afterwards change nothing.
    assert stored["p1"].covariate == stored["p4"].covariate
    assert {one.denominator_covariate for one in stored.values()} == {1.0}


def features_of(n: int) -> list[float]:
    """What a unit did in the 14 days before, by hand: sums, a count, and how long ago."""
    inside = [days - 1 / 24 for days in OFTEN if days < 14] if n % 3 == 0 else []
    sums = [(10 + n % 7) * sum(days <= 14 / part for days in inside) for part in (1, 4, 16)]
    return [*sums, float(len(inside)), min(inside, default=14) / 14, max(inside, default=14) / 14]


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
