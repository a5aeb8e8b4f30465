"""A surface's decisions with their rewards: those whose time for rewards is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from experiments.rewarded_decisions import REWARD, read_rewarded
from inference.serving.rank_settings import RankSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inference.models import Surface

_COLUMNS = f"""extract(epoch FROM slate.served_at)::float8, coalesce(slate.model_version_id, 0),
    (slate.slots -> 0 ->> 0) = (slate.context -> '$rank' ->> 'default'),
    (slate.context -> '$rank' ->> 'default_propensity')::float8, {REWARD}, reward.value IS NOT NULL"""


@dataclass(frozen=True, slots=True)
class PolicyDecisions:
    """Decisions in their order, as columns of length n.

    Attributes:
        at: when, in seconds since 1970.
        version: id of the version that chose; 0 where there was none.
        is_control: whether the default action was taken.
        control_chance: that the default action had.
        reward: as a share of its range.
        rewarded: whether a reward came in time.
    """

    at: NDArray[np.float64]
    version: NDArray[np.int64]
    is_control: NDArray[np.bool_]
    control_chance: NDArray[np.float64]
    reward: NDArray[np.float64]
    rewarded: NDArray[np.bool_]

    def of_version(self, version: int) -> PolicyDecisions:
        """Return the decisions of one version."""
        rows = self.version == version
        return PolicyDecisions(
            self.at[rows], self.version[rows], self.is_control[rows],
            self.control_chance[rows], self.reward[rows], self.rewarded[rows],
        )  # fmt: skip

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.at)


def read_decisions(surface: Surface) -> PolicyDecisions:
    """Read the decisions of a surface that wait for no reward any more, without excluded users."""
    settings = RankSettings.parse(surface.rank)
    rows = read_rewarded(surface, settings, _COLUMNS, rest="ORDER BY slate.recommendation_id")
    columns = [np.array(one) for one in zip(*rows, strict=True)] if rows else [np.empty(0)] * 6
    at, version, is_control, chance, reward, rewarded = columns
    return PolicyDecisions(
        at.astype(float),
        version.astype(np.int64),
        is_control.astype(bool),
        chance.astype(float),
        settings.shares_of(reward),
        rewarded.astype(bool),
    )
