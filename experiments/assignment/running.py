"""A running experiment, and what it decides for a unit.

Everything that gives a unit a variant asks `decide`: slates, feature flags, and through
`explain_decision` the pages and the API that say why. What is explained is therefore what is served.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .allocation import assign, explain
from .memory import NO_MEMORY, recall

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from .allocation import Assignment, ExperimentRule, Step
    from .memory import Memory, PastExposure, Recall


@dataclass(frozen=True, slots=True)
class VersionReference:
    """A model version by name: what serves opens it.

    Attributes:
        version_id: of the table.
        label: algorithm and number, `two-tower@3`.
        digest: SHA-256 of its artifact.
    """

    version_id: int
    label: str
    digest: str


@dataclass(frozen=True, slots=True)
class RunningVariant:
    """One side of a running experiment.

    Attributes:
        variant_id: of the table.
        key: its name.
        weight: its share of the experiment's traffic, in [0, 1].
        version: what serves it, or None.
        rules: of its slates, as they are stored; None for the surface's.
    """

    variant_id: int
    key: str
    weight: float
    version: VersionReference | None
    rules: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RunningEpoch:
    """A stretch of an experiment in which its shares stay the same, past or present.

    Attributes:
        number: from 1.
        started_at: in UTC.
        rule: who got what then.
    """

    number: int
    started_at: datetime
    rule: ExperimentRule


@dataclass(frozen=True, slots=True)
class RunningExperiment:
    """A running experiment.

    Attributes:
        experiment_id: of the table.
        key: its name, and its flag's.
        surface: key of its surface.
        epoch: number of the stretch in which its shares stay the same.
        rule: who gets what.
        variants: by key, control first.
        condition: whom it is for, as JSON.
        prerequisites: as JSON.
        memory: what it does with units that met it before.
        reads_unit: whether its condition reads attributes that the product stored of units.
        epochs: all of them, in order: exposures may come long after they happened.
        purpose: whether it decides, or only measures: `test`, `holdback` or `holdout`.
        mode: `split`, each unit in one variant; `interleave`, each in all of them; `bandit`, each in
            one variant, by shares that follow the rewards; `cluster`, each cluster of units in one; or
            `switchback`, all units of a block of time in one.
    """

    experiment_id: int
    key: str
    surface: str
    epoch: int
    rule: ExperimentRule
    variants: Mapping[str, RunningVariant]
    condition: Mapping[str, Any] = field(default_factory=dict)
    prerequisites: tuple[Mapping[str, Any], ...] = ()
    memory: Memory = NO_MEMORY
    reads_unit: bool = False
    epochs: tuple[RunningEpoch, ...] = ()
    purpose: str = "test"
    mode: str = "split"

    @property
    def is_interleaved(self) -> bool:
        """Whether a unit that takes part gets slates of all its versions."""
        return self.mode == "interleave"

    @property
    def keepable(self) -> Collection[str]:
        """Variants that a unit may keep: of a bandit not those that did harm and left."""
        if self.mode != "bandit":
            return self.variants
        return {key for key, variant in self.variants.items() if variant.weight > 0}

    @property
    def needs_lookup(self) -> bool:
        """Whether only the server can evaluate it: by what is stored, by a cluster or by its clock."""
        memory = self.memory
        by_unit = self.rule.draws_units
        return memory.sticky or self.reads_unit or memory.blocked_before > 0 or not by_unit


@dataclass(frozen=True, slots=True)
class UnitRecord:
    """What is stored of a unit.

    Attributes:
        attributes: that the product stored.
        exposures: by experiment id, what the unit met.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    exposures: Mapping[int, PastExposure] = field(default_factory=dict)


UNKNOWN_UNIT = UnitRecord()


def decide(
    experiment: RunningExperiment,
    unit: str,
    attributes: Mapping[str, Any],
    *,
    others: Mapping[str, ExperimentRule],
    record: UnitRecord,
) -> Assignment:
    """Return a unit's variant in one experiment.

    Args:
        experiment: the experiment.
        unit: who.
        attributes: of the request.
        others: rules of the project's running experiments by key, for prerequisites.
        record: what is stored of the unit.
    """
    attributes, recalled = _inputs(experiment, attributes, record)
    return assign(experiment.rule, unit, attributes, others=others, recalled=recalled)


def explain_decision(
    experiment: RunningExperiment,
    unit: str,
    attributes: Mapping[str, Any],
    *,
    others: Mapping[str, ExperimentRule],
    record: UnitRecord,
) -> list[Step]:
    """Return the outcome of each rule that `decide` follows, and of those that it would not reach.

    Args: as of `decide`.
    """
    attributes, recalled = _inputs(experiment, attributes, record)
    return explain(experiment.rule, unit, attributes, others=others, recalled=recalled)


def _inputs(
    experiment: RunningExperiment, attributes: Mapping[str, Any], record: UnitRecord
) -> tuple[Mapping[str, Any], Recall]:
    """Return the attributes that the rule reads, and what the experiment recalls of the unit."""
    exposure = record.exposures.get(experiment.experiment_id)
    recalled = recall(experiment.memory, exposure, experiment.keepable)
    if experiment.reads_unit:
        attributes = {**attributes, "unit": record.attributes}
    return attributes, recalled
