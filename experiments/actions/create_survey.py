"""Create a survey."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.refused import RefusedError
from experiments.actions.switch_survey import check_alone
from experiments.models import Survey
from inference.cache import cache_client
from inference.models import Surface
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from experiments.survey_question import SurveyQuestion

# What answers a visitor with one slate that a person looks at.
ASKING = (Surface.Kind.RECOMMEND, Surface.Kind.CLASSIFY)


class CannotCreateSurveyError(RefusedError):
    """A survey that breaks a rule; `field` names where."""


def create_survey(
    *, surface: Surface, question: SurveyQuestion, by: str, enabled: bool = True
) -> Survey:
    """Ask users of a surface from now on, or, not enabled, once it is turned on.

    Raises:
        CannotCreateSurveyError: the surface has no slates, or the key is taken.
        WrongStateError: another survey is on.
    """
    if surface.kind not in ASKING:
        kinds = ", ".join(ASKING)
        message = f"surface '{surface.key}' is of the kind {surface.kind}, must be one of {kinds}."
        raise CannotCreateSurveyError(message, field="surface")
    with transaction.atomic():
        # Of two that create one at once the second waits, and then finds the first.
        Surface.objects.select_for_update(no_key=True).get(pk=surface.pk)
        if Survey.objects.filter(project=surface.project_id, key=question.key).exists():
            message = f"survey == '{question.key}', exists already in this project."
            raise CannotCreateSurveyError(message, field="key")
        if enabled:
            check_alone(surface)
        survey = Survey.objects.create(
            project_id=surface.project_id,
            surface=surface,
            key=question.key,
            kind=question.kind,
            question=question.question,
            choices=list(question.choices),
            share=question.share,
            period_days=question.period_days,
            asks_comment=question.asks_comment,
            enabled=enabled,
        )
        detail = {
            "surface": surface.key,
            "kind": question.kind,
            "share": question.share,
            "enabled": enabled,
        }
        record_audit(
            surface.project_id, actor=by, action="create survey", subject=survey.key, detail=detail
        )
    announce_change(cache_client())
    return survey
