"""Filters over items: the language of targeting, requested of every item at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.assignment.conditions import compile_condition
from experiments.slate_rules import columns
from experiments.slate_rules.filters import Filters
from experiments.slate_rules.request_rules import bind_rules
from experiments.slate_rules.rule_error import RuleError
from experiments.slate_rules.rules import NO_RULES, SlateRules
from inference.serving.catalogue import Catalogue
from inference.serving.catalogue_row import CatalogueRow

ITEMS = {
    "boot": ({"price": 80.0, "labels": ("shoes", "winter")}, {"brand": "Acme", "stock": 3}),
    "sandal": ({"price": 30.0, "labels": ("shoes", "summer")}, {"brand": "Zeta", "stock": 0}),
    "scarf": ({"price": 15.0, "labels": ("winter",)}, {"brand": "Acme"}),
    "gift": ({"title": "Gift card"}, {"size": {"width": 2}}),
}


@pytest.fixture
def filters() -> Filters:
    catalogue = Catalogue()
    catalogue.apply([CatalogueRow(name, fields=f, properties=p) for name, (f, p) in ITEMS.items()], 1)
    return Filters(catalogue)


def matching(filters, condition, **context):
    mask = filters.mask(condition, context)
    return [name for name, held in zip(ITEMS, mask, strict=True) if held]


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ({}, ["boot", "sandal", "scarf", "gift"]),
        ({"price": {"$lte": 50}, "labels": "shoes"}, ["sandal"]),
        ({"price": {"$gt": 15, "$lt": 80}}, ["sandal"]),
        ({"price": {"$lt": 1000}}, ["boot", "sandal", "scarf"]),  # what has no price is not cheap
        ({"labels": {"$ne": "winter"}}, ["sandal", "gift"]),
        ({"labels": {"$in": ["summer", "winter"]}}, ["boot", "sandal", "scarf"]),
        ({"labels": {"$all": ["shoes", "winter"]}}, ["boot"]),
        ({"brand": {"$exists": False}}, ["gift"]),
        ({"brand": {"$regex": "^Z"}}, ["sandal"]),
        ({"size.width": 2}, ["gift"]),
        ({"$or": [{"brand": "Zeta"}, {"title": "Gift card"}]}, ["sandal", "gift"]),
        ({"$nor": [{"brand": "Zeta"}, {"title": "Gift card"}]}, ["boot", "scarf"]),
        ({"$not": {"labels": "winter"}}, ["sandal", "gift"]),
        ({"price": {"$lte": {"$context": "budget"}}}, ["sandal", "scarf"]),
        ({"brand": {"$in": [{"$context": "brand"}]}, "labels": "winter"}, ["boot", "scarf"]),
    ],
)
def test_a_filter_finds_its_items(filters, condition, names):
    assert matching(filters, condition, budget=30) == names


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"prise": 3}, "no item has a property 'prise'. Did you mean 'price'?"),
        ({"price": {"$lte": "cheap"}}, r"filter.price == 'cheap', must be a number"),
        ({"price": "cheap"}, r"filter.price == 'cheap', must be a number"),
        ({"brand": {"$gt": 3}}, r"filter.brand == 3, must be a text"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(filters, condition, message):
    with pytest.raises(RuleError, match=message):
        filters.require(condition, {}, "filter")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"filter": {"price": {"$near": 3}}}, "operator '\\$near' is unknown"),
        ({"filter": {"brand": {"$regex": "("}}}, "must be of RE2's syntax"),
        ({"filter": [1]}, "must be an object"),
        ({"filter": {"brand": "x" * 9000}}, "must be at most 8192"),
        ({"filtre": {}}, "Did you mean 'filter'?"),
        ({"boost": [{"by": 2, "wieght": 1}]}, "boost.0.wieght: unknown"),
        (
            {"pin": [{"item_id": "a", "position": 1}, {"item_id": "b", "position": 1}]},
            "must be another",
        ),
        ({"caps": {"brand": 1.5}}, "must be a whole number"),
        ([], "rules == \\[\\], must be an object"),
    ],
)
def test_rules_that_cannot_be_read_are_refused(body, message):
    with pytest.raises(RuleError, match=message):
        SlateRules.parse(body)


def test_rules_of_a_surface_and_a_request_are_joined():
    stored = SlateRules.parse(
        {"caps": {"brand": 3, "labels": 2}, "pin": [{"item_id": "a", "position": 1}]}
    )
    requested = SlateRules.parse(
        {"caps": {"brand": 1}, "pin": [{"item_id": "a", "position": 2}], "filter": {"x": 1}}
    )
    joined = stored.joined_with(requested)
    assert joined.caps == {"brand": 1, "labels": 2}
    assert joined.pins == {2: "a"}
    assert joined.filters == ({"x": 1},)
    assert stored.joined_with(SlateRules()) is stored


def test_a_filter_follows_the_items(filters):
    assert matching(filters, {"stock": {"$gt": 0}}) == ["boot"]
    filters.catalogue.apply([CatalogueRow("sandal", properties={"stock": 9, "colour": "red"})], 2)
    assert matching(filters, {"stock": {"$gt": 0}}) == ["boot", "sandal"]
    assert matching(filters, {"colour": "red"}) == ["sandal"]


def test_a_filter_that_nobody_used_for_many_changes_is_right(filters, monkeypatch):
    monkeypatch.setattr("inference.serving.catalogue.MAX_TOUCHED", 3)
    assert matching(filters, {"stock": 19}) == []
    for n in range(20):
        filters.catalogue.apply([CatalogueRow("boot", properties={"stock": n})], n + 2)
    assert matching(filters, {"stock": 19}) == ["boot"]
    assert matching(filters, {"stock": 3}) == []


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.5, "a", "b", "10", ""])
)
TESTS = st.one_of(
    VALUES.filter(lambda value: value is not None),
    st.builds(
        lambda name, value: {name: value},
        st.sampled_from(["$eq", "$ne", "$lt", "$lte", "$gt", "$gte"]),
        VALUES.filter(lambda value: value is not None),
    ),
    st.builds(lambda values: {"$in": values}, st.lists(VALUES, max_size=3)),
    st.builds(lambda values: {"$nin": values}, st.lists(VALUES, max_size=3)),
    st.builds(lambda flag: {"$exists": flag}, st.booleans()),
)
LEAVES = st.dictionaries(st.sampled_from(["p", "q"]), TESTS, min_size=1, max_size=2)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(
            lambda name, parts: {name: parts},
            st.sampled_from(["$and", "$or", "$nor"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        st.builds(lambda one: {"$not": one}, inner),
    ),
    max_leaves=5,
)


@given(CONDITIONS, st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=8))
@settings(max_examples=200, deadline=None)
def test_a_filter_means_what_a_condition_means(condition, items):
    """Where an item has its values, it passes all at once as it does alone."""
    rows = [{"p": p, "q": q} for p, q in items]
    catalogue = Catalogue()
    catalogue.apply(
        [CatalogueRow(f"i{n}", properties={**row, "p_": 1}) for n, row in enumerate(rows)], 1
    )
    mask = Filters(catalogue).mask(condition, {})
    one_by_one = compile_condition(condition)
    for row, held in zip(rows, mask.tolist(), strict=True):
        if None not in row.values():
            assert held == one_by_one(row), (condition, row)


def test_vectors_for_diversity_are_the_same_whether_they_are_ready_or_not(filters, monkeypatch):
    rows = np.array([2, 0, -1, 3, 1], dtype=np.int32)
    rules = bind_rules(
        SlateRules.parse({"diversity": {"by": "labels"}}), NO_RULES, filters, context={}, exclude=()
    )

    def likeness():
        features = rules.about(["a", "b", "c", "d", "e"], None, rows).rules.diversity.features
        return features @ features.T

    ready = likeness()
    assert ready.diagonal().tolist() == pytest.approx([1, 1, 0, 0, 1])  # neither c nor d has labels
    assert ready[0, 1] == pytest.approx(0.5**0.5)  # boot and scarf share one label of two
    monkeypatch.setattr(columns, "MAX_WIDTH", 1)
    rules.filters.catalogue.apply([CatalogueRow("hat", fields={"labels": ("hats",)})], 2)
    assert likeness() == pytest.approx(ready)


def test_vectors_that_come_later_are_the_same(filters):
    rules = bind_rules(
        SlateRules.parse({"diversity": {"by": "vectors"}}), NO_RULES, filters, context={}, exclude=()
    )
    vectors = np.eye(3, dtype=np.float32)
    at_once = rules.about(["a", "b", "c"], lambda: vectors).rules.diversity
    later = rules.with_vectors(rules.about(["a", "b", "c"], None), lambda: vectors).rules.diversity
    assert later.features.tolist() == at_once.features.tolist() == vectors.tolist()


def test_caps_leave_room_for_what_has_another_value_or_none(filters):
    caps = SlateRules.parse({"caps": {"labels": 1}})
    rules = bind_rules(caps, NO_RULES, filters, context={}, exclude=())
    boot, sandal, scarf, gift = np.arange(4, dtype=np.int32)[:, None]
    assert not rules.has_room(np.concatenate([boot, sandal, scarf]), ["boot"])
    assert rules.has_room(np.concatenate([boot, gift]), ["boot"])
    assert rules.has_room(sandal, ["scarf"])
    assert not rules.has_room(sandal, ["scarf", "boot"])
    assert rules.has_room(np.array([-1], dtype=np.int32), ["boot", "nobody-knows"])
