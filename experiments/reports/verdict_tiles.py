"""The verdict at a glance: three tiles and two sentences that answer a stranger's four questions.

What was decided, how much did it change, can I trust it, and what happens next. A number stands only
where it means something: an interval that holds 0 is no clear change, and numbers that cannot be
trusted are not shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from experiments.models import Decision, Experiment
from experiments.reports.code_names import name_of
from experiments.reports.holdback_gain import HEADLINES
from experiments.reports.leading_variant import reasons_left
from experiments.reports.live_counts import LiveCount, describe_outcomes, read_live_counts
from experiments.reports.next_step import describe_next_step, first_results, serves_again
from experiments.reports.percentages import percent, signed_number
from experiments.reports.preference_words import describe_preference_tile
from experiments.reports.stored_text import end_sentence, join_sentences, show_stored
from experiments.reports.tile import TONES, Tile
from experiments.reports.tracking_checks import tracking_checks
from experiments.reports.verdict import word_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.reports.breaker_report import BreakerTrip
    from experiments.reports.comparison_row import ComparisonRow
    from experiments.reports.experiment_report import ExperimentReport
    from experiments.reports.tracking_checks import MissingOutcome, TrackingCheck

# What a holdback or a holdout has measured so far, as an action that has a sign and a tone.
GAIN_ACTIONS = {
    "confirmed": "confirm",
    "lost": "lost",
    "unclear": "stop_inconclusive",
    "unknown": "keep_running",
}
# Actions that end an experiment with what served before.
TAKEN_BACK = {Decision.Action.ROLL_BACK, Decision.Action.HALT}


@dataclass(frozen=True, slots=True)
class VerdictTiles:
    """What the top of a report shows.

    Attributes:
        decision: what was decided, or that it is too early.
        effect: how much the primary metric changed.
        health: whether that can be trusted.
        sentence: the verdict, without statistics.
        next_step: what happens next, or what to do.
        analysed: how many users, or blocks of time, of those that were planned.
        live: counts that judge nothing; empty once there are results.
        checks: of the first day: whether what it needs arrives; likewise.
    """

    decision: Tile
    effect: Tile
    health: Tile
    sentence: str
    next_step: str
    analysed: str
    live: Sequence[LiveCount] = ()
    checks: Sequence[TrackingCheck] = ()

    @property
    def named(self) -> Sequence[tuple[str, Tile]]:
        """The tiles in their order, each with its name."""
        return [("decision", self.decision), ("effect", self.effect), ("health", self.health)]


def tiles_of(report: ExperimentReport) -> VerdictTiles:
    """Return the top of a report."""
    starts = _is_early(report) and bool(report.users)
    return VerdictTiles(
        decision=_decision_tile(report),
        effect=_effect_tile(report),
        health=_health_tile(report),
        sentence=_sentence(report),
        next_step=describe_next_step(report),
        analysed=_analysed(report),
        live=read_live_counts(report) if starts else (),
        checks=tracking_checks(report, _split(report)) if starts else (),
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
        return _waiting_for_groups(report) or report.verdict.sentence
    users = report.users
    if not users:
        return _("No users yet.")
    if report.shares_lists:
        text = ngettext(
            "Too early to tell: %(users)s user so far, with items of all versions in each list.",
            "Too early to tell: %(users)s users so far, with items of all versions in each list.",
            users,
        )
        return text % {"users": f"{users:,}"}
    shares = _(", ").join(
        _("%(users)s in %(variant)s") % {"users": f"{row.units:,}", "variant": name_of(row.key).lower()}
        for row in report.variants
    )
    text = ngettext(
        "Too early to tell: %(users)s user so far (%(shares)s).",
        "Too early to tell: %(users)s users so far (%(shares)s).",
        users,
    ) % {"users": f"{users:,}", "shares": shares}
    return join_sentences(text, describe_outcomes(report))


def _waiting_for_groups(report: ExperimentReport) -> str:
    """Say that there are too few clusters, or blocks of time, for an analysis; or nothing."""
    row = primary_row(report)
    if report.clusters is None or row is None or row.absolute is not None:
        return ""
    if report.experiment.state != Experiment.State.RUNNING:
        return ""
    if report.counts_blocks:
        return _(
            "Too early to tell: %(over)s of %(planned)s planned blocks of time are over, in each of "
            "which all users got one variant."
        ) % {"over": f"{report.verdict.units:,}", "planned": f"{report.planned_units:,}"}
    counts = _(", ").join(
        _("%(users)s in %(variant)s")
        % {"users": f"{group.clusters:,}", "variant": name_of(group.variant).lower()}
        for group in report.clusters.rows
    )
    values = {"attribute": report.clusters.attribute, "counts": counts}
    return _("Too early to tell: clusters by '%(attribute)s' with analysed users: %(counts)s.") % values


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
    return _running_tile(report, title)


def _running_tile(report: ExperimentReport, title: str) -> Tile:
    action = report.verdict.action
    if _is_early(report):
        planned = _("%(planned)s users planned")
        if report.counts_blocks:
            planned = _("%(planned)s blocks of time planned")
        planned %= {"planned": f"{report.planned_units:,}"}
        return Tile(title, _("Too early"), [planned], "wait", action)
    if action == Decision.Action.SHIP:
        return Tile(title, _("Ship proposed"), [report.remaining], "good", action)
    if report.bandit is not None and action == Decision.Action.KEEP_RUNNING:
        return Tile(title, _("Still learning"), [_new_users(report), report.remaining], "", action)
    return Tile(title, word_of(action), [report.remaining], TONES.get(action, ""), action)


def _new_users(report: ExperimentReport) -> str:
    """Return which share of new users a bandit gives each variant now."""
    arms = report.bandit.arms if report.bandit is not None else ()
    shares = _(", ").join(f"{name_of(arm.variant)} {arm.share:.0%}" for arm in arms)
    return _("New users now: %(shares)s") % {"shares": shares}


def _gain_tile(report: ExperimentReport, title: str) -> Tile:
    status = report.gain.status if report.gain is not None else "unknown"
    headline = _(HEADLINES[status])
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
    by = _("By %(who)s on %(date)s") % {
        "who": name_of(decision.created_by),
        "date": f"{decision.created_at:%Y-%m-%d}",
    }
    if decision.action == Decision.Action.PREFER:
        return [_preferred(report), by]
    if decision.promoted is None or decision.replaced is None:
        is_taken_back = decision.action in TAKEN_BACK and report.gain is None
        again = serves_again(report.experiment) if is_taken_back else ""
        return [again, by] if again else [by]
    return [
        _("%(promoted)s replaced %(former)s")
        % {"promoted": decision.promoted, "former": decision.replaced},
        by,
    ]


def _preferred(report: ExperimentReport) -> str:
    """Say which version users prefer to which: nothing was shipped by that."""
    about = report.look.parsed_result.variant if report.look is not None else None
    values = {
        "version": next((row.model for row in report.variants if row.key == about), "–"),
        "control": next((row.model for row in report.variants if row.is_control), "–"),
    }
    return _("%(version)s over %(control)s, not shipped") % values


# Effect


def _effect_tile(report: ExperimentReport) -> Tile:
    title = _effect_title(report)
    if not report.healthy:
        return Tile(title, _("Unknown"), [_("The numbers cannot be trusted, so none is shown here")])
    if report.interleaving is not None and report.verdict.units:
        return describe_preference_tile(report)
    row = primary_row(report)
    if row is None or row.absolute is None:
        trips = report.breaker.trips if report.breaker is not None else ()
        return _trip_tile(trips[0]) if trips else _no_effect_tile(report, title)
    interval = row.lift_interval if row.lift is not None else row.interval
    if interval is None or None in interval:
        is_over = report.experiment.state == Experiment.State.ENDED
        return Tile(title, _("Size not known") if is_over else _("Not known yet"), [row.described])
    is_relative = row.lift is not None and row.lift_interval is not None
    estimate = row.lift if is_relative else row.absolute
    change, low, high = (_write(value, is_relative=is_relative) for value in (estimate, *interval))
    ends = _("%(low)s to %(high)s") % {"low": low, "high": high}
    unit = [] if is_relative else [_("In %(metric)s itself, not per cent") % {"metric": row.metric}]
    if row.judgement == "inconclusive":
        lines = [_("%(change)s, but it could be %(ends)s") % {"change": change, "ends": ends}]
        return Tile(
            title, _("No clear change"), [*lines, *unit, report.interval_name, *_undecided(report)]
        )
    is_better = row.judgement == "better"
    lines = [(_("Better: %(ends)s") if is_better else _("Worse: %(ends)s")) % {"ends": ends}]
    lines += [*unit, report.interval_name, *_undecided(report)]
    return Tile(title, change, lines, "good" if is_better else "bad")


def primary_row(report: ExperimentReport) -> ComparisonRow | None:
    """Return the primary metric's row of the treatment that the verdict is about."""
    rows = [row for row in report.metrics if row.role == "primary"]
    return next((row for row in rows if row.variant == report.verdict.variant), None)


def _effect_title(report: ExperimentReport) -> str:
    """Return what the tile of the effect is about: with several treatments, which one."""
    metric, name = report.verdict.metric, report.verdict.name
    if not metric:
        return _("Effect")
    # Before the first results no treatment leads, and numbers that cannot be trusted name none.
    if not name or not _has_several(report) or _is_early(report) or not report.healthy:
        return _("Effect on %(metric)s") % {"metric": metric}
    return _("Effect of %(name)s on %(metric)s") % {"name": name, "metric": metric}


def _has_several(report: ExperimentReport) -> bool:
    return len(report.variants) > 2


def _undecided(report: ExperimentReport) -> list[str]:
    """Say how many of several treatments wait for a verdict; nothing for one, or after the end."""
    if not _has_several(report) or report.experiment.state != Experiment.State.RUNNING:
        return []
    left = set(reasons_left(report.decisions))
    if report.look is not None:
        left |= set(report.look.parsed_result.leaving)
    rows = [row for row in report.metrics if row.role == "primary"]
    open_now = [row for row in rows if row.judgement == "inconclusive" and row.variant not in left]
    return [
        _("Undecided: %(count)s of %(all)s treatments") % {"count": len(open_now), "all": len(rows)}
    ]


def _write(value: float | None, *, is_relative: bool) -> str:
    if value is None:
        return "–"
    return percent(value) if is_relative else signed_number(value)


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
    if (missing := report.missing_outcome) is not None:
        values = {"metric": missing.metric, "event": missing.event, "users": f"{missing.users:,}"}
        line = _("Not one of %(users)s users had an event '%(event)s' that it counts") % values
        headline = _("No %(metric)s recorded yet") % values
        return Tile(title, headline, [line, _expected(missing), _split(report)], "wait")
    if report.warnings:
        count = len(report.warnings)
        text = ngettext("%(count)s warning", "%(count)s warnings", count) % {"count": count}
        return Tile(title, text, [report.warnings[0]], "wait")
    return _healthy_tile(report, title)


def _expected(missing: MissingOutcome) -> str:
    """Say which share of users was expected to have an outcome, and where that is from."""
    values = {"rate": f"{100 * missing.expected_rate:.2g}%"}
    if missing.is_known:
        return _("Before the start %(rate)s of users had one") % values
    return _("Assumed: at least %(rate)s of users have one") % values


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
    # More than planned, or fewer at the end, reads as a mistake unless it is said.
    more = report.verdict.units > report.planned_units
    fewer = (
        report.verdict.units < report.planned_units
        and report.experiment.state == Experiment.State.ENDED
    )
    if report.clusters is not None:
        values["clusters"] = f"{sum(row.clusters for row in report.clusters.rows):,}"
        words = _("%(units)s of %(planned)s planned users analysed, in %(clusters)s clusters")
        if more:
            words = _("%(units)s users in %(clusters)s clusters analysed, %(planned)s were planned")
        return words % values
    if more:
        return _("%(units)s users analysed, %(planned)s were planned") % values
    if fewer:
        return _("%(units)s users analysed; it ended before all %(planned)s planned ones") % values
    return _("%(units)s of %(planned)s planned users analysed") % values


def _split(report: ExperimentReport) -> str:
    """Return how users were split, beside the plan."""
    if report.shares_lists:
        if len(report.variants) > 2:
            return _("Each list has items of all versions")
        return _("Each list has items of both versions")
    users = max(report.users, 1)
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
