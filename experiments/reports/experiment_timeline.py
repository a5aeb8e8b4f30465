"""Tests over time, a lane each below their surface: ramp, end and holdback, as inline SVG."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

from django.db.models import Q
from django.utils.translation import gettext as _

from experiments.models import Decision, Epoch, Experiment, Variant
from experiments.reports.chart_frame import axis_titles, date_title
from experiments.reports.lanes_chart import Lane, LaneBar, bar_of_step, draw_lane, holdback_bars
from experiments.reports.time_axis import TimeAxis
from experiments.reports.verdict import word_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bakeoff.accounts.models import Project

MAX_TESTS = 25
BACK = timedelta(days=91)
WIDTH, LEFT, RIGHT, TOP, ROW, FOOT = 960, 196, 90, 4, 28, 42


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """A test: `action` of the decision that ended it, empty while it runs; `lane` as it is drawn."""

    experiment: Experiment
    action: str
    lane: Lane

    @property
    def held_back_until(self) -> datetime | None:
        """The end of its holdback, or now while that runs; None where there was none."""
        ends = [bar.end for bar in self.lane.bars if bar.kind == "holdback"]
        return max(ends, default=None)


def read_timeline(projects: Sequence[Project], now: datetime) -> list[TimelineRow]:
    """Return the tests that run, or ended in the last quarter, by surface and start.

    In five queries, however many there are.
    """
    tests = list(
        Experiment.objects.tests()
        .filter(
            Q(ended_at=None) | Q(ended_at__gt=now - BACK),
            project__in=projects,
            started_at__isnull=False,
            archived_at=None,
        )
        .select_related("project", "surface")
        .order_by("-started_at", "-pk")[:MAX_TESTS]
    )
    tests.sort(key=lambda one: (one.project.slug, one.surface.key, one.started_at, one.pk))
    ids = [test.pk for test in tests]
    steps: dict[int, list[Epoch]] = defaultdict(list)
    epochs = Epoch.objects.filter(experiment__in=ids).select_related("experiment")
    for epoch in epochs.order_by("number"):
        steps[epoch.experiment_id].append(epoch)
    decided = Decision.objects.filter(experiment__in=ids).order_by("id")
    actions = dict(decided.values_list("experiment_id", "action"))
    holdbacks = _holdbacks_of(ids, now)
    rows = []
    for test in tests:
        action = actions.get(test.pk, "") if test.ended_at is not None else ""
        bars = [bar_of_step(epoch, now) for epoch in steps[test.pk]]
        if action == "ship":
            # A version that was the control here has the holdback of an earlier test.
            bars += [bar for bar in holdbacks[test.pk] if bar.start >= (test.ended_at or now)]
        rows.append(TimelineRow(test, action, Lane(test.title, tuple(bars), action)))
    return rows


def _holdbacks_of(tests: Sequence[int], now: datetime) -> Mapping[int, list[LaneBar]]:
    """Return the holdbacks of each test's versions."""
    variants = Variant.objects.filter(experiment__in=tests, model_version__isnull=False)
    pairs = list(variants.values_list("experiment_id", "model_version_id"))
    of_version = holdback_bars([version for _, version in pairs if version is not None], now)
    bars: dict[int, list[LaneBar]] = defaultdict(list)
    for test, version in pairs:
        bars[test] += of_version.get(version or 0, [])
    return bars


def draw_timeline(rows: Sequence[TimelineRow], now: datetime) -> str:
    """Return the rows as SVG; nothing where no test has begun."""
    drawn = [row for row in rows if row.lane.bars]
    if not drawn:
        return ""
    start = max(min(bar.start for row in drawn for bar in row.lane.bars), now - BACK)
    axis = TimeAxis(start, now, LEFT, WIDTH - RIGHT)
    parts: list[str] = []
    top = float(TOP)
    is_one = len({row.experiment.project_id for row in drawn}) == 1
    for surface, tests in groupby(drawn, key=lambda row: row.experiment.surface):
        project = next(row.experiment.project for row in drawn if row.experiment.surface == surface)
        name = escape(surface.key[:30] if is_one else f"{project.slug} / {surface.key}"[:40])
        parts.append(f'<text class="group" x="0" y="{top + ROW / 2 + 4:.1f}">{name}</text>')
        top += ROW
        for row in tests:
            lane = "".join(draw_lane(row.lane, axis, top, row=ROW, indent=12))
            parts.append(f'<g class="{"ended" if row.experiment.ended_at else "running"}">{lane}</g>')
            if row.action:
                end = max(bar.end for bar in row.lane.bars if bar.kind == "ramp")
                parts.append(_result(row.action, axis.x(end) + 10, top + ROW / 2 + 1))
            top += ROW
    height = top + FOOT
    lines = axis.lines(TOP, top)
    label = escape(_("Experiments by surface"))
    return (
        f'<svg class="path lanes" viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{label}">'
        f"{lines}{''.join(parts)}{axis.labels(height - 24)}"
        f"{axis_titles('', date_title(), middle=(LEFT + WIDTH - RIGHT) / 2, y=height)}</svg>"
    )


def _result(action: str, x: float, y: float) -> str:
    word = escape(word_of(action))
    return f'<text class="result {escape(action)}" x="{x:.1f}" y="{y:.1f}">{word}</text>'
