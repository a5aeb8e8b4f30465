"""What a look reads, and its stored form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from experiments.stats.clusters import ClusterCounts
from experiments.stats.interleaving import InterleavedInput
from experiments.stats.metric_input import MetricInput, epochs_from_json, epochs_to_json
from experiments.stats.policy import Policy
from experiments.stats.rules import RuleState
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.stats.effects import Summary
    from experiments.stats.totals import Totals

# Attributes whose names in stored looks are older than they are; decisions hash those.
_STORED_NAMES = {
    "crossover_units": "doubled",
    "cross_id_conflicts": "split",
    "min_srm_p": "smallest_srm_p",
}


@dataclass(frozen=True, slots=True)
class LookInput:
    """All that a look reads.

    Attributes:
        policy: the rule.
        control: name of the control.
        treatments: names of the treatments.
        metrics: with exactly one primary among them.
        exposures: per epoch, units per variant and weight per variant.
        crossover_units: units seen in two variants.
        elapsed_seconds: since the start.
        min_srm_p: of the looks before.
        states: where the rule stands, by treatment.
        crossed: treatments whose upper bound was crossed at an earlier look.
        batches: rule `exact`: the primary's totals of each batch that is new since the look before.
        segments: the primary's totals by variant, one mapping per epoch, by `attribute=value`.
        segment_exposures: units per variant by `attribute=value`.
        excluded: as exposures, of the bots and internal units that are left out of all else.
        cross_id_conflicts: people who met two variants under two ids, which nothing could know before.
        left: treatments that take no traffic any more; they are shown and decide nothing.
        claimed: per epoch, those of the units whose exposure a public key claims.
        interleaved: of an interleaved experiment, what is counted of its slates; None of every other.
        rewards: of a bandit, the primary's totals that its shares follow from: of all complete units.
            Where epochs are its batches (`batched`), its metrics hold those that are over alone.
        clusters: where clusters were randomised, what is counted of them; metrics and exposures are
            then of clusters. None of every other.
    """

    policy: Policy
    control: str
    treatments: Sequence[str]
    metrics: Sequence[MetricInput]
    exposures: Sequence[tuple[Mapping[str, int], Mapping[str, float]]]
    crossover_units: int
    elapsed_seconds: float
    min_srm_p: float = 1.0
    states: Mapping[str, RuleState] = field(default_factory=dict)
    crossed: Sequence[str] = ()
    batches: Sequence[Mapping[str, Totals]] = ()
    segments: Mapping[str, Sequence[Mapping[str, Summary]]] = field(default_factory=dict)
    segment_exposures: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    excluded: Sequence[tuple[Mapping[str, int], Mapping[str, float]]] = ()
    cross_id_conflicts: int = 0
    left: Sequence[str] = ()
    claimed: Sequence[Mapping[str, int]] = ()
    interleaved: InterleavedInput | None = None
    rewards: Sequence[Mapping[str, Summary]] | None = None
    clusters: ClusterCounts | None = None

    @property
    def batched(self) -> bool:
        """Whether epochs weigh by batched least squares: of a bandit, unless its rule is exact."""
        return self.rewards is not None and self.policy.rule != "exact"

    @property
    def primary(self) -> MetricInput:
        """The metric that decides.

        Raises:
            StatisticsError: there is not exactly one.
        """
        primary = [metric for metric in self.metrics if metric.role == "primary"]
        if len(primary) != 1:
            raise StatisticsError(f"primary metrics == {len(primary)}, must be 1.")
        return primary[0]

    @property
    def units(self) -> int:
        """What the plan counts: complete units of the primary metric, of all variants; or blocks."""
        if self.clusters is not None:
            counted = self.clusters.clusters if self.counts_blocks else self.clusters.units
            return sum(counted.values())
        return sum(totals.n for epoch in self.primary.epochs for totals in epoch.values())

    @property
    def counts_blocks(self) -> bool:
        """Whether the plan counts blocks of time, and not units."""
        return self.clusters is not None and self.clusters.are_blocks

    @property
    def exposed_units(self) -> int:
        """Units that were exposed to a variant, over all variants and epochs."""
        if self.clusters is not None:
            return self.clusters.exposed_units
        return sum(sum(counts.values()) for counts, _ in self.exposures)

    @property
    def excluded_units(self) -> int:
        """Bots and internal units that are left out, over all variants and epochs."""
        return sum(sum(counts.values()) for counts, _ in self.excluded)

    def as_json(self) -> dict[str, Any]:
        """Return every field as plain values: stored with the look, and hashed with its decision."""
        data = {
            "policy": self.policy.as_json(),
            "control": self.control,
            "treatments": list(self.treatments),
            "metrics": [metric.as_json() for metric in self.metrics],
            "exposures": [[dict(counts), dict(weights)] for counts, weights in self.exposures],
            "crossover_units": self.crossover_units,
            "elapsed_seconds": self.elapsed_seconds,
            "min_srm_p": self.min_srm_p,
            "states": {key: state.as_json() for key, state in self.states.items()},
            "crossed": list(self.crossed),
            "batches": epochs_to_json(self.batches),
            "segments": {name: epochs_to_json(epochs) for name, epochs in self.segments.items()},
            "segment_exposures": {name: dict(one) for name, one in self.segment_exposures.items()},
            "excluded": [[dict(counts), dict(weights)] for counts, weights in self.excluded],
            "cross_id_conflicts": self.cross_id_conflicts,
            "left": list(self.left),
            "claimed": [dict(counts) for counts in self.claimed],
        }
        if self.interleaved is not None:  # what others have stored hashes as it did
            data["interleaved"] = self.interleaved.as_json()
        if self.rewards is not None:  # likewise
            data["rewards"] = epochs_to_json(self.rewards)
        if self.clusters is not None:  # likewise
            data["clusters"] = self.clusters.as_json()
        return {_STORED_NAMES.get(name, name): value for name, value in data.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LookInput:
        """Read what `as_json` wrote, now or in an older version.

        Raises:
            PolicyError: a field of the policy is unknown or breaks its rule.
        """
        names = {stored: name for name, stored in _STORED_NAMES.items()}
        plain = {names.get(name, name): value for name, value in data.items()}
        parsed: dict[str, Any] = {
            "policy": Policy.parse(data["policy"]),
            "metrics": [MetricInput.from_json(metric) for metric in data["metrics"]],
            "exposures": [(counts, weights) for counts, weights in data["exposures"]],
            # Looks of 0.1.0 know no excluded units, nor what left or was claimed.
            "excluded": [(counts, weights) for counts, weights in data.get("excluded", ())],
            "states": {key: RuleState.from_json(state) for key, state in data["states"].items()},
            "batches": epochs_from_json(data["batches"]),
            "segments": {name: epochs_from_json(one) for name, one in data["segments"].items()},
        }
        if data.get("interleaved") is not None:
            parsed["interleaved"] = InterleavedInput.from_json(data["interleaved"])
        if data.get("rewards") is not None:
            parsed["rewards"] = epochs_from_json(data["rewards"])
        if data.get("clusters") is not None:
            parsed["clusters"] = ClusterCounts(**data["clusters"])
        return cls(**{**plain, **parsed})
