"""How alike the users of a cluster are, and how many users a test of clusters needs.

Assumptions: a user's value is a mean, plus an effect of the cluster, plus the user's own; both have one
variance everywhere. Clusters are drawn whole, and keep their relative sizes while the experiment runs.

Formulas: ρ by the analysis of variance, (MSB − MSW) / (MSB + (n₀ − 1) MSW) with
n₀ = (N − Σnⱼ² / N) / (k − 1), at least 0; the design effect 1 + (κm − 1) ρ with m users per cluster and
κ = k Σnⱼ² / N², which is 1 where all clusters are of one size.

References: Donner, Koval (1980), The estimation of intraclass correlation in the analysis of family
data, Biometrics 36. Eldridge, Ashby, Kerry (2006), Sample size for cluster randomized trials,
International Journal of Epidemiology 35.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class ClusterSums:
    """One cluster's users.

    Attributes:
        users: at least 1.
        total: of their values.
        squares: the sum of the squares of their values.
    """

    users: int
    total: float
    squares: float


def intracluster_correlation(clusters: Sequence[ClusterSums]) -> float:
    """Return the correlation of two users of one cluster, in [0, 1].

    Raises:
        StatisticsError: fewer than two clusters, or one user in each.
    """
    count, users = len(clusters), sum(one.users for one in clusters)
    if count < 2 or users == count:
        raise StatisticsError(
            f"clusters == {count} with {users} users, must be at least two, some with several users."
        )
    mean = sum(one.total for one in clusters) / users
    between = sum(one.users * (one.total / one.users - mean) ** 2 for one in clusters) / (count - 1)
    # Rounding may leave a little less than nothing where all users of a cluster have one value.
    within = max(sum(one.squares - one.total**2 / one.users for one in clusters), 0.0) / (users - count)
    size = (users - sum(one.users**2 for one in clusters) / users) / (count - 1)
    if between <= within:
        return 0.0
    return (between - within) / (between + (size - 1) * within)


def size_imbalance(clusters: Sequence[ClusterSums]) -> float:
    """Return κ, by which unequal clusters raise the effective size of one: 1 where all are equal."""
    users = sum(one.users for one in clusters)
    return len(clusters) * sum(one.users**2 for one in clusters) / users**2


def design_effect(users: float, clusters: float, correlation: float, imbalance: float) -> float:
    """Return how many times more users clusters need than single users do, at least 1.

    Args:
        users: of the experiment.
        clusters: that they belong to.
        correlation: of two users of a cluster.
        imbalance: κ of the clusters' sizes.
    """
    return max(1 + (imbalance * users / clusters - 1) * correlation, 1.0)


def clustered_users(
    single_users: float, clusters: float, correlation: float, imbalance: float
) -> int | None:
    """Return the users that a test of clusters needs.

    Args:
        single_users: that a test of single users needs.
        clusters: that there are: more users make them larger, not more.
        correlation: of two users of a cluster.
        imbalance: κ of the clusters' sizes.

    Returns:
        None where no number of users in so few clusters is enough.
    """
    # n = n₁ (1 + (κn/k − 1) ρ), solved for n.
    left = 1 - single_users * correlation * imbalance / clusters
    if left <= 0:
        return None
    return math.ceil(max(single_users * (1 - correlation) / left, single_users))
