"""Plans do not depend on statistics: a young experiment's rows are found by key, one by one."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection, transaction

from experiments.actions.exclude_units import exclude_units
from experiments.looks.look_input import gather
from experiments.looks.roll_up import roll_up
from experiments.models import Experiment, Metric
from experiments.reports.feedback_report import report_feedback
from experiments.reports.interaction_effect import interaction_effects
from experiments.training_data.examples import examples_of
from experiments.training_data.signals import likes_of
from inference.models import Surface
from tests.support import builders

# Pages that other files' rows have left make a table large in the planner's eyes.
pytestmark = pytest.mark.usefixtures("empty_platform")

# What grows with traffic.
LARGE = {"exposure", "observation", "event", "slate", "feedback", "excludedunit", "unit", "link"}
NEW = 20_000
SMALL_BYTES = 500_000
BY_KEY = ("unit_id)::text =", "unit_id =", "recommendation_id =", "(id =")


def _scans(plan: dict, *, repeated: bool = False):
    """Yield (scan of what may be large, whether it is run again for each row of something else)."""
    table = plan.get("Relation Name", "").removeprefix("experiments_").split("_")[0]
    if table in LARGE or plan["Node Type"] == "CTE Scan":
        yield plan, repeated
    for child in plan.get("Plans", []):
        again = child["Parent Relationship"] == "SubPlan" or (
            plan["Node Type"] == "Nested Loop" and child["Parent Relationship"] == "Inner"
        )
        yield from _scans(child, repeated=repeated or again)


def is_small(scan: dict) -> bool:
    """Whether a table is so small, as the planner sees by its pages, that any way to read it will do."""
    if "Relation Name" not in scan:
        return False
    with connection.connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size(%s::regclass)", [scan["Relation Name"]])
        return cursor.fetchone()[0] < SMALL_BYTES


@contextmanager
def plans_checked():
    """Explain each statement before it runs, on the statistics that it meets."""
    checked = []

    def explain(execute, sql, params, many, context):
        if any(f"experiments_{table}" in sql for table in LARGE) and not sql.startswith("INSERT"):
            with context["connection"].connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
                output = cursor.fetchone()[0]
            plan = (json.loads(output) if isinstance(output, str | bytes) else output)[0]["Plan"]
            for scan, repeated in _scans(plan):
                condition = scan.get("Index Cond", scan.get("Recheck Cond", ""))
                by_key = any(key in condition for key in BY_KEY)
                assert by_key or not repeated or is_small(scan), f"{scan} in {sql}"
            checked.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        yield checked


def add_units(experiment, first: int, last: int) -> None:
    """An exposure and two events for each unit from first to last, written by SQL."""
    control, treatment = experiment.variants.order_by("-is_control")
    parameters = {
        "project": experiment.project_id, "experiment": experiment.pk, "control": control.pk,
        "treatment": treatment.pk, "first": first, "last": last,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO experiments_exposure
                (project_id, experiment_id, variant_id, epoch, unit_id, unit_type, exposed_at)
            SELECT %(project)s, %(experiment)s, CASE WHEN n %% 2 = 0 THEN %(control)s
                ELSE %(treatment)s END, 1, 'u' || n, 'unit', now() - interval '2 hours'
            FROM generate_series(%(first)s::int, %(last)s::int) AS n""",
            parameters,
        )
        cursor.execute(
            """INSERT INTO experiments_event (project_id, event_id, name, unit_id, item_id, item_known,
                value, occurred_at, properties, source)
            SELECT %(project)s, 'e' || n || name, name, 'u' || n, 'i1', true, 1,
                now() - interval '1 hour', '{}', 'live'
            FROM generate_series(%(first)s::int, %(last)s::int) AS n, unnest('{click,view}'::text[]) AS name""",
            parameters,
        )


@pytest.fixture
def experiment(tables):
    """One with every kind of look-up: segments, a sketch, slates and feedback as values."""
    shop = builders.make_shop()
    old = shop.run_experiment()
    add_units(old, 1, 500)
    with connection.cursor() as cursor:
        for table in ("exposure", "observation", "event_default", "excludedunit", "total"):
            cursor.execute(f"ALTER TABLE experiments_{table} SET (autovacuum_enabled = false)")
        cursor.execute("ANALYZE")  # now every table is known, and nothing of the next experiment
    other = builders.make_shop()
    feed = Surface.objects.create(project=other.project, key="other-feed")
    champion = builders.make_version(feed, list(range(10)), alias="champion")
    beside = replace(other, surface=feed, champion=champion).run_experiment()
    add_units(beside, 1, 50)  # the same units: what one does to the other is asked below
    experiment = other.run_experiment(window_seconds=60)
    Experiment.objects.filter(pk=experiment.pk).update(segments=["plan"])
    specs = {
        "served": {"kind": "ratio", "event": "click", "denominator": "slate"},
        "middle": {"kind": "quantile", "event": "click", "value": "sum", "quantile": 0.5},
        "thumbs": {"kind": "mean", "event": "feedback.thumb", "value": "sum"},
        "credited": {"kind": "proportion", "event": "click", "attributed_only": True},
    }
    for key, fields in specs.items():
        metric = Metric.objects.create(project=other.project, key=key, **fields)
        experiment.metrics.create(metric=metric, role="secondary")
    yield Experiment.objects.get(pk=experiment.pk)
    with connection.cursor() as cursor:
        for table in ("exposure", "observation", "event_default", "excludedunit", "total"):
            cursor.execute(f"ALTER TABLE experiments_{table} RESET (autovacuum_enabled)")


def look(experiment) -> list[str]:
    with plans_checked() as checked, transaction.atomic():
        fresh = roll_up(experiment.pk, builders.now())
        gather(fresh, builders.now())
    return checked


def test_every_heavy_statement_finds_its_rows_by_key(experiment):
    def read_reports():
        with plans_checked() as checked:
            report_feedback(experiment)
            interaction_effects(experiment.project_id)
            likes_of(experiment.surface)
            examples_of(experiment.surface)
        return checked

    assert len(look(experiment)) > 10  # on tables that know nothing of it
    add_units(experiment, 1, NEW)
    assert len(look(experiment)) > 10  # on statistics that say that it has no rows
    assert sum(total.units for total in experiment.exposure_totals.filter(segment="")) == NEW
    gone = [f"u{n}" for n in range(1, 1001)]
    exclude_units(project_id=experiment.project_id, unit_ids=gone, by="a test")
    look(experiment)
    assert read_reports()
    assert sum(total.units for total in experiment.exposure_totals.filter(segment="")) == NEW - 1000
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    add_units(experiment, NEW + 1, NEW + 1000)
    exclude_units(
        project_id=experiment.project_id, unit_ids=[f"u{n}" for n in range(1001, 1101)], by="a test"
    )
    look(experiment)  # on statistics that know all of it
    assert read_reports()
    assert sum(total.units for total in experiment.exposure_totals.filter(segment="")) == NEW - 100


def test_late_events_of_many_batches_find_their_totals_by_key(experiment):
    """A total for each of many looks; then one event changes each."""
    for batch in range(30):
        add_units(experiment, batch * 10, batch * 10 + 9)
        with transaction.atomic():
            roll_up(experiment.pk, builders.now() + timedelta(minutes=batch))
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO experiments_event (project_id, event_id, name, unit_id, item_known, value,
                occurred_at, properties, source)
            SELECT %s, 'late' || n, 'click', 'u' || n, true, 1, now() - interval '2 hours' + interval '1 s',
                '{}', 'live' FROM generate_series(0, 299) AS n""",
            [experiment.project_id],
        )
    look(experiment)
    assert experiment.totals.filter(segment="", corrections__gt=0).count() >= 30
