"""Challengers over time, a lane each: shadow, screening, ramp and holdback, as inline SVG."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from experiments.models import Decision, Epoch, Experiment, Variant
from experiments.reports.chart_frame import Chart, axis_titles, date_title
from experiments.reports.time_axis import TimeAxis
from experiments.reports.verdict import word_of
from inference.models import AliasMove, ModelVersion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from experiments.reports.autopilot_report import PipelineRow

MAX_LANES = 10
MAX_LETTERS = 26  # of a name that find room left of a lane
WIDTH, LEFT, RIGHT, TOP, ROW, FOOT = 720, 170, 16, 8, 30, 44
BAR = 16
MIN_BAR = 2.0  # a step of seconds in a picture of weeks is seen too


@dataclass(frozen=True, slots=True)
class LaneBar:
    """A stretch of a lane.

    Attributes:
        kind: `shadow`, `screening`, `ramp` or `holdback`.
        start, end: when; an end of now where it goes on.
        share: of all users who got the challenger; of a screening, its part of the shared lists; 0 in
            shadow.
    """

    kind: str
    start: datetime
    end: datetime
    share: float = 0.0

    @property
    def word(self) -> str:
        """Its kind, as pages name it."""
        words = {
            "shadow": _("Shadow"),
            "screening": _("Screening"),
            "ramp": _("Ramp"),
            "holdback": _("Holdback"),
        }
        return words[self.kind]

    @property
    def title(self) -> str:
        """What it is, in words."""
        share = f" {100 * self.share:.3g}%" if self.share else ""
        return f"{self.word}{share}: {self.start:%Y-%m-%d %H:%M} – {self.end:%Y-%m-%d %H:%M}"


@dataclass(frozen=True, slots=True)
class Lane:
    """A challenger with its stretches, and how its test ended: the decision's action and its word."""

    label: str
    bars: tuple[LaneBar, ...]
    action: str = ""


def read_lanes(rows: Sequence[PipelineRow], now: datetime) -> list[Lane]:
    """Return the lanes of a pipeline's challengers that have met traffic, in its order."""
    versions = [row.version.pk for row in rows if row.version is not None]
    tests = [row.experiment.pk for row in rows if row.experiment is not None]
    shadows = _read_shadows(versions, now)
    epochs: dict[int, list[Epoch]] = defaultdict(list)
    rows_of_tests = Epoch.objects.filter(experiment__in=tests).select_related("experiment")
    for epoch in rows_of_tests.order_by("experiment_id", "number"):
        epochs[epoch.experiment_id].append(epoch)
    screenings = _read_screenings(rows, now)
    holdbacks = holdback_bars(versions, now)
    actions = dict(
        Decision.objects.filter(experiment__in=tests)
        .order_by("id")
        .values_list("experiment_id", "action")
    )
    lanes = []
    for row in rows:
        if row.version is None:
            continue
        test = row.experiment.pk if row.experiment is not None else 0
        bars = (
            *shadows[row.version.pk],
            *screenings[row.version.pk],
            *(bar_of_step(epoch, now) for epoch in epochs[test]),
            *holdbacks[row.version.pk],
        )
        if bars:
            lanes.append(Lane(row.version.label, bars, actions.get(test, "")))
    return lanes[:MAX_LANES]


def bar_of_step(epoch: Epoch, now: datetime) -> LaneBar:
    """Return a step of a test's ramp."""
    test = epoch.experiment
    width = test.slot_high - test.slot_low if test.layer_id is not None else 1.0
    # Of two variants the treatment; arms of automatic tests are equal.
    share = epoch.allocation * min(epoch.weights.values(), default=0.0) * width
    return LaneBar("ramp", epoch.started_at, epoch.ended_at or now, share)


def _read_screenings(rows: Sequence[PipelineRow], now: datetime) -> Mapping[int, list[LaneBar]]:
    """Return the screening of each version, the newest: while it drafted its part of the lists."""
    bars: dict[int, list[LaneBar]] = defaultdict(list)
    screened = {
        (row.version.pk, stage.experiment.pk)
        for row in rows
        for stage in row.stages
        if row.version is not None and stage.experiment is not None
    }
    if not screened:
        return bars
    experiments = {experiment for _version, experiment in screened}
    epochs: dict[int, list[Epoch]] = defaultdict(list)
    for epoch in Epoch.objects.filter(experiment__in=experiments).order_by("experiment_id", "number"):
        epochs[epoch.experiment_id].append(epoch)
    variants = Variant.objects.filter(experiment__in=experiments, is_control=False)
    for key, version, experiment in variants.values_list("key", "model_version", "experiment"):
        if version is None or (version, experiment) not in screened:
            continue
        bars[version] += [
            LaneBar("screening", one.started_at, one.ended_at or now, share)
            for one in epochs[experiment]
            if (share := _drafted_share(one, key))
        ]
    return bars


def _drafted_share(epoch: Epoch, variant: str) -> float:
    """Return a version's part of the lists: all whose weight is not 0 draft equally."""
    drafting = [key for key, weight in epoch.weights.items() if weight > 0]
    return epoch.allocation / len(drafting) if variant in drafting else 0.0


def _read_shadows(versions: Sequence[int], now: datetime) -> Mapping[int, list[LaneBar]]:
    bars: dict[int, list[LaneBar]] = defaultdict(list)
    since: dict[int, datetime] = {}
    for move in AliasMove.objects.filter(version__in=versions).order_by("id"):
        if move.after == ModelVersion.Alias.SHADOW:
            since[move.version_id] = move.moved_at
        elif (start := since.pop(move.version_id, None)) is not None:
            bars[move.version_id].append(LaneBar("shadow", start, move.moved_at))
    for version, start in since.items():
        bars[version].append(LaneBar("shadow", start, now))
    return bars


def holdback_bars(versions: Sequence[int], now: datetime) -> Mapping[int, list[LaneBar]]:
    """Return the holdbacks of promoted versions, by version."""
    bars: dict[int, list[LaneBar]] = defaultdict(list)
    rows = Experiment.objects.filter(
        purpose=Experiment.Purpose.HOLDBACK,
        started_at__isnull=False,
        variants__key="promoted",
        variants__model_version__in=versions,
    )
    for version, start, end in rows.values_list("variants__model_version", "started_at", "ended_at"):
        if version is not None and start is not None:
            bars[version].append(LaneBar("holdback", start, end or now))
    return bars


def chart_lanes(lanes: Sequence[Lane], now: datetime) -> Chart | None:
    """Return the picture of lanes with its table; None where no challenger has met traffic."""
    if not lanes:
        return None
    head = (_("Challenger"), _("Stage"), _("Users (%)"), _("From"), _("Until"))
    return Chart("lanes", _("Challengers over time"), draw_lanes(lanes, now), head, lanes_table(lanes))


def lanes_table(lanes: Sequence[Lane]) -> list[tuple[str, ...]]:
    """Return the stretches of the lanes as rows: challenger, what, share of users, from, to."""
    return [
        (
            lane.label, bar.word, f"{100 * bar.share:.3g}%" if bar.share else "–",
            f"{bar.start:%Y-%m-%d %H:%M}", f"{bar.end:%Y-%m-%d %H:%M}",
        )
        for lane in lanes
        for bar in lane.bars
    ]  # fmt: skip


def draw_lanes(lanes: Sequence[Lane], now: datetime) -> str:
    """Return the lanes as SVG; nothing where no challenger has met traffic."""
    if not lanes:
        return ""
    start = min(bar.start for lane in lanes for bar in lane.bars)
    axis = TimeAxis(start, now, LEFT, WIDTH - RIGHT)
    height = TOP + ROW * len(lanes) + FOOT
    rows = "".join(
        "".join(draw_lane(lane, axis, TOP + ROW * place)) for place, lane in enumerate(lanes)
    )
    label = _("Challengers over time")
    return (
        f'<svg class="path lanes" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(label)}">{rows}{axis.labels(height - 26)}'
        f"{axis_titles('', date_title(), middle=(LEFT + WIDTH - RIGHT) / 2, y=height)}</svg>"
    )


def draw_lane(
    lane: Lane, axis: TimeAxis, top: float, *, row: float = ROW, indent: float = 0
) -> Iterator[str]:
    """Draw a lane below `top`, `row` units tall, its name `indent` units from the left."""
    middle = top + row / 2
    yield f'<text class="name" x="{indent:g}" y="{middle + 4:.1f}">{escape(_short(lane.label))}</text>'
    yield (
        f'<line class="track" x1="{axis.left}" x2="{axis.right}" y1="{middle:.1f}" y2="{middle:.1f}"/>'
    )
    for bar in lane.bars:
        x, end = axis.x(bar.start), axis.x(bar.end)
        width = max(end - x, MIN_BAR)
        # Half of all users fill a lane; by the root, since 1 % could not be seen beside 50 %.
        is_tall = bar.kind in {"ramp", "screening"}
        tall = BAR * min(math.sqrt(2 * bar.share), 1.0) if is_tall else BAR / 4
        yield (
            f'<rect class="{bar.kind}" x="{min(x, axis.right - width):.1f}" '
            f'y="{middle + BAR / 2 - tall:.1f}" width="{width:.1f}" height="{tall:.1f}">'
            f"<title>{escape(bar.title)}</title></rect>"
        )
    tests = [bar for bar in lane.bars if bar.kind == "ramp"]
    if lane.action and tests:
        yield _draw_end(lane.action, axis.x(tests[-1].end), middle)


def _short(label: str) -> str:
    return label if len(label) <= MAX_LETTERS else f"{label[: MAX_LETTERS - 1]}…"


def _draw_end(action: str, x: float, y: float) -> str:
    """Mark how a test ended: by a shape, and by colour besides."""
    shapes = {"ship": "M-5 4L0 -5L5 4Z", "roll_back": "M-4 -4L4 4M4 -4L-4 4"}
    shape = shapes.get(action, "M-5 0H5")
    return (
        f'<path class="end {escape(action)}" transform="translate({x:.1f} {y:.1f})" d="{shape}">'
        f"<title>{escape(word_of(action))}</title></path>"
    )
