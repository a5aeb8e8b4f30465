"""A segment among the features of a prediction (CUPAC): what it takes out beside the history alone."""

from __future__ import annotations

import numpy as np

from benchmarks.variance import segment_row, simulate_histories


def test_a_segment_that_the_outcome_follows_takes_out_more_than_the_history_alone():
    row = segment_row(*simulate_histories(3_000, 21))
    assert row.met
    assert row.ours > row.peer + 0.02 > 0.2


def test_a_segment_of_chance_takes_out_nothing_more():
    before, history, after = simulate_histories(3_000, 21)
    coins = np.random.default_rng(3).integers(0, 2, len(after)).astype(float)
    row = segment_row(before, np.column_stack([history[:, :-1], coins]), after)
    assert abs(row.ours - row.peer) < 0.015
