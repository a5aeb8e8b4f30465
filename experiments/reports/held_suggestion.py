"""What to do about a ramp that a guardrail holds: a suggestion for the person who decides.

The width of an interval shrinks with the square root of the users, and they come at the pace of the
ramp so far: when it no longer contains the margin, the guardrail is safe or harmed. An estimate beyond
the margin is no proof of harm, which would have ended the experiment; it says on which side that proof
would fall.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from datetime import datetime

# A date farther away helps nobody to decide.
MAX_AHEAD = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class HeldEvidence:
    """The newest interval of the guardrail that holds a ramp.

    Attributes:
        since: when its experiment started.
        at: when it was taken.
        loss: the estimated relative loss, positive where the metric is worse.
        half_width: of its interval.
        margin: the relative loss that is still accepted.
        share: the treatment's present share of all users.
    """

    since: datetime
    at: datetime
    loss: float
    half_width: float
    margin: float
    share: float


def suggest(evidence: HeldEvidence, now: datetime) -> str:
    """Return what a careful person would do, and until when, in words."""
    share = f"{100 * evidence.share:.3g}%"
    narrow = _narrow_at(evidence)
    if narrow is not None and narrow > now:
        date = date_format(localtime(narrow), "MONTH_DAY_FORMAT")
        return _(
            "stay at %(share)s. By about %(date)s the interval is narrow enough to continue or roll "
            "back."
        ) % {"share": share, "date": date}
    if evidence.loss > evidence.margin:
        return _("roll back. The estimate is beyond the margin, and waiting will hardly change that.")
    return _(
        "stay at %(share)s. The estimate is too close to the margin to say when it is decided."
    ) % {"share": share}


def _narrow_at(evidence: HeldEvidence) -> datetime | None:
    """Return when the interval no longer contains the margin; None where that is too far away."""
    distance = abs(evidence.margin - evidence.loss)
    elapsed = (evidence.at - evidence.since).total_seconds()
    if distance <= 0 or elapsed <= 0:
        return None
    # Compared before it is added: beyond the calendar there is no date.
    seconds = elapsed * min((evidence.half_width / distance) ** 2, 1e9)
    if seconds - elapsed > MAX_AHEAD.total_seconds():
        return None
    return evidence.since + timedelta(seconds=seconds)
