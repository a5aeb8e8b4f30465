"""One assignment in process, beside the growthbook SDK; a million, beside the bare hash."""

from __future__ import annotations

import time
from hashlib import sha256

from growthbook import GrowthBook

from benchmarks.results import Row, median_of, write_result
from experiments.assignment import ExperimentRule, VariantRule, assign
from experiments.assignment.bulk import assign_many

REPEATS = 5


def _seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def run(size: str, home: str) -> None:
    units = [f"user-{n}" for n in range(200_000 if size == "full" else 20_000)]
    rule = ExperimentRule(
        "k", "salt", 0.9, tuple(VariantRule(f"v{n}", w) for n, w in enumerate((0.4, 0.3, 0.3)))
    )
    features = {
        "k": {
            "defaultValue": "none",
            "rules": [
                {
                    "coverage": 0.9,
                    "weights": [0.4, 0.3, 0.3],
                    "variations": ["a", "b", "c"],
                    "hashVersion": 2,
                    "seed": "salt",
                }
            ],
        }
    }
    gb = GrowthBook(features=features)

    def ours() -> None:
        for unit in units:
            assign(rule, unit)

    few = units[: len(units) // 10]

    def peer() -> None:
        for unit in few:
            gb.set_attributes({"id": unit})
            gb.eval_feature("k")

    def bulk() -> None:
        assign_many(rule, units)

    def bare() -> None:
        for unit in units:
            sha256(unit.encode()).digest()

    single, bulks, peers, bares = [], [], [], []
    for _ in range(REPEATS):
        single.append(_seconds(ours) / len(units) * 1e6)
        peers.append(_seconds(peer) / len(few) * 1e6)
        bulks.append(_seconds(bulk) / len(units) * 1e6)
        bares.append(_seconds(bare) / len(units) * 1e6)
    one, one_spread = median_of(single)
    many, many_spread = median_of(bulks)
    bare_time, _ = median_of(bares)
    rows = [
        Row("one assignment in process (peer: growthbook SDK)", one, "µs", median_of(peers)[0], None,
            "ratio_to_peer >= 6", higher_is_better=False, spread=one_spread),
        Row("many units at once, a unit (peer: our single call; limit: bare SHA-256 loop)", many, "µs", one, bare_time,
            "share_of_limit >= 0.6", higher_is_better=False, spread=many_spread),
    ]  # fmt: skip
    notes = (
        "Gate and three variants, no targeting rule yet. The growthbook SDK evaluates the same weights and coverage "
        "with its own hash (FNV-1a). The bulk call returns variants for all units; the limit only hashes their ids."
    )
    write_result("assignment", size, rows, notes, ("growthbook",))
