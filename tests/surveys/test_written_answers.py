"""Answers in users' own words: what is taken, redacted, shown, erased, and refused as a score."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from experiments.actions.create_metric import CannotCreateError, create_metric
from experiments.actions.create_survey import create_survey
from experiments.actions.edit_metric import edit_metric
from experiments.actions.erase_unit import erase_unit
from experiments.actions.export_unit import export_unit
from experiments.actions.flag_feedback import flag_feedback
from experiments.actions.queue_feedback import queue_feedback
from experiments.models import Feedback, LabelTask, Metric
from experiments.reports.survey_report import report_surveys, written_answers
from experiments.reports.variant_surveys import compare_surveys
from experiments.sql import has_free_text
from experiments.survey_question import SurveyQuestion
from experiments.themes.surface_texts import has_texts, newest_texts
from experiments.training_data.labels import labels_of
from experiments.training_data.texts import texts_of
from inference.models import Surface
from tests.support import builders
from tests.support.commands import run
from tests.support.dashboard import sign_in
from tests.support.html import has

WHY = SurveyQuestion(key="why", kind="text", question="Why did you leave?")


@pytest.fixture
def asking(shop):
    create_survey(surface=shop.surface, question=WHY, by="a test")
    return shop


def say(shop, unit, words, *, variant=None, **fields):
    """Let a user answer about a slate of their own; return the id of the feedback."""
    of = {"experiment_id": variant.experiment_id, "variant_id": variant.pk} if variant else {}
    slate = builders.make_slate(shop, unit, **of)
    about = {"unit_id": unit, "kind": "survey", "value": None, "text": "why", "state": "pending"}
    row = builders.feedback(shop, slate, **(about | {"answer": words} | fields))
    builders.write(builders.Rows(feedback=[row]))
    return row.feedback_id


def test_an_answer_is_taken_redacted_and_waits_for_review(lane, asking):
    lane.refresh()
    body = {"surface": asking.surface.key, "unit_id": "u1", "k": 2}
    slate = lane.post("/v1/recommend", body, asking.public).json()
    assert slate["survey"] == {
        "key": "why", "kind": "text", "question": "Why did you leave?", "comment": False, "period_days": 30,
    }  # fmt: skip

    def answer(words, **fields):
        body = {"recommendation_id": slate["recommendation_id"], "unit_id": "u1", "kind": "survey"}
        body |= {"value": {"survey": "why", "answer": words}}
        return lane.post("/v1/feedback", body | fields, asking.public)

    for words, shown in (
        ("x" * 2001, "== '2001 characters'"), ("  ", "== '2 characters'"), (4, "== 4"), (["a"], "== ['a']"),
        (None, "is missing"),
    ):  # fmt: skip
        refused = answer(words)
        assert refused.status_code == 400
        message = refused.json()["error"]["message"]
        assert f"value.answer {shown}" in message
        assert "must be a text of 1 to 2000 characters" in message
    assert "a text without control characters" in answer("a\u202eb").text
    assert answer("fine", consent={"analytics": False}).json()["accepted"] == 0
    assert not Feedback.objects.filter(project=asking.project).exists()

    done = answer(" 太贵了 — write to anna@shop.example ", consent={"training": False})
    assert (done.status_code, done.json()["redacted"]) == (202, ["email"])
    (row,) = Feedback.objects.filter(project=asking.project).to_review()
    assert (row.text, row.answer) == ("why", "太贵了 — write to [email]")
    assert (row.value, row.tags, row.state, row.trainable) == (None, [], "pending", False)
    assert row.model_version == asking.champion
    # A later answer replaces the earlier one, and what is taken back is none.
    answer("x" * 2000)
    assert [len(one.answer) for one in written_answers(asking.project.surveys.get())] == [2000]
    assert answer(None, withdrawn=True).status_code == 202
    assert not written_answers(asking.project.surveys.get()).exists()


def test_answers_are_read_with_comments_and_go_with_their_user(asking):
    first = say(asking, "u1", "送货太慢", trainable=False)
    say(asking, "u2", "送货太慢")
    say(asking, "u3", "送货太慢")
    say(asking, "spam", "buy", state="spam")
    asking.project.excluded_units.create(unit_id="robot", reason="internal")
    say(asking, "robot", "beep")
    slate = builders.make_slate(asking, "u4")
    comment = builders.feedback(asking, slate, unit_id="u4", kind="text", value=None, text="why")
    builders.write(builders.Rows(feedback=[comment]))
    (result,) = report_surveys(asking.surface)
    assert (result.users, result.score, result.counts) == (3, None, [])
    # Themes, training and the flag of copies have answers and comments alike.
    read = {(one.unit_id, one.text) for one in newest_texts(asking.surface)}
    assert read == {("u1", "送货太慢"), ("u2", "送货太慢"), ("u3", "送货太慢"), ("u4", "why")}
    assert (has_texts(asking.surface, 4), has_texts(asking.surface, 5)) == (True, False)
    assert sorted(texts_of(asking.project.pk).texts) == ["why", "送货太慢", "送货太慢"]
    assert {row["answer"] for row in labels_of(asking.project.pk, ["survey"])} >= {"送货太慢"}
    flag_feedback()
    assert Feedback.objects.filter(project=asking.project, flags=["duplicate"]).count() == 3
    desk = Surface.objects.create(project=asking.project, key="desk", kind="classify")
    second = Feedback.objects.get(project=asking.project, unit_id="u2").feedback_id
    assert queue_feedback(surface=desk, feedback_ids=[second], by="a test").queued == 1
    assert LabelTask.objects.get(surface=desk).text == "送货太慢"

    assert (
        export_unit(project_id=asking.project.pk, unit_id="u1")["feedback"][0]["answer"] == "送货太慢"
    )
    erase_unit(project_id=asking.project.pk, unit_id="u1", by="a test")
    assert not Feedback.objects.filter(feedback_id=first).exists()
    assert {one.unit_id for one in written_answers(result.survey)} == {"u2", "u3"}


def test_the_index_has_what_users_write(asking):
    for n in range(30):
        say(asking, f"u{n}", "slow")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            f"""EXPLAIN SELECT id FROM experiments_feedback AS own
            WHERE project_id = %s AND {has_free_text("own")} ORDER BY id DESC LIMIT 5""",
            [asking.project.pk],
        )
        assert "written_by_users" in str(cursor.fetchall())


def test_pages_show_the_newest_answers_of_variants_and_say_where_themes_are(asking):
    experiment = asking.run_experiment(promote=False)
    control, treatment = experiment.variants.order_by("-is_control")
    for n in range(31):
        say(asking, f"u{n}", f"<b>answer {n}</b>", variant=treatment if n % 2 else control)
    client = sign_in(asking.project, role="viewer")
    listed = client.get(reverse("feedback-surveys", args=[asking.project.slug])).content.decode()
    address = reverse("feedback-survey-answers", args=[asking.project.slug, "why"])
    assert "In your own words" in listed
    assert f'href="{address}"' in listed
    page = client.get(address).content.decode()
    assert has(page, data_answers="why")
    assert page.index("&lt;b&gt;answer 30&lt;/b&gt;") < page.index("&lt;b&gt;answer 1&lt;/b&gt;")
    assert ("answer 0&lt;" in page, f"{experiment.key}/" in page) == (False, True)
    themes = reverse("feedback-themes", args=[asking.project.slug])
    assert f'href="{themes}?surface={asking.surface.key}"' in page
    assert "answer 0&lt;" in client.get(f"{address}?page=2").content.decode()
    chinese = client.get(address, headers={"accept-language": "zh-hans"}).content.decode()
    assert "共 31 条回答" in chinese
    # A question with a scale has no such page, and nor has another project's.
    asking.project.surveys.create(
        surface=asking.surface, key="nps", kind="nps", question="?", enabled=False
    )
    for key in ("nps", "nowhere"):
        other = reverse("feedback-survey-answers", args=[asking.project.slug, key])
        assert client.get(other).status_code == 404
    assert sign_in(builders.make_project()).get(address).status_code == 404
    # Words have no score to compare; how many answered is compared all the same.
    shown = [
        builders.event(asking.project, unit=row.unit_id, name=name, properties={"survey": "why"},
                       recommendation_id=str(row.recommendation_id))
        for row in Feedback.objects.filter(project=asking.project) for name in ("prompt_shown", "prompt_answered")
    ]  # fmt: skip
    builders.write(builders.Rows(events=shown))
    compared = compare_surveys(experiment)
    assert compared.answers == []
    assert {one.variant: one.answered for one in compared.responses} == {"control": 16, "treatment": 15}
    headers = {"authorization": f"Bearer {asking.secret}"}
    (row,) = Client().get("/v1/feedback?kind=survey&limit=1", headers=headers).json()["items"]
    assert (row["text"], row["answer"]) == ("why", "<b>answer 30</b>")


def test_the_api_the_form_and_a_file_create_it_or_say_why_not(shop, tmp_path):
    headers = {"authorization": f"Bearer {shop.secret}"}
    address = f"/v1/surfaces/{shop.surface.key}/surveys"
    ask = {"key": "why", "kind": "text", "question": "Why did you leave?"}

    def post(**fields):
        return Client().post(address, json.dumps(ask | fields), "application/json", headers=headers)

    assert "must be empty for the kind text" in post(choices=["a", "b"]).json()["error"]["message"]
    assert "asks_comment == True, must be false" in post(asks_comment=True).json()["error"]["message"]
    client, page = (
        sign_in(shop.project, role="operator"),
        reverse("feedback-surveys", args=[shop.project.slug]),
    )
    body = ask | {"surface": shop.surface.key, "percent": "100", "period_days": "30"}
    refused = client.post(
        page, body | {"choices": "a\nb", "asks_comment": "on"}, headers={"accept-language": "zh-hans"}
    )
    assert refused.status_code == 422
    for words in ("用户自己写下回答：请留空", "回答本身就是文字：请不要勾选", "用自己的话回答"):
        assert words in refused.content.decode()
    assert not shop.project.surveys.exists()
    assert client.post(page, body).status_code == 302
    file = tmp_path / "bakeoff.yaml"
    file.write_text(run("config", "export", "--project", shop.project.slug))
    assert "Nothing to change." in run(
        "config", "apply", "-f", str(file), "--project", shop.project.slug
    )
    shop.project.surveys.all().delete()
    assert post().status_code == 201


def test_no_metric_counts_scores_of_words(asking):
    def metric(**fields):
        named = [{"field": "properties.text", "op": "eq", "value": "why"}]
        row = {
            "project": asking.project,
            "key": "why",
            "kind": "mean",
            "event": "feedback.survey",
            "filters": named,
        }
        return create_metric(metric=Metric(**(row | fields)), by="a test")

    high = {"field": "value", "op": "gte", "value": 4}
    named = {"field": "properties.text", "op": "in", "value": ["liked", "why"]}
    for fields in ({"value": "sum"}, {"kind": "proportion", "filters": [named, high]}):
        with pytest.raises(
            CannotCreateError, match="survey == 'why' of kind 'text', must have a scale"
        ):
            metric(**fields)
    assert metric(kind="proportion").pk  # who answered, of all
    others = [{"field": "properties.text", "op": "ne", "value": "why"}]
    assert metric(key="others", value="sum", filters=others).pk  # the scores of all other surveys


def test_a_metric_of_scores_from_before_can_still_be_described(asking):
    named = [{"field": "properties.text", "op": "eq", "value": "why"}]
    old = Metric.objects.create(
        project=asking.project, key="old", kind="mean", event="feedback.survey", value="sum",
        filters=named,
    )  # fmt: skip
    edit_metric(metric=old, changes={"description": "Of the old scale.", "owner": "ann"}, by="a test")
    old.refresh_from_db()
    assert (old.description, old.owner) == ("Of the old scale.", "ann")
    for changes in ({"value": "max"}, {"filters": [{**named[0], "op": "in", "value": ["why"]}]}):
        with pytest.raises(
            CannotCreateError, match="survey == 'why' of kind 'text', must have a scale"
        ):
            edit_metric(metric=old, changes=changes, by="a test")
    edit_metric(metric=old, changes={"value": "count"}, by="a test")
