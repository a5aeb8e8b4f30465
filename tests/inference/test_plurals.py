"""Counts in sentences: one is one, in English and in Chinese."""

from __future__ import annotations

import pytest
from django.utils.translation import override

from experiments.reports.stored_text import is_listed, show_stored
from inference.plurals import counted, verb


@pytest.mark.parametrize(
    ("count", "sentence"), [(0, "0 rows repeat"), (1, "1 row repeats"), (2, "2 rows repeat")]
)
def test_a_noun_and_its_verb_follow_the_count(count, sentence):
    assert counted(count, "row", "repeats", "repeat") == sentence
    assert counted(count, "row") == " ".join(sentence.split()[:2])
    assert verb(count) == ("is" if count == 1 else "are")


NOTES = [
    ("1 example is dated in the future and is set aside.", "1 example is dated", "1 个样本"),
    ("2 examples are dated in the future and are set aside.", "2 examples are dated", "2 个样本"),
    ("1 decision was not judged: too long.", "1 decision was not evaluated", "1 个决策"),
    ("3 decisions were not judged: too long.", "3 decisions were not evaluated", "3 个决策"),
    ("1 vector of items is of another width than most: it is not read.", "1 vector of an item", "1 个"),
    ("1 of 4 likes are of items that are not in the catalogue: they are not learnt.", "1 of 4", "4"),
]


@pytest.mark.parametrize(("stored", "english", "chinese"), NOTES)
def test_notes_of_one_are_said_on_pages_too(stored, english, chinese):
    assert is_listed(stored)
    with override("en"):
        assert show_stored(stored).startswith(english)
    with override("zh-hans"):
        assert chinese in show_stored(stored)
