"""A user is asked once in a survey's period, also when their browser forgets: the server remembers."""

from __future__ import annotations

import asyncio

import pytest
import redis.exceptions

from bakeoff.gateway.intake.surveyed_units import DAY_SECONDS, SurveyedUnits
from experiments.actions.create_survey import create_survey
from experiments.actions.erase_unit import erase_unit
from experiments.survey_question import SurveyQuestion
from inference.cache import cache_client
from inference.serving.keys import surveyed_key
from tests.support import builders


@pytest.fixture
def asking(lane, shop):
    question = SurveyQuestion(key="liked", kind="rating", question="How is it?", period_days=7)
    create_survey(surface=shop.surface, question=question, by="a test")
    lane.refresh()
    return shop


def slate_of(lane, shop, unit="u1"):
    body = {"surface": shop.surface.key, "unit_id": unit, "k": 2}
    done = lane.post("/v1/recommend", body, shop.public)
    assert done.status_code == 200, done.text
    return done.json()


def tell(lane, shop, slate, name, *, unit="u1", properties=None):
    event = {
        "name": name,
        "unit_id": unit,
        "recommendation_id": slate["recommendation_id"],
        "properties": {"survey": "liked"} if properties is None else properties,
    }
    done = lane.post("/v1/events", {"events": [event]}, shop.public)
    assert (done.status_code, done.json()["accepted"]) == (202, 1), done.text


def reply(lane, shop, slate, *, unit="u1", **fields):
    body = {
        "recommendation_id": slate["recommendation_id"],
        "unit_id": unit,
        "kind": "survey",
        "value": {"survey": "liked", "answer": 4},
    }
    assert lane.post("/v1/feedback", body | fields, shop.public).status_code == 202


@pytest.mark.parametrize("name", ["prompt_shown", "prompt_dismissed", "prompt_answered"])
def test_who_saw_the_question_is_not_asked_again(lane, asking, name):
    slate = slate_of(lane, asking)
    assert slate["survey"]["key"] == "liked"
    assert "survey" in slate_of(lane, asking)  # what nobody saw was not asked
    tell(lane, asking, slate, name)
    assert "survey" not in slate_of(lane, asking)
    assert "survey" in slate_of(lane, asking, "u2")
    ttl = cache_client().ttl(surveyed_key(asking.project.pk, "liked", "u1"))
    assert 7 * DAY_SECONDS - 600 < ttl <= 7 * DAY_SECONDS


def test_who_answered_is_not_asked_again_until_the_period_is_over(lane, asking):
    slate = slate_of(lane, asking)
    reply(lane, asking, slate)
    assert "survey" not in slate_of(lane, asking)
    cache_client().delete(surveyed_key(asking.project.pk, "liked", "u1"))  # as its end does
    assert "survey" in slate_of(lane, asking)


def test_other_events_and_surveys_ask_as_before(lane, asking):
    slate = slate_of(lane, asking)
    tell(lane, asking, slate, "click")
    for properties in ({}, {"survey": 3}, {"survey": "other"}):
        tell(lane, asking, slate, "prompt_shown", properties=properties)
    thumb = {"kind": "thumb", "value": 1}
    reply(lane, asking, slate, **thumb)
    assert "survey" in slate_of(lane, asking)


def test_projects_do_not_share_it(lane, asking):
    other = builders.make_shop()
    question = SurveyQuestion(key="liked", kind="rating", question="How is it?")
    create_survey(surface=other.surface, question=question, by="a test")
    lane.refresh()
    tell(lane, asking, slate_of(lane, asking), "prompt_shown")
    assert "survey" not in slate_of(lane, asking)
    assert "survey" in slate_of(lane, other)


def test_an_erased_user_leaves_nothing(lane, asking):
    tell(lane, asking, slate_of(lane, asking), "prompt_shown")
    name = surveyed_key(asking.project.pk, "liked", "u1")
    assert cache_client().exists(name)
    erase_unit(project_id=asking.project.pk, unit_id="u1", by="a test")
    assert not cache_client().exists(name)


class AwayCache:
    """A cache that does not answer."""

    async def exists(self, *_names):
        raise redis.exceptions.ConnectionError("away")


def test_while_the_cache_is_away_nobody_is_asked():
    question = SurveyQuestion(key="liked", kind="rating", question="How is it?")
    assert asyncio.run(SurveyedUnits(AwayCache()).is_surveyed(1, question, "u1"))
