"""Request types: every field is checked in one step, and a refusal names the value and the rule."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.http.fields import (
    Ids,
    flag,
    identifiers,
    json_object,
    list_of_ids,
    one_of,
    parse,
    request_type,
    rule,
    text,
    uuid,
    whole_number,
)
from bakeoff.gateway.slates.requests import RecommendRequest
from experiments.bounds import BoundsError


@request_type
class Sample:
    name: str = rule(text(5))
    ids: Ids = identifiers()
    stars: int = rule(whole_number(1, 5), default=3)
    loud: bool = rule(flag, default=False)
    items: list[str] | None = rule(list_of_ids, default=None)
    extra: dict[str, Any] = rule(json_object)
    kind: str = rule(one_of(("a", "b")), default="a")
    slate: str | None = rule(uuid, default=None)


GOOD = {"name": "n", "unit_id": "u"}


def test_defaults_stand_for_what_is_missing_or_null():
    request = parse(Sample, GOOD)
    assert request == parse(Sample, {**GOOD, "stars": None, "extra": None, "unknown": [1]})
    assert (request.ids, request.stars, request.extra) == ((None, "u"), 3, {})


def test_a_request_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        parse(Sample, GOOD).stars = 4


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "name is missing, must be a text of 1 to 5 characters."),
        ({"name": "n"}, "unit_id is missing, must be a text of 1 to 200 characters."),
        ({"name": "n", "anonymous_id": 7}, "anonymous_id == 7, must be a text of 1 to 200 characters."),
        ({**GOOD, "stars": 6}, "stars == 6, must be a whole number in [1, 5]."),
        ({**GOOD, "stars": True}, "stars == true, must be a whole number in [1, 5]."),
        ({**GOOD, "stars": 1.0}, "stars == 1.0, must be a whole number in [1, 5]."),
        ({**GOOD, "loud": 1}, "loud == 1, must be true or false."),
        ({**GOOD, "items": "i"}, "items == 'i', must be a list of at most 1000 ids."),
        ({**GOOD, "items": ["i", ""]}, "items == '', must be a text of 1 to 200 characters."),
        ({**GOOD, "extra": []}, "extra == [], must be an object."),
        ({**GOOD, "kind": ["a"]}, "kind == ['a'], must be one of a, b."),
        ({**GOOD, "slate": "x"}, "slate == 'x', must be a UUID."),
    ],
)
def test_a_refusal_names_the_value_and_the_rule(body, message):
    with pytest.raises((ApiError, BoundsError)) as error:
        parse(Sample, body)
    assert str(error.value) == message
    assert error.value.field == message.partition(" ")[0]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = [field.name for field in dataclasses.fields(RecommendRequest) if field.name != "ids"]


@given(st.dictionaries(st.sampled_from([*_FIELDS, "anonymous_id", "unit_id"]), _JSON))
def test_any_body_is_read_or_refused_by_a_named_field(body):
    try:
        request = parse(RecommendRequest, body)
    except (ApiError, BoundsError) as error:
        assert error.field is not None  # noqa: PT017  either outcome is right
    else:
        assert 1 <= len(request.surface) <= 64
        assert 1 <= request.k <= 100
        assert request.ids != (None, None)
