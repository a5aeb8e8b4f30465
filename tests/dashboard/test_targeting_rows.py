"""Whom an experiment is for, in its form: rows where they can say it, JSON where they cannot."""

from __future__ import annotations

import json

import pytest

from bakeoff.dashboard.targeting_form import (
    ConditionRow,
    condition_of,
    rows_of_condition,
    same_condition,
)
from experiments.models import SavedGroup
from tests.support import builders
from tests.support.dashboard import report_path, sign_in
from tests.support.form_reader import read_form, row_fields

GERMANS = {"attribute": "country", "comparison": "$eq", "value": "DE"}
EITHER = {"$or": [{"country": "DE"}, {"age": {"$gt": 17}}]}


def read_rows(rows: list[dict[str, str]]) -> dict:
    """Return what the rows' forms make of them."""
    forms = [ConditionRow(row, groups=frozenset({"beta"}), has_stored=True) for row in rows]
    assert all(form.is_valid() for form in forms), [form.errors for form in forms]
    return condition_of([form.values() for form in forms])


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {
            "country": {"$in": ["DE", "Paris, France", '5" wide', "7", "、"]},
            "age": {"$gte": 18, "$lt": 65},
        },
        {"plan": {"$eq": "7"}, "member": {"$eq": True}, "x": {"$ne": "true"}, "y": {"$eq": " a "}},
        {"id": {"$inGroup": "beta"}, "coupon": {"$exists": False}, "unit.plan": {"$exists": True}},
        {"note": {"$eq": '"quoted"'}, "text": {"$eq": "two\nlines"}, "size": {"$nin": [1.5, 2]}},
    ],
)
def test_rows_of_a_condition_make_it_again(condition):
    assert read_rows(rows_of_condition(condition)) == condition


@pytest.mark.parametrize(
    "condition",
    [
        EITHER,
        {"country": {"$regex": "^D"}},
        {"country": {"$in": []}},
        {"country": {"$eq": ""}, "tags": {"$elemMatch": {"$eq": "a"}}},
        {"country": None},
        {"address": {"city": "Bonn"}},
        {f"a{n}": 1 for n in range(21)},
    ],
)
def test_what_rows_cannot_say_has_none(condition):
    assert rows_of_condition(condition) is None
    assert same_condition(condition, condition)
    assert not same_condition(condition, {})


def test_an_equality_is_the_same_in_both_ways_of_writing():
    assert same_condition({"a": 1, "b": "x"}, {"b": {"$eq": "x"}, "a": {"$eq": 1}})
    assert not same_condition({"a": 1}, {"a": "1"})
    assert not same_condition({"a": 1}, {"a": True})


@pytest.fixture
def form(shop):
    """Store a draft with a condition; open its form, and send it."""
    client = sign_in(shop.project, role="analyst")

    def open_form(condition):
        draft = builders.define_experiment(builders.draft(shop, shop.surface, condition=condition))
        address = report_path(draft, "edit/")
        fields = read_form(client.get(address).content.decode(), "definition")

        def send(**changes):
            answer = client.post(address, fields | changes)
            draft.refresh_from_db()
            return answer, draft.condition

        return fields, send

    return open_form


def test_a_stored_condition_is_shown_as_rows_and_changed_by_them(form):
    fields, send = form({"country": "DE"})
    assert [fields[f"condition-0-{name}"] for name in GERMANS] == [["country"], ["$eq"], ["DE"]]
    answer, stored = send()
    assert (answer.status_code, stored) == (302, {"country": "DE"})  # as it was written
    answer, stored = send(**{"condition-0-value": "AT"})
    assert (answer.status_code, stored) == (302, {"country": {"$eq": "AT"}})
    answer, stored = send(
        **{"condition-TOTAL_FORMS": "0", "condition-INITIAL_FORMS": "0", "read_as": ""}
    )
    assert (answer.status_code, stored) == (302, {})


def test_a_condition_that_rows_cannot_say_stays_and_is_edited_as_json(form):
    fields, send = form(EITHER)
    assert json.loads(fields["condition"][0]) == EITHER
    answer, stored = send(hypothesis="Changed.")
    assert (answer.status_code, stored) == (302, EITHER)
    answer, _ = send(**row_fields("condition", GERMANS))
    assert answer.status_code == 422
    assert "Fill in the rows of targeting or this field, not both." in answer.content.decode()
    answer, stored = send(condition='{"$not": {"country": "DE"}}', read_as="")
    assert (answer.status_code, stored) == (302, {"$not": {"country": "DE"}})


def test_a_refused_row_opens_its_section_with_what_was_typed(shop, form):
    SavedGroup.objects.create(project=shop.project, key="beta", attribute="id", values=["u1"])
    fields, send = form({})
    assert fields["condition-TOTAL_FORMS"] == ["2"]
    wrong = {"attribute": "id", "comparison": "$inGroup", "value": "gamma"}
    answer, stored = send(**row_fields("condition", wrong))
    page = answer.content.decode()
    assert (answer.status_code, stored) == (422, {})
    assert "“gamma” is no group of this project." in page
    assert read_form(page, "definition")["condition-0-value"] == ["gamma"]
    section = page[: page.index('id="rows-condition"')].rpartition("<details")[2]
    assert section.startswith(' class="section" open>')
    answer, stored = send(**row_fields("condition", wrong | {"value": "beta"}))
    assert (answer.status_code, stored) == (302, {"id": {"$inGroup": "beta"}})


def test_a_row_more_in_a_draft_stores_nothing(form):
    fields, send = form({"country": "DE"})
    answer, stored = send(**{"add-row": "condition", "name": "Typed"})
    again = read_form(answer.content.decode(), "definition")
    assert (answer.status_code, stored) == (200, {"country": "DE"})
    assert (again["condition-TOTAL_FORMS"], again["name"]) == (["2"], ["Typed"])
    assert again["read_as"] == fields["read_as"]
