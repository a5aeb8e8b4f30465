"""What happens next with an experiment: nothing to do, or what to do and where, in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.translation import gettext as _

from bakeoff.accounts.actors import PLATFORM
from experiments.metrics.freeze import spec_of
from experiments.models import Decision, Experiment, programme_of
from experiments.programme.queue import waiting_versions
from experiments.programme.safeguards import ships_by_itself
from experiments.reports.remaining import describe_seconds, seconds_remaining
from experiments.reports.stored_text import end_sentence, join_sentences, show_stored

if TYPE_CHECKING:
    from experiments.models import Variant
    from experiments.reports.experiment_report import ExperimentReport

# How looks begin what only a person can settle, or what ended without any prospect.
TOO_GOOD, FUTILE = "a person must ship it", "futile: "


def describe_next_step(report: ExperimentReport) -> str:
    """Return what happens next, for people."""
    experiment = report.experiment
    if experiment.state == Experiment.State.DRAFT:
        return _("It takes no traffic until you start it.")
    if experiment.state == Experiment.State.ENDED:
        return join_sentences(_why_no_winner(report), _serving_now(report), _advice(report))
    if experiment.purpose != Experiment.Purpose.TEST:
        return _while_measuring(report)
    return _while_running(report)


def _while_running(report: ExperimentReport) -> str:
    if (missing := report.missing_outcome) is not None:
        return _(
            "Check that your product sends '%(event)s' with the user IDs of its exposures: without it "
            "there is no verdict."
        ) % {"event": missing.event}
    if report.look is None or not report.verdict.units:
        return _before_results(report)
    return _your_decision(report) or _nothing_to_do(report)


def _before_results(report: ExperimentReport) -> str:
    if not any(row.units for row in report.variants):
        return _("Send traffic to surface '%(surface)s'; nothing else is to be done.") % {
            "surface": report.experiment.surface.key
        }
    return _("Nothing to do: %(results)s.") % {"results": first_results(report)}


def _your_decision(report: ExperimentReport) -> str:
    """Say what a person must decide, or nothing."""
    experiment, action = report.experiment, report.verdict.action
    if action == Decision.Action.SHIP and not ships_by_itself(experiment):
        return _("Your decision: ship it, or stop the experiment.")
    if action == Decision.Action.STOP_INCONCLUSIVE and not _ends_by_itself(experiment):
        if _needs_users(report, report.look.reason if report.look is not None else ""):
            return _("Your decision: too few users have a value, so stop it and plan more users.")
        return _("Your decision: more users would hardly change this, so you can stop the experiment.")
    if report.look is not None and TOO_GOOD in report.look.reason:
        return _("Your decision: check the data of so large a gain, then ship it or stop.")
    return ""


def _nothing_to_do(report: ExperimentReport) -> str:
    if report.verdict.action != Decision.Action.KEEP_RUNNING:
        return _("Nothing to do: Bakeoff carries this out now.")
    minimum = _missing_clusters(report)
    if minimum:
        return _(
            "Nothing to do: the analysis waits for %(minimum)s clusters in each variant and for all "
            "planned users."
        ) % {"minimum": minimum}
    seconds = seconds_remaining(report.experiment, report.look)
    if not seconds:
        return _("Nothing to do: it runs until there is a verdict.")
    if report.bandit is not None:
        return _(
            "Nothing to do: shares of new users follow the results, and a verdict is expected within "
            "about %(duration)s."
        ) % {"duration": describe_seconds(seconds)}
    return _("Nothing to do: a verdict is expected within about %(duration)s.") % {
        "duration": describe_seconds(seconds)
    }


def _missing_clusters(report: ExperimentReport) -> int:
    """Return how many clusters each variant needs, where one has fewer; else 0: blocks just come."""
    clusters = report.clusters
    if clusters is None or report.counts_blocks:
        return 0
    return clusters.minimum if any(row.clusters < clusters.minimum for row in clusters.rows) else 0


def _ends_by_itself(experiment: Experiment) -> bool:
    return experiment.parsed_policy.promote or experiment.owner == PLATFORM


def first_results(report: ExperimentReport) -> str:
    """Return when the first user's outcome is complete, as part of a sentence."""
    experiment = report.experiment
    window = spec_of(experiment.primary, experiment).complete_after_seconds
    values = {"window": describe_seconds(window)}
    policy = experiment.parsed_policy
    # A bandit's batches are what lies between two updates of its shares.
    batched = experiment.mode == Experiment.Mode.BANDIT and policy.rule != "exact"
    wait = window + (policy.update_every_seconds if batched else 0.0)
    if experiment.started_at is not None and not policy.block_seconds:
        left = wait - (timezone.now() - experiment.started_at).total_seconds()
        if left > 0:
            values["duration"] = describe_seconds(left)
            return (
                _("first results in about %(duration)s; each user is followed for %(window)s") % values
            )
    if policy.block_seconds:
        return _("first results when the first whole block of time is over")
    if batched:
        return _("first results %(window)s after the first update of the shares") % values
    return _("first results %(window)s after the first user") % values


def _while_measuring(report: ExperimentReport) -> str:
    """Say what to do about a holdback, or a holdout, that runs."""
    experiment = report.experiment
    if report.gain is None or report.gain.status != "lost":
        if experiment.ends_at is None:
            return _("Nothing to do: it goes on measuring.")
        return _("Nothing to do: it measures until %(date)s.") % {
            "date": f"{timezone.localtime(experiment.ends_at):%Y-%m-%d}"
        }
    if experiment.purpose == Experiment.Purpose.HOLDOUT:
        return _("Look for the promotion that harms: the page of impact lists all of them.")
    values = {row.key: row.model for row in report.variants}
    if experiment.proposals.open_now().exists():
        return (
            _(
                "%(promoted)s still serves most users. Decide on the surface's autopilot page: "
                "approve to go back to %(former)s, or decline to keep %(promoted)s."
            )
            % values
        )
    return (
        _("%(promoted)s may still serve; you can go back to %(former)s on the surface's page.") % values
    )


def _why_no_winner(report: ExperimentReport) -> str:
    """Say why an experiment ended without a winner, or nothing."""
    decision = next(iter(report.decisions), None)
    if decision is None or report.gain is not None:
        return ""
    if decision.action != Decision.Action.STOP_INCONCLUSIVE:
        return ""
    if decision.created_by != PLATFORM:
        return end_sentence(show_stored(decision.reason))
    if decision.reason.startswith(FUTILE):
        return _("It ended early, as more users would hardly have changed that.")
    return _("All planned users came.")


def _advice(report: ExperimentReport) -> str:
    """Say what to do after the end."""
    decision = next(iter(report.decisions), None)
    if decision is None or report.gain is not None:
        return ""
    if decision.action == Decision.Action.HALT:
        return _("Find the cause, then start a new experiment.")
    if decision.action == Decision.Action.STOP_INCONCLUSIVE:
        if _needs_users(report, decision.reason):
            return _("Next, test it again with more users.")
        return _("Next, try a bolder change.")
    if decision.action == Decision.Action.PREFER:
        return _after_preference(report)
    return _("Nothing is left to do.")


def _needs_users(report: ExperimentReport, reason: str) -> bool:
    """Whether more users would settle it: too few have a value, and no forecast speaks against it."""
    return report.verdict.too_few and not reason.startswith(FUTILE)


def _after_preference(report: ExperimentReport) -> str:
    """Say that a version that users prefer needs a test, and who starts it."""
    experiment = report.experiment
    about = report.look.parsed_result.variant if report.look is not None else None
    version = next((row.model_version for row in experiment.treatments if row.key == about), None)
    if version is None or not waiting_versions(experiment.surface).filter(pk=version.pk).exists():
        return _("Nothing is left to do.")
    programme = programme_of(experiment.surface)
    starts = experiment.surface.start_experiments and programme.primary_metric is not None
    if starts and not programme.paused:
        return _("Next, the autopilot tests %(version)s: a preference in lists is not yet a gain.") % {
            "version": version.label
        }
    return _(
        "Your decision: start a test of %(version)s, as a preference in lists is not yet a gain."
    ) % {"version": version.label}


def _serving_now(report: ExperimentReport) -> str:
    """Say what users get now that the experiment is over."""
    experiment = report.experiment
    champion = experiment.surface.versions.champions().first()
    if champion is None:
        shipped = _shipped(experiment)
        return "" if shipped is None else _("Everyone gets %(value)s now.") % {"value": _value(shipped)}
    others = Experiment.objects.running().filter(surface=experiment.surface)
    purposes = set(others.values_list("purpose", flat=True))
    if purposes == {Experiment.Purpose.HOLDBACK}:
        return _(
            "%(version)s serves everyone now, except a few users who show whether the gain lasts."
        ) % {"version": champion.label}
    if purposes:
        return _("%(version)s serves everyone outside running experiments.") % {
            "version": champion.label
        }
    return _("%(version)s serves everyone now.") % {"version": champion.label}


def serves_again(experiment: Experiment) -> str:
    """Name what users get now that a treatment was taken back: a version, or a flag's value."""
    champion = experiment.surface.versions.champions().first()
    if champion is None:
        shipped = _shipped(experiment)
        return (
            "" if shipped is None else _("Everyone gets %(value)s again") % {"value": _value(shipped)}
        )
    is_control = any(
        one.is_control and one.model_version_id == champion.pk for one in experiment.variants.all()
    )
    # Another test may have moved the champion since.
    words = _("%(version)s serves again") if is_control else _("%(version)s serves now")
    return words % {"version": champion.label}


def _shipped(experiment: Experiment) -> Variant | None:
    """Return the variant of a flag that everyone gets after the end."""
    key = experiment.shipped_variant
    which = {"key": key} if key else {"is_control": True}
    return experiment.variants.filter(**which).first()


def _value(variant: Variant) -> str:
    return f"'{variant.key if variant.value is None else variant.value}'"
