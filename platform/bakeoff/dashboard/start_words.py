"""What starting an experiment will do, said before: its traffic, about how long it takes, and odd versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import OperationalError, connection, transaction
from django.utils.translation import gettext as _

from experiments.models import Experiment
from experiments.reports.code_names import name_of
from experiments.reports.remaining import DAY, describe_seconds
from experiments.scorecards.change_plan import weeks_of
from experiments.scorecards.traffic_plan import visitors_per_day
from experiments.stats.power import days_for
from inference.models import ModelVersion

if TYPE_CHECKING:
    from experiments.models import Variant
    from inference.models import Surface

MAX_SECONDS = 3  # that the page waits for a slow database: without a duration it is as useful
LEFT = (ModelVersion.Alias.RETIRED, ModelVersion.Alias.REJECTED)


def describe_start(experiment: Experiment) -> str:
    """Return the sentences of the page that asks whether to start."""
    variants = list(experiment.variants.select_related("model_version"))
    said = _(
        "%(share)s of the traffic on '%(surface)s' will be split between %(variants)s. After the start, "
        "policy, metrics and variants can no longer be changed."
    ) % {
        "share": f"{100 * _share_of(experiment):.3g}%",
        "surface": experiment.surface,
        "variants": ", ".join(f"{name_of(v.key)} ({v.weight:.0%})" for v in variants),
    }
    warnings = map(_warn_of, filter(_is_left, variants))
    return " ".join(one for one in (said, _describe_duration(experiment), *warnings) if one)


def _share_of(experiment: Experiment) -> float:
    """Return the share of all traffic that takes part: of a layer, only within its range."""
    return experiment.allocation * (experiment.slot_high - experiment.slot_low)


def _describe_duration(experiment: Experiment) -> str:
    """Say about how long the plan takes: blocks of time by their length, users by last week's traffic.

    Nothing where that traffic takes too long to read.
    """
    policy = experiment.parsed_policy
    units = f"{policy.planned_units:,}"
    if experiment.mode == Experiment.Mode.SWITCHBACK:
        length = describe_seconds(policy.planned_units * policy.block_seconds)
        return _("Expected duration: %(duration)s, for %(units)s blocks of time.") % {
            "duration": length, "units": units,
        }  # fmt: skip
    per_day, share = _read_visitors(experiment.surface), _share_of(experiment)
    if per_day is None:
        return ""
    if per_day * share <= 0:
        return _(
            "Expected duration: unknown, as last week nobody came; %(units)s users are planned."
        ) % {"units": units}
    days = days_for(policy.planned_units, [per_day], allocation=share)
    if weeks_of(days) is None:
        sentence = _(
            "Expected duration: more than half a year for %(units)s users, at last week's traffic."
        )
        return sentence % {"units": units}
    seconds = max(days * DAY, policy.required_run_seconds)
    return _("Expected duration: about %(duration)s for %(units)s users, at last week's traffic.") % {
        "duration": describe_seconds(seconds),
        "units": units,
    }


def _read_visitors(surface: Surface) -> float | None:
    try:
        # A savepoint: a statement that is cancelled leaves the page's transaction as it was.
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = '{MAX_SECONDS}s'")
            return visitors_per_day(surface)
    except OperationalError:
        return None


def _is_left(variant: Variant) -> bool:
    version = variant.model_version
    return not variant.is_control and version is not None and version.alias in LEFT


def _warn_of(variant: Variant) -> str:
    version = variant.model_version
    assert version is not None  # noqa: S101  of those that `_is_left` found
    return _(
        "Warning: %(version)s of '%(variant)s' is %(state)s. Check that it is the version to test."
    ) % {"version": version, "variant": name_of(variant.key), "state": name_of(version.alias)}
