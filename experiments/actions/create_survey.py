"""Create a survey."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from django.db import transaction

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.refused import RefusedError
from experiments.actions.check_assignment import CannotAssignError, check_condition
from experiments.actions.switch_survey import check_alone
from experiments.models import Survey
from inference.cache import cache_client
from inference.models import Surface
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from experiments.survey_question import SurveyQuestion

# What answers a visitor with one slate that a person looks at.
ASKING = (Surface.Kind.RECOMMEND, Surface.Kind.CLASSIFY)

MAX_SHOWN = 150  # of a wrong name


class CannotCreateSurveyError(RefusedError):
    """A survey that breaks a rule; `field` names where."""


class CannotTargetSurveyError(CannotCreateSurveyError):
    """Whom it is for cannot be known."""


def create_survey(
    *, surface: Surface, question: SurveyQuestion, by: str, enabled: bool = True
) -> Survey:
    """Ask users of a surface from now on, or, not enabled, once it is turned on.

    Raises:
        CannotCreateSurveyError: the surface has no slates, the key is taken, or whom to ask breaks a
            rule.
        WrongStateError: another survey is on.
    """
    if surface.kind not in ASKING:
        kinds = ", ".join(ASKING)
        message = f"surface '{surface.key}' is of the kind {surface.kind}, must be one of {kinds}."
        raise CannotCreateSurveyError(message, field="surface")
    _check_targeting(surface, question)
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
            condition=dict(question.condition),
            variants=list(question.variants),
            translations=question.translations_as_json(),
            enabled=enabled,
        )
        detail = {
            "surface": surface.key,
            "kind": question.kind,
            "share": question.share,
            "enabled": enabled,
            "variants": list(question.variants),
            "languages": list(question.translations),
        }
        record_audit(
            surface.project_id, actor=by, action="create survey", subject=survey.key, detail=detail
        )
    announce_change(cache_client())
    return survey


def _check_targeting(surface: Surface, question: SurveyQuestion) -> None:
    """Check that whom a survey is for can be known.

    Raises:
        CannotTargetSurveyError: the condition is malformed, or there is no such variant.
    """
    try:
        check_condition(surface.project_id, question.condition)
    except CannotAssignError as error:
        raise CannotTargetSurveyError(str(error), field=error.field) from error
    if b'"unit.' in orjson.dumps(question.condition):
        message = "condition has 'unit.', must read attributes of the request alone."
        raise CannotTargetSurveyError(message, field="condition")
    for named in question.variants:
        experiment, _, variant = named.partition("/")
        rows = surface.experiments.filter(key=experiment, variants__key=variant)
        if not rows.exists():
            message = f"variants == '{named[:MAX_SHOWN]}', must be EXPERIMENT/VARIANT of the surface."
            raise CannotTargetSurveyError(message, field="variants")
