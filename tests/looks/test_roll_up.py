"""Incremental totals equal a full recomputation, whatever the order and the batches."""

from __future__ import annotations

import math
from datetime import timedelta

import psycopg
import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.looks.look_input import gather
from experiments.looks.roll_up import roll_up
from experiments.metrics.spec import Filter, MetricError, MetricSpec
from experiments.models import Experiment, Metric
from tests.support import builders
from tests.support.story import METRICS, WINDOW, Happened, Story, roll

steps = st.lists(
    st.tuples(
        st.sampled_from(["expose", "expose", "click", "view", "thumb", "rating", "exclude", "roll"]),
        st.integers(0, 4),
        st.integers(0, 200),
        st.integers(0, 30),
    ),
    max_size=40,
)


# Thousands of orders: --hypothesis-profile=thorough.
@settings(max_examples=settings.default.max_examples // 5, suppress_health_check=list(HealthCheck))
@given(steps)
def test_any_order_of_arrival_gives_the_same_totals(tables, script):
    story, now = Story(), 0.0
    for what, unit, at, event in script:
        if what == "expose":
            story.expose(f"u{unit}", "control" if unit % 2 else "treatment", at)
        elif what == "roll":
            now = max(now, float(at))
            story.agree(now)
        elif what == "exclude":
            if unit == 4:  # most units are people
                story.exclude(f"u{event % 5}")
        elif what in {"thumb", "rating"}:
            story.say(what, f"u{unit}", at, f"{what}{event}")
        else:
            story.happen(what, f"u{unit}", at, f"e{event}")
    story.agree(300.0)


def test_a_late_event_corrects_a_closed_batch(tables):
    story = Story()
    story.expose("u1", "control", 0)
    story.agree(100)
    story.happen("click", "u1", 30, "late")
    story.agree(101)
    assert story.experiment.totals.get(metric__key="clicks", segment="").corrections == 1


def test_an_event_outside_the_window_does_not_count(tables):
    story = Story()
    story.expose("u1", "control", 10)
    story.happen("click", "u1", 5, "before")
    story.happen("click", "u1", 10 + WINDOW, "after")
    story.agree(200)
    assert story.stored("clicks")["control"].sum_y == 0


def test_a_row_of_a_transaction_that_commits_late_is_not_missed(tables):
    """The watermark waits for the oldest running transaction."""
    story = Story()
    parameters = connection.get_connection_params()
    parameters.pop("cursor_factory", None)
    parameters.pop("context", None)
    with psycopg.connect(**parameters) as slow:
        slow.execute(
            """INSERT INTO experiments_event (project_id, event_id, name, unit_id, item_known,
            occurred_at, value, properties, source)
            VALUES (%s, 'slow', 'click', 'u1', true, %s, 0, '{}', 'live')""",
            [story.shop.project.pk, story.start + timedelta(seconds=1)],
        )
        story.events["slow"] = Happened("click", "u1", 1.0, 0.0, None)
        story.expose("u1", "control", 0)
        roll(story.experiment, story.start + timedelta(seconds=100))
        slow.commit()
    story.agree(101)


def test_a_doubled_unit_is_counted_once_and_kept_where_it_was_first(tables):
    story = Story()
    story.expose("u1", "control", 0)
    story.first.pop("u1")
    story.expose("u1", "treatment", 5)
    roll(story.experiment, story.start + timedelta(seconds=100))
    totals = story.experiment.exposure_totals.all()
    assert sum(total.crossover_units for total in totals) == 1
    assert story.stored("clicks")["control"].n == 1
    assert "treatment" not in story.stored("clicks")


def test_it_needs_a_transaction(tables):
    with pytest.raises(transaction.TransactionManagementError):
        roll_up(1, builders.now())


def test_a_look_reads_few_rows(tables, django_assert_max_num_queries):
    story = Story()
    story.expose("u1", "control", 0)
    story.agree(100)
    experiment = Experiment.objects.get(pk=story.experiment.pk)
    with django_assert_max_num_queries(22):
        gather(experiment, builders.now())


def test_segments_are_those_of_the_unit_at_its_exposure(tables):
    story = Story()
    for n in range(5):
        story.expose(f"u{n}", "control" if n % 2 else "treatment", n)
        story.happen("click", f"u{n}", 10 + n, f"e{n}")
    story.agree(100)
    free, paid = story.stored("clicks", "plan=free"), story.stored("clicks", "plan=paid")
    assert {key: totals.n for key, totals in free.items()} == {"control": 1, "treatment": 1}
    assert {key: totals.n for key, totals in paid.items()} == {"treatment": 1}
    story.happen("click", "u1", 12, "late")
    story.agree(101)
    assert story.stored("clicks", "plan=free")["control"].sum_y == 2
    counted = {
        (total.segment, total.variant.key): total.units
        for total in story.experiment.exposure_totals.select_related("variant")
    }
    assert counted["plan=free", "control"] == 1
    assert counted["", "control"] == 2
    look_input = gather(Experiment.objects.get(pk=story.experiment.pk), builders.now())
    assert set(look_input.segments) == {"plan=free", "plan=paid"}


def test_the_covariate_is_never_measured_after_exposure(tables):
    story = Story()
    story.happen("click", "u1", 5, "before")
    story.expose("u1", "control", 10)
    story.happen("click", "u1", 10, "at")
    story.agree(200)
    assert story.stored("share")["control"].sum_x == 1
    assert story.stored("share")["control"].sum_y == 1


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"kind": "mean"}, "event", "must be the name of an event"),
        ({"kind": "median", "event": "e"}, "kind", "must be one of"),
        ({"kind": "mean", "event": "e", "value": "mode"}, "value", "must be one of"),
        ({"kind": "ratio", "event": "e"}, "denominator", "an event, of a ratio only"),
        ({"kind": "mean", "event": "e", "denominator": "d"}, "denominator", "of a ratio only"),
        ({"kind": "funnel", "steps": ("one",)}, "steps", "at least two events"),
        ({"kind": "quantile", "event": "e", "quantile": 1.0}, "quantile", "must be in"),
        ({"kind": "mean", "event": "e", "window_seconds": 0.0}, "window_seconds", "must be positive"),
        ({"kind": "mean", "event": "e", "delay_seconds": -1.0}, "delay_seconds", "must be at least 0"),
        ({"kind": "mean", "event": "e", "window_seconds": 1e300}, "window_seconds", "10 years"),
        ({"kind": "mean", "event": "e", "window_seconds": math.nan}, "window_seconds", "10 years"),
        ({"kind": "mean", "event": "e", "delay_seconds": 1e18}, "delay_seconds", "10 years"),
        ({"kind": "mean", "event": "e", "lookback_seconds": 1e18}, "lookback_seconds", "10 years"),
        ({"kind": "mean", "event": "e", "cap": 1e308}, "cap", "at most 1e"),
        ({"kind": "proportion", "event": "e", "cap": 2.0}, "cap", "not of a proportion"),
        ({"kind": "quantile", "event": "e", "lookback_seconds": 5.0}, "lookback_seconds", "not of a quantile"),
    ],
)  # fmt: skip
def test_a_metric_says_which_rule_it_breaks(fields, field, message):
    with pytest.raises(MetricError, match=message) as raised:
        MetricSpec(key="m", **fields)
    assert raised.value.field == field


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("page=home", "must be an object"),
        ({"field": "page", "op": "eq", "value": 1}, "field must be value"),
        ({"field": "value", "op": "like", "value": 1}, "op must be one of"),
        ({"field": "value", "op": "gt", "value": "1"}, "compared with a number"),
        ({"field": "item_id", "op": "in", "value": []}, "compared with a list"),
        ({"field": "item_id", "op": "eq", "value": [1]}, "compared with one value"),
        ({"field": "item_id", "op": "eq", "value": 1, "and": 2}, "must have field, op and value"),
    ],
)
def test_a_filter_says_which_rule_it_breaks(condition, message):
    with pytest.raises(MetricError, match=message):
        Filter.parse(condition)


def test_a_definition_survives_json():
    for key, fields in METRICS.items():
        metric = Metric(key=key, **fields)
        spec = MetricSpec.of(metric, default_window_seconds=60.0)
        assert MetricSpec.from_json(spec.as_json()) == spec
    with pytest.raises(MetricError, match="metric field 'colour' is unknown"):
        MetricSpec.from_json({"key": "m", "kind": "mean", "event": "e", "colour": "red"})


def test_what_cannot_be_summed_is_set_aside_and_named(tables, caplog):
    """Rows from before there were bounds: a value of 1e308, not a number, a window of ages."""
    shop = builders.make_shop()
    metric = Metric.objects.create(
        project=shop.project, key="spend", kind="mean", event="click", value="sum"
    )
    experiment = shop.run_experiment(window_seconds=WINDOW)
    experiment.metrics.create(metric=metric, role="secondary")
    long = experiment.metrics.create(
        metric=Metric.objects.create(project=shop.project, key="ever", kind="mean", event="click"),
        role="secondary",
    )
    frozen = MetricSpec.of(long.metric, default_window_seconds=WINDOW).as_json()
    long.spec = frozen | {"window_seconds": 1e300, "delay_seconds": 1e18}
    long.save()
    control = experiment.control
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO experiments_exposure
                (project_id, experiment_id, variant_id, epoch, unit_id, unit_type, exposed_at)
            VALUES (%s, %s, %s, 1, 'u', 'unit', now() - interval '1 hour')""",
            [shop.project.pk, experiment.pk, control.pk],
        )
        for event_id, value in (("huge", "1e308"), ("none", "NaN"), ("fine", "3")):
            cursor.execute(
                """INSERT INTO experiments_event (project_id, event_id, name, unit_id, item_known,
                    value, occurred_at, properties, source)
                VALUES (%s, %s, 'click', 'u', true, %s::float8, now() - interval '59 minutes 30 s',
                    '{}', 'live')""",
                [shop.project.pk, event_id, value],
            )
    roll(experiment, builders.now())
    total = experiment.totals.get(metric=metric, segment="")
    assert (total.n, total.sum_value) == (1, 3.0)
    assert "event 'huge' is counted without its value: value == 1e+308" in caplog.text
    assert "event 'none'" in caplog.text
    assert "event 'fine'" not in caplog.text


@pytest.mark.parametrize("fields", [{}, {"cap": 1e-320}, {"lookback_seconds": 3600}])
def test_a_value_whose_square_is_too_small_stops_no_look(tables, fields):
    """One event of 1e-200 with a page's key would end every look: out of range, underflow."""
    shop = builders.make_shop()
    metric = Metric.objects.create(
        project=shop.project, key="spend", kind="mean", event="click", value="sum", **fields
    )
    experiment = shop.run_experiment(window_seconds=WINDOW)
    experiment.metrics.create(metric=metric, role="secondary")
    control = experiment.control
    with connection.cursor() as cursor:
        for unit, value in (("tiny", 1e-200), ("smallest", -5e-324), ("plain", 3.0)):
            cursor.execute(
                """INSERT INTO experiments_exposure
                    (project_id, experiment_id, variant_id, epoch, unit_id, unit_type, exposed_at)
                VALUES (%s, %s, %s, 1, %s, 'unit', now() - interval '1 hour')""",
                [shop.project.pk, experiment.pk, control.pk, unit],
            )
            for when in ("before", "after"):
                cursor.execute(
                    """INSERT INTO experiments_event (project_id, event_id, name, unit_id, item_known,
                        value, occurred_at, properties, source)
                    VALUES (%s, %s, 'click', %s, true, %s,
                        now() - interval '1 hour' + make_interval(secs => %s), '{}', 'live')""",
                    [shop.project.pk, f"{unit} {when}", unit, value, 30 if when == "after" else -30],
                )
    roll(experiment, builders.now())
    total = experiment.totals.get(metric=metric, segment="")
    assert (total.n, total.sum_uncapped_value, total.nonzero) == (3, 3.0, 1)
