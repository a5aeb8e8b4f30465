"""Filters that write numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext

from bakeoff.accounts.usage_kinds import QUOTA_NAMES
from experiments.reports.chart_texts import translated
from experiments.reports.code_names import name_of
from experiments.reports.param_words import write_params
from experiments.reports.percentages import percent, signed_number
from experiments.reports.remaining import describe_seconds
from experiments.reports.stored_text import end_sentence, is_listed, show_stored
from experiments.reports.verdict import WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.reports.autopilot_report import LiftEstimate
    from experiments.reports.comparison_row import ComparisonRow
    from experiments.reports.verdict import VerdictSummary
    from experiments.stats.cumulative_gain import Lift

register = template.Library()
MIN_P = 1e-300  # near the smallest double


@register.filter
def signed_percent(share: float | None) -> str:
    """Write a share as signed per cent."""
    return "–" if share is None else percent(share)


@register.filter
def lift_with_interval(lift: Lift | None) -> str:
    """Write a lift with its interval."""
    if lift is None:
        return "–"
    low, high = percent(lift.low), percent(lift.high)
    values = {"estimate": percent(lift.estimate), "low": low, "high": high}
    return translated().effect.format(**values)


@register.filter
def share(value: float | None) -> str:
    """Write a share as per cent."""
    return "–" if value is None else f"{value:.1%}"


@register.filter
def four(value: float | None) -> str:
    """Write a number with four significant digits."""
    return "–" if value is None else f"{value:.4g}".replace("-", "−")


@register.filter
def two(value: float | None) -> str:
    """Write a number with two digits after the point."""
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


@register.filter
def p_value(value: float | None) -> str:
    """Write a p-value with three digits; no p is zero, so what a float cannot hold is a bound."""
    if value is None:
        return "–"
    return f"{value:.3g}".replace("-", "−") if value >= MIN_P else "< 1e−300"


@register.filter
def against_level(row: ComparisonRow) -> str:
    """Write the p-value that decides beside what it must not exceed; nothing where none is tested."""
    if row.p_value is None or row.level is None:
        return "–"
    return f"{p_value(row.p_value)} {'≤' if row.p_value <= row.level else '>'} {p_value(row.level)}"


@register.filter
def verdict_word(action: str) -> str:
    """Write an action in words."""
    return gettext(WORDS[action]) if action in WORDS else action


@register.filter
def named(code: object) -> str:
    """Write a stored code as pages name it."""
    return name_of(code)


@register.filter
def params(values: Mapping[str, Any]) -> str:
    """Write an algorithm's parameters: `l2 = 400, keep = 500`; a blend's as `2.5 × ease + 0.1 × als`."""
    return write_params(values)


@register.filter
def variant_name(variant: Any) -> str:
    """Write a variant's name; the control is marked as one."""
    name = name_of(variant.key)
    if not variant.is_control or variant.key == "control":
        return name
    return gettext("%(name)s (control)") % {"name": name}


@register.filter
def role_name(role: str) -> str:
    """Write a person's role with what it allows."""
    return name_of(f"role {role}")


@register.filter
def alert_name(code: str) -> str:
    """Write a kind, an event or a state of alerts."""
    return name_of(f"alert {code}")


@register.filter
def quota_name(quota: str) -> str:
    """Name what a quota bounds."""
    name = name_of(f"quota {QUOTA_NAMES[quota]}")
    return name[:1].upper() + name[1:]


@register.filter
def gate_name(code: str) -> str:
    """Write what the gate of versions that generate measures."""
    return name_of(f"gate {code}")


@register.filter
def autopilot_name(code: str) -> str:
    """Write a state of the autopilot, of a challenger or of a step."""
    return name_of(f"autopilot {code}")


@register.filter
def lift_estimate(lift: LiftEstimate | None) -> str:
    """Write a lift, with its interval where there is one."""
    if lift is None:
        return "–"
    if lift.interval is None:
        return percent(lift.lift)
    low, high = map(percent, lift.interval)
    return gettext("%(estimate)s (%(low)s to %(high)s)") % {
        "estimate": percent(lift.lift),
        "low": low,
        "high": high,
    }


@register.filter
def coded(text: object) -> SafeString:
    """Show what a text has between backticks as code."""
    *pairs, rest = str(text).split("`")
    if len(pairs) % 2:  # one that nothing closes is a character
        rest = f"{pairs.pop()}`{rest}"
    parts = [format_html("<code>{}</code>" if n % 2 else "{}", part) for n, part in enumerate(pairs)]
    return format_html("{}{}", mark_safe("".join(parts)), rest)  # noqa: S308  each part is escaped


@register.filter
def stored(text: str | None) -> SafeString | str:
    """Write a stored sentence in the reader's words; one that has none is marked as English."""
    return _mark_english(text, show_stored(text)) if text else "–"


@register.filter
def in_words(text: str | None) -> str:
    """Write a stored text in the reader's words where it has any; a name stays as it is."""
    return show_stored(text) if text and is_listed(text) else text or ""


@register.filter
def stored_sentence(text: str | None) -> SafeString | str:
    """Write a stored sentence with its full stop."""
    return _mark_english(text, full_stop(show_stored(text))) if text else ""


def _mark_english(text: str, shown: str) -> SafeString | str:
    is_english = (get_language() or "en").startswith("en")
    if is_english or is_listed(text) or not shown.isascii():
        return coded(shown)
    return format_html('<span lang="en">{}</span>', coded(shown))


@register.filter
def full_stop(text: str) -> str:
    """Write a sentence with the full stop of the reader's language."""
    return end_sentence(text)


MARKS = {
    "ship": "▲",
    "promote": "▲",
    "roll_back": "▼",
    "halt": "■",
    "confirm": "▲",
    "lost": "▼",
    "stop_inconclusive": "●",
    "keep_running": "…",
}


@register.filter
def verdict_mark(action: str) -> str:
    """Return an action's sign, for who does not tell colours apart."""
    return MARKS.get(action, "")


@register.filter
def effect_with_interval(verdict: VerdictSummary | None) -> str:
    """Write an effect with its interval, never without."""
    if verdict is None or verdict.effect is None or verdict.interval is None:
        return ""
    low, high = verdict.interval
    return gettext("%(estimate)s (%(low)s to %(high)s)") % {
        "estimate": percent(verdict.effect),
        "low": percent(low),
        "high": percent(high),
    }


@register.filter
def interval(ends: Sequence[float | None] | None) -> str:
    """Write an interval of numbers; an end that is not known is open."""
    if not ends:
        return "–"
    low, high = (gettext("open") if end is None else signed_number(end) for end in ends)
    return gettext("%(low)s to %(high)s") % {"low": low, "high": high}


@register.filter
def bytes_of(size: float) -> str:
    """Write a size in its unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"


@register.filter
def duration(seconds: float) -> str:
    """Write a duration in its largest fitting unit."""
    return describe_seconds(seconds)


@register.filter
def words(text: str) -> list[str]:
    """Split a text at spaces."""
    return text.split()


@register.filter
def value_of(mapping: Mapping[str, Any], name: str) -> Any:
    """Return a mapping's value, or nothing."""
    return mapping.get(name, "") if mapping else ""


@register.filter
def drawing(svg: str) -> SafeString:
    """Show an SVG that our own report drew from numbers; it holds no text of a user."""
    return mark_safe(svg)  # noqa: S308
