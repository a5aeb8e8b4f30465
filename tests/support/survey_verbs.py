"""The verbs of surveys on pages, as `tests/dashboard/test_verbs.py` tries them."""

from __future__ import annotations

from django.urls import reverse

from tests.support.verb_step import Step


def ask_survey(shop):
    page = reverse("feedback-surveys", args=[shop.project.slug])
    body = {
        "surface": shop.surface.key, "key": "liked", "question": "Good?", "kind": "rating", "percent": "100",
        "period_days": "30",
    }  # fmt: skip
    created = shop.project.surveys.filter(key="liked", enabled=True)
    return Step(page, body, created.exists, page, {"data_survey": "liked"})


def switch_survey(shop):
    survey = shop.project.surveys.create(
        surface=shop.surface, key="liked", kind="rating", question="Good?"
    )
    page = reverse("feedback-surveys", args=[shop.project.slug])
    off = shop.project.surveys.filter(pk=survey.pk, enabled=False)
    shows = {"data_survey": "liked", "data_enabled": "false"}
    return Step(f"{page}liked/switch/", {"enabled": "false"}, off.exists, page, shows)


SURVEY_VERBS = {"feedback-surveys": ask_survey, "feedback-survey-switch": switch_survey}
