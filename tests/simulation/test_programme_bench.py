"""The bench of a year of challengers, at its smallest: what it shows of the gate, and of each rule."""

from __future__ import annotations

import pytest

from benchmarks.programme import rows_of, table_of
from benchmarks.results import Row
from experiments.simulation.programme_table import PROGRAMMES, Programme, simulate_programmes
from experiments.simulation.settings import YearSettings


@pytest.fixture(scope="module")
def table():
    few = YearSettings(weeks=12, share_broken=0.2)
    rows = simulate_programmes(few, PROGRAMMES, runs=3, seed=2, advance=lambda _: None)
    return {Programme(row.rule, row.interleaving is not None): row for row in rows}


def test_each_arm_has_lift_captured_days_on_worse_models_and_false_promotions(table):
    rows = {row.what: row for row in rows_of(table)}
    for rule in ("significant", "valuable"):
        gated, plain = table[Programme(rule, interleaving=True)], table[Programme(rule)]
        for words, name in (
            ("lift captured", "share_of_oracle"),
            ("user-days on worse models", "worse_user_days"),
            ("false promotions", "harmful_promotions"),
        ):
            row = rows[f"{words}, ours, {rule}, interleaving; without interleaving"]
            assert (row.ours, row.peer) == (getattr(gated, name).value, getattr(plain, name).value)
            assert row.higher_is_better == (name == "share_of_oracle")
    assert rows["broken models promoted by ours"].met


def test_the_table_has_a_row_per_rule_with_the_same_columns(table):
    head, rule, *lines = table_of(list(table.values()))
    assert len(lines) == len(PROGRAMMES)
    assert {line.count("|") for line in (head, rule, *lines)} == {8}
    for words in ("lift captured", "false promotions", "user-days on worse models", "on broken models"):
        assert words in head
    (oracle,) = (line for line in lines if line.startswith("| oracle |"))
    assert oracle.endswith("| 0 ± 0 | 0 ± 0 |")


@pytest.mark.parametrize(
    ("ours", "peer", "target", "reached"),
    [
        (0.0, 3.0, "ratio_to_peer >= 1", True),  # no ratio, and better than any
        (2.0, 3.0, "ratio_to_peer >= 1", True),
        (4.0, 3.0, "ratio_to_peer >= 1", False),
        (0.0, 0.0, "ratio_to_peer >= 1", None),  # of nothing beside nothing there is nothing to say
        (0.0, None, "ratio_to_peer >= 1", None),
    ],
)
def test_of_what_is_better_the_less_there_is_none_at_all_reaches_a_target(ours, peer, target, reached):
    row = Row("errors", ours, "count", peer=peer, target=target, higher_is_better=False)
    assert row.met is reached
