"""`python -m tests.conformance.growthbook FILE --json`: GrowthBook's SDK vectors through our evaluator."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from experiments.assignment.conditions import compile_condition
from experiments.assignment.growthbook import evaluate_feature, run_experiment
from experiments.assignment.growthbook_context import EvaluationContext
from experiments.assignment.growthbook_ranges import (
    bucket_ranges,
    choose_variation,
    equal_weights,
    in_namespace,
)
from experiments.assignment.hashing import growthbook_bucket


def _close(a: Any, b: Any) -> bool:
    """Compare with numbers to six digits; an expected object names the fields that count."""
    if isinstance(a, dict) and isinstance(b, dict):
        return all(_close(a.get(key), value) for key, value in b.items())
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_close, a, b))
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (a, b))
    return abs(a - b) < 1e-6 if numbers else a == b


def _result_json(outcome: Any) -> dict[str, Any] | None:
    if outcome is None:
        return None
    bandit = outcome.bandit or {}
    result_json = {
        "featureId": outcome.feature,
        "value": outcome.value,
        "variationId": outcome.variation,
        "inExperiment": outcome.in_experiment,
        "hashUsed": outcome.hash_used,
        "hashAttribute": outcome.hash_attribute,
        "hashValue": outcome.hash_value,
        "bucket": outcome.bucket,
        "key": outcome.key,
        "name": outcome.name,
        "passthrough": outcome.passthrough,
        "stickyBucketUsed": outcome.sticky_used,
        **bandit,
    }
    return {name: value for name, value in result_json.items() if value is not None}


def condition_case(
    _name: str, condition: Any, attributes: Any, wanted: bool, groups: Any = None
) -> bool:
    return compile_condition(condition, groups, strict=False)(attributes) == wanted


def hash_case(seed: str, value: str, version: int, wanted: float | None) -> bool:
    return _close(growthbook_bucket(seed, value, version), wanted)


def ranges_case(_name: str, arguments: list[Any], wanted: Any) -> bool:
    return _close(bucket_ranges(*arguments), wanted)


def choose_case(_name: str, bucket: float, ranges: Any, wanted: int) -> bool:
    return choose_variation(bucket, ranges) == wanted


def namespace_case(_name: str, value: str, namespace: Any, wanted: bool) -> bool:
    return in_namespace(value, namespace) == wanted


def weights_case(count: int, wanted: Any) -> bool:
    return _close([round(w, 8) for w in equal_weights(count)], [round(w, 8) for w in wanted])


def feature_case(_name: str, context: Any, key: str, wanted: Any) -> bool:
    feature = evaluate_feature(EvaluationContext.of(context), key)
    result_json: dict[str, Any] = {
        "value": feature.value,
        "on": feature.on,
        "off": not feature.on,
        "source": feature.source,
        "ruleId": feature.rule,
    }
    if feature.experiment is not None:
        result_json |= {
            "experiment": dict(feature.experiment),
            "experimentResult": _result_json(feature.outcome),
        }
    return _close(result_json, wanted)


def run_case(_name: str, context: Any, experiment: Any, *wanted: Any) -> bool:
    result = run_experiment(EvaluationContext.of(context), experiment)
    return _close([result.value, result.in_experiment, result.hash_used], list(wanted))


def sticky_case(_name: str, context: Any, docs: Any, key: str, wanted: Any, stored: Any) -> bool:
    sticky = {f"{doc['attributeName']}||{doc['attributeValue']}": dict(doc) for doc in docs}
    for name, doc in (context.get("stickyBucketAssignmentDocs") or {}).items():
        sticky[name] = dict(doc)
    feature = evaluate_feature(EvaluationContext.of(context, sticky), key)
    result = _result_json(feature.outcome) if feature.outcome is not None else None
    same = _close(result, wanted) if wanted is not None else result is None
    return same and _close(sticky, stored)


SECTIONS = {
    "evalCondition": condition_case,
    "hash": hash_case,
    "getBucketRange": ranges_case,
    "chooseVariation": choose_case,
    "inNamespace": namespace_case,
    "getEqualWeights": weights_case,
    "feature": feature_case,
    "run": run_case,
    "stickyBucket": sticky_case,
}


def check(cases: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return counts by section, and the names of the cases that fail; an error fails its case."""
    sections, failed = {}, []
    for section, test in SECTIONS.items():
        passed = 0
        for case in cases.get(section, ()):
            try:
                right = test(*case)
            except Exception as error:  # noqa: BLE001  a case that breaks the evaluator has failed
                right = False
                failed.append(f"{section}: {case[0]}: {error!r}")
            else:
                if not right:
                    failed.append(f"{section}: {case[0]}")
            passed += right
        sections[section] = {"passed": passed, "total": len(cases.get(section, ()))}
    return {
        "passed": sum(s["passed"] for s in sections.values()),
        "total": sum(s["total"] for s in sections.values()),
        "sections": sections,
    }, failed


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.conformance.growthbook")
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    counts, failed = check(json.loads(arguments.file.read_text(encoding="utf-8")))
    if arguments.json:
        print(json.dumps(counts))  # noqa: T201
    else:
        for section, count in counts["sections"].items():
            print(f"{section}: {count['passed']} of {count['total']}")  # noqa: T201
    for name in failed:
        print(name, file=sys.stderr)  # noqa: T201
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
