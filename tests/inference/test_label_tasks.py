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
from experiments.models import LabelTask
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
