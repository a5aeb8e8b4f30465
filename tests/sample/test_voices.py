"""What visitors of the sample shop say: repeatable, of what they saw, and enough for themes."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import httpx2
import pytest
from django.urls import reverse

from bakeoff.replay.visitors import Ledger, Traffic, visit
from bakeoff.sample.comments import COMMENTS, PERSONAL, USUAL
from bakeoff.sample.goods import good
from bakeoff.sample.people import PERSONAL_LISTS, visitor
from bakeoff.sample.voices import SURVEY, Voice, comment
from experiments.actions.create_survey import create_survey
from experiments.actions.read_themes import is_reading_due, read_themes
from experiments.models import Event, Feedback, Theme
from experiments.reports.survey_report import report_surveys
from tests.support import builders
from tests.support.dashboard import sign_in
from tests.support.html import has

ITEMS = [good(number).item_id for number in range(0, 2000, 250)]


def slate(number: int, *, model="popularity@1", survey=True):
    question = {"survey": SURVEY.as_json()} if survey else {}
    items = [{"item_id": item} for item in ITEMS]
    return {"recommendation_id": f"r{number}", "model": model, "items": items, **question}


def remarks_of(count: int, **fields):
    voice = Voice("u1", PERSONAL_LISTS, buys=ITEMS)
    return [voice.speak(slate(number, **fields), ITEMS[:2]) for number in range(count)]


def test_there_are_sixty_sentences_on_six_topics_and_no_two_are_alike():
    sentences = [one for topic in COMMENTS.values() for one in topic]
    assert (len(COMMENTS), set(USUAL), set(PERSONAL)) == (6, set(COMMENTS), set(COMMENTS))
    assert len(set(sentences)) == len(sentences) >= 60
    assert min(map(len, COMMENTS.values())) >= 10


def test_a_slate_is_always_said_the_same_of():
    assert remarks_of(50) == remarks_of(50)
    assert len({str(one) for one in remarks_of(50)}) > 25


def test_what_is_said_is_of_what_was_shown_and_asked():
    remarks = remarks_of(300)
    feedback = [body for one in remarks for body in one.feedback]
    assert {body["kind"] for body in feedback} == {"thumb", "rating", "text", "survey"}
    for body in feedback:
        if body["kind"] == "thumb":
            assert body["item_id"] in (ITEMS[:2] if body["value"] == 1 else [])
        if body["kind"] == "survey":
            SURVEY.read(body["value"]["answer"])
    names = Counter(event["name"] for one in remarks for event in one.events)
    answers = sum(body["kind"] == "survey" for body in feedback)
    assert names["prompt_shown"] == 300  # all were asked
    assert names["prompt_answered"] == answers
    assert 0.35 < answers / 300 < 0.55
    # One comment per slate: a second would replace the first.
    assert max(sum(body["kind"] == "text" for body in one.feedback) for one in remarks) == 1
    # Whom nobody asked reports nothing.
    assert all(not one.events for one in remarks_of(100, survey=False))


def test_who_sees_a_personal_list_says_other_things():
    draw = random.Random(1)
    usual = [comment(draw, ITEMS, is_personal=False) for _ in range(400)]
    personal = [comment(draw, ITEMS, is_personal=True) for _ in range(400)]
    assert all("{" not in one for one in usual)
    assert about("earch", usual) > 2 * about("earch", personal)
    assert about("pric", personal) > about("pric", usual)
    assert (
        mean_answer(remarks_of(400, model=f"{PERSONAL_LISTS}@1")) > mean_answer(remarks_of(400)) + 0.3
    )


def about(word: str, comments: list[str]) -> int:
    return sum(word in one for one in comments)


def mean_answer(remarks) -> float:
    answers = [body["value"]["answer"] for one in remarks for body in one.feedback if body["kind"] == "survey"]  # fmt: skip
    return sum(answers) / len(answers)


@pytest.fixture
def visited(lane, shop):
    """Let 260 of the sample's people come to a shop over HTTP."""
    create_survey(surface=shop.surface, question=SURVEY, by="a test")
    experiment = shop.run_experiment(promote=False)
    lane.refresh()
    traffic = Traffic(lane.url, shop.public, shop.surface.key, visits=2, k=4, salt="test")
    ledger = Ledger()

    async def come():
        headers = {"Authorization": f"Bearer {shop.public}"}
        async with httpx2.AsyncClient(base_url=lane.url, headers=headers, timeout=30) as client:
            for number in range(260):
                await visit(client, traffic, visitor(number, visit="test"), ledger)

    asyncio.run(come())
    return experiment, ledger


def test_pages_show_what_they_say_within_one_reading(visited, shop):
    experiment, ledger = visited
    rows = Feedback.objects.filter(project=shop.project)
    assert rows.count() == len(ledger.feedback)
    events = Event.objects.filter(project=shop.project, name__startswith="prompt_")
    assert events.values("unit_id").distinct().count() > 100
    (result,) = report_surveys(shop.surface)
    assert result.users > 40
    assert is_reading_due(surface=shop.surface, now=builders.now())
    assert read_themes(surface=shop.surface) >= 3
    assert Theme.objects.filter(surface=shop.surface, units__gte=5).count() >= 3
    client = sign_in(shop.project, role="viewer")
    page = client.get(reverse("feedback-themes", args=[shop.project.slug])).content.decode()
    report = client.get(f"/experiments/{shop.project.slug}/{experiment.key}/").content.decode()
    assert has(report, data_survey="selection")
    for theme in Theme.objects.filter(surface=shop.surface):
        assert has(page, data_theme=str(theme.pk))
