"""One assignment in process, beside GrowthBook's SDK and Unleash's engine; many, beside the bare hash."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256

from growthbook import GrowthBook

from benchmarks.results import Row, median_of, write_result
from experiments.assignment import ExperimentRule, Targeting, VariantRule, assign
from experiments.assignment.bulk import assign_many

REPEATS = 5
VARIANTS = tuple(VariantRule(f"v{n}", w) for n, w in enumerate((0.4, 0.3, 0.3)))
CONDITION = {"country": {"$in": ["DE", "FR"]}}
PLAIN = ExperimentRule("k", "salt", 0.9, VARIANTS)
TARGETED = ExperimentRule("k", "salt", 0.9, VARIANTS, checks=(Targeting(CONDITION),))
ATTRIBUTES = {"country": "DE", "plan": "pro"}
Contender = Callable[[list[str]], None]


def _seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _assign_one_by_one(units: list[str]) -> None:
    for unit in units:
        assign(TARGETED, unit, ATTRIBUTES)


def _assign_at_once(units: list[str]) -> None:
    assign_many(PLAIN, units)


def _hash_only(units: list[str]) -> None:
    for unit in units:
        sha256(unit.encode()).digest()


def _growthbook() -> Contender:
    """Return GrowthBook's SDK with the same rule."""
    rule = {
        "coverage": 0.9,
        "weights": [0.4, 0.3, 0.3],
        "variations": ["a", "b", "c"],
        "hashVersion": 2,
        "seed": "salt",
        "condition": CONDITION,
    }
    sdk = GrowthBook(features={"k": {"defaultValue": "none", "rules": [rule]}})

    def evaluate(units: list[str]) -> None:
        for unit in units:
            sdk.set_attributes({**ATTRIBUTES, "id": unit})
            sdk.eval_feature("k")

    return evaluate


def _unleash(home: str) -> Contender:
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

    def evaluate(units: list[str]) -> None:
        for unit in units:
            engine.get_variant("k", {**ATTRIBUTES, "userId": unit})

    return evaluate


def run(size: str, home: str) -> None:
    units = [f"user-{n}" for n in range(200_000 if size == "full" else 20_000)]
    few = units[: len(units) // 10]  # the peers are slower
    contenders = {
        "ours": (_assign_one_by_one, units),
        "growthbook": (_growthbook(), few),
        "unleash": (_unleash(home), few),
        "bulk": (_assign_at_once, units),
        "bare": (_hash_only, units),
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(REPEATS):
        for name, (call, those) in contenders.items():
            times[name].append(_seconds(lambda call=call, those=those: call(those)) / len(those) * 1e6)
    one, one_spread = median_of(times["ours"])
    many, many_spread = median_of(times["bulk"])
    growthbook, unleash, bare = (
        median_of(times[name])[0] for name in ("growthbook", "unleash", "bare")
    )
    rows = [
        Row("one assignment in process (peer: growthbook SDK)", one, "µs", growthbook, None,
            "ratio_to_peer >= 6", higher_is_better=False, spread=one_spread),
        Row("the same (peer: the engine of UnleashClient)", one, "µs", unleash, None,
            higher_is_better=False, spread=one_spread),
        Row("many units at once, a unit (peer: our single call; limit: bare SHA-256 loop)", many, "µs", one, bare,
            "share_of_limit >= 0.6", higher_is_better=False, spread=many_spread),
    ]  # fmt: skip
    notes = (
        "A targeting condition, gate and three variants. The growthbook SDK evaluates the same condition, weights and "
        "coverage with its own hash (FNV-1a), UnleashClient 6.9's engine (Rust) a constraint, a rollout and three "
        "variants. The bulk call returns variants for all units; the limit only hashes their ids."
    )
    write_result("assignment", size, rows, notes, ("growthbook",))
