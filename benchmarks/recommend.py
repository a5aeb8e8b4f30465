"""`POST /v1/recommend`, 200 candidates re-ranked, slate and exposure committed before the answer."""

from __future__ import annotations

import itertools
import random

from benchmarks.load import measure, measure_at_rate, request_bytes
from benchmarks.results import Row, median_of, write_result
from benchmarks.stage import UNITS, recommend_requests, staged


def run(size: str, home: str) -> None:
    seconds, repeats = (5.0, 5) if size == "full" else (1.0, 2)
    with staged(home) as stage:
        numbers = itertools.count()

        def asks(surface: str):
            ready = recommend_requests(stage, surface)
            random.Random(0).shuffle(ready)
            return lambda: ready[next(numbers) % UNITS]

        ask, plain = asks(stage.surface), asks(stage.plain_surface)
        empty = request_bytes("GET", "/healthz")
        ours, limit, peer, without = [], [], [], []
        for _ in range(repeats):  # interleaved, so that what else happens on the machine hits all alike
            limit.append(
                measure(stage.port, lambda: empty, connections=64, seconds=seconds).requests_per_second
            )
            ours.append(_sound(measure(stage.port, ask, connections=64, seconds=seconds)))
            peer.append(_sound(measure(stage.peer_port, ask, connections=64, seconds=seconds)))
            without.append(_sound(measure(stage.port, plain, connections=64, seconds=seconds)))
        steady = [measure_at_rate(stage.port, ask, rate=300, seconds=seconds) for _ in range(repeats)]
        single = [
            measure(stage.port, ask, connections=1, seconds=seconds).p50_ms for _ in range(repeats)
        ]
        single_plain = [
            measure(stage.port, plain, connections=1, seconds=seconds).p50_ms for _ in range(repeats)
        ]
    (rate, spread), top, beside = median_of(ours), median_of(limit)[0], median_of(peer)[0]
    p99, p99_spread = median_of([m.p99_ms for m in steady])
    overhead = median_of(single)[0] - median_of(single_plain)[0]
    rows = [
        Row("recommend at 64 connections (peer: Django REST framework and ORM; limit: empty route)", rate, "requests/s",
            beside, top, "share_of_limit >= 0.3", spread=spread),
        Row("the same, against the peer", rate, "requests/s", beside, None, "ratio_to_peer >= 10", spread=spread),
        Row("the same without an experiment", median_of(without)[0], "requests/s", None, top),
        Row("recommend p99 at 300 requests/s", p99, "ms", None, None, "ours <= 10", higher_is_better=False, spread=p99_spread),
        Row("routing overhead in a recommend (median at 1 connection, with less without experiment)", overhead, "ms",
            None, None, "ours <= 0.1", higher_is_better=False),
    ]  # fmt: skip
    notes = (
        "One web process; the load generator, PostgreSQL and Valkey share the machine's cores with it."
    )
    write_result("recommend", size, rows, notes, ("djangorestframework", "a2wsgi"))


def _sound(measured) -> float:
    if measured.errors:
        raise RuntimeError(f"{measured.errors} requests failed: {measured.first_error}")
    return measured.requests_per_second
