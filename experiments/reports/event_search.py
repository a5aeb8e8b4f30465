"""Whether a project has recorded an event at all, of any user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import OperationalError, connection, transaction

from experiments.metrics.spec import COST_OF_DECISIONS, FEEDBACK_PREFIX, is_feedback
from experiments.models import Event, Feedback

if TYPE_CHECKING:
    from datetime import datetime

# No index leads from a name to its events: a page does not wait for a scan of all of them.
SEARCH_MILLISECONDS = 2000


def has_event(project_id: int, name: str, *, since: datetime) -> bool | None:
    """Return whether an event came in; None where the search takes too long.

    Args:
        project_id: whose events are searched.
        name: of the event, or of a kind of feedback: `feedback.thumb`.
        since: what happened before does not count.
    """
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {SEARCH_MILLISECONDS}")
            return _exists(project_id, name, since)
    except OperationalError:  # the statement was cancelled: there is no lack of events to read
        return None


def _exists(project_id: int, name: str, since: datetime) -> bool:
    if is_feedback(name):
        # What an answer cost is known where its label was corrected.
        kind = "correction" if name == COST_OF_DECISIONS else name.removeprefix(FEEDBACK_PREFIX)
        feedback = Feedback.objects.filter(project=project_id, kind=kind, received_at__gte=since)
        return feedback.exists()
    return Event.objects.filter(project=project_id, name=name, occurred_at__gte=since).exists()
