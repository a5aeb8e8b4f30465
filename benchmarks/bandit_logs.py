"""The Open Bandit logs as decisions between items, from the wheel of `obp` (Saito et al. 2021)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from inference.encoders.locate import fetch_from_wheel
from inference.serving.action_set import ActionSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

WHEEL = ("obp==0.4.1", "obp/dataset/obd")
CAMPAIGNS = ("all", "men", "women")
_USER = tuple(f"user_feature_{n}" for n in range(4))
_ITEM = tuple(f"item_feature_{n}" for n in range(1, 4))


@dataclass(frozen=True, slots=True)
class BanditLog:
    """One campaign's log of the policy that showed items at random.

    Attributes:
        decisions: the items of each with their features, and those of the user.
        actions: how many items there are.
        chosen: index of the item that was shown, (decisions,).
        propensity: of that item, (decisions,).
        reward: 1 where it was clicked, (decisions,).
    """

    decisions: list[ActionSet]
    actions: int
    chosen: NDArray[np.int64]
    propensity: NDArray[np.float64]
    reward: NDArray[np.float64]


def open_bandit_log(campaign: str, root: Path) -> BanditLog:
    """Read the log of the random policy; the wheel is downloaded once."""
    folder = fetch_from_wheel(*WHEEL, root / "datasets") / "random" / campaign
    with (folder / "item_context.csv").open(newline="") as file:
        items = sorted(csv.DictReader(file), key=lambda row: int(row["item_id"]))
    with (folder / f"{campaign}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    ids = [row["item_id"] for row in items]
    # Hashes of 32 characters: their beginning tells them apart as well.
    texts = {name: [row[name][:8] for row in items] for name in _ITEM} | {"item": ids}
    known = np.array([float(row["item_feature_0"]) for row in items])
    affinities = [f"user-item_affinity_{item}" for item in ids]
    decisions = []
    for row in rows:
        affinity = np.array([float(row[name] or 0) for name in affinities])
        context = {name: row[name][:8] for name in _USER} | {"position": row["position"]}
        numbers = np.column_stack([known, affinity])
        decisions.append(ActionSet(ids, ("item_feature_0", "affinity"), numbers, texts, context))
    return BanditLog(
        decisions,
        len(ids),
        np.array([ids.index(row["item_id"]) for row in rows]),
        np.array([float(row["propensity_score"]) for row in rows]),
        np.array([float(row["click"]) for row in rows]),
    )
