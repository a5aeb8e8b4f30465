"""A random story of exposures, events and feedback, told to the database and kept in plain Python."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import NamedTuple

from django.db import transaction

from experiments.ingest.rows import ExclusionRow, Rows
from experiments.looks.roll_up import roll_up
from experiments.metrics.freeze import spec_of
from experiments.models import Experiment, Metric, Unit
from experiments.sql import TOTALED
from experiments.stats.quantiles import Sketch
from experiments.stats.totals import TOTALS, Totals
from tests.support import builders

WINDOW = 60.0


def roll(experiment, now):
    with transaction.atomic():
        return roll_up(experiment.pk, now)


METRICS = {
    "rate": {"kind": "ratio", "event": "click", "denominator": "view", "lookback_seconds": 40},
    "share": {"kind": "proportion", "event": "click", "lookback_seconds": 40},
    "back": {"kind": "retention", "event": "view", "delay_seconds": 20, "window_seconds": 20},
    "path": {"kind": "funnel", "steps": ["view", "click", "view"]},
    "spend": {
        "kind": "mean", "event": "click", "value": "sum", "cap": 6.0, "lookback_seconds": 30,
        "filters": [{"field": "properties.page", "op": "in", "value": ["home", "list"]}],
    },
    "largest": {
        "kind": "mean", "event": "view", "value": "max",
        "filters": [{"field": "value", "op": "gte", "value": 2}, {"field": "properties.page", "op": "ne", "value": "list"}],
    },
    "middle": {"kind": "quantile", "event": "click", "value": "sum", "quantile": 0.5},
    "thumbs": {"kind": "mean", "event": "feedback.thumb", "value": "sum"},
    "stars": {"kind": "ratio", "event": "feedback.rating", "value": "sum", "denominator": "feedback.rating"},
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
            self.experiment.metrics.create(metric=metric, role="secondary")
        self.specs = {
            role.metric.key: spec_of(role, self.experiment) for role in self.experiment.metrics.all()
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
            when = (self.start + timedelta(seconds=at)).isoformat()
            row = builders.exposure(self.variants[variant], unit=unit, at=when)
            builders.write(Rows(exposures=[row]))

    def happen(self, name: str, unit: str, at: float, event_id: str) -> None:
        number = len(event_id) + sum(map(ord, event_id)) % 7
        page = ["home", "list", "cart", None][number % 4]
        self.events.setdefault(event_id, Happened(name, unit, at, number / 2, page))
        when = (self.start + timedelta(seconds=at)).isoformat()
        properties = {"page": page} if page else {}
        row = builders.event(
            self.shop.project, unit=unit, name=name, at=when, event_id=event_id, value=number / 2,
            properties=properties,
        )  # fmt: skip
        builders.write(Rows(events=[row]))

    def say(self, kind: str, unit: str, at: float, feedback_id: str) -> None:
        """Say something of one of two items, or take it back; a later word stands for the earlier."""
        number = sum(map(ord, feedback_id))
        value = [None, 1.0, -1.0][number % 3] if kind == "thumb" else [None, 1.0, 3.0, 5.0][number % 4]
        item, feedback = f"i{number % 2}", Happened(f"feedback.{kind}", unit, at, value, None)
        self.words.setdefault(feedback_id, (feedback, item, len(self.words)))
        row = builders.feedback(
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
        builders.write(Rows(feedback=[row]))

    def exclude(self, unit: str) -> None:
        self.excluded.add(unit)
        builders.write(Rows(exclusions=[ExclusionRow(self.shop.project.pk, unit, "internal")]))

    def current_feedback(self) -> list[Happened]:
        """The last word of each unit on each item, unless it was taken back."""
        last: dict[tuple, tuple[float, int, Happened]] = {}
        for feedback, item, turn in self.words.values():
            key = (feedback.unit, feedback.name, item)
            last[key] = max(
                last.get(key, (-1.0, -1, feedback)), (feedback.at, turn, feedback), key=lambda x: x[:2]
            )
        return [feedback for *_, feedback in last.values() if feedback.value is not None]

    def values(self, metric: str, now: float) -> list[tuple[str, str, float, float, float, float]]:
        """Of each complete unit: its name, its variant, y, d, x and w."""
        spec, rows = self.specs[metric], []
        happened = [*self.events.values(), *self.current_feedback()]
        for unit, (variant, at) in self.first.items():
            if at + spec.complete_after_seconds > now or unit in self.excluded:
                continue
            start = at + spec.delay_seconds
            mine = [e for e in happened if e.unit == unit]
            y, d = MEANING[metric]([e for e in mine if start <= e.at < start + spec.window_seconds])
            x, w = 0.0, 1.0
            if spec.lookback_seconds:
                x, w = MEANING[metric]([e for e in mine if at - spec.lookback_seconds <= e.at < at])
            rows.append((unit, variant, y, d, x, w))
        return rows

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
            return {variant: Sketch(buckets) for variant, buckets in counts.items()}
        totals_by_variant: dict[str, Totals] = defaultdict(Totals)
        rows = self.experiment.totals.filter(metric__key=metric, segment=segment)
        for row in rows.select_related("variant"):
            totals_by_variant[row.variant.key] += Totals(
                **{name: getattr(row, TOTALED.get(name, name)) for name in TOTALS}
            )
        return {variant: totals for variant, totals in totals_by_variant.items() if totals.n}

    def agree(self, now: float) -> None:
        roll(self.experiment, self.start + timedelta(seconds=now))
        for metric in self.specs:
            assert self.stored(metric) == self.expected(metric, now), metric
        counts = self.experiment.exposure_totals.filter(segment="")
        assert sum(total.units for total in counts) == len(self.first.keys() - self.excluded)
        assert sum(total.excluded for total in counts) == len(self.first.keys() & self.excluded)
