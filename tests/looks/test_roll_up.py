"""Incremental totals equal a full recomputation, whatever the order and the batches."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import timedelta
from typing import NamedTuple

import psycopg
import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.ingest.rows import EventRow, ExclusionRow, ExposureRow, Rows
from experiments.ingest.statement import Payload, statement_for
from experiments.looks.look_input import gather
from experiments.looks.roll_up import roll_up
from experiments.metrics.freeze import spec_of
from experiments.metrics.spec import Filter, MetricError, MetricSpec
from experiments.models import Experiment, Metric, Unit
from experiments.stats.quantiles import Sketch
from experiments.stats.totals import TOTALS, Totals
from tests.support import builders

WINDOW = 60.0


def write(rows: Rows) -> None:
    payload = Payload.of([rows])
    with connection.cursor() as cursor:
        cursor.execute(statement_for(payload.kinds), payload.parameters)


def roll(experiment, now):
    with transaction.atomic():
        return roll_up(experiment.pk, now)


METRICS = {
    "rate": {"kind": "ratio", "event_name": "click", "denominator_event": "view", "covariate_seconds": 40},
    "share": {"kind": "proportion", "event_name": "click", "covariate_seconds": 40},
    "back": {"kind": "retention", "event_name": "view", "delay_seconds": 20, "window_seconds": 20},
    "path": {"kind": "funnel", "steps": ["view", "click", "view"]},
    "spend": {
        "kind": "mean", "event_name": "click", "value": "sum", "cap": 6.0, "covariate_seconds": 30,
        "filters": [{"field": "properties.page", "op": "in", "value": ["home", "list"]}],
    },
    "largest": {
        "kind": "mean", "event_name": "view", "value": "max",
        "filters": [{"field": "value", "op": "gte", "value": 2}, {"field": "properties.page", "op": "ne", "value": "list"}],
    },
    "middle": {"kind": "quantile", "event_name": "click", "value": "sum", "quantile": 0.5},
    "thumbs": {"kind": "mean", "event_name": "feedback.thumb", "value": "sum"},
    "stars": {"kind": "ratio", "event_name": "feedback.rating", "value": "sum", "denominator_event": "feedback.rating"},
}  # fmt: skip


class Happened(NamedTuple):
    name: str
    unit: str
    at: float
    value: float
    page: str | None


def count(events: list[Happened], name: str) -> float:
    return float(sum(e.name == name for e in events))


def follows(events: list[Happened], steps: list[str]) -> float:
    reached = float("-inf")
    for step in steps:
        times = [e.at for e in events if e.name == step and e.at >= reached]
        if not times:
            return 0.0
        reached = min(times)
    return 1.0


# What each metric says of a unit's events, in plain Python: (value, denominator).
MEANING = {
    "clicks": lambda e: (count(e, "click"), 1.0),
    "rate": lambda e: (count(e, "click"), count(e, "view")),
    "share": lambda e: (float(count(e, "click") > 0), 1.0),
    "back": lambda e: (float(count(e, "view") > 0), 1.0),
    "path": lambda e: (follows(e, ["view", "click", "view"]), 1.0),
    "spend": lambda e: (
        min(sum(x.value for x in e if x.name == "click" and x.page in {"home", "list"}), 6.0),
        1.0,
    ),
    "largest": lambda e: (
        max(
            [x.value for x in e if x.name == "view" and x.value >= 2 and x.page != "list"], default=0.0
        ),
        1.0,
    ),
    "middle": lambda e: (sum(x.value for x in e if x.name == "click"), 1.0),
    "thumbs": lambda e: (sum(x.value for x in e if x.name == "feedback.thumb"), 1.0),
    "stars": lambda e: (
        sum(x.value for x in e if x.name == "feedback.rating"),
        count(e, "feedback.rating"),
    ),
}


class Story:
    """What happened, kept beside the database in plain Python."""

    def __init__(self) -> None:
        self.shop = builders.make_shop(items=3)
        for key, fields in METRICS.items():
            Metric.objects.create(project=self.shop.project, key=key, **fields)
        self.experiment = self.shop.run_experiment(window_seconds=WINDOW)
        Experiment.objects.filter(pk=self.experiment.pk).update(segments=["plan", "country"])
        self.experiment.refresh_from_db()
        for metric in Metric.objects.filter(project=self.shop.project, key__in=METRICS):
            self.experiment.roles.create(metric=metric, role="secondary")
        self.specs = {
            role.metric.key: spec_of(role, self.experiment) for role in self.experiment.roles.all()
        }
        self.start = builders.now() - timedelta(hours=1)
        self.variants = {v.key: v for v in self.experiment.variants.all()}
        self.first: dict[str, tuple[str, float]] = {}
        self.events: dict[str, Happened] = {}
        self.words: dict[str, tuple[Happened, str, int]] = {}  # by id: what, of which item, its turn
        self.excluded: set[str] = set()
        self.slates = {f"u{n}": builders.make_slate(self.shop, f"u{n}") for n in range(5)}
        for n in range(3):  # u3 and u4 have said nothing
            Unit.objects.create(
                project=self.shop.project, unit_id=f"u{n}", attributes={"plan": "free" if n else "paid"}
            )

    def expose(self, unit: str, variant: str, at: float) -> None:
        if unit not in self.first:
            self.first[unit] = (variant, at)
            row = ExposureRow(
                self.shop.project.pk,
                self.experiment.pk,
                self.variants[variant].pk,
                1,
                unit,
                "unit",
                (self.start + timedelta(seconds=at)).isoformat(),
            )
            write(Rows(exposures=[row]))

    def happen(self, name: str, unit: str, at: float, event_id: str) -> None:
        number = len(event_id) + sum(map(ord, event_id)) % 7
        page = ["home", "list", "cart", None][number % 4]
        self.events.setdefault(event_id, Happened(name, unit, at, number / 2, page))
        when = (self.start + timedelta(seconds=at)).isoformat()
        properties = {"page": page} if page else {}
        row = EventRow(
            self.shop.project.pk, event_id, name, unit, None, None, number / 2, when, when, properties,
            "live",
        )  # fmt: skip
        write(Rows(events=[row]))

    def say(self, kind: str, unit: str, at: float, feedback_id: str) -> None:
        """Say something of one of two items, or take it back; a later word stands for the earlier."""
        number = sum(map(ord, feedback_id))
        value = [None, 1.0, -1.0][number % 3] if kind == "thumb" else [None, 1.0, 3.0, 5.0][number % 4]
        item, said = f"i{number % 2}", Happened(f"feedback.{kind}", unit, at, value, None)
        self.words.setdefault(feedback_id, (said, item, len(self.words)))
        row = builders.feedback_row(
            self.shop,
            self.slates[unit],
            feedback_id=feedback_id,
            unit_id=unit,
            item_id=item,
            kind=kind,
            value=value,
            withdrawn=value is None,
            received_at=(self.start + timedelta(seconds=at)).isoformat(),
        )
        write(Rows(feedback=[row]))

    def exclude(self, unit: str) -> None:
        self.excluded.add(unit)
        write(Rows(exclusions=[ExclusionRow(self.shop.project.pk, unit, "internal")]))

    def said(self) -> list[Happened]:
        """The last word of each unit on each item, unless it was taken back."""
        last: dict[tuple, tuple[float, int, Happened]] = {}
        for said, item, turn in self.words.values():
            key = (said.unit, said.name, item)
            last[key] = max(last.get(key, (-1.0, -1, said)), (said.at, turn, said), key=lambda x: x[:2])
        return [said for *_, said in last.values() if said.value is not None]

    def values(self, metric: str, now: float) -> list[tuple[str, str, float, float, float, float]]:
        """Of each complete unit: its name, its variant, y, d, x and w."""
        spec, found = self.specs[metric], []
        happened = [*self.events.values(), *self.said()]
        for unit, (variant, at) in self.first.items():
            if at + spec.complete_after_seconds > now or unit in self.excluded:
                continue
            start = at + spec.delay_seconds
            mine = [e for e in happened if e.unit == unit]
            y, d = MEANING[metric]([e for e in mine if start <= e.at < start + spec.window_seconds])
            x, w = 0.0, 1.0
            if spec.lookback_seconds:
                x, w = MEANING[metric]([e for e in mine if at - spec.lookback_seconds <= e.at < at])
            found.append((unit, variant, y, d, x, w))
        return found

    def expected(self, metric: str, now: float) -> dict[str, Totals | Sketch]:
        by_variant: dict[str, list] = defaultdict(list)
        for _, variant, *numbers in self.values(metric, now):
            by_variant[variant].append(numbers)
        if self.specs[metric].kind == "quantile":
            return {
                v: Sketch(dict(Sketch.of(y for y, *_ in rows).counts)) for v, rows in by_variant.items()
            }
        return {
            v: Totals.of(*(list(c) for c in zip(*rows, strict=True))) for v, rows in by_variant.items()
        }

    def stored(self, metric: str, segment: str = "") -> dict[str, Totals | Sketch]:
        if self.specs[metric].kind == "quantile":
            counts: dict[str, dict[int, int]] = defaultdict(dict)
            rows = self.experiment.quantile_counts.filter(
                metric__key=metric, segment=segment, units__gt=0
            )
            for row in rows.select_related("variant"):
                counts[row.variant.key][row.bucket] = row.units
            return {variant: Sketch(found) for variant, found in counts.items()}
        found: dict[str, Totals] = defaultdict(Totals)
        rows = self.experiment.totals.filter(metric__key=metric, segment=segment)
        for row in rows.select_related("variant"):
            found[row.variant.key] += Totals(**{name: getattr(row, name) for name in TOTALS})
        return {variant: totals for variant, totals in found.items() if totals.n}

    def agree(self, now: float) -> None:
        roll(self.experiment, self.start + timedelta(seconds=now))
        for metric in self.specs:
            assert self.stored(metric) == self.expected(metric, now), metric
        counts = self.experiment.exposure_totals.filter(segment="")
        assert sum(total.units for total in counts) == len(self.first.keys() - self.excluded)
        assert sum(total.excluded for total in counts) == len(self.first.keys() & self.excluded)


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
    assert sum(total.doubled for total in totals) == 1
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
    given_to_look = gather(Experiment.objects.get(pk=story.experiment.pk), builders.now())
    assert set(given_to_look.segments) == {"plan=free", "plan=paid"}


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
        ({"kind": "mean"}, "event_name", "must be the name of an event"),
        ({"kind": "median", "event": "e"}, "kind", "must be one of"),
        ({"kind": "mean", "event": "e", "value": "mode"}, "value", "must be one of"),
        ({"kind": "ratio", "event": "e"}, "denominator_event", "an event, of a ratio only"),
        ({"kind": "mean", "event": "e", "denominator": "d"}, "denominator_event", "of a ratio only"),
        ({"kind": "funnel", "steps": ("one",)}, "steps", "at least two events"),
        ({"kind": "quantile", "event": "e", "quantile": 1.0}, "quantile", "must be in"),
        ({"kind": "mean", "event": "e", "window_seconds": 0.0}, "window_seconds", "must be positive"),
        ({"kind": "mean", "event": "e", "delay_seconds": -1.0}, "delay_seconds", "must be at least 0"),
        ({"kind": "mean", "event": "e", "window_seconds": 1e300}, "window_seconds", "10 years"),
        ({"kind": "mean", "event": "e", "window_seconds": math.nan}, "window_seconds", "10 years"),
        ({"kind": "mean", "event": "e", "delay_seconds": 1e18}, "delay_seconds", "10 years"),
        ({"kind": "mean", "event": "e", "lookback_seconds": 1e18}, "covariate_seconds", "10 years"),
        ({"kind": "mean", "event": "e", "cap": 1e308}, "cap", "at most 1e"),
        ({"kind": "proportion", "event": "e", "cap": 2.0}, "cap", "not of a proportion"),
        ({"kind": "quantile", "event": "e", "lookback_seconds": 5.0}, "covariate_seconds", "not of a quantile"),
    ],
)  # fmt: skip
def test_a_metric_says_which_rule_it_breaks(fields, field, message):
    with pytest.raises(MetricError, match=message) as found:
        MetricSpec(key="m", **fields)
    assert found.value.field == field


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
        project=shop.project, key="spend", kind="mean", event_name="click", value="sum"
    )
    experiment = shop.run_experiment(window_seconds=WINDOW)
    experiment.roles.create(metric=metric, role="secondary")
    long = experiment.roles.create(
        metric=Metric.objects.create(project=shop.project, key="ever", kind="mean", event_name="click"),
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
    assert (total.n, total.sum_y) == (1, 3.0)
    assert "event 'huge' is counted without its value: value == 1e+308" in caplog.text
    assert "event 'none'" in caplog.text
    assert "event 'fine'" not in caplog.text


@pytest.mark.parametrize("fields", [{}, {"cap": 1e-320}, {"covariate_seconds": 3600}])
def test_a_value_whose_square_is_too_small_stops_no_look(tables, fields):
    """One event of 1e-200 with a page's key would end every look: out of range, underflow."""
    shop = builders.make_shop()
    metric = Metric.objects.create(
        project=shop.project, key="spend", kind="mean", event_name="click", value="sum", **fields
    )
    experiment = shop.run_experiment(window_seconds=WINDOW)
    experiment.roles.create(metric=metric, role="secondary")
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
    assert (total.n, total.sum_u, total.nonzero) == (3, 3.0, 1)
