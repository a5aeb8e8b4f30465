"""One assignment in process, beside GrowthBook's SDK and Unleash's engine; many, beside the bare hash."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from hashlib import sha256

from growthbook import GrowthBook

from benchmarks.results import Row, median_of, write_result
from experiments.assignment import ExperimentRule, Targeting, VariantRule, assign
from experiments.assignment.bulk import assign_many

REPEATS = 5


def _seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _unleash(home: str):
    """Return Unleash's engine with the same rule."""
    target = f"{home}/unleash"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", target, "yggdrasil-engine==2.0.0"],
        check=True,
    )  # fmt: skip
    sys.path.append(target)
    from yggdrasil_engine.engine import UnleashEngine

    engine = UnleashEngine()
    constraint = {"contextName": "country", "operator": "IN", "values": ["DE", "FR"]}
    variants = [
        {"name": f"v{n}", "weight": w, "stickiness": "userId"} for n, w in enumerate((400, 300, 300))
    ]
    strategy = {
        "name": "flexibleRollout",
        "parameters": {"rollout": "90", "stickiness": "userId", "groupId": "k"},
        "constraints": [constraint],
        "variants": variants,
    }
    flag = {"name": "k", "type": "experiment", "enabled": True, "strategies": [strategy]}
    engine.take_state(json.dumps({"version": 1, "features": [flag]}))
    return engine


def run(size: str, home: str) -> None:
    units = [f"user-{n}" for n in range(200_000 if size == "full" else 20_000)]
    variants = tuple(VariantRule(f"v{n}", w) for n, w in enumerate((0.4, 0.3, 0.3)))
    condition = {"country": {"$in": ["DE", "FR"]}}
    plain = ExperimentRule("k", "salt", 0.9, variants)
    rule = ExperimentRule("k", "salt", 0.9, variants, checks=(Targeting(condition),))
    attributes = {"country": "DE", "plan": "pro"}
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
                    "condition": condition,
                }
            ],
        }
    }
    gb = GrowthBook(features=features)

    def ours() -> None:
        for unit in units:
            assign(rule, unit, attributes)

    few = units[: len(units) // 10]

    def peer() -> None:
        for unit in few:
            gb.set_attributes({**attributes, "id": unit})
            gb.eval_feature("k")

    unleash = _unleash(home)

    def other() -> None:
        for unit in few:
            unleash.get_variant("k", {**attributes, "userId": unit})

    def bulk() -> None:
        assign_many(plain, units)

    def bare() -> None:
        for unit in units:
            sha256(unit.encode()).digest()

    single, bulks, peers, others, bares = [], [], [], [], []
    for _ in range(REPEATS):
        single.append(_seconds(ours) / len(units) * 1e6)
        peers.append(_seconds(peer) / len(few) * 1e6)
        others.append(_seconds(other) / len(few) * 1e6)
        bulks.append(_seconds(bulk) / len(units) * 1e6)
        bares.append(_seconds(bare) / len(units) * 1e6)
    one, one_spread = median_of(single)
    many, many_spread = median_of(bulks)
    bare_time, _ = median_of(bares)
    rows = [
        Row("one assignment in process (peer: growthbook SDK)", one, "µs", median_of(peers)[0], None,
            "ratio_to_peer >= 6", higher_is_better=False, spread=one_spread),
        Row("the same (peer: the engine of UnleashClient)", one, "µs", median_of(others)[0], None,
            higher_is_better=False, spread=one_spread),
        Row("many units at once, a unit (peer: our single call; limit: bare SHA-256 loop)", many, "µs", one, bare_time,
            "share_of_limit >= 0.6", higher_is_better=False, spread=many_spread),
    ]  # fmt: skip
    notes = (
        "A targeting condition, gate and three variants. The growthbook SDK evaluates the same condition, weights and "
        "coverage with its own hash (FNV-1a), UnleashClient 6.9's engine (Rust) a constraint, a rollout and three "
        "variants. The bulk call returns variants for all units; the limit only hashes their ids."
    )
    write_result("assignment", size, rows, notes, ("growthbook",))
