"""What a holdback, or a holdout, says of its gain: in one sentence that is stored and translated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from experiments.reports.percentages import percent, signed_number
from experiments.reports.read_together import last_look, primary_of, read_together
from experiments.reports.stored_text import end_sentence, show_stored

if TYPE_CHECKING:
    from datetime import datetime

    from experiments.models import Experiment, Look
    from experiments.models.experiment import ExperimentQuerySet
    from experiments.stats.comparison import Comparison

GainStatus = Literal["confirmed", "lost", "unclear", "unknown"]
DAY = 86_400.0

HEADLINES: dict[GainStatus, str] = {
    "confirmed": gettext_noop("Gain holds"),
    "lost": gettext_noop("Worse now"),
    "unclear": gettext_noop("No clear gain"),
    "unknown": gettext_noop("Measuring"),
}
# The words of pages: experiments/reports/stored_sentences.py.
SENTENCES: dict[GainStatus, str] = {
    "confirmed": "still {lift} ({low} to {high}) after {duration}",
    "lost": "the gain is gone: {lift} ({low} to {high}) after {duration}",
    "unclear": "no clear gain: {lift} ({low} to {high}) after {duration}",
    "unknown": "nothing is measured yet",
}
# What is missing for a first interval.
TOO_FEW = {
    True: "too few conversions after {duration}: {count} of {required} needed per version",
    False: "too few users with a value after {duration}: {count} of {required} needed per version",
}
AT_THIS_PACE = "about {duration} more at this pace"
INCOMPLETE = "no outcomes yet: those of the first users are complete after {duration}"
UNHEALTHY = "the experiment is not healthy"
OF_HOLDOUT = "everybody against the holdout: {lift} ({low} to {high}) after {duration}"


@dataclass(frozen=True, slots=True)
class HoldbackGain:
    """What is known of the gain of a promotion after some time.

    Attributes:
        status: confirmed or lost where the interval lies wholly on one side of 0, which holds at any
            time; unclear where it holds 0; unknown before the first interval, or where its numbers
            cannot be trusted.
        lift: relative difference of the promoted version from the former champion, or None.
        interval: of the lift, valid at any time, or None.
        days: since the start, up to the last look or the end.
        words: lift and the ends of its interval as sentences write them; without a relative
            difference the absolute one.
        template: of the sentence.
    """

    status: GainStatus
    lift: float | None
    interval: tuple[float, float] | None
    days: float
    words: tuple[str, str, str] = ("", "", "")
    template: str = SENTENCES["unknown"]

    @property
    def headline(self) -> str:
        """The status in a word or two, in the reader's language."""
        return _(HEADLINES[self.status])

    @property
    def badge(self) -> str:
        """The class of its badge: the same as of a metric's result."""
        return {"confirmed": "better", "lost": "worse"}.get(self.status, "inconclusive")

    @property
    def stored(self) -> str:
        """The sentence as decisions store it, in English."""
        lift, low, high = self.words
        return self.template.format(lift=lift, low=low, high=high, duration=_duration(self.days))

    @property
    def sentence(self) -> str:
        """The sentence in the reader's language."""
        return end_sentence(show_stored(self.stored))

    def as_json(self) -> dict[str, object]:
        """Return it as the API and decisions have it."""
        return {
            "status": self.status,
            "lift": self.lift,
            "ci": self.interval,
            "days": self.days,
            "sentence": f"{self.stored}.",
        }


def gain_of(experiment: Experiment) -> HoldbackGain:
    """Return what the last look of a holdback or a holdout says."""
    look = last_look(experiment)
    until = experiment.ended_at or (look.taken_at if look is not None else timezone.now())
    days = _days(experiment.started_at, until)
    if look is None:
        return HoldbackGain("unknown", None, None, days)
    if look.action == "halt":
        return HoldbackGain("unknown", None, None, days, template=UNHEALTHY)
    primary = primary_of(experiment).metric
    rows = look.parsed_result.of_metric(primary.key)
    if not rows or rows[0].interval is None or rows[0].effect is None:
        return HoldbackGain("unknown", None, None, days, template=_missing(experiment, look, days))
    row, is_increase = rows[0], primary.direction == "increase"
    status = _status(row, is_increase=is_increase)
    template = OF_HOLDOUT if experiment.purpose == "holdout" else SENTENCES[status]
    return HoldbackGain(status, row.lift, row.lift_interval, days, _words(row), template)


def _missing(experiment: Experiment, look: Look, days: float) -> str:
    """Say what is missing for a first interval, and how long that takes at the present pace."""
    # Here: lists of verdicts need no statistics.
    from experiments.stats.count_gate import find_shortfall  # noqa: PLC0415

    inputs = look.parsed_inputs
    metric = next(one for one in inputs.metrics if one.role == "primary")
    few = find_shortfall(inputs.policy, metric, inputs.control, inputs.treatments[0])
    if few is None:
        return SENTENCES["unknown"]
    window = inputs.policy.window_seconds / DAY
    if not few.expected and days < window:
        return INCOMPLETE.format(duration=_duration(window))
    sentence = TOO_FEW[few.is_share].format(
        duration=_duration(days), count=f"{few.expected:.0f}", required=few.required
    )
    # No time has passed where a clock was set back: there is no pace then.
    if experiment.ended_at is not None or few.expected < 1 or days <= 0:
        return sentence
    pace = few.expected / max(days - window, days / 2)  # units are counted once their window closed
    return (
        f"{sentence}; {AT_THIS_PACE.format(duration=_duration((few.required - few.expected) / pace))}"
    )


def _duration(days: float) -> str:
    """Write a time in whole units: "21 days", "3 hours", "1 minute"."""
    for unit, length in (("day", 1.0), ("hour", 1 / 24), ("minute", 1 / 1440)):
        if (count := round(days / length)) >= (2 if unit == "day" else 1):
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return f"{round(days * DAY)} seconds"


def running_gains(experiments: ExperimentQuerySet) -> list[tuple[Experiment, HoldbackGain]]:
    """Return the running holdbacks and holdouts among some experiments, each with its gain."""
    measuring = experiments.running().exclude(purpose="test").select_related("project", "surface")
    return [(experiment, gain_of(experiment)) for experiment in read_together(measuring)]


def _status(row: Comparison, *, is_increase: bool) -> GainStatus:
    low, high = row.interval or (None, None)
    above, below = low is not None and low > 0, high is not None and high < 0
    if not (above or below):
        return "unclear"
    return "confirmed" if above == is_increase else "lost"


def _words(row: Comparison) -> tuple[str, str, str]:
    """Write the difference and its interval: relative where the base allows it."""
    if row.lift is not None and row.lift_interval is not None:
        low, high = row.lift_interval
        return percent(row.lift), percent(low), percent(high)
    low_end, high_end = row.interval or (None, None)
    estimate = row.effect.estimate if row.effect is not None else None
    return _absolute(estimate), _absolute(low_end), _absolute(high_end)


def _absolute(value: float | None) -> str:
    return "open" if value is None else signed_number(value)


def _days(start: datetime | None, until: datetime) -> float:
    return max((until - start).total_seconds() / DAY, 0.0) if start is not None else 0.0
