"""End holdbacks whose days are over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from bakeoff.accounts.actors import PLATFORM
from experiments.actions.close_holdback import close_holdback, why_over
from experiments.actions.look_at_experiment import look_at_experiment

if TYPE_CHECKING:
    from datetime import datetime

    from experiments.models import Decision, Experiment


def close_if_over(holdback: Experiment, *, now: datetime | None = None) -> Decision | None:
    """End a holdback whose days are over, after a last look, or whose versions no longer stand.

    Returns:
        The decision, or None where it runs on.
    """
    now = now or timezone.now()
    why = why_over(holdback)
    if not why and (holdback.ends_at is None or now < holdback.ends_at):
        return None
    if not why:
        # What came in since the last look counts too.
        look_at_experiment(experiment_id=holdback.pk, now=now)
    with transaction.atomic():
        return close_holdback(holdback=holdback, by=PLATFORM, why=why)
