"""The answer to a rank call: every action with its probability, the chosen one first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class ChosenAction(NamedTuple):
    """Of one decision: the action, and the chance that it had."""

    action: str
    propensity: float


def ranking_body(
    event_id: str,
    ids: Sequence[str],
    places: Sequence[int],
    chances: NDArray[np.float64],
    chosen: ChosenAction,
) -> dict[str, Any]:
    """Return the body of the answer.

    Args:
        event_id: of the event.
        ids: of all actions, as the request has them.
        places: of those that could be chosen.
        chances: of those.
        chosen: which one was.
    """
    allowed = [ids[n] for n in places]
    index = allowed.index(chosen.action)
    # Of a decision that was taken earlier the version may have changed since: its own chance holds.
    if chances[index] != chosen.propensity:
        rest = chances.sum() - chances[index]
        share = (1 - chosen.propensity) / rest if rest > 0 else 0.0
        chances = chances * share
        chances[index] = chosen.propensity
    order = np.argsort(-chances, kind="stable").tolist()
    ranked = [index, *(n for n in order if n != index)]
    ranking = [{"id": allowed[n], "probability": float(chances[n])} for n in ranked]
    for n, one in enumerate(ids):
        if n not in places:  # where the request has it
            ranking.insert(n, {"id": one, "probability": 0.0})
    return {"ranking": ranking, "eventId": event_id, "rewardActionId": chosen.action}
