"""Low scores of a survey are sent to labelling: comments, and texts whose answers were scored."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bakeoff.accounts.models import AuditEntry
from experiments.actions import queue_feedback as module
from experiments.actions.queue_feedback import CannotQueueError, queue_low_scores
from experiments.actions.queue_labels import MAX_QUEUED
from experiments.models import ExcludedUnit, Feedback, LabelTask
from experiments.survey_question import SurveyQuestion
from inference.actions.load_examples import load_examples
from inference.models import Surface
from tests.support import builders
from tests.support.commands import run
from tests.support.dashboard import sign_in
from tests.support.html import has
from tests.support.learning import make_examples


@pytest.fixture
def shop(tables, lane):
    """A surface of items with a survey, and a surface that labels texts."""
    shop = builders.make_shop()
    shop.desk = Surface.objects.create(project=shop.project, key="desk", kind="classify")
    load_examples(surface_id=shop.desk.pk, examples=make_examples())
    shop.survey = make_survey(shop, shop.surface)
    lane.refresh()
    return shop


def make_survey(shop, surface, key="liked", kind="rating"):
    choices = ["a", "b"] if kind == "choice" else []
    return shop.project.surveys.create(
        surface=surface, key=key, kind=kind, question="Good?", choices=choices, enabled=False
    )


def score(shop, unit, value, *, comment="", survey="liked", slate=None, **fields):
    slate = slate or builders.make_slate(shop, unit)
    rows = [
        builders.feedback(
            shop, slate, unit_id=unit, kind="survey", value=float(value), text=survey, **fields
        )
    ]
    if comment:
        about = {"unit_id": unit, "kind": "text", "value": None, "text": comment, "state": "pending"}
        rows.append(builders.feedback(shop, slate, **(about | fields)))
    builders.write(builders.Rows(feedback=rows))
    return slate


def texts_of(shop):
    return set(LabelTask.objects.filter(surface=shop.desk).values_list("text", flat=True))


def queue(shop, survey=None):
    return queue_low_scores(surface=shop.desk, survey=survey or shop.survey, by="a test")


@pytest.mark.parametrize(
    ("kind", "low"),
    [("nps", 6), ("csat", 2), ("rating", 2), ("choice", None), ("choices", None), ("text", None)],
)
def test_a_scale_has_low_scores(kind, low):
    choices = ("a", "b") if kind in {"choice", "choices"} else ()
    assert SurveyQuestion("k", kind, "Good?", choices).low_score == low


def test_comments_of_low_scores_are_queued_once(shop):
    score(shop, "u1", 1, comment="too dear")
    score(shop, "u2", 2, comment="too late")
    score(shop, "u3", 3, comment="just fine")
    score(shop, "u4", 1)  # says nothing
    done = queue(shop)
    assert (done.queued, done.queued_before, done.left) == (2, 0, 0)
    assert texts_of(shop) == {"too dear", "too late"}
    again = queue(shop)
    assert (again.queued, again.queued_before) == (0, 2)


def test_of_its_own_survey_the_scored_text_is_queued(shop):
    survey = make_survey(shop, shop.desk, key="right", kind="csat")
    context = {"text": "where is my parcel", "features": {}}
    slate = builders.make_slate(shop, "u1", surface_id=shop.desk.pk, context=context)
    score(shop, "u1", 2, survey="right", slate=slate)
    empty = builders.make_slate(shop, "u2", surface_id=shop.desk.pk, context={})
    score(shop, "u2", 1, survey="right", slate=empty)  # its text is not stored
    assert queue(shop, survey).queued == 1
    assert texts_of(shop) == {"where is my parcel"}


def test_what_may_not_be_learnt_from_is_left_out(shop):
    score(shop, "u1", 1, comment="no consent", trainable=False)
    score(shop, "u2", 1, comment="spam", state="spam")
    ExcludedUnit.objects.create(project=shop.project, unit_id="robot")
    score(shop, "robot", 1, comment="beep")
    slate = score(shop, "u3", 1)
    other = builders.feedback(
        shop, slate, unit_id="u4", kind="text", value=None, text="another user", state="pending"
    )
    builders.write(builders.Rows(feedback=[other]))
    make_survey(shop, shop.surface, key="other")
    score(shop, "u5", 1, comment="of another survey", survey="other")
    assert queue(shop).queued == 0
    assert texts_of(shop) == set()


def test_some_are_left_for_another_call_the_newest_first(shop):
    for n in range(MAX_QUEUED + 2):
        score(shop, f"u{n}", 1, comment=f"comment {n}")
    done = queue(shop)
    assert (done.queued, done.left) == (MAX_QUEUED, 2)
    assert texts_of(shop) == {f"comment {n}" for n in range(2, MAX_QUEUED + 2)}
    assert queue(shop).queued == 2


def test_what_cannot_be_labelled_hides_nothing_that_is_older(shop):
    """More of it than are queued at once, of each sort, newer than what can be labelled."""
    survey = make_survey(shop, shop.desk, key="right", kind="csat")

    def answer(unit, text, **fields):
        context = {"text": text, "features": {}}
        slate = builders.make_slate(shop, unit, surface_id=shop.desk.pk, context=context, **fields)
        score(shop, unit, 1, survey="right", slate=slate)

    answer("first", "where is my parcel")
    answer("second", "it is broken")
    for n in range(MAX_QUEUED + 1):
        answer(f"empty{n}", "")
        answer(f"private{n}", "no consent", trainable=False)
        ExcludedUnit.objects.create(project=shop.project, unit_id=f"robot{n}")
        answer(f"robot{n}", "beep")
    done = queue(shop, survey)
    assert (done.queued, done.queued_before, done.left) == (2, 0, 0)
    assert texts_of(shop) == {"where is my parcel", "it is broken"}
    again = queue(shop, survey)
    assert (again.queued, again.queued_before, again.left) == (0, 2, 0)


def test_what_is_read_does_not_grow_with_what_users_say(shop):
    for n in range(2 * MAX_QUEUED):
        score(shop, f"u{n}", 1, comment=f"comment {n}")
    with CaptureQueriesContext(connection) as queries:
        assert queue(shop).left == MAX_QUEUED
    pages = [one["sql"] for one in queries if '"source"' in one["sql"]]
    assert len(pages) == 3  # two counts and a page
    assert all("COUNT(" in sql or f"LIMIT {MAX_QUEUED}" in sql for sql in pages)


def test_what_is_taken_back_meanwhile_is_replaced_by_what_is_older(shop, monkeypatch):
    for n in range(MAX_QUEUED + 2):
        score(shop, f"u{n}", 1, comment=f"comment {n}")
    lock, newest = module._lock, f"comment {MAX_QUEUED + 1}"

    def take_back(surface, ids):
        Feedback.objects.filter(text=newest).update(state="spam")
        return lock(surface, ids)

    monkeypatch.setattr(module, "_lock", take_back)
    done = queue(shop)
    assert (done.queued, done.left) == (MAX_QUEUED, 1)
    assert texts_of(shop) == {f"comment {n}" for n in range(1, MAX_QUEUED + 1)}


def test_choices_and_surfaces_without_labels_are_refused(shop):
    why = make_survey(shop, shop.surface, key="why", kind="choice")
    with pytest.raises(CannotQueueError, match="survey == 'why' of kind 'choice', must have a scale"):
        queue(shop, why)
    with pytest.raises(CannotQueueError, match="must be of kind 'classify'"):
        queue_low_scores(surface=shop.surface, survey=shop.survey, by="a test")


def test_the_button_stands_where_there_are_scores_and_queues_them(shop):
    analyst = sign_in(shop.project, role="analyst")
    page = f"{reverse('feedback-surveys', args=[shop.project.slug])}?surface={shop.surface.key}"
    assert "data-low-scores" not in analyst.get(page).content.decode()
    score(shop, "u1", 1, comment="too dear")
    shown = analyst.get(page).content.decode()
    assert has(shown, name="queue_survey", value="liked")
    assert "Texts of users who answered 2 or less:" in shown
    assert "data-low-scores" not in sign_in(shop.project).get(page).content.decode()
    body = {"queue_survey": "liked", "to": "desk"}
    act = reverse("feedback", args=[shop.project.slug])
    assert sign_in(shop.project).post(act, body).status_code == 403
    assert sign_in(builders.make_project(), role="analyst").post(act, body).status_code == 404
    assert analyst.post(act, body | {"queue_survey": "nowhere"}).status_code == 404
    assert texts_of(shop) == set()
    done = analyst.post(act, body, follow=True).content.decode()
    assert "Texts added to the queue: 1" in done
    assert texts_of(shop) == {"too dear"}
    entries = AuditEntry.objects.filter(project=shop.project, subject="desk")
    assert "low scores of survey liked" in str([entry.detail for entry in entries])


def test_a_shell_queues_them_too(shop):
    score(shop, "u1", 1, comment="too dear")
    shell = ["feedback", "label", "desk", "--project", shop.project.slug]
    assert json.loads(run(*shell, "--survey", "liked", "--json")) == {
        "queued": 1, "queued_before": 0, "left": 0
    }  # fmt: skip
    assert texts_of(shop) == {"too dear"}
    again = run(*shell, "--survey", "liked")
    assert again == "0 texts queued, 1 was queued before.\n"
    make_survey(shop, shop.surface, key="why", kind="choice")
    for words, sentence in (
        (["--survey", "nowhere"], "survey == 'nowhere', must be one of ['liked', 'why']."),
        (["--survey", "why"], "survey == 'why' of kind 'choice', must have a scale."),
        (["--survey", "liked", "--theme", "3"], "give one of: ids of feedback, --theme and --survey."),
        ([], "give one of: ids of feedback, --theme and --survey."),
    ):
        assert sentence in run(*shell, *words, status=2)


def test_the_api_queues_them_too(shop, lane):
    score(shop, "u1", 1, comment="too dear")
    headers = {"Authorization": f"Bearer {shop.secret}"}

    def post(body):
        return lane.client.post("/v1/surfaces/desk/label-tasks", json=body, headers=headers)

    done = post({"survey": "liked"})
    assert (done.status_code, done.json()) == (200, {"queued": 1, "queued_before": 0, "left": 0})
    assert post({"survey": "nowhere"}).status_code == 404
    for body in ({}, {"survey": "liked", "theme": 1}):
        refused = post(body)
        assert refused.status_code == 422
        assert "Exactly one of feedback, theme and survey must be set." in refused.text
