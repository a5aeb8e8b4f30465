"""Turn a survey on or off."""

from __future__ import annotations

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from experiments.models import Survey
from experiments.models.experiment import WrongStateError
from inference.cache import cache_client
from inference.models import Surface
from inference.serving.changes import announce_change


def switch_survey(*, survey: Survey, enabled: bool, by: str) -> Survey:
    """Ask users, or ask nobody any more; what was answered stays.

    Raises:
        WrongStateError: it is to be on, and another survey of the surface is.
    """
    with transaction.atomic():
        # Two that turn on two surveys of one surface follow each other.
        surface = Surface.objects.select_for_update(no_key=True).get(pk=survey.surface_id)
        survey.refresh_from_db()
        if survey.enabled == enabled:
            return survey
        if enabled:
            check_alone(surface)
        survey.enabled = enabled
        survey.save(update_fields=["enabled"])
        action = "turn on survey" if enabled else "turn off survey"
        record_audit(survey.project_id, actor=by, action=action, subject=survey.key)
    announce_change(cache_client())
    return survey


def check_alone(surface: Surface) -> None:
    """Refuse where users of a surface are asked already, in the transaction that locks it.

    Raises:
        WrongStateError: they are.
    """
    on = Survey.objects.filter(surface=surface, enabled=True).first()
    if on is not None:
        message = f"survey '{on.key}' is on, must be off: a surface asks one question at a time"
        raise WrongStateError(message)
