"""Clusters in a look: stores, teams, accounts or blocks of time, each in one variant with all units.

A cluster's units are alike and are exposed together, so each cluster is one draw. A metric's mean
per unit is the ratio of clusters' sums to clusters' sizes, and its variance the delta method's over
clusters (`effects.linearise`): that of least squares with a sandwich over clusters. Student's t with
Welch's degrees of freedom holds its level from 20 clusters a side on; nothing does with a handful.

References: Liang, Zeger (1986), Biometrika 73. Cameron, Miller (2015), A practitioner's guide to
cluster-robust inference, Journal of Human Resources 50.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MIN_CLUSTERS = 20  # in each variant: below, the delta method's variance is too small


@dataclass(frozen=True, slots=True)
class ClusterCounts:
    """What a look of an experiment that is randomised by cluster knows besides its totals.

    Attributes:
        clusters: with complete units, by variant.
        units: complete ones within them, by variant.
        exposed_units: units that were exposed to a variant, complete or not.
        unnamed_units: units whose cluster is not known; they are left out.
        split: clusters whose units were exposed to two variants; they are left out.
        are_blocks: of time; a unit then counts once in each block that it was served in.
    """

    clusters: Mapping[str, int]
    units: Mapping[str, int]
    exposed_units: int
    unnamed_units: int = 0
    split: int = 0
    are_blocks: bool = False

    def why_not(self, variants: Sequence[str]) -> str:
        """Say why nothing can be tested by clusters, or nothing."""
        word = "blocks" if self.are_blocks else "clusters"
        for variant in variants:
            if (count := self.clusters.get(variant, 0)) < MIN_CLUSTERS:
                return (
                    f"{word} of '{variant}' == {count}, must be at least {MIN_CLUSTERS} in each "
                    "variant: with fewer, no interval keeps its level"
                )
        count = sum(self.clusters.values())
        # A block may well have one unit: time was switched all the same.
        if not self.are_blocks and count == sum(self.units.values()):
            return (
                f"units per cluster == 1 in all {count} clusters, must be several in some: where each "
                "user is randomised, split users"
            )
        return ""

    def as_json(self) -> dict[str, Any]:
        """Return every field as plain values; `are_blocks` only of blocks, as looks have hashed."""
        data = asdict(self)
        if not self.are_blocks:
            del data["are_blocks"]
        return data
