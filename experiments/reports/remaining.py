"""What an experiment still lacks, and durations in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from experiments.reports.stored_text import end_sentence

if TYPE_CHECKING:
    from experiments.models import Experiment, Look
    from experiments.stats.policy import Policy

MINUTE, HOUR, DAY = 60, 3600, 86_400


def describe_remaining(experiment: Experiment, look: Look | None) -> str:
    """Return how many users are missing, and for about how long; nothing when it does not run.

    Nothing of a holdback or a holdout either: they go by their days.
    """
    is_test = experiment.purpose == experiment.Purpose.TEST
    if not is_test or experiment.state != experiment.State.RUNNING or experiment.started_at is None:
        return ""
    policy = experiment.parsed_policy
    planned, minimum = policy.planned_units, policy.required_run_seconds
    blocks = experiment.mode == experiment.Mode.SWITCHBACK
    if look is None:
        text = _("0 of %(planned)s planned users analysed.")
        if blocks:
            text = _("0 of %(planned)s planned blocks of time are over.")
        return text % {"planned": f"{planned:,}"}
    done = round(look.information * planned)
    run = (look.taken_at - experiment.started_at).total_seconds()
    parts = [_describe_rest(policy, done, run)] if done < planned else []
    if run < minimum:
        left = describe_seconds(minimum - run)
        parts.append(_("the minimum duration ends in %(duration)s") % {"duration": left})
    if parts:
        return end_sentence("; ".join(parts))
    return _("All planned blocks of time are over.") if blocks else _("All planned users are analysed.")


def _describe_rest(policy: Policy, done: int, run: float) -> str:
    """Return how many users, or blocks of time, are missing of the plan, and for about how long."""
    rest, planned = policy.planned_units - done, policy.planned_units
    values = {"rest": f"{rest:,}", "planned": f"{planned:,}"}
    if policy.block_seconds:
        values["duration"] = describe_seconds(rest * policy.block_seconds)
        text = _("%(rest)s of %(planned)s planned blocks of time to go, which take %(duration)s")
        return text % values
    if not done:
        return _("%(rest)s of %(planned)s planned users to go") % values
    values["duration"] = describe_seconds(rest * run / done)
    return _("%(rest)s of %(planned)s planned users to go, about %(duration)s at this pace") % values


def seconds_remaining(experiment: Experiment, look: Look | None) -> float | None:
    """Return how long a running test takes at this pace until its plan is fulfilled; None: unknown."""
    if look is None or experiment.started_at is None:
        return None
    policy = experiment.parsed_policy
    run = (look.taken_at - experiment.started_at).total_seconds()
    if look.information <= 0:
        return None
    users = run * max(1.0 / look.information - 1.0, 0.0)
    return max(users, policy.required_run_seconds - run)


def describe_seconds(seconds: float) -> str:
    """Return a duration in its largest fitting unit."""
    if seconds >= DAY:
        count = round(seconds / DAY)
        return ngettext("%(count)s day", "%(count)s days", count) % {"count": count}
    if seconds >= HOUR:
        count = round(seconds / HOUR)
        return ngettext("%(count)s hour", "%(count)s hours", count) % {"count": count}
    if seconds >= MINUTE:
        count = round(seconds / MINUTE)
        return ngettext("%(count)s minute", "%(count)s minutes", count) % {"count": count}
    count = round(seconds)
    return ngettext("%(count)s second", "%(count)s seconds", count) % {"count": count}
