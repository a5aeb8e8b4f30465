"""Write what a request reads: recent items and candidates of units, into the cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.serving.keys import (
    CANDIDATES_TTL_SECONDS,
    MAX_RECENT,
    actions_key,
    candidates_key,
    other_actions_key,
    recent_key,
)
from inference.serving.unit_actions import UnitAction, add_actions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import redis

    from inference.serving.ranker import Ranker


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a unit on a surface.

    Attributes:
        liked: item ids, newest first.
        seen: item ids that may not be recommended again, the liked ones among them.
        actions: what it refused and bought.
        other_actions: what else a rule may name.
    """

    liked: Sequence[str] = ()
    seen: Sequence[str] = ()
    actions: Sequence[UnitAction] = ()
    other_actions: Sequence[UnitAction] = ()


def refresh_units(
    client: redis.Redis,
    history: str,
    versions: Mapping[int, Ranker],
    histories: Mapping[str, History],
    *,
    project_id: int,
    candidates: int,
) -> None:
    """Recompute the candidates of some units under every version that serves the surface.

    Args:
        client: the cache.
        history: whose recent items they are: the project's and its rules of what is liked.
        versions: loaded versions by id.
        histories: by unit.
        project_id: whose units they are.
        candidates: how many to keep a unit.
    """
    units = list(histories)
    # Not atomic: a request that reads between two commands finds old candidates, which it can serve.
    pipe = client.pipeline(transaction=False)
    for unit, past in histories.items():
        key = recent_key(history, unit)
        pipe.delete(key)
        if past.liked:
            pipe.rpush(key, *past.liked[:MAX_RECENT])
        # Added and not replaced: an action that waits in the spill is in the cache alone.
        if past.actions:
            add_actions(pipe, actions_key(project_id, unit), past.actions)
        if past.other_actions:
            add_actions(pipe, other_actions_key(project_id, unit), past.other_actions)
    for version_id, ranker in versions.items():
        lists = ranker.candidates(
            [ranker.indices_of(histories[unit].liked[:MAX_RECENT]) for unit in units],
            [ranker.indices_of(histories[unit].seen) for unit in units],
            candidates,
        )
        for unit, best in zip(units, lists, strict=True):
            pipe.set(candidates_key(version_id, unit), best.tobytes(), ex=CANDIDATES_TTL_SECONDS)
    pipe.execute()
