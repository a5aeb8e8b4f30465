"""The feature flags of one project: its running experiments, and what else its clients ask for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .holdouts import HOLDOUT
from .personal import personal_rules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .allocation import ExperimentRule
    from .running import RunningExperiment


@dataclass(frozen=True, slots=True)
class RestingFlag:
    """The flag of an experiment that does not run.

    Attributes:
        key: the experiment's.
        variant: that was shipped; empty when none was.
        value: what a client gets of it.
    """

    key: str
    variant: str
    value: Any


@dataclass(frozen=True, slots=True)
class ProjectFlags:
    """The flags of a project.

    Attributes:
        running: experiments by key, oldest first.
        rules: theirs.
        resting: flags of experiments that do not run, by key.
        groups: saved groups, as JSON.
        holdouts: the measured holdout of each surface, by its key; no client's flag.
        personal: running experiments whose rules name people: no public key reads them.
        etag: changes when an answer of any flag may have changed.
    """

    running: Mapping[str, RunningExperiment]
    rules: Mapping[str, ExperimentRule]
    resting: Mapping[str, RestingFlag]
    groups: Mapping[str, Any]
    etag: str
    personal: frozenset[str] = frozenset()
    holdouts: Mapping[str, RunningExperiment] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        experiments: Sequence[RunningExperiment],
        resting: Mapping[str, RestingFlag],
        groups: Mapping[str, Any],
    ) -> ProjectFlags:
        """Return the flags of these experiments, oldest first; of holdouts nobody asks."""
        holdouts = {one.surface: one for one in experiments if one.purpose == HOLDOUT}
        experiments = [one for one in experiments if one.purpose != HOLDOUT]
        rules = {experiment.key: experiment.rule for experiment in experiments}
        content = repr(([(e.rule, e.condition, e.epoch) for e in experiments], resting, groups))
        return cls(
            running={experiment.key: experiment for experiment in experiments},
            rules=rules,
            resting=resting,
            groups=groups,
            # Conditions are anybody's text: a lone surrogate must not stop the reload.
            etag=hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()[:16],
            personal=personal_rules(rules),
            holdouts=holdouts,
        )


NO_FLAGS = ProjectFlags({}, {}, {}, {}, "none")


def like_numbers(values: Sequence[Any]) -> list[Any]:
    """Return a flag's values with numbers of one kind: 0 beside 1.5 is 0.0.

    OpenFeature asks for a flag's value as an integer or as a float, and takes a 0 for the former.
    """
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)
    return [float(one) for one in values] if numbers and float in map(type, values) else list(values)
