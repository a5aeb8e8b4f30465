"""Changes in a metric's own unit: three digits, one minus sign, on pages and in the shell."""

from __future__ import annotations

import pytest

from bakeoff.commands.scorecard_view import _change, _plain, _share
from bakeoff.dashboard.templatetags.numbers import interval
from experiments.reports.percentages import percent, signed_number
from experiments.reports.verdict import describe_effect
from experiments.stats.comparison import Comparison
from experiments.stats.effect import Effect


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-2.82, "−2.82"), (3.945, "+3.94"), (0.5625, "+0.562"), (-1e-17, "+0"), (12_345.6, "+12,346"),
        (-4321.0, "−4,321"), (0.000123456, "+0.000123"), (-0.27, "−0.27"), (-0.00001, "−1e−05"),
    ],
)  # fmt: skip
def test_a_change_has_three_digits_and_a_true_minus(value, text):
    assert signed_number(value) == text


def test_shell_and_pages_write_the_same_minus():
    assert [_share(-0.27), _plain(-2.5), _change(-2.5), percent(-0.27)] == [
        "−27.00%", "−2.5", "−2.5", "−27%",
    ]  # fmt: skip
    assert interval((-2.82, 3.945)) == "−2.82 to +3.94"
    assert interval((None, -0.5)) == "open to −0.5"


def test_an_absolute_effect_is_written_like_a_relative_one():
    effect = Effect(0.5, 1.0625, 0.5625, 1.2, 0.47, 100, 100, control_se=0.9, treatment_se=0.8)
    row = Comparison("clicks", "treatment", effect, interval=(-2.82, 3.945))
    assert describe_effect(row, "95% CI") == "+0.562 (95% CI: −2.82 to +3.94)"
