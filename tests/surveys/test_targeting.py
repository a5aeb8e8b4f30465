"""Whom a survey is for, and in which languages it asks."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from experiments.actions.create_survey import create_survey
from experiments.languages import is_language
from experiments.models import SavedGroup, Survey
from experiments.survey_question import SurveyError, SurveyQuestion, Translation
from tests.support import builders
from tests.support.commands import run

GERMAN = {"question": "Warum nicht?", "choices": ["Zu teuer", "Nichts für mich"]}
WHY = {
    "key": "why", "kind": "choice", "question": "Why not?", "choices": ["Too expensive", "Not for me"],
}  # fmt: skip


def send(shop, **fields):
    return Client().post(
        f"/v1/surfaces/{shop.surface.key}/surveys",
        json.dumps(WHY | fields),
        content_type="application/json",
        headers={"authorization": f"Bearer {shop.secret}"},
    )


def survey_of(lane, shop, unit="u1", **context):
    body = {"surface": shop.surface.key, "unit_id": unit, "k": 2, "context": context}
    done = lane.post("/v1/recommend", body, shop.public)
    assert done.status_code == 200, done.text
    return done.json().get("survey"), done.json()["variant"]


def test_a_segment_is_asked(lane, shop):
    SavedGroup.objects.create(project=shop.project, key="beta", attribute="id", values=["u1", "u2"])
    condition = {"country": {"$in": ["DE", "AT"]}, "id": {"$inGroup": "beta"}}
    done = send(shop, condition=condition)
    assert done.status_code == 201, done.content
    assert done.json()["condition"] == condition
    lane.refresh()
    assert survey_of(lane, shop, country="DE")[0]["key"] == "why"
    assert survey_of(lane, shop, country="FR")[0] is None
    assert survey_of(lane, shop)[0] is None
    assert survey_of(lane, shop, "u3", country="DE")[0] is None


def test_users_of_one_variant_are_asked(lane, shop):
    experiment = shop.run_experiment(promote=False)
    done = send(shop, variants=[f"{experiment.key}/treatment"])
    assert done.status_code == 201, done.content
    lane.refresh()
    seen = set()
    for number in range(24):
        survey, variant = survey_of(lane, shop, f"u{number}")
        assert (survey is not None) == (variant == "treatment")
        seen.add(variant)
    assert seen == {"control", "treatment"}


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"share": 0}, 400, "share"),
        ({"share": 1.2}, 400, "share"),
        ({"period_days": 0}, 400, "period_days"),
        (
            {"variants": ["nowhere/treatment"]},
            422,
            "variants == 'nowhere/treatment', must be EXPERIMENT",
        ),
        ({"variants": ["treatment"]}, 422, "variants == 'treatment', must be EXPERIMENT/VARIANT"),
        ({"condition": {"country": {"$near": "DE"}}}, 422, "$near"),
        ({"condition": {"id": {"$inGroup": "nobody"}}}, 422, "nobody"),
        (
            {"condition": {"unit.plan": "pro"}},
            422,
            "condition has 'unit.', must read attributes of the",
        ),
        ({"translations": {"xx": GERMAN}}, 422, "translations == 'xx', must be a language such as de"),
        ({"translations": {"German": GERMAN}}, 422, "translations == 'German', must be a language"),
        (
            {"translations": {"de": GERMAN | {"question": " "}}},
            422,
            "translations.de.question == '', must",
        ),
        ({"translations": {"de": {"choices": GERMAN["choices"]}}}, 400, "question"),
        (
            {"translations": {"de": GERMAN | {"choices": ["Zu teuer"]}}},
            422,
            "must be 2 different texts",
        ),
        (
            {"translations": {"de": GERMAN | {"choices": ["Zu teuer", ""]}}},
            422,
            "must be 2 different texts",
        ),
        (
            {"translations": {"de": GERMAN | {"choices": ["Ja", "Ja"]}}},
            422,
            "must be 2 different texts",
        ),
    ],
)
def test_what_nobody_could_be_asked_is_refused(shop, fields, status, words):
    done = send(shop, **fields)
    assert (done.status_code, words in done.content.decode()) == (status, True), done.content
    assert not Survey.objects.filter(project=shop.project).exists()


def test_a_survey_of_another_projects_experiment_is_refused(shop):
    other = builders.make_shop()
    experiment = other.run_experiment(promote=False)
    done = send(shop, variants=[f"{experiment.key}/treatment"])
    assert done.status_code == 422, done.content


@pytest.mark.parametrize(
    ("tag", "known"),
    [("de", True), ("zh-Hans", True), ("pt-BR", True), ("es-419", True), ("zh-Hant-TW", True),
     ("DE", False), ("de-de", False), ("xx", False), ("", False), ("de\n", False), ("deu", False)],
)  # fmt: skip
def test_a_language_is_a_tag_in_canonical_form(tag, known):
    assert is_language(tag) == known


def test_translations_come_with_the_slate_and_answers_stay_the_same(lane, shop):
    plain = send(shop)
    assert plain.json()["translations"] == {}
    lane.refresh()
    assert "translations" not in survey_of(lane, shop)[0]  # as it was before there were any
    Survey.objects.all().delete()
    done = send(
        shop,
        translations={
            "zh-Hans": {"question": " 为什么不？ ", "choices": ["太贵", "不适合我"]},
            "de": GERMAN,
        },
    )
    assert done.status_code == 201, done.content
    lane.refresh()
    survey, _ = survey_of(lane, shop)
    assert survey["question"] == "Why not?"
    words = {tag: one.pop("words") for tag, one in survey["translations"].items()}
    assert survey["translations"] == {
        "de": GERMAN, "zh-Hans": {"question": "为什么不？", "choices": ["太贵", "不适合我"]},
    }  # fmt: skip
    # What stands around a question is in its language, too.
    assert (words["de"]["send"], words["zh-Hans"]["send"]) == ("Senden", "提交")
    assert "words" not in survey
    listed = json.loads(
        run("feedback", "surveys", shop.surface.key, "--project", shop.project.slug, "--json")
    )
    assert listed[0]["translations"]["de"] == GERMAN
    with pytest.raises(SurveyError, match="must be one of Too expensive"):
        Survey.objects.get(project=shop.project).parsed.read("Zu teuer")


def test_there_is_a_last_language():
    texts = {f"{tag}-{country}": Translation("x") for tag in ("de", "en", "fr") for country in
             ("AT", "CH", "DE", "GB", "US", "FR", "BE")}  # fmt: skip
    with pytest.raises(SurveyError, match="translations == 21, must be at most 20 languages"):
        SurveyQuestion(key="x", kind="nps", question="x", translations=texts)


def test_a_file_states_them(shop, tmp_path):
    create_survey(
        surface=shop.surface, by="a test",
        question=SurveyQuestion.parse(WHY | {
            "share": 1.0, "period_days": 30, "asks_comment": False, "condition": {"country": "DE"},
            "translations": {"de": GERMAN},
        }),
    )  # fmt: skip
    file = tmp_path / "bakeoff.yaml"
    text = run("config", "export", "--project", shop.project.slug)
    assert "Warum nicht?" in text
    file.write_text(text)
    again = run("config", "apply", "-f", str(file), "--project", shop.project.slug)
    assert "Nothing to change." in again


@pytest.mark.parametrize(
    ("question", "send"),
    [("Why not?", None), ("Pourquoi ?", None), ("为什么不？", "提交"), ("なぜですか", "送信")],
)
def test_a_question_whose_script_tells_its_language_has_its_words(question, send):
    shown = SurveyQuestion("why", "nps", question).as_json()
    assert shown.get("words", {}).get("send") == send


@pytest.mark.parametrize(
    ("tag", "dismiss"),
    [("zh-Hant-TW", "暫不回答"), ("zh-Hans", "暂不回答"), ("de-AT", "Nicht jetzt"), ("en", None), ("sw", None)],
)  # fmt: skip
def test_words_are_found_by_the_languages_tag(tag, dismiss):
    texts = {tag: Translation("x")}
    shown = SurveyQuestion("why", "nps", "Why?", translations=texts).as_json()
    assert shown["translations"][tag].get("words", {}).get("dismiss") == dismiss
