"""An experiment to be: what is asked for, before it is checked and written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from experiments.models import Experiment, ExperimentMetric
from experiments.stats.clusters import MIN_CLUSTERS
from inference.models import Surface

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from experiments.models import Layer, Metric, RuleVersion
    from inference.models import ModelVersion

# Chance of a trip without harm in a whole experiment, and the largest that is no mockery of one.
DEFAULT_BREAKER_ALPHA = 0.001
# What an interleaved experiment's policy says where its definition says nothing.
INTERLEAVED_POLICY = {"rule": "always_valid", "promote": False}
# What a bandit's policy says where its definition says nothing: judged by batched least squares.
BANDIT_POLICY: Mapping[str, Any] = {"rule": "always_valid", "floor": 0.1}
# What a policy says where clusters are randomised: one look, which holds from 20 clusters a side on.
CLUSTER_POLICY: Mapping[str, Any] = {"rule": "fixed", "minimum_nonzero": MIN_CLUSTERS}
# Likewise of blocks of time, which the plan counts: a few hundred, not thousands as of users.
SWITCHBACK_POLICY: Mapping[str, Any] = {**CLUSTER_POLICY, "planned_units": 200}
MODE_POLICIES: Mapping[str, Mapping[str, Any]] = {
    "interleave": INTERLEAVED_POLICY,
    "bandit": BANDIT_POLICY,
    "cluster": CLUSTER_POLICY,
    "switchback": SWITCHBACK_POLICY,
}


@dataclass(frozen=True, slots=True)
class VariantDraft:
    """A variant to be: its version or its flag's value, its share of the traffic, and its rules.

    Without rules it has the surface's.
    """

    key: str
    version: ModelVersion | None
    weight: float
    is_control: bool = False
    value: Any = None
    rules: RuleVersion | None = None


@dataclass(frozen=True, slots=True)
class ExperimentMetricDraft:
    """A metric's part."""

    metric: Metric
    role: str = ExperimentMetric.Role.PRIMARY
    margin: float = 0.05
    margin_floor: float = 0.0


@dataclass(frozen=True, slots=True)
class ExperimentDraft:
    """An experiment to be."""

    surface: Surface
    key: str
    variants: Sequence[VariantDraft]
    metrics: Sequence[ExperimentMetricDraft]
    name: str = ""
    tags: Sequence[str] = ()
    hypothesis: str = ""
    owner: str = ""
    allocation: float = 1.0
    policy: Mapping[str, Any] = field(default_factory=dict)
    segments: Sequence[str] = ()
    against_gate: bool = False
    salt: str = ""
    hashing: str = Experiment.Hashing.SHA256
    layer: Layer | None = None
    slot: tuple[float, float] = (0.0, 1.0)
    condition: Mapping[str, Any] = field(default_factory=dict)
    prerequisites: Sequence[Mapping[str, Any]] = ()
    forced_units: Mapping[str, str] = field(default_factory=dict)
    sticky: bool = False
    ramp: Sequence[Mapping[str, Any]] = ()
    breaker_alpha: float = DEFAULT_BREAKER_ALPHA
    purpose: str = Experiment.Purpose.TEST
    mode: str = Experiment.Mode.SPLIT
    ends_at: datetime | None = None

    @property
    def exclusive(self) -> bool:
        """Whether it needs its surface for itself: a flag does not, nor does a holdout."""
        return self.surface.kind != Surface.Kind.FLAG and self.purpose != Experiment.Purpose.HOLDOUT

    @property
    def is_interleaved(self) -> bool:
        """Whether its users get lists of all its versions."""
        return self.mode == Experiment.Mode.INTERLEAVE

    @property
    def settled_policy(self) -> dict[str, Any]:
        """The policy's fields; interleaving has its own rule, and ships nothing unless told to."""
        return {**MODE_POLICIES.get(self.mode, {}), **self.policy}
