"""Worlds with a known optimum: decisions between ten actions, and the chance of a reward of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inference.serving.action_set import ActionSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

ACTIONS = 10
KINDS = ("products", "both", "few of many", "arms")


@dataclass(frozen=True, slots=True)
class World:
    """Decisions in their order.

    Attributes:
        decisions: the actions of each, with what a policy may read.
        means: chance of a reward, (decisions, actions).
        picks: draws in [0, 1) by which an action is taken, (decisions,).
        rewards: draws in [0, 1): a reward where the action's chance is larger, (decisions,).
    """

    decisions: list[ActionSet]
    means: NDArray[np.float64]
    picks: NDArray[np.float64]
    rewards: NDArray[np.float64]


def draw_world(kind: str, rng: np.random.Generator, *, decisions: int) -> World:
    """Draw a world.

    Args:
        kind: what a reward depends on: `products` of context and features alone; `both`, features and
            products; `few of many`, 5 of 20 features; `arms`, which of ten actions it is, whatever the
            context says.
        rng: of the world.
        decisions: how many.
    """
    context, features = {"few of many": (8, 20)}.get(kind, (5, 5))
    about = rng.normal(size=(decisions, context))
    numbers = rng.normal(size=(decisions, ACTIONS, features))
    weights, plain = rng.normal(size=(context, features)), rng.normal(size=features)
    if kind == "few of many":
        weights[:, 5:], plain[5:] = 0.0, 0.0
    used = min(features, 5)
    products = np.einsum("nkf,cf,nc->nk", numbers, weights, about) / np.sqrt(context * used)
    alone = numbers @ plain / np.sqrt(used)
    texts = [f"arm-{n}" for n in range(ACTIONS)]
    signal = {
        "products": 0.3 * products,
        "both": 0.2 * alone + 0.1 * products,
        "few of many": 0.1 * alone + 0.2 * products,
        "arms": np.broadcast_to(rng.normal(size=ACTIONS) * 0.1, (decisions, ACTIONS)),
    }[kind]
    arms = {"arm": texts} if kind == "arms" else {}
    names = () if kind == "arms" else tuple(f"feature_{n}" for n in range(features))
    return World(
        [
            ActionSet(
                [str(n) for n in range(ACTIONS)],
                names,
                numbers[i][:, : len(names)],
                arms,
                {f"context_{n}": value for n, value in enumerate(about[i].tolist())},
            )
            for i in range(decisions)
        ],
        np.clip(0.3 + signal, 0.0, 1.0),
        rng.random(decisions),
        rng.random(decisions),
    )
