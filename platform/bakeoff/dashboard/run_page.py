"""What the page of a training run shows: data window, curve, gate, slices, calibration, reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _

from experiments.reports.chart_frame import Chart
from experiments.reports.code_names import name_of
from experiments.reports.forest_chart import ForestRow
from experiments.reports.plot_columns import PlotColumn, plot_column
from experiments.reports.series_chart import draw_numbers
from experiments.reports.stored_text import show_stored
from inference.evaluation.gate import DECISION_COST, GateResult
from inference.evaluation.labelling import BINS
from inference.judging.generation_gate import COST, LATENCY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from django.utils.safestring import SafeString

    from experiments.kinds import Direction
    from inference.models import TrainingRun

LOWER_IS_BETTER = {DECISION_COST, COST, LATENCY, "abstained", "calibration_error"}
COUNTS = {"bytes"}  # whole numbers, which have no places


@dataclass(frozen=True, slots=True)
class GateRow:
    """One line of the gate's table."""

    metric: str
    challenger: float
    champion: float | None
    difference: float | None
    interval: Sequence[float] | None
    places: int | None = None

    @property
    def name(self) -> str:
        """What pages call the metric, with the length of the lists that it is of."""
        name = name_of(self.metric)
        return f"{name}@{self.places}" if self.places else name

    @property
    def is_count(self) -> bool:
        """Whether its values are whole numbers."""
        return self.metric in COUNTS

    def drawn(self) -> ForestRow:
        """Return the change relative to the champion's value, so that metrics share an axis."""
        ends = (self.difference, *(self.interval or (None, None)))
        scale = self.champion or 0.0
        estimate, low, high = (None if end is None or scale <= 0 else end / scale for end in ends)
        direction: Direction = "decrease" if self.metric in LOWER_IS_BETTER else "increase"
        return ForestRow("", estimate, low, high, "", direction=direction)


@dataclass(frozen=True, slots=True)
class RunPage:
    """Everything that is shown of a run."""

    run: TrainingRun
    gate: GateResult | None
    rows: Sequence[GateRow]
    column: PlotColumn[GateRow]
    window: Sequence[tuple[str, Any]]
    curve: Chart | None
    calibration: Chart | None
    learning: Chart | None

    @property
    def candidates(self) -> list[tuple[Mapping[str, Any], list[float | None]]]:
        """What a portfolio tried, each with its metrics in the order of the gate's `candidate_metrics`."""
        if self.gate is None:
            return []
        metrics = self.gate.candidate_metrics
        return [(one, [one.get(name) for name in metrics]) for one in self.gate.candidates]


def page_of(run: TrainingRun) -> RunPage:
    """Read a run."""
    stored = run.version.gate if run.version is not None else {}
    gate = GateResult.from_json(stored) if stored else None
    about = gate.about if gate is not None else {}
    rows = (
        []
        if gate is None
        else [
            GateRow(
                metric=metric,
                challenger=row["challenger"],
                champion=row.get("champion"),
                difference=row.get("difference"),
                interval=row.get("interval"),
                places=gate.places_of(metric),
            )
            for metric, row in gate.table
        ]
    )
    window = [
        (name, value)
        for name, value in {**about.get("window", {}), **about.get("compression", {})}.items()
        if name not in {"from", "to"}
    ]
    return RunPage(
        run=run,
        gate=gate,
        rows=rows,
        column=plot_column(rows, GateRow.drawn, title=_("Relative difference")),
        window=window,
        curve=draw_curve(run.curve),
        learning=draw_learning(about.get("learning", [])),
        calibration=draw_calibration(
            about.get("calibration", []), about.get("temperature", {}).get("bins_before", [])
        ),
    )


def draw_curve(points: Sequence[Sequence[Any]]) -> Chart | None:
    """Return the losses of each fit over its steps; None when there are none."""
    if not points:
        return None
    fits: dict[str, list[tuple[float, float, str]]] = {}
    for fit, step, loss in points:
        words = _("step %(step)s: %(loss)s") % {"step": f"{step:,.0f}", "loss": f"{loss:.4g}"}
        fits.setdefault(show_stored(str(fit)), []).append((float(step), float(loss), words))
    label, value, number = _("Loss over steps"), _("Loss"), _("Step")
    rows = [
        (name, f"{step:,.0f}", f"{loss:.4f}")
        for name, fit in fits.items()
        for step, loss, _words in fit
    ]
    svg = draw_numbers(fits, label=label, value=value, number=number)
    return Chart("loss", label, svg, (_("Phase"), number, value), rows)


def draw_learning(points: Sequence[dict[str, float]]) -> Chart | None:
    """Return a metric over how much was learnt from; None when it was not measured."""
    if not points:
        return None
    metric = next(name for name in points[0] if name != "rows")
    name = name_of(metric)
    line = [
        (
            point["rows"],
            point[metric],
            _("%(rows)s rows: %(metric)s %(value)s")
            % {"rows": f"{point['rows']:,.0f}", "metric": name, "value": f"{point[metric]:.4f}"},
        )
        for point in points
    ]
    label, number = _("%(metric)s by training rows") % {"metric": name}, _("Training rows")
    rows = [(f"{at:,.0f}", f"{value:.4f}") for at, value, _words in line]
    svg = draw_numbers({name: line}, label=label, value=name, number=number)
    return Chart("learning", label, svg, (number, name), rows)


def draw_calibration(
    bins: Sequence[Sequence[float]], before: Sequence[Sequence[float]] = ()
) -> Chart | None:
    """Return share right over stated confidence, each tenth a dot as large as it is frequent.

    Args:
        bins: mean confidence, share right and count of each tenth.
        before: the same without calibration, drawn as rings.
    """
    if not bins:
        return None
    label = _("Share correct by confidence, in %(count)s bins") % {"count": BINS}
    head = (_("Stated confidence"), _("Correct"), _("Examples"))
    rows = [(f"{at:.1%}", f"{right:.1%}", f"{count:,}") for at, right, count in bins]
    rows += [
        (
            _("%(confidence)s, not calibrated") % {"confidence": f"{at:.1%}"},
            f"{right:.1%}",
            f"{count:,}",
        )
        for at, right, count in before
    ]
    return Chart("calibration", label, _draw_bins(bins, before, label), head, rows)


def _draw_bins(
    bins: Sequence[Sequence[float]], before: Sequence[Sequence[float]], label: str
) -> SafeString:
    size, left = 260, 64
    total = sum(count for _, _, count in bins) or 1
    styles = ((bins, ("0.6", "none")), (before, ("0", "currentColor")))
    dots = [
        (*style, predicted, right, count) for part, style in styles for predicted, right, count in part
    ]

    def at(share: float) -> float:
        return 10 + (size - 20) * share

    circles = format_html_join(
        "",
        '<circle cx="{}" cy="{}" r="{}" fill="currentColor" fill-opacity="{}" stroke="{}">'
        "<title>{}</title></circle>",
        (
            (
                f"{left + at(predicted):.1f}",
                f"{at(1 - right):.1f}",
                f"{2 + 10 * (count / total) ** 0.5:.1f}",
                opacity,
                stroke,
                _("confidence %(confidence)s, correct %(correct)s, %(count)s examples")
                % {
                    "confidence": f"{predicted:.0%}",
                    "correct": f"{right:.0%}",
                    "count": int(count),
                },
            )
            for opacity, stroke, predicted, right, count in dots
        ),
    )
    return format_html(
        '<svg class="path" viewBox="0 0 {} {}" style="max-width:{}px" role="img" '
        'aria-label="{}"><line x1="{}" y1="{}" x2="{}" y2="{}" '
        'stroke="currentColor" stroke-opacity="0.3"/>{}{}<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text>'
        '<text class="axis" transform="translate(12 {}) rotate(-90)" text-anchor="middle">{}</text></svg>',
        left + size + 12, size + 34, left + size + 12,  # half of "100%" stands beyond the last place
        label, left + at(0), at(1), left + at(1), at(0),
        circles, _calibration_ticks(left, size, at), left + size / 2, size + 30, _("Stated confidence"), size / 2, _("Correct"),
    )  # fmt: skip


def _calibration_ticks(left: int, size: int, at: Callable[[float], float]) -> SafeString:
    """Return quarters of both axes, each a share from 0 to 1, at the places that `at` says."""
    return format_html_join(
        "",
        '<text class="tick" x="{0}" y="{1}" text-anchor="end">{2}</text>'
        '<text class="tick" x="{3}" y="{4}" text-anchor="middle">{2}</text>',
        (
            (
                left - 6,
                f"{at(1 - share) + 4:.1f}",
                f"{share:.0%}",
                f"{left + at(share):.1f}",
                size + 12,
            )
            for share in (0.0, 0.25, 0.5, 0.75, 1.0)
        ),
    )
