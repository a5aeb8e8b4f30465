"""Surveys: who is asked, what is an answer, what is stored of it, and what the faces say."""

from __future__ import annotations

import time

import pytest
from django.conf import settings
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from experiments.actions.create_survey import CannotCreateSurveyError, create_survey
from experiments.actions.erase_unit import erase_unit
from experiments.actions.switch_survey import switch_survey
from experiments.assignment.qa_links import QaLink, write_link
from experiments.models import Feedback, Survey
from experiments.models.experiment import WrongStateError
from experiments.reports.feedback_report import report_feedback
from experiments.reports.survey_report import report_surveys
from experiments.reports.variant_surveys import compare_surveys
from experiments.stats.effects import compare, critical_value
from experiments.stats.totals import Totals
from experiments.survey_question import SurveyError, SurveyQuestion
from inference.models import Surface
from tests.support import builders
from tests.support.commands import run
from tests.support.dashboard import shared_copy, sign_in
from tests.support.html import has

REASONS = ("Too expensive", "Not for me", "Seen before")


def question(key="liked", kind="rating", **fields) -> SurveyQuestion:
    return SurveyQuestion(key=key, kind=kind, question="How do you like these?", **fields)


def answer(shop, unit, value, *, key="liked", variant=None):
    """Let a user answer about a slate of their own."""
    fields = {"experiment_id": variant.experiment_id, "variant_id": variant.pk} if variant else {}
    slate = builders.make_slate(shop, unit, **fields)
    number, tags = Survey.objects.get(project=shop.project, key=key).parsed.read(value)
    row = builders.feedback(shop, slate, unit_id=unit, kind="survey", value=number, tags=tags, text=key)
    builders.write(builders.Rows(feedback=[row]))
    return slate


def page(shop, name, *arguments):
    address = reverse(name, args=[shop.project.slug, *arguments])
    return sign_in(shop.project, role="viewer").get(address).content.decode()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "stars"}, "kind == 'stars', must be one of nps, csat"),
        ({"kind": "choice"}, "choices == [], must be 2 to 10 different texts"),
        ({"kind": "choice", "choices": ("a", "a")}, "different texts"),
        ({"kind": "choices", "choices": ("a", "b" * 65)}, "at most 64 characters"),
        ({"choices": ("a", "b")}, "must be empty for the kind rating"),
        ({"kind": "text", "choices": ("a", "b")}, "must be empty for the kind text"),
        (
            {"kind": "text", "asks_comment": True},
            "asks_comment == True, must be false for the kind text",
        ),
        ({"share": 0.0}, "share == 0.0, must be above 0 and at most 1"),
        ({"period_days": 0}, "period_days == 0, must be from 1 to 3650"),
    ],
)
def test_a_question_that_breaks_a_rule_is_refused(fields, words):
    with pytest.raises(SurveyError) as error:
        question(**fields)
    assert words in str(error.value)


def test_a_share_of_users_is_asked_and_always_the_same():
    some = question(share=0.3)
    drawn = [some.is_for(f"u{n}") for n in range(4000)]
    assert sum(drawn) / 4000 == pytest.approx(0.3, abs=0.03)
    assert drawn == [some.is_for(f"u{n}") for n in range(4000)]
    # Another survey draws others.
    other = question("other", share=0.3)
    both = sum(one and other.is_for(f"u{n}") for n, one in enumerate(drawn))
    assert both / 4000 == pytest.approx(0.09, abs=0.03)


@pytest.fixture
def asking(lane, shop):
    create_survey(surface=shop.surface, question=question(), by="a test")
    lane.refresh()
    return shop


def recommend(lane, shop, **fields):
    body = {"surface": shop.surface.key, "unit_id": "u1", "k": 2, **fields}
    done = lane.post("/v1/recommend", body, shop.public)
    assert done.status_code == 200, done.text
    return done.json()


def test_a_slate_brings_the_question_and_takes_the_answer(lane, asking):
    slate = recommend(lane, asking)
    assert slate["survey"] == {
        "key": "liked", "kind": "rating", "question": "How do you like these?", "scale": [1, 5],
        "comment": False, "period_days": 30,
    }  # fmt: skip
    body = {
        "recommendation_id": slate["recommendation_id"],
        "unit_id": "u1",
        "kind": "survey",
        "value": {"survey": "liked", "answer": 4},
    }
    assert lane.post("/v1/feedback", body, asking.public).status_code == 202
    row = Feedback.objects.get(project=asking.project)
    assert (row.kind, row.value, row.tags, row.text) == ("survey", 4.0, [], "liked")
    assert (row.model_version, row.state) == (asking.champion, "ok")
    # Who refuses analytics is not recorded, so not asked, and leaves no answer.
    refused = {"analytics": False}
    assert "survey" not in recommend(lane, asking, consent=refused)
    done = lane.post("/v1/feedback", body | {"consent": refused, "unit_id": "u2"}, asking.public)
    assert (done.status_code, done.json()["accepted"]) == (202, 0)
    assert Feedback.objects.filter(project=asking.project).count() == 1
    # One that is off asks nobody, and still takes what was asked a moment ago.
    survey = Survey.objects.get(project=asking.project)
    switch_survey(survey=survey, enabled=False, by="a test")
    lane.refresh()
    assert "survey" not in recommend(lane, asking)
    assert lane.post("/v1/feedback", body, asking.public).status_code == 202


def test_a_forced_variant_brings_no_question_and_counts_nowhere(lane, asking):
    experiment = asking.run_experiment(promote=False)
    lane.refresh()
    link = QaLink(asking.project.pk, experiment.key, "treatment", int(time.time()) + 60)
    forced = recommend(lane, asking, force=write_link(settings.SECRET_KEY, link))
    assert (forced["variant"], "survey" in forced) == ("treatment", False)
    own = recommend(lane, asking, unit_id="u2")
    assert (own["variant"] is None, "survey" in own) == (False, True)
    # A page that asks all the same: what it reports of a forced variant is in no response rate.
    for slate, unit in ((forced, "u1"), (own, "u2")):
        shown = builders.event(
            asking.project, unit=unit, name="prompt_shown", properties={"survey": "liked"},
            recommendation_id=slate["recommendation_id"],
        )  # fmt: skip
        builders.write(builders.Rows(events=[shown]))
    rates = {one.variant: one.shown for one in compare_surveys(experiment).responses}
    assert sum(rates.values()) == rates[own["variant"]] == 1
    prompts = {
        variant: figures["prompts"]["shown"]
        for variant, figures in report_feedback(experiment)["variants"].items()
    }
    assert prompts == rates


@pytest.mark.parametrize(
    ("value", "status", "words"),
    [
        (4, 400, "must be an object with survey and answer"),
        ({"survey": "lked", "answer": 4}, 404, "Did you mean 'liked'?"),
        ({"survey": "liked"}, 400, "value.answer is missing, must be a whole number from 1 to 5"),
        ({"survey": "liked", "answer": 6}, 400, "value.answer == 6, must be a whole number"),
        ({"survey": "liked", "answer": 2.5}, 400, "must be a whole number from 1 to 5"),
        ({"survey": "liked", "answer": True}, 400, "must be a whole number from 1 to 5"),
        ({"survey": "liked", "answer": ["4"]}, 400, "must be a whole number from 1 to 5"),
        ({"survey": "why", "answer": "Because"}, 400, "must be one of Too expensive"),
        ({"survey": "all", "answer": "Seen before"}, 400, "must be a list of Too expensive"),
        ({"survey": "all", "answer": []}, 400, "must be a list of Too expensive"),
    ],
)
def test_a_wrong_answer_is_refused_and_nothing_is_kept(lane, shop, value, status, words):
    for key, kind, choices in (("liked", "rating", ()), ("why", "choice", REASONS), ("all", "choices", REASONS)):  # fmt: skip
        survey = create_survey(
            surface=shop.surface, question=question(key, kind, choices=choices), by="a test"
        )
        switch_survey(survey=survey, enabled=False, by="a test")
    lane.refresh()
    body = {"recommendation_id": builders.make_slate(shop, "u1"), "unit_id": "u1", "kind": "survey"}
    done = lane.post("/v1/feedback", body | {"value": value}, shop.public)
    assert (done.status_code, words in done.text) == (status, True), done.text
    assert not Feedback.objects.filter(project=shop.project).exists()


def test_a_surface_asks_one_question_and_a_key_is_one_survey(shop):
    first = create_survey(surface=shop.surface, question=question(), by="a test")
    with pytest.raises(WrongStateError, match="survey 'liked' is on, must be off"):
        create_survey(surface=shop.surface, question=question("other"), by="a test")
    switch_survey(survey=first, enabled=False, by="a test")
    with pytest.raises(CannotCreateSurveyError, match="survey == 'liked', exists already"):
        create_survey(surface=shop.surface, question=question(), by="a test")
    create_survey(surface=shop.surface, question=question("other"), by="a test")
    with pytest.raises(WrongStateError, match="survey 'other' is on"):
        switch_survey(survey=first, enabled=True, by="a test")
    with pytest.raises(IntegrityError), transaction.atomic():
        Survey.objects.filter(pk=first.pk).update(enabled=True)
    flags = Surface.objects.create(project=shop.project, key="button", kind="flag")
    with pytest.raises(CannotCreateSurveyError, match="of the kind flag, must be one of"):
        create_survey(surface=flags, question=question("third"), by="a test")


def test_answers_are_counted_by_user_and_go_with_the_user(shop):
    create_survey(surface=shop.surface, question=question(kind="nps"), by="a test")
    for unit, value in (("a", 10), ("b", 9), ("c", 8), ("d", 3)):
        answer(shop, unit, value)
    answer(shop, "d", 0)
    (result,) = report_surveys(shop.surface)
    # Two promoters, one passive, one detractor who answered twice: (100 + 100 + 0 - 100) / 4.
    assert (result.users, result.score) == (4, 25.0)
    assert {one.answer: one.users for one in result.counts if one.users} == {
        "0": 1, "3": 1, "8": 1, "9": 1, "10": 1,
    }  # fmt: skip
    low, high = result.interval
    assert (low + high) / 2 == pytest.approx(25)
    assert (high - low) / 2 == pytest.approx(3.182446 * 95.742711 / 2, rel=1e-4)
    erase_unit(project_id=shop.project.pk, unit_id="d", by="a test")
    shop.project.excluded_units.create(unit_id="c", reason="internal")
    (result,) = report_surveys(shop.surface)
    assert (result.users, result.score) == (2, 100.0)
    assert has(page(shop, "feedback-surveys"), data_survey="liked", data_enabled="true")
    listed = run("feedback", "surveys", shop.surface.key, "--project", shop.project.slug)
    assert "liked" in listed


@pytest.fixture
def tested(shop):
    """An experiment of 200 users a variant, 60 of whom answered; the treatment is liked more."""
    experiment = shop.run_experiment(promote=False)
    control, treatment = experiment.variants.order_by("-is_control")
    builders.visits(experiment, {"control": 1, "treatment": 1}, units=200)
    create_survey(surface=shop.surface, question=question(), by="a test")
    rows = builders.Rows()
    for variant, best, answered in ((control, 20, 60), (treatment, 40, 20)):
        for n in range(60):
            slate = answer(shop, f"{variant.key}-{n}", 5 if n < best else 3, variant=variant)
            names = ["prompt_shown"] + ["prompt_answered"] * (n < answered)
            rows.events += [
                builders.event(
                    shop.project, unit=f"{variant.key}-{n}", name=name, recommendation_id=slate,
                    properties={"survey": "liked"},
                )
                for name in names
            ]  # fmt: skip
    builders.write(rows)
    return experiment


def test_variants_are_compared_and_response_rates_stand_beside(tested, shop):
    comparison = compare_surveys(tested)
    (row,) = comparison.answers
    assert (row.control_users, row.treatment_users) == (60, 60)
    assert (row.control, row.treatment) == (pytest.approx(220 / 60), pytest.approx(260 / 60))
    totals = [Totals.of([5.0] * best + [3.0] * (60 - best)) for best in (20, 40)]
    effect = compare("mean", *totals, adjust=False)
    assert row.difference == pytest.approx(effect.estimate)
    assert row.interval == pytest.approx(effect.interval(critical_value(0.05, effect.df)))
    assert row.adjusted_p_value == pytest.approx(effect.p_value)
    rates = {one.variant: (one.shown, one.answered, one.differs) for one in comparison.responses}
    assert rates == {"control": (60, 60, False), "treatment": (60, 20, True)}
    # Answers to several surveys have no mean in common; in the report of feedback they are counted.
    answered = report_feedback(tested)["variants"]["control"]["feedback"]["survey"]
    assert (answered["count"], "mean" in answered) == (60, False)
    report = page(shop, "report", tested.key)
    assert has(report, data_survey="liked")
    assert has(report, data_differs="true")
    assert has(shared_copy(tested), data_survey="liked")
    assert has(shared_copy(tested), data_differs="true")
    headers = {"authorization": f"Bearer {shop.secret}"}
    done = Client().get(f"/v1/experiments/{tested.key}/surveys", headers=headers).json()
    assert done["answers"][0]["difference"] == pytest.approx(row.difference)


def test_copies_leave_out_a_survey_that_few_users_saw_however_often(tested, shop):
    shown = [
        builders.event(
            shop.project, unit=f"control-{n % 3}", name="prompt_shown", properties={"survey": "often"},
            recommendation_id=builders.make_slate(
                shop, f"control-{n % 3}", experiment_id=tested.pk, variant_id=tested.control.pk
            ),
        )
        for n in range(30)
    ]  # fmt: skip
    switch_survey(survey=Survey.objects.get(project=shop.project), enabled=False, by="a test")
    create_survey(surface=shop.surface, question=question("often"), by="a test")
    builders.write(builders.Rows(events=shown))
    rows = [one for one in compare_surveys(tested).responses if one.survey == "often"]
    assert [(one.variant, one.shown, one.users) for one in rows] == [
        ("control", 30, 3),
        ("treatment", 0, 0),
    ]
    assert "<td>often</td>" in page(shop, "report", tested.key)
    copy = shared_copy(tested)
    assert ("<td>often</td>" in copy, "<td>liked</td>" in copy) == (False, True)


def test_a_user_of_another_variant_counts_in_none(tested, shop):
    treatment = tested.variants.get(is_control=False)
    answer(shop, "control-100", 1, variant=treatment)
    assert compare_surveys(tested).answers[0].treatment_users == 60


def test_choices_are_compared_by_the_users_who_chose(shop):
    experiment = shop.run_experiment(promote=False)
    builders.visits(experiment, {"control": 1, "treatment": 1}, units=30)
    create_survey(surface=shop.surface, question=question(kind="choices", choices=REASONS), by="a test")
    for variant in experiment.variants.all():
        for n in range(20):
            chosen = list(REASONS[:2]) if n < (5 if variant.is_control else 15) else [REASONS[2]]
            answer(shop, f"{variant.key}-{n}", chosen, variant=variant)
    rows = {row.choice: row for row in compare_surveys(experiment).answers}
    assert set(rows) == set(REASONS)
    first = rows[REASONS[0]]
    assert (first.control, first.treatment, first.difference) == (0.25, 0.75, pytest.approx(0.5))
    assert first.adjusted_p_value < 0.05


def test_the_page_creates_a_survey_or_says_why_not(shop):
    client = sign_in(shop.project, role="operator")
    address = reverse("feedback-surveys", args=[shop.project.slug])
    body = {
        "surface": shop.surface.key, "key": "why", "question": "Why not?", "kind": "choice",
        "choices": "Too expensive\nNot for me\n", "percent": "50", "period_days": "7",
    }  # fmt: skip
    for wrong, words in (
        ({"choices": "one"}, "Write 2 to 10 different choices"),
        ({"kind": "nps"}, "A scale has no choices"),
        ({"percent": "0"}, "0.01"),
        ({"key": "two words"}, "two words"),
    ):
        refused = client.post(address, body | wrong)
        assert refused.status_code == 422
        assert words in refused.content.decode()
        assert "Why not?" in refused.content.decode()
    assert not Survey.objects.filter(project=shop.project).exists()
    assert client.post(address, body).status_code == 302
    survey = Survey.objects.get(project=shop.project)
    assert (survey.choices, survey.share) == (["Too expensive", "Not for me"], 0.5)
    refused = client.post(address, body | {"key": "other"})
    assert refused.status_code == 422
    assert "is on: turn it off first" in refused.content.decode().replace("&#x27;", "'")
