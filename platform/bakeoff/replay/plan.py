"""What a replay does with a dataset: fixed beforehand, printed, repeatable by its seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bakeoff.replay.dataset import Dataset, Interaction, by_unit
from bakeoff.replay.visitors import SimulatedVisitor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.models import Metric

# Enough to learn from, and a fifth of each unit's log to be judged on.
PAST_SHARE = 0.8
EXPLORATION = 0.05  # temperature of the draw: enough to swap neighbours now and then
CLICKS = "clicks-per-unit"  # key of the metric that decides
FIRST_SHARE = 0.7  # of the held-out likes; the second experiment's loss is plain on less


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """A dataset divided into past and future.

    Attributes:
        past: interactions that are loaded as history.
        first: visitors of the first experiment, in order of time.
        second: the same units with the other likes, for the second experiment.
    """

    past: Sequence[Interaction]
    first: Sequence[SimulatedVisitor]
    second: Sequence[SimulatedVisitor]


def make_replay_plan(
    dataset: Dataset, *, seed: int, max_users: int, first_share: float = FIRST_SHARE
) -> ReplayPlan:
    """Divide a dataset.

    The first 80 % of each unit's interactions are past. Its later likes are divided between the two
    experiments by a hash of seed, unit and item, so that neither is judged on what the other showed;
    where there is one experiment, a `first_share` of 1 leaves it all of them.
    """
    units = by_unit(dataset.interactions)
    past: list[Interaction] = []
    visitors: list[tuple[float, SimulatedVisitor, SimulatedVisitor]] = []
    for unit, interactions in units.items():
        cut = int(len(interactions) * PAST_SHARE)
        past += interactions[:cut]
        later = interactions[cut:]
        first: dict[str, float | None] = {}
        second: dict[str, float | None] = {}
        for interaction in later:
            if dataset.likes(interaction):
                part = first if _share(seed, unit, interaction.item_id) < first_share else second
                part[interaction.item_id] = interaction.rating
        if cut and later:
            visitors.append(
                (later[0].at, SimulatedVisitor(unit, first), SimulatedVisitor(unit, second))
            )
    visitors.sort(key=lambda entry: (entry[0], entry[1].unit_id))
    visitors = visitors[:max_users]
    return ReplayPlan(
        past=past,
        first=[first for _, first, _ in visitors],
        second=[second for _, _, second in visitors],
    )


def _share(seed: int, unit: str, item: str) -> float:
    digest = hashlib.sha256(f"{seed}\0{unit}\0{item}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def policy_of(plan: ReplayPlan) -> dict[str, Any]:
    """Return the decision policy of a replay: the default rule at the pace of a demonstration."""
    return {
        "rule": "group_sequential",
        "alpha": 0.05,
        "reserve": 0.0,
        "planned_units": max(len(plan.first), 2),
        "overrun": 1.0,
        "minimum_nonzero": 25,
        "minimum_run_seconds": 0.0,
        "window_seconds": 5.0,
        "look_every_seconds": 1.0,
        "twyman_limit": 0.0,
        "futility": True,
    }


def programme_on(metric: Metric) -> dict[str, Any]:
    """Return the programme of a replay's surface: each visitor comes once, so all of them count.

    The first step is half of the traffic, the next experiment begins at once, and nobody is held back.
    """
    return {
        "primary_metric": metric.key,
        "ramp": [{"share": 0.5, "minimum_seconds": 0}],
        "cooldown_days": 0,
        "holdback_share": 0,
    }
