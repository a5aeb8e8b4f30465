"""What the page of a training run shows: data window, curve, gate, slices, calibration, reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _

from experiments.reports.code_names import name_of
from experiments.reports.stored_text import show_stored
from inference.evaluation.gate import GateResult
from inference.evaluation.labelling import BINS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.utils.safestring import SafeString

    from inference.models import TrainingRun

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 220, 56, 30, 12


@dataclass(frozen=True, slots=True)
class GateRow:
    """One line of the gate's table."""

    metric: str
    challenger: float
    champion: float | None
    difference: float | None
    interval: Sequence[float] | None


@dataclass(frozen=True, slots=True)
class RunPage:
    """Everything that is shown of a run."""

    run: TrainingRun
    gate: GateResult | None
    rows: Sequence[GateRow]
    window: Sequence[tuple[str, Any]]
    curve: SafeString | str
    calibration: SafeString | str
    learning: SafeString | str


def page_of(run: TrainingRun) -> RunPage:
    """Read a run."""
    stored = run.version.gate if run.version is not None else {}
    gate = GateResult.from_json(stored) if stored else None
    about = gate.about if gate is not None else {}
    rows = [
        GateRow(
            metric=metric,
            challenger=row["challenger"],
            champion=row.get("champion"),
            difference=row.get("difference"),
            interval=row.get("interval"),
        )
        for metric, row in (gate.rows if gate is not None else {}).items()
    ]
    window = [
        (name, value)
        for name, value in {**about.get("window", {}), **about.get("compression", {})}.items()
        if name not in {"from", "to"}
    ]
    return RunPage(
        run=run,
        gate=gate,
        rows=rows,
        window=window,
        curve=draw_curve(run.curve),
        learning=draw_learning(about.get("learning", [])),
        calibration=draw_calibration(
            about.get("calibration", []), about.get("temperature", {}).get("bins_before", [])
        ),
    )


def draw_curve(points: Sequence[Sequence[Any]]) -> SafeString | str:
    """Return the losses of each fit over its steps as SVG; nothing when there are none."""
    fits: dict[str, list[tuple[float, float]]] = {}
    for fit, step, loss in points:
        fits.setdefault(str(fit), []).append((float(step), float(loss)))
    if not fits:
        return ""
    every = [point for line in fits.values() for point in line]
    last, high = max(step for step, _ in every) or 1.0, max(loss for _, loss in every) or 1.0

    def place(point: tuple[float, float]) -> str:
        x = LEFT + (WIDTH - LEFT - 12) * point[0] / last
        y = TOP + (HEIGHT - TOP - BOTTOM) * (1 - max(point[1], 0.0) / high)
        return f"{x:.1f},{y:.1f}"

    lines = format_html_join(
        "",
        '<polyline points="{}" fill="none" stroke="currentColor" stroke-opacity="{}">'
        "<title>{}: {}</title></polyline>",
        (
            (
                " ".join(map(place, line)),
                f"{1 - 0.25 * (n % 4):.2f}",
                show_stored(fit),
                f"{line[-1][1]:.4g}",
            )
            for n, (fit, line) in enumerate(fits.items())
        ),
    )
    return format_html(
        '<svg class="path" viewBox="0 0 {} {}" role="img" aria-label="{}">{}'
        '<text x="{}" y="{}" text-anchor="end">{}</text><text x="{}" y="{}" text-anchor="end">0</text>'
        '<text x="{}" y="{}" text-anchor="end">{}</text></svg>',
        WIDTH, HEIGHT, _("Loss over steps"), lines, LEFT - 8, TOP + 8, f"{high:.3g}", LEFT - 8, HEIGHT - BOTTOM + 4,
        WIDTH - 12, HEIGHT - 8, _("step %(number)s") % {"number": f"{last:,.0f}"},
    )  # fmt: skip


def draw_learning(points: Sequence[dict[str, float]]) -> SafeString | str:
    """Return a metric over how much was learnt from as SVG; nothing when it was not measured."""
    if not points:
        return ""
    metric = next(name for name in points[0] if name != "rows")
    all_rows = max(point["rows"] for point in points) or 1
    high = max(point[metric] for point in points) or 1.0
    places = [
        (
            LEFT + (WIDTH - LEFT - 12) * point["rows"] / all_rows,
            TOP + (HEIGHT - TOP - BOTTOM) * (1 - max(point[metric], 0.0) / high),
            _("%(rows)s rows: %(metric)s %(value)s")
            % {
                "rows": f"{point['rows']:,.0f}",
                "metric": name_of(metric),
                "value": f"{point[metric]:.4f}",
            },
        )
        for point in points
    ]
    return format_html(
        '<svg class="path" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        '<polyline points="{}" fill="none" stroke="currentColor"/>{}'
        '<text x="{}" y="{}" text-anchor="end">{}</text><text x="{}" y="{}" text-anchor="end">0</text>'
        '<text x="{}" y="{}" text-anchor="end">{}</text></svg>',
        WIDTH, HEIGHT, _("%(metric)s by training rows") % {"metric": name_of(metric)},
        " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places),
        format_html_join(
            "",
            '<circle cx="{}" cy="{}" r="4" fill="currentColor"><title>{}</title></circle>',
            ((f"{x:.1f}", f"{y:.1f}", title) for x, y, title in places),
        ),
        LEFT - 8, TOP + 8, f"{high:.3g}", LEFT - 8, HEIGHT - BOTTOM + 4,
        WIDTH - 12, HEIGHT - 8, _("%(rows)s rows") % {"rows": f"{all_rows:,.0f}"},
    )  # fmt: skip


def draw_calibration(
    bins: Sequence[Sequence[float]], before: Sequence[Sequence[float]] = ()
) -> SafeString | str:
    """Return share right over stated confidence as SVG, each tenth a dot as large as it is frequent.

    Args:
        bins: mean confidence, share right and count of each tenth.
        before: the same without calibration, drawn as rings.
    """
    if not bins:
        return ""
    size, left = 260, 40
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
        'stroke="currentColor" stroke-opacity="0.3"/>{}<text x="{}" y="{}" text-anchor="end">0</text>'
        '<text x="{}" y="{}" text-anchor="end">1</text></svg>',
        left + size, size + 10, left + size,
        _("Share correct by confidence, in %(count)s bins") % {"count": BINS}, left + at(0), at(1), left + at(1), at(0), circles,
        left - 4, at(1) + 4, left - 4, at(0) + 4,
    )  # fmt: skip
