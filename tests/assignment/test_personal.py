"""Rules that name people."""

from __future__ import annotations

import pytest

from experiments.assignment import (
    ExperimentRule,
    Prerequisite,
    Targeting,
    VariantRule,
    named_groups,
    personal_rules,
)


def rule(key="a", condition=None, prerequisites=(), groups=None, **fields):
    checks = [Targeting(condition, groups or {})] if condition else []
    checks += [Prerequisite(other, frozenset({"x"})) for other in prerequisites]
    return ExperimentRule(key, "salt", 1.0, (VariantRule("x", 1.0),), checks=tuple(checks), **fields)


@pytest.mark.parametrize(
    "condition",
    [
        {"id": {"$in": ["u1"]}},
        {"user.e_mail": "x"},
        {"user": {"login": "ann"}},
        {"account_id": {"$in": ["a1"]}},
        {"$or": [{"country": "DE"}, {"$not": {"userId": "u1"}}]},
        {"who": {"$in": ["ann@example.com"]}},
        {"who": {"$regex": "@example[.]com$"}},
        {"tags": {"$elemMatch": {"$eq": "a@b.de"}}},
    ],
)
def test_conditions_that_name_people(condition):
    assert personal_rules({"a": rule(condition=condition)}) == {"a"}


@pytest.mark.parametrize(
    "condition",
    [
        {"$savedGroup": {"id": "staff"}},
        {"plan": {"$inGroup": "staff"}},
        {"plan": {"$notInGroup": "staff"}},
    ],
)
def test_saved_groups_are_lists_of_people(condition):
    groups = {"staff": {"type": "list", "attributeKey": "id", "values": ["u1"]}}
    assert personal_rules({"a": rule(condition=condition, groups=groups)}) == {"a"}


@pytest.mark.parametrize(
    "condition", [None, {"country": {"$in": ["DE"]}}, {"age": {"$gte": 40}}, {"unit.plan": "gold"}]
)
def test_others_do_not(condition):
    assert personal_rules({"a": rule(condition=condition)}) == frozenset()


def test_forced_units_and_whoever_waits_for_such_a_rule():
    rules = {
        "forced": rule("forced", forced={"u1": "x"}),
        "child": rule("child", prerequisites=["forced"]),
        "grandchild": rule("grandchild", prerequisites=["child"]),
        "other": rule("other", prerequisites=["missing"]),
    }
    assert personal_rules(rules) == {"forced", "child", "grandchild"}


def test_a_condition_goes_with_the_groups_that_it_names_and_no_others():
    groups = {
        "a": {"type": "list", "attributeKey": "id", "values": ["u1"]},
        "b": {"type": "condition", "condition": {"$or": [{"x": {"$notInGroup": "a"}}]}},
        "c": {"type": "condition", "condition": {"$savedGroup": {"id": "c"}}},
        "other": {"type": "list", "attributeKey": "id", "values": ["u2"]},
    }
    assert named_groups({"$not": {"$savedGroup": {"id": "b"}}}, groups).keys() == {"a", "b"}
    assert named_groups({"x": {"$inGroup": "c"}, "y": {"$inGroup": "gone"}}, groups).keys() == {"c"}
    assert named_groups({"country": "other", "$savedGroup": "other"}, groups) == {}
