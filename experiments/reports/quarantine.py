"""Exposures that public keys claimed and the rule does not give: how many there are, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Count
from django.utils.translation import gettext, gettext_noop

from experiments.models import QuarantinedExposure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from experiments.models import Experiment

Reason = QuarantinedExposure.Reason
REASONS: dict[str, str] = {
    Reason.BEFORE_START: gettext_noop("before the experiment started"),
    Reason.FORCED: gettext_noop("forced variant"),
    Reason.OUTSIDE: gettext_noop("user is not part of the experiment"),
    Reason.EARLIER_RULE: gettext_noop("variant of an earlier epoch"),
    Reason.OTHER_VARIANT: gettext_noop("user belongs to another variant"),
}


def count_quarantined(experiment: Experiment) -> dict[str, int]:
    """Return how many claims of an experiment were set aside, by reason, the most frequent first."""
    rows = QuarantinedExposure.objects.filter(experiment=experiment).values_list("reason")
    return dict(rows.annotate(claims=Count("id")).order_by("-claims", "reason"))


def describe_quarantined(counts: Mapping[str, int]) -> str:
    """Return a sentence without its full stop, or nothing where there are none."""
    if not counts:
        return ""
    why = "; ".join(f"{gettext(REASONS[reason])}: {claims:,}" for reason, claims in counts.items())
    return gettext("%(count)s exposures claimed by public keys are excluded (%(why)s)") % {
        "count": f"{sum(counts.values()):,}",
        "why": why,
    }
