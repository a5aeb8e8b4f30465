"""Delete sessions that are over: nobody can sign in by them, but the table grows with every visit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.sessions.models import Session
from django.db.models import Exists, OuterRef

from bakeoff.accounts.models import SignedInSession

if TYPE_CHECKING:
    from datetime import datetime

MAX_DELETED = 5000  # of a turn: a transaction of seconds; the next turn deletes more


def delete_expired_sessions(now: datetime) -> int:
    """Delete sessions whose end is before a moment; return how many."""
    expired = Session.objects.filter(expire_date__lt=now).order_by("expire_date")
    keys = list(expired.values_list("pk", flat=True)[:MAX_DELETED])
    deleted, _ = Session.objects.filter(pk__in=keys, expire_date__lt=now).delete()
    # Also of those whose key changed, since the person signed in again.
    session = Session.objects.filter(pk=OuterRef("session_key"))
    gone = SignedInSession.objects.filter(~Exists(session)).order_by("pk")
    SignedInSession.objects.filter(
        pk__in=list(gone.values_list("pk", flat=True)[:MAX_DELETED])
    ).delete()
    return deleted
