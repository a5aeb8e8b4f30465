"""Latency at the gate: measured in turn with the champion, so that a busy worker refuses nothing."""

from __future__ import annotations

import numpy as np
import pytest

from inference.evaluation.gate import GateRule, LatencyRatio, Rival, Serving, judge
from inference.evaluation.scores import Scores
from inference.runs.latency import TIMES, Latencies, time_in_turn

EQUAL = Scores(
    dict.fromkeys(("recall", "precision", "f1", "ndcg", "hit_rate"), np.full(50, 0.5)),
    {"coverage": 0.5},
)


@pytest.mark.parametrize(
    ("latency", "beside"),
    [
        (40.0, LatencyRatio(38.0, 1.05, (0.9, 1.3))),  # a busy worker slows both
        (40.0, LatencyRatio(20.0, 2.0, (1.4, 3.0))),  # not shown to be slower than allowed
        (9.0, LatencyRatio(0.1, 90.0, (80.0, 100.0))),  # much slower, and fast enough
    ],
)
def test_what_is_slow_beside_a_champion_that_is_as_slow_passes(latency, beside):
    serving = Serving(latency, 1000, beside)
    result = judge(Rival("popularity@1", EQUAL), [EQUAL], serving, GateRule(), random_seed=0)
    assert result.passed, result.reasons
    assert result.rows["latency_p95_ms"]["champion"] == beside.champion_p95_ms
    assert result.rows["latency_p95_ms"]["ratio_interval"] == list(beside.interval)


def test_latencies_are_measured_in_turn():
    calls = []
    latencies = time_in_turn(
        4, lambda n: calls.append(("ours", n)), lambda n: calls.append(("other", n))
    )
    assert sorted(calls) == sorted(TIMES * [(who, n) for who in ("ours", "other") for n in range(4)])
    for first, second in zip(calls[::2], calls[1::2], strict=True):
        assert first[1] == second[1]
        assert first[0] != second[0]
    assert len(latencies.ours) == len(latencies.other) == 4
    assert time_in_turn(2, lambda _n: None).serving(10).beside is None


def test_a_ratio_has_an_interval_over_requests():
    rng = np.random.default_rng(0)
    shared = rng.gamma(4, size=200)  # what a request costs both
    ratio = Latencies(2 * shared * rng.uniform(0.95, 1.05, 200), shared).ratio
    low, high = ratio.interval
    assert low < 2 < high
    assert low == pytest.approx(2, rel=0.1)
    assert high == pytest.approx(2, rel=0.1)
