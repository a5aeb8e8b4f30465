"""Why a ramp is held: a guardrail's change over the looks, beside its margin, as inline SVG."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from experiments.reports.chart_frame import axis_titles, date_title
from experiments.reports.code_names import name_of
from experiments.reports.held_suggestion import HeldEvidence, suggest
from experiments.reports.percentages import percent
from experiments.reports.time_axis import TimeAxis
from experiments.reports.verdict import interval_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from experiments.models import Experiment, ExperimentMetric, Look
    from experiments.programme.ramp_types import RampNeed, RampState

WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP = 720, 268, 64, 24, 48, 38
NARROW = 340  # of a phone: a scaled picture would have texts of 6 pixels there
MAX_POINTS = 60  # each look is parsed; a ramp that is held for weeks has thousands


@dataclass(frozen=True, slots=True)
class HeldPoint:
    """A look: when it was taken, the relative change of the guardrail and its interval."""

    at: datetime
    lift: float
    low: float
    high: float

    @property
    def words(self) -> str:
        """Change and interval."""
        return f"{percent(self.lift)} ({percent(self.low)} – {percent(self.high)})"


@dataclass(frozen=True, slots=True)
class HeldChart:
    """The picture of the guardrail that holds a ramp, with what stands over it.

    Attributes:
        metric: what the guardrail is called.
        interval: what its intervals are called.
        svg: the picture.
        narrow: the same for a narrow screen.
        head: names of the columns of its numbers.
        rows: the numbers of each look, the newest first.
        last: the newest look's change and interval, in words.
        suggestion: what to do, in words.
    """

    metric: str
    interval: str
    svg: str
    narrow: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    last: str
    suggestion: str


def draw_held(experiment: Experiment | None, ramp: RampState | None, now: datetime) -> HeldChart | None:
    """Return the picture of the guardrail that holds a ramp; None where none does."""
    need = _holding(ramp)
    if experiment is None or ramp is None or need is None:
        return None
    metric = experiment.metrics.select_related("metric").get(metric__key=need.subject)
    points = _points(experiment, metric)
    if not points:
        return None
    steps = [(step.started_at, step.share) for step in ramp.steps if step.started_at is not None]
    # Beyond it is the side on which the metric becomes worse.
    margin = metric.margin if metric.metric.direction == "decrease" else -metric.margin
    sign = 1.0 if margin > 0 else -1.0
    newest = points[-1]
    evidence = HeldEvidence(
        since=steps[0][0],
        at=newest.at,
        loss=sign * newest.lift,
        half_width=(newest.high - newest.low) / 2,
        margin=metric.margin,
        share=ramp.current.share,
    )
    name = metric.metric.name or name_of(metric.metric.key)
    wide, narrow = (
        _draw(points, steps, margin, label=f"{name}: {newest.words}", now=now, width=width)
        for width in (WIDTH, NARROW)
    )
    return HeldChart(
        metric=name,
        interval=interval_name(experiment, primary=False),
        svg=wide,
        narrow=narrow,
        head=(_("Date"), _("Change against control"), _("Lower bound"), _("Upper bound")),
        rows=[
            (f"{one.at:%Y-%m-%d %H:%M}", percent(one.lift), percent(one.low), percent(one.high))
            for one in reversed(points)
        ],
        last=newest.words,
        suggestion=suggest(evidence, now),
    )


def _holding(ramp: RampState | None) -> RampNeed | None:
    needs = ramp.held_by if ramp is not None else ()
    return next((need for need in needs if need.kind == "guardrail"), None)


def _points(experiment: Experiment, metric: ExperimentMetric) -> list[HeldPoint]:
    looks: Sequence[Look] = list(experiment.looks.order_by("number"))
    every = -(-len(looks) // MAX_POINTS)
    chosen = [look for look in looks if look.number == looks[-1].number or look.number % every == 0]
    points = (_point(look, metric) for look in chosen)
    return [point for point in points if point is not None]


def _point(look: Look, metric: ExperimentMetric) -> HeldPoint | None:
    """Return the treatment whose interval reaches farthest to the bad side."""
    points = [
        HeldPoint(look.taken_at, row.lift, *row.lift_interval)
        for row in look.parsed_result.of_metric(metric.metric.key)
        if row.lift is not None and row.lift_interval is not None
    ]
    if metric.metric.direction == "decrease":
        return max(points, key=lambda point: point.high, default=None)
    return min(points, key=lambda point: point.low, default=None)


def _draw(
    points: Sequence[HeldPoint],
    steps: Sequence[tuple[datetime, float]],
    margin: float,
    *,
    label: str,
    now: datetime,
    width: int,
) -> str:
    last = points[-1]
    # Early intervals are far wider than late ones: the picture ends where the last one can be read.
    reach = max(2 * (last.high - last.low), 1.5 * abs(margin), 0.01)
    low, high = min(0.0, margin, last.low) - reach / 2, max(0.0, margin, last.high) + reach / 2
    axis = TimeAxis(min(points[0].at, steps[0][0]), max(now, last.at), LEFT, width - RIGHT)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - min(max(value, low), high)) / (high - low)

    places = [(axis.x(point.at), point) for point in points]
    upper = [f"{x:.1f},{y(point.high):.1f}" for x, point in places]
    lower = [f"{x:.1f},{y(point.low):.1f}" for x, point in reversed(places)]
    line = " ".join(f"{x:.1f},{y(point.lift):.1f}" for x, point in places)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y(point.lift):.1f}" r="2.5">'
        f"<title>{escape(point.words)}</title></circle>"
        for x, point in places
    )
    middle = (LEFT + width - RIGHT) / 2
    titles = axis_titles(_("Change against control"), date_title(), middle=middle, y=HEIGHT)
    return (
        f'<svg class="path" viewBox="0 0 {width} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{_beyond(margin, y, width)}"
        f'<polygon class="band" points="{" ".join(upper + lower)}"/>'
        f'<line class="zero" x1="{LEFT}" x2="{width - RIGHT}" y1="{y(0.0):.1f}" y2="{y(0.0):.1f}"/>'
        f'<polyline class="estimate" points="{line}"/>{dots}'
        f"{_steps(steps, axis)}{_ticks((low, 0.0, margin, high), y)}{axis.labels(HEIGHT - BOTTOM + 18)}"
        f"{titles}</svg>"
    )


def _beyond(margin: float, y: Callable[[float], float], picture: int) -> str:
    """Shade the side of the margin on which the guardrail is harmed."""
    edge, bottom = y(margin), HEIGHT - BOTTOM
    top, height = (TOP, edge - TOP) if margin > 0 else (edge, bottom - edge)
    width = picture - RIGHT - LEFT
    return (
        f'<rect class="beyond" x="{LEFT}" y="{top:.1f}" width="{width}" height="{height:.1f}"/>'
        f'<line class="margin" x1="{LEFT}" x2="{picture - RIGHT}" y1="{edge:.1f}" y2="{edge:.1f}"/>'
    )


def _steps(steps: Sequence[tuple[datetime, float]], axis: TimeAxis) -> str:
    return "".join(
        f'<line class="epoch" x1="{axis.x(at):.1f}" x2="{axis.x(at):.1f}" y1="{TOP}" '
        f'y2="{HEIGHT - BOTTOM}"/>'
        f'<text x="{axis.x(at) + 3:.1f}" y="{TOP - 8}">{100 * share:.3g}%</text>'
        for at, share in steps
    )


def _ticks(values: Sequence[float], y: Callable[[float], float]) -> str:
    shown: list[float] = []
    # Those that mean something have their place before the ends of the axis.
    for value in sorted(values, key=lambda one: one not in values[1:3]):
        if all(abs(y(value) - y(other)) > 14 for other in shown):
            shown.append(value)
    return "".join(
        f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end" class="tick">'
        f"{percent(value)}</text>"
        for value in shown
    )
