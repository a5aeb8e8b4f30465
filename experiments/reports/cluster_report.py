"""What an experiment that is randomised by cluster shows: its clusters, and the users within them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from experiments.stats.clusters import MIN_CLUSTERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.models import Experiment, Look


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """One variant: clusters that were exposed to it, those with complete users, and these."""

    variant: str
    drawn: int
    clusters: int
    users: int


@dataclass(frozen=True, slots=True)
class ClusterReport:
    """What the panel shows.

    Attributes:
        attribute: of the request's context that names the cluster.
        rows: by variant, control first.
        minimum: clusters that each variant needs before the analysis.
        unnamed_users: users whose cluster is not known; they are left out.
        split: clusters in two variants; they are left out.
    """

    attribute: str
    rows: Sequence[ClusterRow]
    minimum: int
    unnamed_users: int
    split: int

    def as_json(self) -> dict[str, Any]:
        """Return every field."""
        return asdict(self)


def cluster_report_of(experiment: Experiment, look: Look | None) -> ClusterReport | None:
    """Return what the last look says; None before it, and of an experiment without clusters."""
    inputs = look.parsed_inputs if look is not None else None
    if inputs is None or inputs.clusters is None:
        return None
    counts, (drawn, _) = inputs.clusters, inputs.exposures[0]
    return ClusterReport(
        attribute=experiment.parsed_policy.cluster_by,
        rows=[
            ClusterRow(key, drawn.get(key, 0), counts.clusters.get(key, 0), counts.units.get(key, 0))
            for key in (inputs.control, *inputs.treatments)
        ],
        minimum=MIN_CLUSTERS,
        unnamed_users=counts.unnamed_units,
        split=counts.split,
    )
