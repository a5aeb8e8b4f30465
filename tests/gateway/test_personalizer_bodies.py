"""Bodies in Azure Personalizer's shape: what becomes of nested features, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.http.fields import parse
from bakeoff.gateway.personalizer.features import flat_features, same_names
from bakeoff.gateway.personalizer.ranking import ChosenAction, ranking_body
from bakeoff.gateway.personalizer.requests import PersonalizerRank
from experiments.bounds import BoundsError
from tests.support.personalizer import ACTIONS, CONTEXT


def read(**body) -> PersonalizerRank:
    return parse(PersonalizerRank, {"actions": ACTIONS, "contextFeatures": CONTEXT} | body)


@pytest.mark.parametrize(
    ("value", "flat"),
    [
        (None, {}),
        ([], {}),
        ({"price": 3}, {"price": 3}),
        ([{"price": 3}, {"taste": {"hot": True, "kind": {"of": "x"}}}], {"price": 3, "taste.hot": True, "taste.kind.of": "x"}),
        ([{"tags": ["red", "new", 3]}], {"tags": "3,new,red"}),
        ([{"sizes": [1, 2.5]}], {"sizes.0": 1, "sizes.1": 2.5}),
        ([{"parts": [{"a": 1}, {"a": 2}]}], {"parts.0.a": 1, "parts.1.a": 2}),
        ([{"none": None, "empty": []}], {"none": None}),
    ],
)  # fmt: skip
def test_nested_features_become_plain_ones(value, flat):
    assert flat_features(value, "features") == flat


def test_actions_name_the_same_features_afterwards():
    rows = same_names([{"a": 1}, {"a": "x", "b": True}, {"a": 2.5}, {"a": False}], list("wxyz"))
    assert rows == [
        {"a": "1", "b": None}, {"a": "x", "b": True}, {"a": "2.5", "b": None}, {"a": "false", "b": None},
    ]  # fmt: skip
    assert same_names([{}, {}], ["a", "b"]) == [{"id": "a"}, {"id": "b"}]


def test_a_request_is_read_into_columns():
    request = read(excludedActions=["half"], eventId="", deferActivation=True)
    assert (request.eventId, request.deferActivation, request.allowed()) == (None, True, [0, 2])
    assert request.actions.names == ("price", "taste.hot")
    np.testing.assert_array_equal(request.actions.numbers, [[0, np.nan], [5, 1], [np.nan, np.nan]])
    assert request.actions.texts == {"brand": [None, None, "x"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actions": []}, "must be a list of 1 to 200 actions"),
        ({"actions": [1]}, "actions[0] == 1, must be an object with id and features"),
        ({"actions": [{"features": []}]}, "actions[0].id is missing"),
        ({"actions": ACTIONS[:1] * 2}, "must be the id of one action only"),
        ({"actions": ACTIONS * 70}, "actions == '210 of them', must be at most 200"),
        ({"actions": [{"id": "a", "features": [1]}]}, "actions[0].features == [1], must be a list of objects"),
        ({"actions": [{"id": "a", "features": [{"x": 1}, {"x": 2}]}]}, "'x', must be named once"),
        ({"actions": [{"id": "a", "features": [{"x": "y" * 201}]}]}, "must be a text of at most 200"),
        ({"contextFeatures": "x"}, "contextFeatures == 'x', must be a list of objects"),
        ({"contextFeatures": [{f"x{n}": 1 for n in range(51)}]}, "features == '51 of them', must be at most 50"),
        ({"eventId": "a/b"}, "eventId == 'a/b', must be without '/'"),
        ({"eventId": "a" * 191}, "eventId"),
        ({"eventId": 7}, "eventId == 7"),
        ({"deferActivation": "yes"}, "deferActivation == 'yes', must be true or false"),
        ({"excludedActions": "half"}, "excludedActions == 'half', must be a list"),
    ],
)  # fmt: skip
def test_a_body_that_breaks_a_rule_is_refused(change, message):
    with pytest.raises((ApiError, BoundsError)) as error:
        read(**change)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("excluded", "message"),
    [
        (["other"], "excludedActions == 'other', must be the id of one of the actions"),
        (["none", "half", "gift"], "excludedActions == 'all actions', must be fewer"),
    ],
)
def test_exclusions_that_leave_nothing_or_name_nothing_are_refused(excluded, message):
    with pytest.raises(ApiError) as error:
        read(excludedActions=excluded).allowed()
    assert message in str(error.value)


def test_features_that_nest_without_end_are_refused():
    deep: dict = {}
    for _ in range(12):
        deep = {"x": deep, "y": 1}
    with pytest.raises(ApiError, match="must be nested at most 8 levels deep"):
        flat_features([deep], "features")
    with pytest.raises(ApiError, match="must be at most 1000 features"):
        flat_features([{"x": list(range(2000))}], "features")


def test_the_chosen_action_is_first_and_the_others_follow_by_their_chance():
    body = ranking_body("e", list("abcd"), [0, 2, 3], np.array([0.2, 0.3, 0.5]), ChosenAction("a", 0.2))
    assert [(one["id"], one["probability"]) for one in body["ranking"]] == [
        ("a", 0.2), ("b", 0.0), ("d", 0.5), ("c", 0.3),
    ]  # fmt: skip
    assert (body["eventId"], body["rewardActionId"]) == ("e", "a")


def test_a_decision_of_before_has_its_own_chance_and_the_others_the_rest():
    body = ranking_body("e", list("ab"), [0, 1], np.array([0.9, 0.1]), ChosenAction("b", 0.4))
    assert [(one["id"], one["probability"]) for one in body["ranking"]] == [
        ("b", 0.4), ("a", pytest.approx(0.6)),
    ]  # fmt: skip
