"""Run a case, or a file of them, and list what differs."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.conformance.golden.inputs import Inputs, Output
from tests.conformance.golden.methods import METHODS

ROUNDING = 1e-12  # of numbers that are zero but for rounding


def _differences(expected: Any, actual: Any, tolerance: float, field: str) -> list[Output]:
    """Compare every number of the expected output; texts are remarks."""
    if isinstance(expected, Mapping):
        return [
            miss
            for name, value in expected.items()
            for miss in _differences(
                value,
                actual.get(name) if isinstance(actual, Mapping) else None,
                tolerance,
                f"{field}.{name}" if field else name,
            )
        ]
    if isinstance(expected, list):
        values = list(actual) if isinstance(actual, list | tuple) else [None] * len(expected)
        values += [None] * (len(expected) - len(values))
        return [
            miss
            for n, value in enumerate(expected)
            for miss in _differences(value, values[n], tolerance, f"{field}[{n}]")
        ]
    if not isinstance(expected, int | float) or isinstance(expected, bool):
        return []
    close = (
        isinstance(actual, int | float)
        and math.isfinite(actual)
        and abs(actual - expected) <= max(tolerance * abs(expected), ROUNDING)
    )
    return [] if close else [{"field": field, "expected": expected, "actual": actual}]


def run_case(case: Inputs, shared: Inputs) -> list[Output]:
    """Return what differs from the case's canonical output."""
    method = METHODS.get(case["method"])
    if method is None:
        return [{"field": "method", "expected": case["method"], "actual": None}]
    canonical = case["outputs"][case["canonical"]]
    inputs = dict(case["inputs"]) | {"canonical": case["canonical"]}
    if "see" in inputs:  # the inputs stand among the outputs
        inputs |= canonical
    actual = method(inputs, shared)
    expected = {name: value for name, value in canonical.items() if name not in inputs}
    return _differences(expected, actual, case.get("rel_tol", 1e-6), "")


def run_file(path: Path) -> Output:
    """Run every case of a file."""
    data = json.loads(path.read_text())
    passed: Counter[str] = Counter()
    total: Counter[str] = Counter()
    misses = []
    for name, case in data["cases"].items():
        total[case["method"]] += 1
        try:
            different = run_case(case, data.get("shared", {}))
        except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
            # A case that cannot be read is a miss of its own; the others are still run.
            different = [{"field": "", "expected": None, "actual": f"{type(error).__name__}: {error}"}]
        if different:
            misses += [{"case": name, "method": case["method"], **miss} for miss in different]
        else:
            passed[case["method"]] += 1
    return {
        "passed": sum(passed.values()),
        "total": sum(total.values()),
        "misses": misses,
        "methods": {m: {"passed": passed[m], "total": n} for m, n in sorted(total.items())},
    }
