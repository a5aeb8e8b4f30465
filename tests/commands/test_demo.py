"""The parts of the demonstration; `make demo` runs it whole, and exits 1 where something is missing."""

from __future__ import annotations

import asyncio
from itertools import islice, repeat

import httpx2
import pytest

from bakeoff.commands import terminal
from bakeoff.commands.demo import wrong_fates
from bakeoff.replay.autopilot import RAMP, AutopilotReplay, autopilot_programme
from bakeoff.replay.dataset import CatalogueItem, Dataset, Interaction
from bakeoff.replay.engine import Replay, ReplayOptions
from bakeoff.replay.film_comments import COMMENTS_SHARE, FilmVoice, with_voices
from bakeoff.replay.narrator import Narrator, progress_of
from bakeoff.replay.neighbours_endpoint import serving
from bakeoff.replay.plan import make_replay_plan
from bakeoff.replay.support_chat import (
    BRIEF,
    CONTENT_WITH_CUT,
    CONTENT_WITH_WHOLE,
    DETAILED,
    POLITE,
    PUBLIC_SETTINGS,
    QUESTION,
    VARIABLES,
    VISITORS,
    is_content,
    pace_sentence,
)
from bakeoff.replay.visitors import Ledger, SimulatedVisitor, Traffic, send_visitors
from experiments.actions.change_programme import change_programme
from experiments.actions.draft_test import plan_ramp
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.read_themes import read_themes
from experiments.actions.stop_experiment import stop_experiment
from experiments.models import Feedback, programme_of
from experiments.programme.ramp_types import RampNeed, RampState, RampStepState
from experiments.stats.power import units_for_proportions
from inference.serving.generate_settings import GenerateSettings
from inference.serving.prompts import Prompt
from tests.support.dashboard import sign_in
from tests.support.html import has
from tests.support.waiting import wait_until

LIKES = {"ann": ["a", "b"], "bob": ["a", "b"], "eve": ["c", "d"]}
FATES = {"two-tower@1": "ship", "endpoint@1": "roll_back", "frozen-text@1": "roll_back"}


def ask(url):
    question = {"unit_id": "new", "recent": ["a"], "candidates": ["b", "c", "z"], "context": {}}
    return httpx2.post(url, json=question)


def test_the_third_challenger_knows_its_neighbours_until_a_faulty_build_is_deployed():
    with serving(LIKES) as endpoint:
        near, far, unknown = ask(endpoint.url).json()["scores"]
        assert near > far == unknown == 0
        endpoint.is_faulty = True
        assert ask(endpoint.url).status_code == 500


def test_what_must_become_of_the_challengers_is_checked():
    assert wrong_fates(FATES, champion="two-tower@1", refused=["frozen-text@1"]) == []


@pytest.mark.parametrize(
    ("actions", "champion", "refused", "sentence"),
    [
        (
            {"endpoint@1": "stop_inconclusive"},
            "two-tower@1",
            ["frozen-text@1"],
            "endpoint@1 ended with",
        ),
        ({"two-tower@1": "roll_back"}, "two-tower@1", ["frozen-text@1"], "two-tower@1 ended with"),
        ({}, "popularity@1", ["frozen-text@1"], "champion == 'popularity@1'"),
        ({}, "two-tower@1", [], "the gate let frozen-text@1 through"),
    ],
)
def test_what_became_of_them_otherwise_is_named(actions, champion, refused, sentence):
    (wrong,) = wrong_fates(FATES | actions, champion=champion, refused=refused)
    assert sentence in wrong


def test_a_challenger_without_a_test_is_named():
    actions = {name: action for name, action in FATES.items() if name != "endpoint@1"}
    (wrong,) = wrong_fates(actions, champion="two-tower@1", refused=["frozen-text@1"])
    assert "endpoint@1 ended with 'no test'" in wrong


def test_a_step_tells_its_users_and_the_time_that_is_left():
    step = RampStepState(0.1, "current", "errors_times_10", 20, 7, 3.0, None)
    needs = (
        RampNeed("time", holds=False, sentence="3 seconds at this step", required=3.0, actual=1.2),
        RampNeed("users", holds=False, sentence="20 users", required=20, actual=7),
    )
    state = RampState((step,), needs, next_share=0.25)
    assert progress_of(state) == "10%, 7 of 20 users in the treatment, 2 s left"


def test_the_demonstrations_programme_is_one_that_a_surface_takes(shop):
    changes = autopilot_programme(shop.metric)
    change_programme(surface=shop.surface, changes=changes, by="a test")
    steps = plan_ramp(programme_of(shop.surface), tests=5)
    assert [step["allocation"] for step in steps] == [2 * step["share"] for step in RAMP]


def test_visitors_come_until_the_experiment_ends(shop):
    experiment = shop.run_experiment()
    with Narrator(experiment, terminal) as narrator:
        comers = narrator.while_running(repeat("visitor"))
        assert len(list(islice(comers, 3))) == 3
        stop_experiment(experiment=experiment, by="a test", reason="enough")
        wait_until(lambda: not narrator.is_running)
        assert list(comers) == []


def slate(number, model="popularity@1", items=("i1",)):
    shown = [{"item_id": item} for item in items]
    return {"recommendation_id": f"r{number}", "model": model, "items": shown}


def comments_of(count, **fields):
    voice = FilmVoice("u1")
    remarks = [voice.speak(slate(number, **fields), ["i1"]) for number in range(count)]
    return [body for one in remarks for body in one.feedback]


def test_comments_on_films_are_repeatable_and_differ_by_what_was_shown():
    usual, personal = comments_of(2000), comments_of(2000, model="two-tower@1")
    assert usual == comments_of(2000)
    assert abs(len(usual) / 2000 - COMMENTS_SHARE) < 0.03
    assert {(body["kind"], body["unit_id"]) for body in usual} == {("text", "u1")}
    assert usual[0]["feedback_id"] == f"{usual[0]['recommendation_id']}:said"

    def about(word, bodies):
        return sum(word in body["value"] for body in bodies) / len(bodies)

    assert about("seen", usual) > 2 * about("seen", personal)
    assert about("taste", personal) > 2 * about("taste", usual)
    # Nobody writes about a list that was not there.
    assert comments_of(200, items=()) == []


def test_the_demonstrations_comments_are_read_into_themes_and_called_simulated(lane, shop):
    experiment = shop.run_experiment(promote=False)
    lane.refresh()
    visitors = with_voices([SimulatedVisitor(f"u{number}", {}) for number in range(260)])
    traffic = Traffic(lane.url, shop.public, shop.surface.key, visits=3, k=4, salt="test")
    ledger = Ledger()
    asyncio.run(send_visitors(traffic, visitors, ledger, lambda _count: None))
    texts = Feedback.objects.filter(project=shop.project, kind="text")
    assert texts.count() == len(ledger.feedback) > 60
    assert read_themes(surface=shop.surface) >= 3
    look_at_experiment(experiment_id=experiment.pk)
    page = sign_in(shop.project).get(f"/experiments/{shop.project.slug}/{experiment.key}/")
    assert has(page.content.decode(), data_variant_themes="")


def test_the_demonstrations_project_says_that_comments_are_simulated():
    log = [Interaction(unit, f"i{n}", 5.0, n) for unit in ("ann", "bob") for n in range(5)]
    films = Dataset("Films", [CatalogueItem(f"i{n}", "", "") for n in range(5)], log, positive=4.0)
    options = ReplayOptions("http://127.0.0.1:8000")
    assert AutopilotReplay(films, options, terminal).project_name() == "Films, comments simulated"
    # A replay of a product's own log invents nothing.
    assert Replay(films, options, terminal).project_name() == "Films"
    assert all(visitor.voice is None for visitor in make_replay_plan(films, seed=1, max_users=9).first)


def test_visitors_of_the_chat_like_whole_sentences_more_often():
    for is_whole, share in ((True, CONTENT_WITH_WHOLE), (False, CONTENT_WITH_CUT)):
        content = [is_content(f"visitor-{n}", is_whole=is_whole) for n in range(2000)]
        assert abs(sum(content) / len(content) - share) < 0.04


def test_the_pace_of_the_chat_says_how_many_answers_have_room():
    # 360 s, less 60 to start, 45 in which thumbs count and 30 for the verdict: 225 s, at 2 a second.
    assert pace_sentence(VISITORS / 2, 60.0).endswith("6 minutes have room for 450.")
    assert pace_sentence(VISITORS / 2, 400.0).endswith("have room for 0.")


def test_the_chats_prompts_take_what_a_page_may_send():
    for messages in (DETAILED, BRIEF, POLITE):
        prompt = Prompt.parse(
            {
                "provider": "local",
                "model": "small",
                "messages": [*messages, QUESTION],
                "variables": VARIABLES,
            }
        )
        assert prompt.render({"question": "Where is it?"})[-1]["content"] == "Where is it?"
    assert GenerateSettings.parse(PUBLIC_SETTINGS).public


def test_the_chat_has_the_power_that_the_docs_state():
    cut, half = CONTENT_WITH_CUT, (CONTENT_WITH_CUT + CONTENT_WITH_WHOLE) / 2
    assert round(units_for_proportions(cut, half, power=0.8)) == 58
    assert round(units_for_proportions(cut, half, power=0.95)) == 94
    assert units_for_proportions(cut, half, power=0.98) < VISITORS / 2
    assert units_for_proportions(cut, cut + 0.4 * (CONTENT_WITH_WHOLE - cut), power=0.9) < VISITORS / 2
