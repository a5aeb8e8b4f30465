"""How a scorecard is shown: tables with colour on a terminal, plain values, a picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from bakeoff.commands.terminal import console, echo

if TYPE_CHECKING:
    from collections.abc import Callable

    from experiments.scorecards.scorecard import Scorecard
    from experiments.stats.shrunken_segments import SegmentDifference

COLOURS = {"ship": "green", "roll_back": "red", "halt": "red"}
MIN_P = 1e-300  # near the smallest double
# A pipe has no width of its own: wide enough that no cell of a scorecard is cut.
wide = console if console.is_terminal else Console(highlight=False, width=140)


def finite(value: Any) -> Any:
    """Return plain values in which a number that is none (an infinite end) is null."""
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _signed(value: float | None, form: Callable[[float], str]) -> str:
    return "–" if value is None or not math.isfinite(value) else form(value)


def _share(value: float | None) -> str:
    return _signed(value, lambda v: f"{v:+.2%}".replace("-", "−"))


def _change(value: float | None) -> str:
    return _signed(value, lambda v: f"{v:+.5g}".replace("-", "−"))


def _plain(value: float | None) -> str:
    return _signed(value, lambda v: f"{v:.5g}".replace("-", "−"))


def _p(value: float | None) -> str:
    """Write a p-value; no p is zero, so what a float cannot hold is a bound."""
    return "–" if value is None else f"{value:.3g}" if value >= MIN_P else f"< {MIN_P:g}"


def _against_level(p_value: float | None, level: float | None) -> str:
    """Write the p-value that decides beside what it must not exceed; nothing where none is tested."""
    if p_value is None or level is None:
        return "–"
    return f"{_p(p_value)} {'≤' if p_value <= level else '>'} {_p(level)}"


def show(card: Scorecard) -> None:
    """Print the scorecard as tables."""
    result, question = card.last.result, card.question
    ratio = result.sample_ratio
    table = Table("variant", "units", "expected", "observed", box=SIMPLE)
    for variant, units in sorted(card.file.looks[len(card.looks) - 1].units.items()):
        name = f"{variant} (control)" if variant == question.control else variant
        table.add_row(
            name,
            f"{units:,}",
            f"{ratio.expected.get(variant, 0):.1%}",
            f"{ratio.observed.get(variant, 0):.1%}",
        )
    wide.print(table)
    health = "[green]healthy[/]" if ratio.healthy else "[red]MISMATCH[/]"
    wide.print(f"Sample ratio: p = {_p(ratio.p_value)}, {health}")
    wide.print(_effects(card))
    if len(card.looks) > 1:
        _show_looks(card)
    for one in result.differences:
        wide.print(_differs(one), markup=False)
    for note in card.notes:
        echo(f"Note: {note}")
    colour = COLOURS.get(result.action, "yellow")
    named = f" {result.variant}" if result.variant else ""
    wide.print(f"Decision: [bold {colour}]{result.action}{named}[/]", end="")
    wide.print(f" – {result.reason}.", markup=False)
    echo("* for display: it never decides.")


def _differs(one: SegmentDifference) -> str:
    """Say whether an effect differs by an attribute; no difference shown is not none."""
    shown = "differs" if one.differs else "no difference shown"
    bound = "" if one.spread_bound is None else f", at most {_plain(one.spread_bound)}"
    return (
        f"By {one.attribute} ({one.variant}, {one.segments} segments): {shown}, adjusted p = "
        f"{_p(one.adjusted_p_value)}; spread {_plain(one.spread)}{bound}."
    )


def _effects(card: Scorecard) -> Table:
    question = card.question
    title = f"Effects ({question.policy.rule}, alpha {question.policy.alpha:g})"
    table = Table(title=title, box=SIMPLE, title_justify="left")
    for column in ("metric", "variant", "control", "treatment", "effect", "interval"):
        table.add_column(column, no_wrap=column != "interval")
    for column in ("p", "adjusted", "P(better)*"):
        table.add_column(column, no_wrap=True, justify="right")
    for row in card.last.result.comparisons:
        effect = row.effect
        if effect is None:
            table.add_row(row.metric, row.variant, "–", "–", "–", row.why_not, "–", "–", "–")
            continue
        relative = row.lift_interval is not None
        low, high = row.lift_interval or row.interval or (None, None)
        write = _share if relative else _plain
        interval = f"{write(low)} to {write(high)}" if row.interval else f"none: {row.why_not}"
        colour = _colour(card, row.metric, low, high)
        table.add_row(
            row.metric,
            row.variant,
            _plain(effect.control),
            _plain(effect.treatment),
            _share(effect.lift) if relative else _change(effect.estimate),
            f"[{colour}]{interval}[/]" if colour else interval,
            _against_level(row.p_value, row.level),
            _p(row.adjusted_p_value),
            _signed(row.probability_better, lambda v: f"{v:.1%}"),
        )
    return table


def _colour(card: Scorecard, metric: str, low: float | None, high: float | None) -> str:
    """Green for better and red for worse, where the interval is clear of zero."""
    if low is None or high is None or low <= 0 <= high:
        return ""
    return "green" if (low > 0) == (card.question.direction_of(metric) == "increase") else "red"


def _show_looks(card: Scorecard) -> None:
    table = Table("look", "units", "z", "bound", "says", box=SIMPLE)
    primary = card.question.metrics[0].name
    for look in card.looks:
        rows = [r for r in look.result.comparisons if r.metric == primary and r.effect]
        best = max(rows, key=lambda r: abs(r.effect.statistic) if r.effect else 0.0, default=None)
        table.add_row(
            look.label,
            f"{look.units:,}",
            f"{best.effect.statistic:+.2f}" if best and best.effect else "–",
            f"±{best.critical:.2f}" if best and best.critical is not None else "–",
            look.result.action,
        )
    wide.print(table)


def draw(card: Scorecard) -> str:
    """Return the picture of the effects and, of a series of looks, of their path."""
    from experiments.reports.forest_chart import ForestRow, draw_forest, height_of, stack
    from experiments.reports.path_chart import HEIGHT, PathPoint, draw_path

    question, result = card.question, card.last.result
    rows = []
    for row in result.comparisons:
        lift = row.effect.lift if row.effect else None
        low, high = row.lift_interval or (None, None)
        sentence = (
            f"{_share(low)} to {_share(high)}"
            if row.lift_interval
            else row.why_not or "no relative effect"
        )
        rows.append(
            ForestRow(
                label=f"{row.metric} · {row.variant}",
                estimate=lift,
                low=low,
                high=high,
                effect=sentence or "no relative effect",
                direction=question.direction_of(row.metric),
                margin=question.guardrails.get(row.metric),
            )
        )
    title = f"{result.action}{f' {result.variant}' if result.variant else ''}: {result.reason}"
    pictures = [(draw_forest(rows, title=title), height_of(len(rows)))]
    primary = question.metrics[0].name
    points = [
        PathPoint(look.units, row.effect.estimate, row.interval[0], row.interval[1])
        for look in card.looks
        for row in look.result.comparisons[:1]
        if row.metric == primary and row.effect and row.interval
        if row.interval[0] is not None and row.interval[1] is not None
    ]
    if len(card.looks) > 1 and points:
        path = draw_path(
            points, planned_units=question.policy.planned_units, label="Difference at each look"
        )
        pictures.append((f"<style>{PATH_STYLE}</style>{path}", HEIGHT + 20))
    return stack(pictures)


PATH_STYLE = (
    ".band{fill:#285ea8;opacity:.18}.zero{stroke:#1d2733}.plan{stroke:#5b6776;stroke-dasharray:4 4}"
    ".estimate{fill:none;stroke:#285ea8;stroke-width:2}.path circle{fill:#285ea8}"
    ".path text{font:12px system-ui,sans-serif;fill:#1d2733}"
)
