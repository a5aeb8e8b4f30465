"""What looks, gates and runs store is listed with words for pages, in both languages."""

from __future__ import annotations

import pytest
from django.utils.translation import override

from bakeoff.dashboard.templatetags.numbers import in_words
from experiments.reports.stored_text import is_listed, show_stored
from experiments.stats.look import take_look
from tests.support.random_looks import Draws, random_input


def test_every_reason_of_a_look_has_words_for_pages():
    draws = Draws(5)
    unlisted = set()
    for _ in range(60):
        result = take_look(random_input(draws, exact=0.02))
        reasons = [result.reason, *(row.why_not for row in result.comparisons)]
        unlisted |= {reason for reason in reasons if reason and not is_listed(reason)}
    assert unlisted == set()


@pytest.mark.parametrize(
    ("stored", "english", "chinese"),
    [
        (
            "better: z = 2.87 beyond ±2.80",
            "Significant: z = 2.87, needed 2.80",
            "显著：z = 2.87，需要 2.80",
        ),
        (
            "two-tower@2 refused by the gate: coverage == 0.101, must be at least 0.200",
            "two-tower@2 was rejected by the gate. Coverage is 0.101; it must be at least 0.200",
            "two-tower@2 未通过门槛。覆盖率 为 0.101；必须至少为 0.200",
        ),
        ("'bad' leaves the traffic (worse: z = -3.00 beyond ±2.00); alpha is spent: e = 2 below 20",
         "'bad' was removed. Significantly worse: z = -3.00, needed 2.00; All of alpha is spent. "
         "Not significant: e = 2, needed 20",
         "“bad”已移除。显著变差：z = -3.00，需要 2.00; α 已用尽。不显著：e = 2，需要 20"),
        ("ValueError: something else", "ValueError: something else", "ValueError: something else"),
    ],
)  # fmt: skip
def test_a_stored_sentence_is_shown_in_the_readers_words(stored, english, chinese):
    assert show_stored(stored) == english
    with override("zh-hans"):
        assert show_stored(stored) == chinese


def test_whom_a_gate_compares_with_is_named_in_the_readers_language():
    with override("zh-hans"):
        assert in_words("the base model") == "基础模型"
        assert in_words("prompt@1") == "prompt@1"
        assert in_words(None) == ""
