"""Apply surveys: those that are to be off first, since a surface asks one question at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.accounts.refused import RefusedError
from bakeoff.config_file.apply_surfaces import find_surface
from bakeoff.config_file.export import survey_as_config
from experiments.actions.create_survey import CannotCreateSurveyError, create_survey
from experiments.actions.switch_survey import switch_survey
from experiments.survey_question import SurveyError, SurveyQuestion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.config_file.steps import Application
    from inference.models import Surface


def apply_surveys(application: Application) -> None:
    """Create the surveys that are not there, and turn them on and off; variants are there by now."""
    for key, section in application.document.surfaces.items():
        if (surface := find_surface(application, key)) is not None:
            _apply_surveys(application, surface, section)


def _apply_surveys(application: Application, surface: Surface, section: Any) -> None:
    ordered = sorted(section.surveys.items(), key=lambda one: one[1].stated().get("enabled", True))
    for key, stated in ordered:
        with application.step("surfaces", surface.key, "surveys", key):
            survey = surface.surveys.filter(key=key).first()
            if survey is None:
                question = _read(key, stated.model_dump())
                create_survey(
                    surface=surface, question=question, by=application.by, enabled=stated.enabled
                )
                continue
            own = stated.stated()
            # As they are read: blanks at the end, as YAML's folded texts have, are no other content.
            if _read(key, survey_as_config(survey) | own) != survey.parsed:
                raise RefusedError(
                    f"survey == '{key}', is there with other content and never changes: state another "
                    "key."
                )
            enabled = own.get("enabled", survey.enabled)
            switch_survey(survey=survey, enabled=enabled, by=application.by)


def _read(key: str, content: Mapping[str, Any]) -> SurveyQuestion:
    try:
        return SurveyQuestion.parse({"key": key, **content})
    except SurveyError as error:
        raise CannotCreateSurveyError(str(error), field=error.field) from error
