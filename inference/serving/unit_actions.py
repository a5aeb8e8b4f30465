"""What units did with items, in the cache: from which follows what is not shown to them again.

A sorted set per unit, of members that are never changed: event, value and item, with the time as
score. So it does not matter in which order actions arrive, and one that arrives twice is one; of an
event and an item the newest member counts, a withdrawal among them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from inference.serving.keys import MAX_ACTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

WITHDRAWN = False  # stands in the place of the value


class UnitAction(NamedTuple):
    """What a unit did with an item.

    Attributes:
        name: of the event; of feedback `feedback.` and its kind.
        item_id: with which item.
        at: when, in seconds since 1970.
        value: of a thumb or a rating; None where the value says nothing.
        is_withdrawn: whether it takes back what was done before.
    """

    name: str
    item_id: str
    at: float
    value: float | None = None
    is_withdrawn: bool = False


def add_actions(pipe: Any, key: str, actions: Iterable[UnitAction]) -> None:
    """Have a pipeline of either client add actions to a unit's; what is older than the newest goes."""
    # The later of two times: a repeated event must not make an action older.
    pipe.zadd(key, {_member_of(action): action.at for action in actions}, gt=True)
    pipe.zremrangebyrank(key, 0, -MAX_ACTIONS - 1)


def read_actions(members: Iterable[tuple[bytes, float]]) -> list[UnitAction]:
    """Return the actions of a set's members, in their order."""
    actions = []
    for member, at in members:
        name, value, item_id = orjson.loads(member)
        withdrawn = value is WITHDRAWN
        actions.append(UnitAction(name, item_id, at, None if withdrawn else value, withdrawn))
    return actions


def _member_of(action: UnitAction) -> bytes:
    value = WITHDRAWN if action.is_withdrawn else action.value
    return orjson.dumps([action.name, value, action.item_id])
