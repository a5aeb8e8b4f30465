from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.assignment import ConditionError, compile_condition
from tests.conformance.growthbook import check

CASES = Path(__file__).parents[1] / "conformance" / "growthbook_cases.json"


def test_our_cases_hold_in_the_shape_of_the_published_vectors():
    counts, failed = check(json.loads(CASES.read_text(encoding="utf-8")))
    assert failed == []
    assert counts["total"] == counts["passed"] > 35
    assert all(section["total"] for section in counts["sections"].values())


def test_a_wrong_evaluator_fails_the_vectors():
    counts, failed = check(
        {"hash": [["seed", "b", 2, 0.2697]], "evalCondition": [["x", {"a": 1}, {"a": 1}, False]]}
    )
    assert counts["passed"] == 0
    assert failed == ["evalCondition: x", "hash: seed"]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ([], "condition == [], must be an object"),
        ({"$or": {}}, "$or == {}, must be a list of conditions"),
        ({"$foo": 1}, "'$foo' stands where an attribute's name is expected"),
        ({"a": {"$in": 3}}, "$in == 3, must be a list"),
        ({"a": {"$type": "int"}}, '$type == "int", must be one of'),
        ({"a": {"$regex": "("}}, "must be of RE2's syntax"),
        ({"a": {"$regex": "(?=x)"}}, "must be of RE2's syntax"),
        ({"a": {"$regex": "x" * 2000}}, "must be at most 1000 characters"),
        ({"a": {"$inGroup": "nobody"}}, 'saved group "nobody" is unknown'),
        ({"$savedGroup": {"id": "g"}}, "is unknown, or contains itself"),
        ({"a": {"$size": {"$gt": 1, "$bad": 2}}}, "operator '$bad' is unknown"),
    ],
)
def test_malformed_conditions_are_refused_when_saved_and_false_elsewhere(condition, message):
    with pytest.raises(ConditionError) as caught:
        compile_condition(condition)
    assert message in str(caught.value)
    assert compile_condition(condition, strict=False)({"a": "x"}) is False


def test_a_condition_nested_too_deep_is_refused():
    condition: dict = {"a": 1}
    for _ in range(50):
        condition = {"$not": condition}
    with pytest.raises(ConditionError, match="nested deeper than 20"):
        compile_condition(condition)


def test_a_group_that_contains_itself_is_refused():
    groups = {"g": {"type": "condition", "condition": {"$savedGroup": {"id": "g"}}}}
    with pytest.raises(ConditionError, match="contains itself"):
        compile_condition({"$savedGroup": {"id": "g"}}, groups)


def test_saved_groups_of_both_kinds():
    groups = {
        "staff": {"type": "list", "attributeKey": "id", "values": ["u1", "u2"]},
        "adults": {"type": "condition", "condition": {"age": {"$gte": 18}}},
        "plain": ["u3"],
    }
    test = compile_condition({"$savedGroup": {"id": "staff"}}, groups)
    assert [test({"id": unit}) for unit in ("u1", "u3")] == [True, False]
    assert compile_condition({"$savedGroup": {"id": "adults"}}, groups)({"age": 20})
    assert compile_condition({"id": {"$inGroup": "plain"}}, groups)({"id": "u3"})


def test_an_expression_that_explodes_elsewhere_takes_no_time():
    test = compile_condition({"a": {"$regex": "^(a+)+$"}})
    # Backtracking would take longer than the universe has been: this test would never end.
    assert not test({"a": "a" * 50_000 + "!"})


def test_a_condition_is_bounded_in_depth():
    negated: dict = {"a": 1}
    for _ in range(40):
        negated = {"a": {"$not": negated}}
    literal: dict = {}
    for _ in range(3000):
        literal = {"a": literal}
    for condition in (negated, {"a": literal}, {"$and": [{"a": {"$in": [literal]}}]}):
        with pytest.raises(ConditionError, match="nested deeper than 64 levels"):
            compile_condition(condition)
        assert compile_condition(condition, strict=False)({"a": 1}) is False


def test_groups_that_name_groups_are_counted_wherever_they_are_named():
    groups: dict = {"g0": {"type": "list", "attributeKey": "id", "values": ["u"]}}
    for n in range(1, 9):
        inner = [{"$savedGroup": {"id": f"g{n - 1}"}}] * 6
        groups[f"g{n}"] = {"type": "condition", "condition": {"$or": inner}}
    assert compile_condition({"$savedGroup": {"id": "g3"}}, groups)({"id": "u"})
    with pytest.raises(ConditionError, match="more than 10000 parts"):
        compile_condition({"$savedGroup": {"id": "g8"}}, groups)
    assert compile_condition({"$savedGroup": {"id": "g8"}}, groups, strict=False)({"id": "u"}) is False
