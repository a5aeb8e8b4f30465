"""The verdict at a glance: three tiles and two sentences that answer a stranger's four questions.

What was decided, how much did it change, can I trust it, and what happens next. A number stands only
where it means something: an interval that holds 0 is no clear change, and numbers that cannot be
trusted are not shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from experiments.models import Decision, Experiment
from experiments.reports.code_names import name_of
from experiments.reports.next_step import describe_next_step, first_results
from experiments.reports.percentages import percent
from experiments.reports.stored_text import end_sentence, show_stored
from experiments.reports.verdict import word_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.reports.breaker_report import BreakerTrip
    from experiments.reports.comparison_row import ComparisonRow
    from experiments.reports.experiment_report import ExperimentReport

Tone = Literal["good", "bad", "wait", ""]
TONES: dict[str, Tone] = {
    "ship": "good", "promote": "good", "confirm": "good",
    "roll_back": "bad", "halt": "bad", "lost": "bad",
}  # fmt: skip
# What a holdback or a holdout has measured so far, as an action that has a sign and a tone.
GAIN_ACTIONS = {
    "confirmed": "confirm",
    "lost": "lost",
    "unclear": "stop_inconclusive",
    "unknown": "keep_running",
}


@dataclass(frozen=True, slots=True)
class Tile:
    """One of the three.

    Attributes:
        title: what it answers.
        headline: the answer.
        lines: what stands below it, the most important line first.
        tone: whether that is good or bad news; a word says so too.
        action: whose sign stands before the headline; empty: none.
    """

    title: str
    headline: str
    lines: Sequence[str] = ()
    tone: Tone = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class VerdictTiles:
    """What the top of a report shows.

    Attributes:
        decision: what was decided, or that it is too early.
        effect: how much the primary metric changed.
        health: whether that can be trusted.
        sentence: the verdict, without statistics.
        next_step: what happens next, or what to do.
    """

    decision: Tile
    effect: Tile
    health: Tile
    sentence: str
    next_step: str

    @property
    def named(self) -> Sequence[tuple[str, Tile]]:
        """The tiles in their order, each with its name."""
        return [("decision", self.decision), ("effect", self.effect), ("health", self.health)]


def tiles_of(report: ExperimentReport) -> VerdictTiles:
    """Return the top of a report."""
    return VerdictTiles(
        decision=_decision_tile(report),
        effect=_effect_tile(report),
        health=_health_tile(report),
        sentence=_sentence(report),
        next_step=describe_next_step(report),
    )


def _is_early(report: ExperimentReport) -> bool:
    """Whether a test runs and no user's outcome is complete yet."""
    experiment = report.experiment
    is_running_test = (
        experiment.state == Experiment.State.RUNNING and experiment.purpose == Experiment.Purpose.TEST
    )
    return is_running_test and report.healthy and not report.verdict.units


def _sentence(report: ExperimentReport) -> str:
    if not report.healthy and report.experiment.purpose == Experiment.Purpose.TEST:
        word = word_of("halt", is_over=report.experiment.state == Experiment.State.ENDED)
        return _("%(word)s: the numbers cannot be trusted, so they decide nothing.") % {"word": word}
    if not _is_early(report):
        return report.verdict.sentence
    users = sum(row.units for row in report.variants)
    if not users:
        return _("No users yet.")
    shares = _(", ").join(
        _("%(users)s in %(variant)s") % {"users": f"{row.units:,}", "variant": name_of(row.key).lower()}
        for row in report.variants
    )
    return ngettext(
        "Too early to tell: %(users)s user so far (%(shares)s).",
        "Too early to tell: %(users)s users so far (%(shares)s).",
        users,
    ) % {"users": f"{users:,}", "shares": shares}


# Decision


def _decision_tile(report: ExperimentReport) -> Tile:
    experiment, action = report.experiment, report.verdict.action
    title = _("Decision")
    if experiment.state == Experiment.State.DRAFT:
        return Tile(title, _("Not started"))
    if report.gain is not None and experiment.state == Experiment.State.RUNNING:
        return _gain_tile(report, title)
    if experiment.state == Experiment.State.ENDED:
        return Tile(
            title, word_of(action, is_over=True), _who_decided(report), TONES.get(action, ""), action
        )
    if _is_early(report):
        planned = _("%(planned)s users planned")
        if report.counts_blocks:
            planned = _("%(planned)s blocks of time planned")
        planned %= {"planned": f"{report.planned_units:,}"}
        return Tile(title, _("Too early"), [planned], "wait", action)
    if action == Decision.Action.SHIP:
        return Tile(title, _("Ship proposed"), [report.remaining], "good", action)
    return Tile(title, word_of(action), [report.remaining], TONES.get(action, ""), action)


def _gain_tile(report: ExperimentReport, title: str) -> Tile:
    status = report.gain.status if report.gain is not None else "unknown"
    headline = {
        "confirmed": _("Gain holds"),
        "lost": _("Gain lost"),
        "unclear": _("No clear gain"),
        "unknown": _("Measuring"),
    }[status]
    action = GAIN_ACTIONS[status]
    return Tile(title, headline, [_about_holdback(report)], TONES.get(action, ""), action)


def _about_holdback(report: ExperimentReport) -> str:
    """Say what is measured: a reader may never have heard of a holdback."""
    if report.experiment.purpose == Experiment.Purpose.HOLDOUT:
        return _("The holdout's users see no promotion of this quarter")
    models = {row.key: row.model for row in report.variants}
    return _("%(promoted)s against %(former)s, after its promotion") % {
        "promoted": models.get("promoted", "–"),
        "former": models.get("former", "–"),
    }


def _who_decided(report: ExperimentReport) -> list[str]:
    decision = next(iter(report.decisions), None)
    if decision is None:
        return []
    by = _("%(who)s, %(date)s") % {
        "who": name_of(decision.created_by),
        "date": f"{decision.created_at:%Y-%m-%d}",
    }
    if decision.promoted is None or decision.replaced is None:
        return [by]
    return [
        _("%(promoted)s replaced %(former)s")
        % {"promoted": decision.promoted, "former": decision.replaced},
        by,
    ]


# Effect


def _effect_tile(report: ExperimentReport) -> Tile:
    metric = report.verdict.metric
    title = _("Effect on %(metric)s") % {"metric": metric} if metric else _("Effect")
    if not report.healthy:
        return Tile(title, _("Unknown"), [_("The numbers cannot be trusted, so none is shown here")])
    row = primary_row(report)
    if row is None or row.absolute is None:
        trips = report.breaker.trips if report.breaker is not None else ()
        return _trip_tile(trips[0]) if trips else _no_effect_tile(report, title)
    interval = row.lift_interval if row.lift is not None else row.interval
    if interval is None or None in interval:
        return Tile(title, _("Not known yet"), [row.described])
    is_relative = row.lift is not None and row.lift_interval is not None
    estimate = row.lift if is_relative else row.absolute
    change, low, high = (_write(value, is_relative=is_relative) for value in (estimate, *interval))
    ends = _("%(low)s to %(high)s") % {"low": low, "high": high}
    if row.judgement == "inconclusive":
        lines = [_("%(change)s, but it could be %(ends)s") % {"change": change, "ends": ends}]
        return Tile(title, _("No clear change"), [*lines, report.interval_name])
    is_better = row.judgement == "better"
    lines = [(_("Better: %(ends)s") if is_better else _("Worse: %(ends)s")) % {"ends": ends}]
    return Tile(title, change, [*lines, report.interval_name], "good" if is_better else "bad")


def primary_row(report: ExperimentReport) -> ComparisonRow | None:
    """Return the primary metric's row of the treatment that the last look is about, else the first."""
    rows = [row for row in report.metrics if row.role == "primary"]
    about = report.look.parsed_result.variant if report.look is not None else None
    return next((row for row in rows if row.variant == about), rows[0] if rows else None)


def _write(value: float | None, *, is_relative: bool) -> str:
    if value is None:
        return "–"
    return percent(value) if is_relative else f"{value:+.4g}"


def _no_effect_tile(report: ExperimentReport, title: str) -> Tile:
    if report.experiment.state == Experiment.State.DRAFT:
        return Tile(title, "–")
    if report.experiment.state == Experiment.State.ENDED:
        return Tile(title, _("No results"), [_("It ended before the first results")])
    if not _is_early(report):
        lines = [show_stored(row.described) for row in report.metrics if row.role == "primary"]
        return Tile(title, _("No results yet"), lines)
    results = first_results(report)
    return Tile(title, _("No results yet"), [end_sentence(results[:1].upper() + results[1:])])


def _trip_tile(trip: BreakerTrip) -> Tile:
    """Show what the breaker saw: there were too few users for an effect."""
    users = _("%(treated)s against %(controlled)s users") % {
        "treated": f"{trip.treated:,}",
        "controlled": f"{trip.controlled:,}",
    }
    title = _("Effect on %(metric)s") % {"metric": trip.metric}
    return Tile(title, users, [_("Treatment against control")], "bad")


# Health


def _health_tile(report: ExperimentReport) -> Tile:
    title, experiment = _("Health"), report.experiment
    if experiment.state == Experiment.State.DRAFT:
        return Tile(title, "–")
    if not report.healthy:
        reason = report.look.reason if report.look is not None else ""
        return Tile(title, _("Not trustworthy"), [end_sentence(show_stored(reason))], "bad", "halt")
    if report.verdict.action == Decision.Action.HALT:  # no look said so: a variant could not serve
        return Tile(title, _("A problem stopped it"), [], "bad", "halt")
    if report.warnings:
        count = len(report.warnings)
        text = ngettext("%(count)s warning", "%(count)s warnings", count) % {"count": count}
        return Tile(title, text, [report.warnings[0]], "wait")
    return _healthy_tile(report, title)


def _healthy_tile(report: ExperimentReport, title: str) -> Tile:
    if _is_early(report):
        if not any(row.units for row in report.variants):
            return Tile(title, _("Waiting for users"), [], "wait")
        return Tile(title, _("Tracking works"), [_split(report)], "good")
    lines = [_analysed(report), _split(report), *_guardrails(report)]
    return Tile(title, _("No problems"), lines, "good")


def _analysed(report: ExperimentReport) -> str:
    values = {"units": f"{report.verdict.units:,}", "planned": f"{report.planned_units:,}"}
    if report.gain is not None:
        return _("%(units)s users analysed") % values
    if report.counts_blocks:
        return _("%(units)s of %(planned)s planned blocks of time are over") % values
    return _("%(units)s of %(planned)s planned users analysed") % values


def _split(report: ExperimentReport) -> str:
    """Return how users were split, beside the plan."""
    users = max(sum(row.units for row in report.variants), 1)
    observed = " / ".join(f"{row.units / users:.0%}" for row in report.variants)
    expected = " / ".join(f"{row.expected_share:.0%}" for row in report.variants)
    if observed == expected:
        return _("Split %(shares)s, as planned") % {"shares": observed}
    return _("Split %(observed)s, planned %(expected)s") % {
        "observed": observed,
        "expected": expected,
    }


def _guardrails(report: ExperimentReport) -> list[str]:
    rows = [row for row in report.metrics if row.role == "guardrail"]
    if not rows:
        return []
    safe = sum(row.judgement in {"safe", "better"} for row in rows)
    return [_("%(safe)s of %(all)s guardrails safe") % {"safe": safe, "all": len(rows)}]
