"""A plan rests on the values that a report on the same users has: every kind of metric, in every mode."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest

from experiments.actions.experiment_draft import ExperimentMetricDraft
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.ingest.rows import Rows
from experiments.kinds import PROPORTIONS
from experiments.scorecards.block_plan import read_blocks
from experiments.scorecards.cluster_plan import read_clusters
from experiments.scorecards.interleaving_plan import plan_lists
from experiments.scorecards.traffic_plan import Design, read_week
from tests.support import builders
from tests.support.blocks import GUARD, LENGTH, LEVELS, POLICY, Blocks

USERS = 120  # of each variant: both have the same ones
WINDOW = 3600.0
EUROS = [{"field": "properties.currency", "op": "eq", "value": "EUR"}]
METRICS = {
    "clicked": {"kind": "proportion", "event": "click"},
    "clicks": {"kind": "mean", "event": "click"},
    "revenue": {"kind": "mean", "event": "purchase", "value": "sum"},
    "revenue-capped": {"kind": "mean", "event": "purchase", "value": "sum", "cap": 12.5},
    "revenue-in-euros": {"kind": "mean", "event": "purchase", "value": "sum", "filters": EUROS},
    "items": {"kind": "mean", "event": "click", "value": "items"},
    "largest": {"kind": "mean", "event": "purchase", "value": "max"},
    "attributed": {"kind": "mean", "event": "click", "attributed_only": True},
    "half-an-hour": {"kind": "mean", "event": "click", "window_seconds": 1800.0},
    "click-rate": {"kind": "ratio", "event": "click", "denominator": "slate"},
    "basket": {"kind": "ratio", "event": "purchase", "value": "sum", "denominator": "click"},
    "came-back": {
        "kind": "retention", "event": "click", "delay_seconds": 3000.0, "window_seconds": 1200.0,
    },
    "bought-after-a-click": {"kind": "funnel", "event": "", "steps": ["click", "purchase"]},
    "slow": {"kind": "mean", "event": "slate.latency", "value": "max"},
    "adjusted": {"kind": "mean", "event": "click", "lookback_seconds": 7200.0},
    "most-clicks": {"kind": "quantile", "event": "click", "quantile": 0.75},
}  # fmt: skip


@pytest.fixture(scope="module")
def busy(shared_lane):
    """A shop whose experiment is over: users 0 to 119 of each variant did the same, three hours ago."""
    shop = builders.make_shop()
    shop.surface.policy = {"window_seconds": WINDOW}
    shop.surface.save()
    shop.metric.delete()
    metrics = [shop.project.metrics.create(key=key, **fields) for key, fields in METRICS.items()]
    shop.project.metrics.create(
        key="no-match",
        kind="mean",
        event="click",
        filters=[{"field": "item_id", "op": "eq", "value": "x"}],
    )
    roles = [ExperimentMetricDraft(metrics[0])]
    roles += [ExperimentMetricDraft(metric, role="secondary") for metric in metrics[1:]]
    experiment = builders.experiment(
        shop, shop.surface, "over", metrics=roles,
        policy=builders.QUICK_POLICY | {"window_seconds": WINDOW},
    )  # fmt: skip
    builders.write(_visits(shop, experiment))
    shared_lane.refresh()
    taken = look_at_experiment(experiment_id=experiment.pk)
    assert taken is not None
    rows = {row.metric: row for row in taken.parsed_result.comparisons}
    return shop, rows


def _visits(shop, experiment) -> Rows:
    rows, exposed = Rows(), builders.now() - timedelta(hours=3)

    def event(unit, name, minutes, **fields):
        at = (exposed + timedelta(minutes=minutes)).isoformat()
        rows.events.append(builders.event(shop.project, unit=unit, name=name, at=at, **fields))

    for variant in experiment.variants.select_related("experiment"):
        for n in range(USERS):
            unit = f"{variant.key}-{n}"
            rows.exposures.append(builders.exposure(variant, unit=unit, at=exposed.isoformat()))
            of_variant = {"experiment_id": experiment.pk, "variant_id": variant.pk}
            answers = [
                builders.slate(
                    shop, unit, served_at=(exposed + timedelta(minutes=9 * answer)).isoformat(),
                    latency_ms=float(n + answer), context={"store": f"s{n % 60}"}, **of_variant,
                )
                for answer in range(1 + n % 3)
            ]  # fmt: skip
            rows.slates += answers
            for click in range(n % 4):
                named = answers[0].recommendation_id if click else None
                event(unit, "click", 10 + 22 * click, item_id=f"i{click % 2}", recommendation_id=named)
            event(unit, "click", -30 - n % 5)
            for late in range(5):  # after the window, which the whole week would count
                event(unit, "click", 100 + late)
            for sold in range(n % 3):
                currency = {"currency": ("EUR", "USD")[n % 2]}
                event(unit, "purchase", 20 + sold, value=2.5 + n % 7, properties=currency)
    return rows


@pytest.mark.parametrize("key", [key for key in METRICS if key != "most-clicks"])
def test_baseline_and_variance_are_those_of_the_report(busy, lane, key):
    shop, rows = busy
    metric = shop.project.metrics.get(key=key)
    week = read_week(shop.surface, metric)
    effect = rows[key].effect
    assert effect.control > 0
    assert week.baseline == pytest.approx(effect.control)
    # Of a difference of two variants with the same users; a proportion's is that of its share.
    variance = week.deviation**2 * (1 - week.correlation**2)
    if metric.kind in PROPORTIONS:
        variance = week.baseline * (1 - week.baseline)
    assert math.sqrt(2 * variance / USERS) == pytest.approx(effect.se, rel=0.01)
    answer = lane.client.get(
        f"/v1/surfaces/home-feed/plan?metric={key}&min_lift=0.04",
        headers={"Authorization": f"Bearer {shop.secret}"},
    )
    assert answer.json()["baseline"] == pytest.approx(effect.control), answer.text


def test_a_quantile_is_planned_by_its_density(busy):
    shop, rows = busy
    week = read_week(shop.surface, shop.project.metrics.get(key="most-clicks"))
    assert week.baseline == pytest.approx(rows["most-clicks"].effect.control, rel=0.02)
    assert week.density == pytest.approx(0.2 / 1)  # from 2 clicks to 3


def test_what_no_event_matches_is_refused(busy, lane):
    shop, _ = busy
    answer = lane.client.get(
        "/v1/surfaces/home-feed/plan?metric=no-match",
        headers={"Authorization": f"Bearer {shop.secret}"},
    )
    assert answer.status_code == 422
    assert "== 0, must be at least 1" in answer.json()["error"]["message"]


def test_each_window_counts_only_what_is_in_it(busy):
    shop, _ = busy
    metric = shop.project.metrics.get(key="clicks")
    weeks = {hours: read_week(shop.surface, metric, window_seconds=3600 * hours) for hours in (1, 2)}
    assert weeks[2].baseline == pytest.approx(weeks[1].baseline + 5)
    # Of windows that are open, what their users did so far.
    day = read_week(shop.surface, metric, window_seconds=86_400)
    assert (day.is_complete, weeks[1].is_complete) == (False, True)


@pytest.mark.parametrize("key", ["clicked", "revenue-capped", "basket"])
def test_clusters_and_lists_have_the_values_of_users(busy, key):
    shop, rows = busy
    metric = shop.project.metrics.get(key=key)
    week = read_clusters(shop.surface, metric, "store")
    single = read_week(shop.surface, metric)
    assert len(week.clusters) == 60
    assert week.traffic.baseline == pytest.approx(rows[key].effect.control)
    assert week.traffic.deviation == pytest.approx(single.deviation)
    assert (week.traffic.users, week.traffic.active) == (single.users, single.active)
    clicks = shop.project.metrics.get(key="clicks")
    assert plan_lists(shop.surface, clicks, Design(), lift=0.1).baseline == pytest.approx(
        rows["clicks"].effect.control
    )


def test_clusters_that_came_since_the_windows_closed_count(shop, lane):
    """Of yesterday's window: ten stores are complete, and forty came this week."""
    rows = Rows()
    for n in range(200):
        hours = 30 if n < 120 else 2
        rows.slates.append(
            builders.slate(
                shop, f"u{n}", served_at=(builders.now() - timedelta(hours=hours)).isoformat(),
                context={"store": f"s{n % 10 if hours > 24 else n % 40}"},
            )
        )  # fmt: skip
    builders.write(rows)
    shop.metric.lookback_seconds = 7200.0
    shop.metric.save()
    week = read_clusters(shop.surface, shop.metric, "store", window_seconds=86_400)
    assert (len(week.clusters), week.past) == (10, 40)
    assert (week.traffic.users, week.traffic.visitors) == (120, 200)
    assert week.traffic.days == pytest.approx(1.25, abs=0.01)


@pytest.mark.parametrize(("users", "low", "high"), [(5, 0, 0), (150, 0.98, 0.99)])
def test_a_past_value_counts_where_enough_users_have_it(shop, lane, users, low, high):
    """Who clicked before clicks as often after: of few users that is chance, and none saves all."""
    shop.metric.lookback_seconds, shop.metric.window_seconds = 7200.0, 600.0
    shop.metric.save()
    rows, at = Rows(), builders.now() - timedelta(hours=3)
    for n in range(users):
        rows.slates.append(builders.slate(shop, f"u{n}", served_at=at.isoformat()))
        for click in range(n % 3):
            rows.events += [
                builders.event(
                    shop.project, unit=f"u{n}", name=shop.metric.event, event_id=f"{n}-{click}-{minutes}",
                    at=(at + timedelta(minutes=minutes)).isoformat(),
                )
                for minutes in (-5, 5)
            ]  # fmt: skip
    builders.write(rows)
    week = read_week(shop.surface, shop.metric)
    assert (week.users, week.active) == (users, sum(n % 3 > 0 for n in range(users)))
    assert low <= week.correlation <= high


def test_blocks_have_the_values_of_the_report(shop, lane):
    """Of a switchback on a ratio: clicks per answer, within a minute."""
    shop.metric.kind, shop.metric.denominator = "ratio", "slate"
    shop.metric.window_seconds = 60.0
    shop.metric.save()
    experiment = builders.experiment(shop, shop.surface, "by-block", mode="switchback", policy=POLICY)
    lane.refresh()
    blocks = Blocks(shop, experiment).visit(LEVELS, users=4)
    for block in blocks.numbers:
        blocks.click("u1", block, 250)  # after the metric's window
    blocks.write()
    taken = look_at_experiment(experiment_id=experiment.pk)
    (row,) = taken.parsed_result.comparisons
    past = read_blocks(shop.surface, shop.metric, LENGTH, GUARD)
    assert len(past) == len(blocks.numbers)
    assert sum(one.value for one in past) / sum(one.size for one in past) == pytest.approx(
        row.effect.control
    )
