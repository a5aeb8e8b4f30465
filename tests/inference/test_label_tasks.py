"""Uncertain answers and improbable examples, labelled by two people on the feedback page."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from bakeoff.accounts.models import AuditEntry, Membership
from experiments.actions.erase_unit import erase_unit
from experiments.actions.label_text import CannotLabelError, label_text
from experiments.actions.queue_labels import queue_improbable_examples, queue_uncertain_answers
from experiments.models import Feedback, LabelTask
from experiments.training_data.examples import examples_of
from inference.models import Example, ModelVersion
from tests.support import builders
from tests.support.learning import train


def answer(desk, unit, text, *, first, second, **fields):
    slots = [("billing", first, 1, 1.0, False), ("delivery", second, 2, 1.0, False)]
    return builders.make_slate(
        desk, unit, slots=slots, context={"text": text, "features": {}}, **fields
    )


def reviewer(desk, name, role="analyst") -> Client:
    user = User.objects.create_user(f"{name}-{desk.project.pk}")
    Membership.objects.create(project=desk.project, user=user, role=role)
    client = Client()
    client.force_login(user)
    return client


def test_the_most_uncertain_answers_are_queued_once(desk):
    answer(desk, "u1", "sure", first=0.9, second=0.05)
    unsure = answer(desk, "u2", "unsure", first=0.41, second=0.4)
    answer(desk, "u3", "no consent", first=0.4, second=0.4, trainable=False)
    answer(desk, "u4", "stood in", first=0.4, second=0.4, fallback="timeout")
    answer(desk, "u5", "unsure", first=0.6, second=0.3)
    assert queue_uncertain_answers(surface=desk.surface, by="a test", limit=1) == 1
    (task,) = LabelTask.objects.filter(surface=desk.surface)
    assert (task.source_id, task.uncertainty) == (f"answer:{unsure}", pytest.approx(0.99))
    queue_uncertain_answers(surface=desk.surface, by="a test")
    texts = LabelTask.objects.filter(surface=desk.surface).values_list("text", flat=True)
    assert {"no consent", "stood in"}.isdisjoint(texts)


def test_two_people_label_on_the_feedback_page_and_agree(desk):
    answer(desk, "u1", "my parcel or my bill", first=0.5, second=0.49)
    page = reverse("feedback", args=[desk.project.slug])
    first, second, viewer = (
        reviewer(desk, name, role)
        for name, role in (("ann", "analyst"), ("bob", "analyst"), ("eve", "viewer"))
    )
    assert first.post(page, {"queue_surface": "intents"}).status_code == 302
    task = LabelTask.objects.get(surface=desk.surface)
    shown = first.get(page).content.decode()
    assert "my parcel or my bill" in shown
    assert "<option>delivery</option>" in shown
    assert "my parcel" not in viewer.get(page).content.decode()
    vote = {"task": str(task.pk), "label": "Delivery"}
    assert viewer.post(page, vote).status_code == 403
    assert first.post(page, vote).status_code == 302
    assert "my parcel" not in first.get(page).content.decode()
    before = len(examples_of(desk.surface).texts)
    second.post(page, vote)
    task.refresh_from_db()
    assert (task.state, task.label) == ("agreed", "delivery")
    examples = examples_of(desk.surface)
    assert len(examples.texts) == before + 1
    place = examples.texts.index("my parcel or my bill")
    assert (examples.labels[place], examples.unit_ids[place]) == ("delivery", "u1")
    assert "Two people chose the same label" in second.get(page).content.decode()
    actions = AuditEntry.objects.filter(project=desk.project).values_list("action", flat=True)
    assert sorted(actions) == ["label", "label", "queue labels"]
    with pytest.raises(CannotLabelError, match="must be open; it is agreed"):
        label_text(task=task, label="billing", by="somebody else")
    erase_unit(project_id=desk.project.pk, unit_id="u1", by="a test")
    assert "my parcel or my bill" not in examples_of(desk.surface).texts


def test_what_two_people_dispute_is_left_and_unknown_labels_are_refused(desk):
    answer(desk, "u1", "who knows", first=0.5, second=0.49)
    queue_uncertain_answers(surface=desk.surface, by="a test")
    task = LabelTask.objects.get(surface=desk.surface)
    with pytest.raises(CannotLabelError, match="must be one of the surface's labels"):
        label_text(task=task, label="fraud", by="ann")
    label_text(task=task, label="billing", by="ann")
    label_text(task=task, label="account", by="ann")  # a person may think again
    assert label_text(task=task, label="delivery", by="bob").state == "disputed"
    assert "who knows" not in examples_of(desk.surface).texts


def test_an_improbable_example_gets_the_label_that_both_chose(desk):
    wrong = Example.objects.filter(surface=desk.surface, label="billing").first()
    Example.objects.filter(pk=wrong.pk).update(label="account")
    run = train(desk.surface, "tfidf")
    version = ModelVersion.objects.get(pk=run.version_id)
    listed = version.gate["about"]["label_noise"]["rows"]
    assert queue_improbable_examples(run=run, by="a test") == len(listed)
    assert queue_improbable_examples(run=run, by="a test") == 0
    task = LabelTask.objects.get(surface=desk.surface, source_id=f"example:{wrong.example_id}")
    for person in ("ann", "bob"):
        label_text(task=task, label="billing", by=person)
    wrong.refresh_from_db()
    assert wrong.label == "billing"
    assert len(examples_of(desk.surface).texts) == 120


def test_the_form_presumes_no_label_says_what_is_left_and_skips(desk):
    for n, text in enumerate(("my parcel or my bill", "a bill that came by parcel")):
        answer(desk, f"u{n}", text, first=0.5 + n / 10, second=0.49)
    queue_uncertain_answers(surface=desk.surface, by="a test")
    LabelTask.objects.filter(surface=desk.surface).update(features={"pulse": None, "age": 7})
    first, second = LabelTask.objects.filter(surface=desk.surface).order_by("-uncertainty")
    page, ann = reverse("feedback", args=[desk.project.slug]), reviewer(desk, "ann")
    shown = ann.get(page).content.decode()
    assert first.text in shown
    assert '<select id="label" name="label" required><option value="">Choose a label' in shown
    assert "selected" not in shown.partition('name="label"')[2].partition("</select>")[0]
    assert "<code>intents</code>" in shown
    assert ("<code>pulse</code> –" in shown, "None" in shown) == (True, False)
    assert 'To label <span class="meta">2 left</span>' in shown
    skipped = ann.get(f"{page}?skip={first.pk}").content.decode()
    assert (second.text in skipped, first.text in skipped) == (True, False)
    vote = {"task": str(second.pk), "label": "delivery"}
    after = ann.post(f"{page}?skip={first.pk}", vote)
    assert after["Location"] == f"{page}?skip={first.pk}"
    rest = ann.get(after["Location"]).content.decode()
    assert "You skipped all that are left." in rest
    assert first.text not in rest
    assert first.text in ann.get(f"{page}?skip=x-{'9' * 40}").content.decode()
    unchosen = ann.post(page, {"task": str(first.pk), "label": ""}, follow=True).content.decode()
    assert "must be one of the surface" in unchosen.replace("&#x27;", "'")


@pytest.mark.parametrize(
    ("decision", "words"),
    [({"label": "delivery"}, "<strong>delivery</strong>"), ({"label": None}, "left to a person")],
)
def test_who_reviews_a_correction_sees_what_it_corrects(desk, decision, words):
    slots = [("billing", 0.5, 1, 1.0, False), ("delivery", 0.4, 2, 1.0, False)]
    context = {"text": "it hurts", "features": {"age": 7}, "decision": decision}
    slate = builders.make_slate(desk, "u1", slots=slots, context=context)
    Feedback.objects.create(
        project=desk.project, unit_id="u1", feedback_id="f1", kind="correction", text="account",
        recommendation_id=slate, state="pending", flags=["undeclared"],
    )  # fmt: skip
    page = reverse("feedback", args=[desk.project.slug])
    shown = reviewer(desk, "ann").get(page).content.decode()
    review = shown.partition("data-review=")[2].partition("</form>")[0]
    for part in ("it hurts", "<code>intents</code>", words, "<strong>account</strong>"):
        assert part in review, part
