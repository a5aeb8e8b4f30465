"""What a unit did with an item decides whether it is shown again, on every rung of the ladder."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from experiments.actions.change_surface import patch_surface
from experiments.actions.erase_unit import erase_unit
from experiments.actions.load_past_events import load_past_events
from experiments.actions.mark_units import mark_all_units, surfaces_to_mark
from experiments.actions.refresh_surface import refresh_surface
from experiments.ingest.load_events import PastEvent
from experiments.models import Slate
from experiments.slate_rules.repeat import ALWAYS, DAY, NEVER, judge_actions, parse_repeat
from inference.cache import cache_client
from inference.serving.keys import (
    MAX_ACTIONS,
    actions_key,
    candidates_key,
    marked_key,
    other_actions_key,
)
from inference.serving.unit_actions import UnitAction, add_actions, read_actions
from tests.support import builders

EVERY = [f"i{n}" for n in range(10)]


def ask(lane, shop, path="recommend", **body):
    ids = {} if body.keys() & {"unit_id", "anonymous_id"} else {"unit_id": "u1"}
    answer = lane.post(f"/v1/{path}", {"surface": "home-feed", **ids, **body}, shop.public)
    assert answer.status_code == 200, answer.text
    return answer.json()


def shown(lane, shop, path="recommend", **body) -> list[str]:
    return [item["item_id"] for item in ask(lane, shop, path, **body)["items"]]


def feedback(lane, shop, kind, item_id, value=None, **more):
    ids = {key: more.pop(key) for key in ("unit_id", "anonymous_id") if key in more}
    ids = ids or {"unit_id": "u1"}
    slate = ask(lane, shop, k=10, candidates=[item_id, "i0"], **ids)["recommendation_id"]
    body = {"kind": kind, "recommendation_id": slate, "item_id": item_id, "value": value, **ids, **more}
    answer = lane.post("/v1/feedback", body, shop.public)
    assert answer.status_code == 202, answer.text


def event(lane, shop, name, item_id, **more):
    body = {"name": name, "item_id": item_id, "unit_id": "u1", **more}
    answer = lane.post("/v1/events", body, shop.public)
    assert answer.status_code == 202, answer.text


def rule(lane, shop, **rules):
    shop.surface = patch_surface(surface=shop.surface, changes={"rules": rules}, by="a test")
    lane.refresh()


def forget(shop, *units) -> None:
    """Lose what the cache holds of the shop."""
    client = cache_client()
    client.delete(marked_key(shop.surface.pk))
    for unit in units:
        client.delete(actions_key(shop.project.pk, unit), other_actions_key(shop.project.pk, unit))


def rebuild(shop) -> None:
    """Do what the schedule does when the cache was lost."""
    assert shop.surface in surfaces_to_mark()
    mark_all_units(surface=shop.surface)
    refresh_surface(surface=shop.surface)


def test_what_a_unit_refused_or_bought_is_gone_from_the_next_answer(lane, shop):
    feedback(lane, shop, "hide", "i0")
    assert "i0" not in shown(lane, shop)
    feedback(lane, shop, "thumb", "i1", -1)
    feedback(lane, shop, "rating", "i2", 2)
    event(lane, shop, "purchase", "i3", value=20)
    feedback(lane, shop, "thumb", "i4", 1)
    feedback(lane, shop, "rating", "i5", 3)
    event(lane, shop, "view", "i6")
    assert shown(lane, shop) == EVERY[4:]
    assert shown(lane, shop, unit_id="another") == EVERY
    feedback(lane, shop, "thumb", "i1", 1)
    feedback(lane, shop, "hide", "i0", withdrawn=True)
    assert shown(lane, shop) == ["i0", "i1", *EVERY[4:]]


def test_events_in_a_batch_and_by_segment_count_too(lane, shop):
    entry = {"name": "purchase", "unit_id": "u1"}
    batch = {"events": [{**entry, "item_id": "i0"}, {**entry, "item_id": "i1"}]}
    lane.post("/v1/events", batch, shop.public)
    track = {"event": "purchase", "anonymousId": "u1", "properties": {"item_id": "i2"}}
    assert lane.post("/v1/track", track, shop.public).status_code == 200
    assert shown(lane, shop) == EVERY[3:]


def test_no_rung_shows_it(lane, shop):
    feedback(lane, shop, "hide", "i8")
    event(lane, shop, "purchase", "i0")
    assert "i8" not in shown(lane, shop)  # the default list
    precomputed = np.array([8, 7], dtype=np.int32).tobytes()
    cache_client().set(candidates_key(shop.champion.pk, "u1"), precomputed)
    assert shown(lane, shop) == ["i7"]
    assert shown(lane, shop, candidates=["i8", "i3", "i0"]) == ["i3"]
    assert shown(lane, shop, k=2, pin=[{"item_id": "i0", "position": 1}]) == ["i7"]
    cache_client().delete(candidates_key(shop.champion.pk, "u1"))
    shop.surface.versions.champions().update(alias="retired")
    liked = [[n % 2, (n % 2) + 2, (n % 2) + 4, (n % 2) + 6, (n % 2) + 8] for n in range(40)]
    builders.make_learnt_version(shop.surface, liked, alias="champion")
    lane.refresh()
    event(lane, shop, "click", "i2")
    data = ask(lane, shop, k=3)
    assert data["fallback"] == "nearline"
    assert not {"i8", "i0", "i2"} & {item["item_id"] for item in data["items"]}
    assert not {"i8", "i0"} & set(shown(lane, shop, "similar", item_id="i2"))
    shop.surface.versions.champions().update(alias="retired")
    lane.refresh()
    assert ask(lane, shop)["fallback"] == "no_champion"
    assert shown(lane, shop) == ["i7", "i9"]
    assert shown(lane, shop, candidates=["i8", "nobody-knows"]) == ["nobody-knows"]


def test_what_was_hidden_before_a_login_stays_hidden_after_it(lane, shop):
    feedback(lane, shop, "hide", "i0", anonymous_id="device")
    both = {"anonymous_id": "device", "unit_id": "ann"}
    for ids in ({"anonymous_id": "device"}, both, {"unit_id": "ann"}):
        assert shown(lane, shop, **ids) == EVERY[1:]


def test_a_cold_cache_forgets_nothing_after_it_was_rebuilt(lane, shop):
    rule(lane, shop, repeat={"view": "never"})
    feedback(lane, shop, "hide", "i0")
    feedback(lane, shop, "thumb", "i1", -1, unit_id="u2")
    feedback(lane, shop, "thumb", "i1", 1, unit_id="u2")
    event(lane, shop, "purchase", "i2")
    event(lane, shop, "view", "i3")
    feedback(lane, shop, "hide", "i4")
    feedback(lane, shop, "hide", "i4", withdrawn=True)
    for _ in range(2):
        rebuild(shop)
        assert shown(lane, shop) == ["i1", *EVERY[4:]]
        assert shown(lane, shop, unit_id="u2") == EVERY  # of whom there is feedback alone
        forget(shop, "u1", "u2")
    shop.surface.versions.champions().update(alias="retired")
    lane.refresh()
    feedback(lane, shop, "hide", "i9")
    forget(shop, "u1")
    rebuild(shop)
    assert shown(lane, shop) == ["i7", "i8"]


def test_what_was_loaded_from_a_file_counts_after_the_next_refresh(lane, shop):
    mark_all_units(surface=shop.surface)
    bought = PastEvent("past", "purchase", "u1", "i0", None, builders.now() - timedelta(days=90))
    load_past_events(project_id=shop.project.pk, events=[bought], by="a test")
    rebuild(shop)
    assert shown(lane, shop) == EVERY[1:]
    assert "i0" in shown(lane, shop, repeat={"purchase": {"after_days": 30}})


def test_rules_say_what_returns_and_when(lane, shop):
    old = (builders.now() - timedelta(days=21)).isoformat()
    event(lane, shop, "purchase", "i0")
    event(lane, shop, "purchase", "i1", occurred_at=old)
    feedback(lane, shop, "hide", "i2")
    assert shown(lane, shop) == EVERY[3:]
    weeks = {"purchase": {"after_days": 20}}
    assert shown(lane, shop, repeat=weeks) == ["i1", *EVERY[3:]]
    rule(lane, shop, repeat={**weeks, "view": {"after_days": 1}})
    assert shown(lane, shop) == ["i1", *EVERY[3:]]
    assert shown(lane, shop, repeat={"purchase": "always"}) == ["i0", "i1", *EVERY[3:]]
    assert shown(lane, shop, repeat={"purchase": "never", "hide": "always"}) == EVERY[2:]
    event(lane, shop, "view", "i5")
    assert "i5" not in shown(lane, shop, candidates=["i5", "i6"])


def test_a_click_may_be_shown_again_although_it_was_liked(lane, shop):
    event(lane, shop, "click", "i0")
    event(lane, shop, "click", "i1")
    event(lane, shop, "conversion", "i1")
    refresh_surface(surface=shop.surface)
    assert shown(lane, shop) == EVERY[2:]
    assert shown(lane, shop, candidates=["i0", "i9"]) == ["i0", "i9"]  # as ever
    again = {"repeat": {"click": "always"}}
    assert shown(lane, shop, **again) == ["i0", *EVERY[2:]]
    again["repeat"]["conversion"] = "always"
    assert shown(lane, shop, **again) == EVERY
    assert shown(lane, shop, candidates=["i0", "i9"], repeat={"click": "never"}) == ["i9"]


def test_the_chances_of_the_draw_are_of_what_is_left(lane, shop):
    patch_surface(surface=shop.surface, changes={"exploration": 1.0}, by="a test")
    lane.refresh()
    feedback(lane, shop, "hide", "i0")
    for _ in range(5):
        slate = Slate.objects.get(recommendation_id=ask(lane, shop, k=1)["recommendation_id"])
        ((_item, _score, rank, propensity, _explored),) = slate.slots
        weights = 1 / np.arange(1, 10)
        assert propensity == pytest.approx(weights[rank - 1] / weights.sum(), rel=1e-4)


def test_erasure_takes_what_the_cache_remembers(lane, shop):
    event(lane, shop, "purchase", "i0")
    event(lane, shop, "click", "i0")
    keys = [key(shop.project.pk, "u1") for key in (actions_key, other_actions_key)]
    assert cache_client().exists(*keys) == 2
    erase_unit(project_id=shop.project.pk, unit_id="u1", by="a test")
    assert not cache_client().exists(*keys)


@pytest.mark.parametrize(
    ("repeat", "field", "message"),
    [
        ({"purchase": "sometimes"}, "repeat.purchase", "must be 'never', 'always' or"),
        ({"purchase": {"after_days": 0}}, "repeat.purchase", "DAYS in (0, 3650]"),
        ({"purchase": {"after_days": True}}, "repeat.purchase", "DAYS in (0, 3650]"),
        ({"purchase": {"after_days": 3, "x": 1}}, "repeat.purchase", '== {"after_days":3,"x":1}'),
        ({"view": "never"}, "repeat.view", "not recorded, must be one of ['click', 'conversion',"),
        ({"": "never"}, "repeat", "must name an event"),
        (["purchase"], "repeat", "must be an object of at most 20 events"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(lane, shop, repeat, field, message):
    body = {"surface": "home-feed", "unit_id": "u1", "repeat": repeat}
    refused = lane.post("/v1/recommend", body, shop.public)
    assert refused.status_code == 400
    assert refused.json()["error"]["field"] == field
    assert message in refused.json()["error"]["message"]


def test_the_newest_of_an_event_and_an_item_counts_in_whatever_order_they_arrive(tables):
    actions = [
        UnitAction("feedback.thumb", "i1", 10.0, -1.0),
        UnitAction("feedback.thumb", "i1", 20.0, 1.0),
        UnitAction("rating", "i2", 30.0, 4.0),
        UnitAction("hide", "i3", 40.0),
        UnitAction("hide", "i3", 50.0, is_withdrawn=True),
    ]
    for order in (actions, actions[::-1], actions * 2):
        key = actions_key(0, f"unit-{builders.now().timestamp()}")
        with cache_client().pipeline() as pipe:
            for action in order:
                add_actions(pipe, key, [action])
            pipe.execute()
        stored = read_actions(cache_client().zrevrange(key, 0, -1, withscores=True))
        assert stored == actions[::-1]
        assert judge_actions(stored, {}, (), now=60.0).banned == set()
    many = [UnitAction("hide", f"i{n}", float(n)) for n in range(MAX_ACTIONS + 50)]
    with cache_client().pipeline() as pipe:
        add_actions(pipe, key, many)
        pipe.execute()
    assert cache_client().zcard(key) == MAX_ACTIONS


def test_a_rating_is_low_on_the_scale_of_the_surface():
    from experiments.ingest.likes import parse_rules

    ratings = [UnitAction("rating", f"i{value}", 0.0, float(value)) for value in range(1, 11)]
    five = judge_actions(ratings, {}, parse_rules(["rating>=4"]), now=1.0)
    ten = judge_actions(ratings, {}, parse_rules(["rating>=8"]), now=1.0)
    assert five.banned == {"i1", "i2"}
    assert ten.banned == {"i1", "i2", "i3", "i4"}
    assert parse_repeat({"a": "never", "b": "always", "feedback.hide": {"after_days": 2}}) == {
        "a": NEVER, "b": ALWAYS, "hide": 2 * DAY,
    }  # fmt: skip
