"""What an experiment shows of the clusters, or blocks of time, that it randomises, and their users."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from experiments.reports.remaining import describe_seconds
from experiments.stats.clusters import MIN_CLUSTERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.models import Experiment, Look


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """One variant: clusters that were exposed to it, those with complete users, and these.

    Of blocks of time a user counts once in each.
    """

    variant: str
    drawn: int
    clusters: int
    users: int


@dataclass(frozen=True, slots=True)
class ClusterReport:
    """What the panel shows.

    Attributes:
        attribute: of the request's context that names the cluster; empty of blocks of time.
        rows: by variant, control first.
        minimum: clusters that each variant needs before the analysis.
        unnamed_users: users whose cluster is not known; they are left out.
        split: clusters in two variants; they are left out.
        block_seconds: length of the blocks of time; 0 of clusters.
        carry_over_seconds: from the start of a block, that counts for nobody.
    """

    attribute: str
    rows: Sequence[ClusterRow]
    minimum: int
    unnamed_users: int
    split: int
    block_seconds: float = 0.0
    carry_over_seconds: float = 0.0

    @property
    def length(self) -> str:
        """The blocks' length in words."""
        return describe_seconds(self.block_seconds)

    @property
    def carry_over(self) -> str:
        """The carry-over's length in words."""
        return describe_seconds(self.carry_over_seconds)

    def as_json(self) -> dict[str, Any]:
        """Return every field."""
        return asdict(self)


def cluster_report_of(experiment: Experiment, look: Look | None) -> ClusterReport | None:
    """Return what the last look says; None before it, and of one that randomises users."""
    inputs = look.parsed_inputs if look is not None else None
    if inputs is None or inputs.clusters is None:
        return None
    policy = experiment.parsed_policy
    counts, (drawn, _) = inputs.clusters, inputs.exposures[0]
    return ClusterReport(
        attribute=policy.cluster_by,
        block_seconds=policy.block_seconds,
        carry_over_seconds=policy.carry_over_seconds,
        rows=[
            ClusterRow(key, drawn.get(key, 0), counts.clusters.get(key, 0), counts.units.get(key, 0))
            for key in (inputs.control, *inputs.treatments)
        ],
        minimum=MIN_CLUSTERS,
        unnamed_users=counts.unnamed_units,
        split=counts.split,
    )
