"""The primary metric of each variant as bars from zero, each with the interval of its own mean."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from experiments.reports.chart_frame import HALF, NARROW, Chart, axis_titles, colour_of
from experiments.reports.value_axis import ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from experiments.stats.comparison import Comparison

Z95 = 1.959964
ROW, BAR, TOP, FOOT = 38, 20, 20, 46
EDGE = 14  # right of the longest bar


@dataclass(frozen=True, slots=True)
class VariantRate:
    """The primary metric of a variant.

    Attributes:
        name: of the variant.
        about: what it is, such as its version; may be empty.
        users: on whom it rests.
        value: mean, share, ratio or quantile, as the comparison adjusts it.
        low, high: 95 % interval of it alone, of one fixed analysis.
    """

    name: str
    about: str
    users: int
    value: float
    low: float
    high: float


def rates_of(
    comparisons: Sequence[Comparison], variants: Sequence[tuple[str, str, str]]
) -> list[VariantRate]:
    """Return the primary metric of each variant that has one.

    Args:
        comparisons: of the treatments on the primary metric.
        variants: key, name and what it is; the control first.
    """
    rows = []
    by_variant = {one.variant: one.effect for one in comparisons if one.effect is not None}
    for n, (key, name, about) in enumerate(variants):
        effect = next(iter(by_variant.values()), None) if n == 0 else by_variant.get(key)
        if effect is None:
            continue
        value, se, users = (
            (effect.control, effect.control_se, effect.control_n)
            if n == 0
            else (effect.treatment, effect.treatment_se, effect.treatment_n)
        )
        rows.append(VariantRate(name, about, users, value, value - Z95 * se, value + Z95 * se))
    return rows if len(rows) > 1 else []


def draw_rates_by_variant(
    rates: Sequence[VariantRate], *, title: str, write: Callable[[float], str]
) -> Chart | None:
    """Return the bars; None without a comparison.

    Args:
        rates: the control first.
        title: what the metric measures.
        write: how a value of it is written.
    """
    if not rates:
        return None
    wide, narrow = (_draw(rates, title, write, width) for width in (HALF, NARROW))
    rows = [
        (
            " · ".join(filter(None, (one.name, one.about))), f"{one.users:,}", write(one.value),
            write(one.low), write(one.high),
        )
        for one in rates
    ]  # fmt: skip
    head = (_("Variant"), _("Users analysed"), title, _("Lower bound"), _("Upper bound"))
    caption = _(
        "Bars with the 95% CI of each variant alone. Whether the variants differ is tested above: "
        "intervals that overlap do not answer that."
    )
    return Chart("rates", title, wide, head, rows, narrow, caption)


def _draw(rates: Sequence[VariantRate], title: str, write: Callable[[float], str], width: int) -> str:
    left = 110 if width == NARROW else 150
    right = width - EDGE
    low, high = min(0.0, *(one.value for one in rates)), max(0.0, *(one.high for one in rates))
    if low < 0:  # a loss: its whole interval is left of zero
        low = min(low, *(one.low for one in rates))
    high = high * 1.08 if high > low else low + 1.0
    height = TOP + ROW * len(rates) + FOOT

    def x(value: float) -> float:
        return left + (right - left) * (min(max(value, low), high) - low) / (high - low)

    grid = "".join(
        f'<line class="track" x1="{x(one):.1f}" x2="{x(one):.1f}" y1="{TOP}" y2="{height - FOOT}"/>'
        f'<text class="tick" x="{x(one):.1f}" y="{height - FOOT + 16}" text-anchor="middle">'
        f"{escape(write(one))}</text>"
        for one in ticks(low, high, about=3 if width == NARROW else 4)
    )
    bars = "".join(
        _draw_rate(n, one, x, TOP + ROW * n + (ROW - BAR) / 2, write) for n, one in enumerate(rates)
    )
    titles = axis_titles(_("Variant"), title, middle=(left + right) / 2, y=height)
    return (
        f'<svg class="path bars" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(title)}">'
        f"{grid}{titles}{bars}</svg>"
    )


def _draw_rate(
    n: int, one: VariantRate, x: Callable[[float], float], top: float, write: Callable[[float], str]
) -> str:
    words = _("%(name)s: %(estimate)s (%(low)s to %(high)s), %(users)s users") % {
        "name": one.name, "estimate": write(one.value), "low": write(one.low),
        "high": write(one.high), "users": f"{one.users:,}",
    }  # fmt: skip
    start, end = sorted((x(0.0), x(one.value)))
    middle, low, high = top + BAR / 2, x(one.low), x(one.high)
    about = f'<text x="0" y="{middle + 14:.1f}">{escape(one.about[:24])}</text>' if one.about else ""
    return (
        f'<text class="name" x="0" y="{middle if one.about else middle + 4:.1f}">'
        f"{escape(one.name[:24])}</text>{about}"
        f'<g class="{colour_of(n)}"><rect class="fill" x="{start:.1f}" y="{top:.1f}" '
        f'width="{max(end - start, 0.5):.1f}" height="{BAR}"><title>{escape(words)}</title></rect>'
        f'<path class="whisker" d="M{low:.1f} {middle:.1f}H{high:.1f}M{low:.1f} {middle - 5:.1f}v10'
        f'M{high:.1f} {middle - 5:.1f}v10"/></g>'
    )
