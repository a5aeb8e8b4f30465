"""Feedback and themes that are sent to two people to label: by page, API and command."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from bakeoff.accounts.models import AuditEntry
from experiments.actions.delete_old_answers import delete_old_answers
from experiments.actions.erase_unit import erase_unit
from experiments.actions.label_text import label_text, next_label_task
from experiments.actions.queue_feedback import CannotQueueError, queue_feedback, queue_theme
from experiments.actions.queue_labels import MAX_QUEUED
from experiments.models import ExcludedUnit, Feedback, LabelTask, Theme, ThemedText
from experiments.training_data.examples import examples_of
from inference.actions.load_examples import load_examples
from inference.models import Surface
from tests.support import builders
from tests.support.commands import run
from tests.support.dashboard import sign_in
from tests.support.html import has
from tests.support.learning import make_examples


@pytest.fixture
def shop(tables, lane):
    """A project with a surface of items, and one that labels texts."""
    shop = builders.make_shop()
    shop.desk = Surface.objects.create(project=shop.project, key="desk", kind="classify")
    load_examples(surface_id=shop.desk.pk, examples=make_examples())
    lane.refresh()
    return shop


def say(shop, unit="u1", *, slate=None, **fields) -> Feedback:
    slate = slate or builders.make_slate(shop, unit)
    fields = {"kind": "text", "value": None, "text": f"too dear, says {unit}"} | fields
    row = builders.feedback(shop, slate, unit_id=unit, **fields)
    builders.write(builders.Rows(feedback=[row]))
    return Feedback.objects.get(project=shop.project, feedback_id=row.feedback_id)


def queue(shop, *entries):
    ids = [entry.feedback_id for entry in entries]
    return queue_feedback(surface=shop.desk, feedback_ids=ids, by="a test")


def _learnt(shop):
    """Return the examples of users: who, text and label."""
    examples = examples_of(shop.desk)
    rows = zip(examples.unit_ids, examples.texts, examples.labels, strict=True)
    return [row for row in rows if row[0]]


def make_theme(shop, count, **fields) -> Theme:
    theme = Theme.objects.create(
        project=shop.project, surface=shop.surface, words=["dear"], space="x", centre=b"",
        texts=count, units=count, first_text_at=timezone.now(), growth={"grows": False}, **fields
    )  # fmt: skip
    for n in reversed(range(count)):  # the most typical one came last
        entry = say(shop, f"t{n}")
        ThemedText.objects.create(
            feedback=entry, project=shop.project, surface=shop.surface, unit_id=entry.unit_id, space="x",
            vector=b"", theme=theme, closeness=1 - n / 100,
        )  # fmt: skip
    return theme


def test_a_comment_is_queued_once_agreed_on_and_erased_with_its_user(shop):
    entry = say(shop)
    assert (queue(shop, entry, entry).queued, queue(shop, entry).queued_before) == (1, 1)
    task = LabelTask.objects.get(surface=shop.desk)
    assert (task.text, task.unit_id) == ("too dear, says u1", "u1")
    for person in ("ann", "bob"):
        label_text(task=task, label="billing", by=person)
    assert _learnt(shop) == [("u1", "too dear, says u1", "billing")]
    erase_unit(project_id=shop.project.pk, unit_id="u1", by="a test")
    assert not LabelTask.objects.filter(surface=shop.desk).exists()
    assert not _learnt(shop)


def test_what_is_hidden_after_it_was_queued_is_neither_shown_nor_learnt(shop):
    labelled, waiting = say(shop, "u1"), say(shop, "u2")
    queue(shop, labelled, waiting)
    task = LabelTask.objects.get(surface=shop.desk, unit_id="u1")
    for person in ("ann", "bob"):
        label_text(task=task, label="billing", by=person)
    assert _learnt(shop)
    assert next_label_task(project=shop.project, reviewer="ann").unit_id == "u2"
    Feedback.objects.filter(project=shop.project).update(state="hidden")
    assert next_label_task(project=shop.project, reviewer="ann") is None
    assert not _learnt(shop)


def test_no_text_to_label_outlives_retention(shop):
    before = builders.now() - timedelta(days=40)
    old_id = str(UUID(int=int(before.timestamp() * 1000) << 80))
    gone, old, recent = say(shop, "gone"), say(shop, "old"), say(shop, "recent")
    context = {"text": "where is it", "features": {}}
    for unit, fields in (("old-answer", {"recommendation_id": old_id}), ("recent-answer", {})):
        slate = builders.make_slate(shop, unit, surface_id=shop.desk.pk, context=context, **fields)
        queue(shop, say(shop, unit, slate=slate, kind="thumb", text="", value=1.0))
    queue(shop, gone, old, recent)
    loaded = LabelTask.objects.create(
        project=shop.project, surface=shop.desk, source_id="example:e1", created_at=before, text="x"
    )
    Feedback.objects.filter(pk=gone.pk).delete()
    Feedback.objects.filter(pk=old.pk).update(received_at=before)
    delete_old_answers({shop.project.pk: 41}, builders.now())
    assert LabelTask.objects.filter(surface=shop.desk).count() == 5
    delete_old_answers({shop.project.pk: 39}, builders.now())
    rest = LabelTask.objects.filter(surface=shop.desk)
    assert set(rest.values_list("unit_id", flat=True)) == {"recent", "recent-answer", loaded.unit_id}


def test_a_thumb_sends_the_text_whose_answer_it_is_about(shop):
    slots = [("billing", 0.6, 1, 1.0, False), ("delivery", 0.4, 2, 1.0, False)]
    context = {"text": "where is it", "features": {"plan": "pro"}}
    slate = builders.make_slate(shop, "u1", surface_id=shop.desk.pk, slots=slots, context=context)
    thumbs = [say(shop, slate=slate, kind=kind, text="", value=1.0) for kind in ("thumb", "rating")]
    assert queue(shop, *thumbs).queued == 1
    task = LabelTask.objects.get(surface=shop.desk)
    assert (task.source_id, task.text) == (f"answer:{slate}", "where is it")
    assert task.features == {"plan": "pro"}


def test_what_may_not_be_labelled_is_refused_and_nothing_is_queued(shop):
    good = say(shop, "good")
    ExcludedUnit.objects.create(project=shop.project, unit_id="robot")
    stranger = builders.make_shop()
    for entry, words in (
        (say(shop, "u2", trainable=False), "must be of a user who consents"),
        (say(shop, "u3", state="spam"), "must count; it was taken back"),
        (say(shop, "robot"), "must be of a user who is not excluded"),
        (say(shop, "u4", kind="thumb", text="", value=1.0), "its kind is 'thumb'"),
        (say(shop, "u5", kind="edit", text="mine", value=0.5), "its kind is 'edit'"),
        (say(stranger), "must be an entry of this project"),
    ):
        with pytest.raises(CannotQueueError, match=words) as refused:
            queue(shop, good, entry)
        assert f"feedback == '{entry.feedback_id}'" in str(refused.value)
    with pytest.raises(CannotQueueError, match="0 entries, must be 1 to 100"):
        queue(shop)
    with pytest.raises(CannotQueueError, match="'home-feed' of kind 'recommend', must be of kind"):
        queue_feedback(surface=shop.surface, feedback_ids=[good.feedback_id], by="a test")
    theirs = make_theme(stranger, 1)
    with pytest.raises(CannotQueueError, match=f"theme == {theirs.pk}, must be the id of a theme"):
        queue_theme(surface=shop.desk, theme_id=theirs.pk, by="a test")
    gone = make_theme(shop, 1, gone_at=timezone.now())
    with pytest.raises(CannotQueueError, match="must be the id of a theme"):
        queue_theme(surface=shop.desk, theme_id=gone.pk, by="a test")
    assert not LabelTask.objects.filter(surface=shop.desk).exists()


def test_a_theme_is_sent_the_most_typical_first_without_what_may_not_be_learnt(shop):
    theme = make_theme(shop, MAX_QUEUED + 3)
    Feedback.objects.filter(project=shop.project, unit_id="t0").update(trainable=False)
    ExcludedUnit.objects.create(project=shop.project, unit_id="t1")
    sent, queries = [], []
    for _ in range(3):
        with CaptureQueriesContext(connection) as captured:
            sent.append(queue_theme(surface=shop.desk, theme_id=theme.pk, by="a test"))
        queries.append(len(captured))
    first, second, third = sent
    assert queries[0] == queries[1]  # of twenty texts as of one
    assert (first.queued, first.queued_before, first.left) == (MAX_QUEUED, 0, 1)
    assert (second.queued, second.queued_before, second.left) == (1, MAX_QUEUED, 0)
    assert third.queued == 0
    units = LabelTask.objects.filter(surface=shop.desk).order_by("id").values_list("unit_id", flat=True)
    assert list(units) == [f"t{n}" for n in range(2, MAX_QUEUED + 3)]
    assert next_label_task(project=shop.project, reviewer="ann").unit_id == "t2"
    trail = AuditEntry.objects.filter(project=shop.project, action="queue labels").order_by("id")
    assert trail[0].detail == {"what": f"theme {theme.pk}", "count": MAX_QUEUED}


def test_pages_send_an_entry_and_a_theme_or_say_why_not(shop):
    entry, page = say(shop, state="pending"), reverse("feedback", args=[shop.project.slug])
    themes = f"{reverse('feedback-themes', args=[shop.project.slug])}?surface={shop.surface.key}"
    analyst, viewer = sign_in(shop.project, role="analyst"), sign_in(shop.project, role="viewer")
    assert has(analyst.get(page).content.decode(), data_queue=str(entry.pk))
    theme = make_theme(shop, 2)
    assert "Send to labelling" in analyst.get(themes).content.decode()
    assert "Send to labelling" not in viewer.get(themes).content.decode()
    bodies = ({"queue_entry": str(entry.pk)}, {"queue_theme": str(theme.pk)})
    for body in bodies:
        assert viewer.post(page, body | {"to": "desk"}).status_code == 403
    assert "Texts added to the queue: 1" in _sent(analyst, page, bodies[0])
    assert "Texts added to the queue: 2" in _sent(analyst, page, bodies[1])
    Feedback.objects.filter(pk=entry.pk).update(trainable=False)
    assert "does not consent to learning" in _sent(analyst, page, bodies[0])
    assert "This theme is gone" in _sent(analyst, page, {"queue_theme": "0"})
    assert "has no labels" in _sent(analyst, page, bodies[1], to=shop.surface.key)
    other = sign_in(builders.make_shop().project, role="analyst")
    assert other.post(page, bodies[0] | {"to": "desk"}).status_code == 404


def _sent(client, page, body, *, to="desk"):
    return client.post(page, body | {"to": to}, follow=True).content.decode()


def test_the_api_and_the_command_say_what_was_queued_or_refused(shop, lane):
    theme, entry = make_theme(shop, 2), say(shop)

    def post(body):
        headers = {"Authorization": f"Bearer {shop.secret}"}
        return lane.client.post("/v1/surfaces/desk/label-tasks", json=body, headers=headers)

    assert post({"feedback": [entry.feedback_id]}).json() == {
        "queued": 1,
        "queued_before": 0,
        "left": 0,
    }
    assert post({"theme": theme.pk}).json()["queued"] == 2
    both = post({"theme": theme.pk, "feedback": [entry.feedback_id]})
    assert (both.status_code, both.json()["error"]["field"]) == (422, "feedback")
    unknown = post({"feedback": ["nothing"]})
    assert unknown.status_code == 422
    assert "feedback == 'nothing', must be an entry" in unknown.json()["error"]["message"]
    project = ("--project", shop.project.slug)
    output = run("feedback", "label", "desk", entry.feedback_id, *project)
    assert "0 texts queued, 1 was queued before." in output
    assert "0 texts queued, 2" in run("feedback", "label", "desk", "--theme", str(theme.pk), *project)
    refused = run("feedback", "label", "desk", "nothing", *project, status=2)
    assert "must be an entry of this project" in refused
    assert "give one of: ids of feedback, --theme and --survey" in run(
        "feedback", "label", "desk", *project, status=2
    )
