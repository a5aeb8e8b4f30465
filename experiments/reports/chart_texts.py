"""The words of charts: in English, or in the reader's language.

Charts are drawn without Django too (`bakeoff analyze --html`), where there is no catalogue to ask.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _


@dataclass(frozen=True, slots=True)
class ChartTexts:
    """Format strings with named values."""

    units: str = "{units} users"
    point: str = "{units} users: {estimate} ({low} to {high})"
    epoch: str = "Traffic or split changed at {units} users"
    margin: str = "Margin of the guardrail"
    effect: str = "{estimate} ({low} to {high})"
    holdout: str = "Measured by the holdout"
    difference: str = "Difference from control"
    analysed: str = "Users analysed"
    relative: str = "Relative change against control"
    cumulative: str = "Change by all promotions so far"
    month: str = "Month"


ENGLISH = ChartTexts()


def translated() -> ChartTexts:
    """Return the words in the reader's language."""
    return ChartTexts(
        units=_("{units} users"),
        point=_("{units} users: {estimate} ({low} to {high})"),
        epoch=_("Traffic or split changed at {units} users"),
        margin=_("Margin of the guardrail"),
        effect=_("{estimate} ({low} to {high})"),
        holdout=_("Measured by the holdout"),
        difference=_("Difference from control"),
        analysed=_("Users analysed"),
        relative=_("Relative change against control"),
        cumulative=_("Change by all promotions so far"),
        month=_("Month"),
    )
