"""What makes the numbers of a report doubtful without stopping the experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.translation import gettext as _

from experiments.reports.leading_variant import reasons_left
from experiments.reports.remaining import describe_seconds
from experiments.reports.stored_text import show_stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.models import Experiment, Look
    from experiments.models.served_variant import ServedVariant

MIN_SLATES = 50  # of a variant, before shares of them are compared
UNEQUAL_FALLBACK = 0.05  # difference of two shares from which models are not compared alone
LATE_SECONDS = 6 * 3600


def describe_doubts(
    experiment: Experiment, look: Look | None, served: Sequence[ServedVariant]
) -> list[str]:
    """Return what makes the numbers doubtful without stopping the experiment.

    Args:
        experiment: of the report.
        look: the last one.
        served: how variants were served, as the report shows it.
    """
    if look is None:
        return []
    doubts = [
        _("'%(variant)s' takes no traffic any more: %(reason)s")
        % {"variant": key, "reason": show_stored(reason)}
        for key, reason in reasons_left(experiment.decisions.all()).items()
    ]
    enough = [row for row in served if row.slates >= MIN_SLATES]
    shares = {row.variant: row.fallback for row in enough}
    if shares and max(shares.values()) - min(shares.values()) > UNEQUAL_FALLBACK:
        high, low = max(shares, key=shares.__getitem__), min(shares, key=shares.__getitem__)
        doubts.append(
            _(
                "'%(high)s' used a fallback in %(high_share)s of its answers, '%(low)s' in "
                "%(low_share)s: the comparison is not between the models alone"
            )
            % {
                "high": high,
                "high_share": f"{shares[high]:.0%}",
                "low": low,
                "low_share": f"{shares[low]:.0%}",
            }
        )
    age = (timezone.now() - look.taken_at).total_seconds()
    if experiment.state == experiment.State.RUNNING and age > LATE_SECONDS:
        doubts.append(
            _("no new data for %(duration)s: there is no traffic, or the worker has stopped")
            % {"duration": describe_seconds(age)}
        )
    return doubts
