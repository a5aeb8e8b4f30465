"""Feedback on generated texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.models import Feedback
from inference.serving.edit_distance import edit_share


def distance(a: str, b: str) -> int:
    """Levenshtein's distance by its definition."""
    row = list(range(len(b) + 1))
    for n, x in enumerate(a, start=1):
        before, row[0] = row[0], n
        for m, y in enumerate(b, start=1):
            before, row[m] = row[m], min(row[m] + 1, row[m - 1] + 1, before + (x != y))
    return row[-1]


@given(st.text(alphabet="abc", max_size=12), st.text(alphabet="abc", max_size=12))
def test_it_is_levenshteins_distance(a, b):
    assert edit_share(a, b) == pytest.approx(distance(a, b) / max(len(a), len(b), 1))


def test_an_edit_is_measured_against_the_answer(chat):
    generation_id = chat.ask().json()["id"]
    body = {"unit_id": "u1", "recommendation_id": generation_id, "kind": "edit"}
    answer = chat.lane.post(
        "/v1/feedback", {**body, "value": "Hello you, anna@example.com"}, chat.secret
    )
    assert answer.json()["redacted"] == ["email"]
    edit = Feedback.objects.get(project=chat.project)
    assert edit.text == "Hello you, [email]"
    assert edit.value == pytest.approx(edit_share("Hello there.", edit.text))
    for kind in ("accept", "copy", "regenerate", "abandon"):
        answer = chat.lane.post("/v1/feedback", {**body, "kind": kind}, chat.secret)
        assert answer.json()["accepted"] == 1
