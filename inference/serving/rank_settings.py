"""Settings of a surface that chooses among actions: how it explores, and what rewards may be."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.serving.generate_settings import SettingsError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Of the decisions that take the default action: inverse propensities of the control are at most 20.
MIN_CONTROL_SHARE = 0.05
MAX_WAIT_SECONDS = 7 * 86_400.0
MAX_REWARD = 1e6


@dataclass(frozen=True, slots=True)
class RankSettings:
    """The settings of a surface of kind `rank`.

    Attributes:
        control_share: of the decisions that take the default action whatever the policy says.
        explore: share of the decisions that are uniform over the actions.
        wait_seconds: for how long after a decision its reward is taken.
        min_reward: the lowest reward.
        max_reward: the highest one.
        default_reward: of a decision whose reward did not come in time.
        sample: share of the decisions that are stored with the features of every action.
        apprentice: share of the default actions that a first version must predict before it may choose;
            0: it may choose at once.
    """

    control_share: float = 0.1
    explore: float = 0.1
    wait_seconds: float = 600.0
    min_reward: float = 0.0
    max_reward: float = 1.0
    default_reward: float = 0.0
    sample: float = 0.1
    apprentice: float = 0.0

    @classmethod
    def parse(cls, data: object) -> RankSettings:
        """Read settings from JSON; what is not named has its default.

        Raises:
            SettingsError: they break a rule.
        """
        if not isinstance(data, dict):
            raise SettingsError(f"rank == {data!r:.80}, must be an object.", field="rank")
        if unknown := sorted(set(data) - set(BOUNDS)):
            where = f"rank.{unknown[0]}"
            raise SettingsError(
                f"{where}: unknown field, must be one of {sorted(BOUNDS)}.", field=where
            )
        settings = cls(**{name: _number(value, name) for name, value in data.items()})
        settings._check()
        return settings

    def _check(self) -> None:
        both = self.control_share + self.explore
        if both > 1:
            raise SettingsError(
                f"rank.control_share + rank.explore == {both:g}, must be at most 1.",
                field="rank.explore",
            )
        if self.min_reward >= self.max_reward:
            raise SettingsError(
                f"rank.min_reward == {self.min_reward:g}, must be below rank.max_reward == "
                f"{self.max_reward:g}.",
                field="rank.min_reward",
            )
        if not self.min_reward <= self.default_reward <= self.max_reward:
            raise SettingsError(
                f"rank.default_reward == {self.default_reward:g}, must be in "
                f"[{self.min_reward:g}, {self.max_reward:g}].",
                field="rank.default_reward",
            )

    def shares_of(self, rewards: ArrayLike) -> NDArray[np.float64]:
        """Return rewards as shares of the range; a range that was narrowed since cuts them."""
        shares = (np.asarray(rewards, float) - self.min_reward) / (self.max_reward - self.min_reward)
        return np.clip(shares, 0.0, 1.0)


BOUNDS = {
    "control_share": (MIN_CONTROL_SHARE, 1.0),
    "explore": (0.0, 1.0),
    "wait_seconds": (1.0, MAX_WAIT_SECONDS),
    "min_reward": (-MAX_REWARD, MAX_REWARD),
    "max_reward": (-MAX_REWARD, MAX_REWARD),
    "default_reward": (-MAX_REWARD, MAX_REWARD),
    "sample": (0.0, 1.0),
    "apprentice": (0.0, 1.0),
}
assert set(BOUNDS) == {one.name for one in fields(RankSettings)}  # noqa: S101  one rule each

NO_RANK_SETTINGS = RankSettings()


def _number(value: Any, name: str) -> float:
    low, high = BOUNDS[name]
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    if not plain or not math.isfinite(value) or not low <= value <= high:
        raise SettingsError(
            f"rank.{name} == {value!r:.40}, must be a number in [{low:g}, {high:g}].",
            field=f"rank.{name}",
        )
    return float(value)
