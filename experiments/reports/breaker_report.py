"""What the breaker of an experiment sees, and what it has switched off: for pages and programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from experiments.looks.breaker_counts import read_tests
from experiments.reports.remaining import describe_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from experiments.models import Decision, Experiment


@dataclass(frozen=True, slots=True)
class BreakerLine:
    """One test.

    Attributes:
        variant: key of the treatment.
        metric: key of the metric.
        about: what is tested: `event`, `latency` or `slow`.
        margin: relative change that is accepted.
        treated: users of the treatment with an outcome.
        controlled: users of the control with an outcome.
        share: evidence of harm (log E), as a share of what trips it, in [0, 1].
    """

    variant: str
    metric: str
    about: str
    margin: float
    treated: int
    controlled: int
    share: float

    @property
    def code(self) -> str:
        """Return what pages look the words of `about` up by."""
        return f"breaker {self.about}"


@dataclass(frozen=True, slots=True)
class BreakerTrip:
    """A treatment that was switched off.

    Attributes:
        variant: key of the treatment.
        metric: key of the metric with the strongest evidence.
        treated: users of the treatment with an outcome of it.
        controlled: users of the control with one.
        seconds: from the start of the experiment.
        confirmed: whether every web process has read the configuration since.
        sentence: what happened, for people.
        confirmation: what web processes have said since, for people.
    """

    variant: str
    metric: str
    treated: int
    controlled: int
    seconds: float
    confirmed: bool
    sentence: str
    confirmation: str


@dataclass(frozen=True, slots=True)
class BreakerReport:
    """Of an experiment that has a breaker.

    Attributes:
        alpha: chance that a treatment without harm is ever switched off, of all tests together.
        lines: each test, with the evidence so far.
        trips: what was switched off, the first one first.
    """

    alpha: float
    lines: Sequence[BreakerLine]
    trips: Sequence[BreakerTrip]

    def as_json(self) -> dict[str, Any]:
        """Return the same for programs."""
        return asdict(self)


def breaker_report_of(
    experiment: Experiment, decisions: Iterable[Decision] = ()
) -> BreakerReport | None:
    """Return the breaker of an experiment; None where nothing is or was watched.

    Args:
        experiment: the experiment.
        decisions: of the experiment; those that no breaker made are passed over.
    """
    lines = breaker_lines(experiment) if experiment.started_at else []
    if not lines:
        return None
    trips = [_trip(experiment, one) for one in decisions if "breaker" in one.evidence]
    return BreakerReport(experiment.breaker_alpha, lines, sorted(trips, key=lambda trip: trip.seconds))


def breaker_lines(experiment: Experiment) -> list[BreakerLine]:
    """Return each test of the breaker with its evidence so far."""
    return [
        BreakerLine(
            variant=test.variant,
            metric=test.metric,
            about=test.about,
            margin=test.margin,
            treated=test.units[0],
            controlled=test.units[1],
            share=min(max(test.log_e / test.bound, 0.0), 1.0),
        )
        for test in read_tests(experiment)
    ]


def _trip(experiment: Experiment, decision: Decision) -> BreakerTrip:
    evidence = decision.evidence["breaker"]
    worst = max(evidence["tests"], key=lambda test: test["log_e"])
    treated, controlled = (_users(worst["events"], side) for side in ("treatment", "control"))
    start = experiment.started_at or decision.created_at
    seconds = (decision.created_at - start).total_seconds()
    sentence = _(
        "'%(variant)s' was switched off %(time)s after the start: '%(metric)s' in %(treated)s users "
        "of it, and in %(controlled)s of the control."
    ) % {
        "variant": evidence["variant"],
        "time": describe_seconds(seconds),
        "metric": worst["metric"],
        "treated": f"{treated:,}",
        "controlled": f"{controlled:,}",
    }
    return BreakerTrip(
        variant=evidence["variant"],
        metric=worst["metric"],
        treated=treated,
        controlled=controlled,
        seconds=seconds,
        confirmed=decision.confirmed,
        sentence=sentence,
        confirmation=_describe_confirmation(decision.read_back),
    )


def _users(events: Iterable[Mapping[str, Any]], side: str) -> int:
    """Return the users of a side with an outcome; of latencies they are counted by bin."""
    counts = [one[side] for one in events]
    return sum(count if isinstance(count, int) else sum(count) for count in counts)


def _describe_confirmation(read_back: Mapping[str, float | None]) -> str:
    """Describe what is proved and no more: which processes have read the configuration since."""
    if not read_back:
        return _("No web process has confirmed it yet.")
    silent = sorted(process for process, seconds in read_back.items() if seconds is None)
    if silent:
        return _("Not confirmed by: %(processes)s.") % {"processes": ", ".join(silent)}
    return ngettext(
        "Confirmed: %(count)s web process has read the configuration since.",
        "Confirmed: all %(count)s web processes have read the configuration since.",
        len(read_back),
    ) % {"count": len(read_back)}
