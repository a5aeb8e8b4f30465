"""Incremental totals equal a full recomputation, whatever the order and the batches."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

import psycopg
import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.analysis.roll_up import roll_up
from experiments.ingest.rows import EventRow, ExposureRow, Rows
from experiments.ingest.statement import Payload, statement_for
from experiments.models import Experiment, Metric
from experiments.stats.totals import Totals
from tests import builders

WINDOW = 60.0


def write(rows: Rows) -> None:
    payload = Payload.of([rows])
    with connection.cursor() as cursor:
        cursor.execute(statement_for(payload.kinds), payload.parameters)


def roll(experiment, now):
    with transaction.atomic():
        return roll_up(experiment.pk, now)


class Story:
    """What happened, kept beside the database in plain Python."""

    def __init__(self) -> None:
        self.shop = builders.make_shop(items=3)
        self.ratio = Metric.objects.create(
            project=self.shop.project,
            key="rate",
            kind="ratio",
            event_name="click",
            denominator_event="view",
        )
        self.share = Metric.objects.create(
            project=self.shop.project, key="share", kind="proportion", event_name="click"
        )
        self.experiment = self.shop.run_experiment(window_seconds=WINDOW)
        for metric in (self.ratio, self.share):
            self.experiment.roles.create(metric=metric, role="secondary")
        self.start = builders.now() - timedelta(hours=1)
        self.variants = {v.key: v for v in self.experiment.variants.all()}
        self.first: dict[str, tuple[str, float]] = {}
        self.events: dict[str, tuple[str, str, float]] = {}

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
        self.events.setdefault(event_id, (name, unit, at))
        when = (self.start + timedelta(seconds=at)).isoformat()
        row = EventRow(
            self.shop.project.pk, event_id, name, unit, None, None, None, when, when, {}, "live"
        )
        write(Rows(events=[row]))

    def expected(self, metric: str, now: float) -> dict[str, Totals]:
        values: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for unit, (variant, at) in self.first.items():
            if at + WINDOW > now:
                continue
            inside = [n for n, u, t in self.events.values() if u == unit and at <= t < at + WINDOW]
            clicks, views = float(inside.count("click")), float(inside.count("view"))
            value = {
                "clicks": (clicks, 1.0),
                "rate": (clicks, views),
                "share": (float(clicks > 0), 1.0),
            }
            values[variant].append(value[metric])
        return {
            variant: Totals.of([y for y, _ in pairs], [d for _, d in pairs])
            for variant, pairs in values.items()
        }

    def stored(self, metric: str) -> dict[str, Totals]:
        found: dict[str, Totals] = defaultdict(Totals)
        for row in self.experiment.totals.filter(metric__key=metric).select_related("variant"):
            found[row.variant.key] += Totals(
                row.n, row.nonzero, row.sum_y, row.sum_yy, row.sum_d, row.sum_dd, row.sum_yd
            )
        return dict(found)

    def agree(self, now: float) -> None:
        roll(self.experiment, self.start + timedelta(seconds=now))
        for metric in ("clicks", "rate", "share"):
            assert self.stored(metric) == self.expected(metric, now), metric


steps = st.lists(
    st.tuples(
        st.sampled_from(["expose", "click", "view", "roll"]),
        st.integers(0, 4),
        st.integers(0, 200),
        st.integers(0, 30),
    ),
    max_size=40,
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps)
def test_any_order_of_arrival_gives_the_same_totals(tables, script):
    story, now = Story(), 0.0
    for what, unit, at, event in script:
        if what == "expose":
            story.expose(f"u{unit}", "control" if unit % 2 else "treatment", at)
        elif what == "roll":
            now = max(now, float(at))
            story.agree(now)
        else:
            story.happen(what, f"u{unit}", at, f"e{event}")
    story.agree(300.0)


def test_a_late_event_corrects_a_closed_batch(tables):
    story = Story()
    story.expose("u1", "control", 0)
    story.agree(100)
    story.happen("click", "u1", 30, "late")
    story.agree(101)
    assert story.experiment.totals.get(metric__key="clicks").corrections == 1


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
            occurred_at, properties, source) VALUES (%s, 'slow', 'click', 'u1', true, %s, '{}', 'live')""",
            [story.shop.project.pk, story.start + timedelta(seconds=1)],
        )
        story.events["slow"] = ("click", "u1", 1.0)
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
    from experiments.analysis.look_input import gather

    story = Story()
    story.expose("u1", "control", 0)
    story.agree(100)
    experiment = Experiment.objects.get(pk=story.experiment.pk)
    with django_assert_max_num_queries(12):
        gather(experiment, builders.now())
