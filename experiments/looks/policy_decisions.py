"""A surface's decisions with their rewards: those whose time for rewards is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.accounts.models import AuditEntry
from experiments.rewarded_decisions import REWARD, read_rewarded
from inference.serving.rank_settings import NO_RANK_SETTINGS, RankSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from numpy.typing import NDArray

    from inference.models import Surface

_COLUMNS = f"""extract(epoch FROM slate.served_at)::float8, coalesce(slate.model_version_id, 0),
    (slate.slots -> 0 ->> 0) = (slate.context -> '$rank' ->> 'default'),
    (slate.context -> '$rank' ->> 'default_propensity')::float8, {REWARD}, reward.value IS NOT NULL"""


REWARD_SETTINGS = ("default_reward", "min_reward", "max_reward", "wait_seconds")


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


def counted_since(surface: Surface) -> datetime | None:
    """Return when the settings that say what a decision earned last changed; None: never.

    A change gives earlier decisions another reward than they had at earlier looks, and an interval that
    holds at all looks together would hold no more: the value begins anew.
    """
    changes = AuditEntry.objects.filter(
        project=surface.project_id, subject=surface.key, action="change surface"
    ).filter(detail__changed__has_key="rank")
    for entry in changes.order_by("-at", "-id"):
        before, after = entry.detail["changed"]["rank"]
        if _reward_settings(before) != _reward_settings(after):
            return entry.at
    return None


def _reward_settings(rank: Mapping[str, Any]) -> list[float]:
    return [rank.get(name, getattr(NO_RANK_SETTINGS, name)) for name in REWARD_SETTINGS]


def read_decisions(surface: Surface, since: datetime | None) -> PolicyDecisions:
    """Read the decisions of a surface that wait for no reward any more, without excluded users.

    Args:
        surface: which chooses among actions.
        since: of `counted_since`.
    """
    settings, rest = RankSettings.parse(surface.rank), "ORDER BY slate.recommendation_id"
    rows = read_rewarded(surface, settings, _COLUMNS, rest=rest, since=since)
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
