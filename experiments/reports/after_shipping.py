"""Whether the gain of a shipped version lasts: its holdback, on the report of its test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from experiments.models import Decision, Experiment
from experiments.reports.effect_chart import TimeMark, draw_effect, far_end, read_path, thin
from experiments.reports.holdback_gain import gain_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.models import Look
    from experiments.reports.chart_frame import Chart
    from experiments.reports.holdback_gain import HoldbackGain


@dataclass(frozen=True, slots=True)
class AfterShipping:
    """The holdback of a promotion.

    Attributes:
        holdback: that measures, or has measured.
        gain: what it says so far.
        chart: its effect over time; None before the first interval.
    """

    holdback: Experiment
    gain: HoldbackGain
    chart: Chart | None

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        state = {"experiment": self.holdback.key, "state": self.holdback.state}
        return state | {"ends_at": self.holdback.ends_at, **self.gain.as_json()}


def read_after_shipping(decisions: Sequence[Decision], title: str) -> AfterShipping | None:
    """Return the holdback of the newest decision that shipped; None where it has none.

    In a handful of queries, however many looks it has.

    Args:
        decisions: of a test, the newest first.
        title: what the primary metric measures.
    """
    shipped = next((one for one in decisions if one.action == Decision.Action.SHIP), None)
    key = shipped.evidence.get("holdback") if shipped is not None else None
    if shipped is None or not key:
        return None
    named = Experiment.objects.filter(project=shipped.project_id, key=key)
    holdback = named.select_related("project").first()
    if holdback is None:
        return None
    return AfterShipping(holdback, gain_of(holdback), _draw(holdback, title))


def _draw(holdback: Experiment, title: str) -> Chart | None:
    numbers = list(holdback.looks.values_list("number", flat=True))
    if not numbers or holdback.started_at is None:
        return None
    # Inputs are the larger part of a look, and are not drawn.
    looks: list[Look] = list(holdback.looks.filter(number__in=thin(numbers)).defer("inputs", "serving"))
    path = read_path(looks, holdback.primary.metric.key, "promoted", title)
    last, marks = looks[-1].taken_at, []
    if holdback.ended_at is not None:
        marks = [TimeMark(holdback.ended_at, "finish", _("Holdback ended"))]
    elif holdback.ends_at is not None and holdback.ends_at <= far_end(holdback.started_at, last):
        marks = [TimeMark(holdback.ends_at, "plan", _("Holdback ends"))]
    end = max([last, *(one.at for one in marks)])
    return draw_effect(
        path, title=_("After shipping"), start=holdback.started_at, end=end, marks=marks,
        name="holdback",
    )  # fmt: skip
