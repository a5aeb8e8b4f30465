"""What a flag answers to one unit, as OFREP writes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from experiments.assignment import RunningExperiment, decide

if TYPE_CHECKING:
    from collections.abc import Mapping

    from experiments.assignment import Assignment, UnitRecord
    from experiments.assignment.flags import ProjectFlags, RestingFlag


@dataclass(frozen=True, slots=True)
class Context:
    """Whom flags are evaluated for.

    Attributes:
        unit: who; empty when the client names nobody.
        attributes: what else the client says.
    """

    unit: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An answer of one flag.

    Attributes:
        raw: as JSON.
        fragment: the same, as a part of a larger answer.
        failed: whether it is an error.
    """

    raw: bytes
    fragment: orjson.Fragment
    failed: bool

    @classmethod
    def of(cls, body: dict[str, Any], *, failed: bool = False) -> Evaluation:
        """Encode a body."""
        raw = orjson.dumps(body)
        return cls(raw, orjson.Fragment(raw), failed)


Encoded = dict[tuple[str, "Assignment"], Evaluation]


@dataclass(slots=True)
class EncodedFlags:
    """Evaluations of running flags, encoded once for as long as a project's flags stay as they are.

    A flag has a few answers, one per variant and reason, so this stays small. One in a process.
    """

    _by_project: dict[int, tuple[str, Encoded]] = field(default_factory=dict)

    def of(self, project_id: int, etag: str) -> Encoded:
        """Return what was encoded of a project's flags under this etag."""
        last_etag, encoded = self._by_project.get(project_id, ("", {}))
        # Requests of two configurations may overlap for a moment; then this starts anew each time.
        if last_etag != etag:
            encoded = {}
            self._by_project[project_id] = (etag, encoded)
        return encoded


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Evaluates the flags of a project for one unit.

    Attributes:
        flags: of the project.
        context: who, and what the client says.
        record: what is stored of the unit.
        encoded: evaluations that were encoded before.
    """

    flags: ProjectFlags
    context: Context
    record: UnitRecord
    encoded: Encoded

    def evaluate(self, flag: RunningExperiment | RestingFlag) -> Evaluation:
        """Return one flag's evaluation, or its failure."""
        if not isinstance(flag, RunningExperiment):
            return Evaluation.of(_resting(flag))
        if not self.context.unit and flag.rule.enabled:
            details = f"flag '{flag.key}' needs context.targetingKey to find a variant"
            body = {"key": flag.key, "errorCode": "TARGETING_KEY_MISSING", "errorDetails": details}
            return Evaluation.of(body, failed=True)
        decision = decide(
            flag,
            self.context.unit,
            self.context.attributes,
            others=self.flags.rules,
            record=self.record,
        )
        evaluation = self.encoded.get((flag.key, decision))
        if evaluation is None:
            evaluation = self.encoded[flag.key, decision] = Evaluation.of(_running(flag, decision))
        return evaluation


def _running(flag: RunningExperiment, decision: Assignment) -> dict[str, Any]:
    """Return the evaluation of a running experiment's flag."""
    metadata = {"experiment": flag.key, "epoch": flag.epoch, "hashing": flag.rule.hashing}
    if decision.variant is None:
        # No value: the code's default. OFREP's list of reasons has none for "not in it".
        reason = "DISABLED" if decision.reason == "DISABLED" else "UNKNOWN"
        return {"key": flag.key, "reason": reason, "variant": "", "metadata": metadata}
    return {
        "key": flag.key,
        "value": flag.rule.value_of(decision.variant),
        "reason": decision.reason,
        "variant": decision.variant,
        "metadata": metadata | {"counts": not decision.forced},
    }


def _resting(flag: RestingFlag) -> dict[str, Any]:
    """Return the evaluation of a resting flag: the shipped variant, or the code's default."""
    if not flag.variant:
        return {"key": flag.key, "reason": "DISABLED", "variant": ""}
    return {"key": flag.key, "value": flag.value, "reason": "STATIC", "variant": flag.variant}
