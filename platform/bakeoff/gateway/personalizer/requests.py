"""What requests of Azure Personalizer's clients may say."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.gateway.http.errors import invalid
from bakeoff.gateway.http.fields import body_rule, flag, list_of_ids, number, request_type, rule
from bakeoff.gateway.personalizer.features import flat_features, same_names
from bakeoff.gateway.slates.rank_request import MAX_ACTIONS, RankRequest, read_actions
from experiments import bounds
from inference.serving.action_set import ActionSet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# With what stands before it in the id of its unit it must fit there.
MAX_EVENT_ID = 190
_UNIT = "event:"


def unit_of(event_id: str) -> str:
    """Return the unit of an event: the service knows no users, so each event is one of its own."""
    return f"{_UNIT}{event_id}"


def read_event_id(value: Any, name: str) -> str | None:
    """Read the client's own id of an event; a missing or empty one is ours to make.

    Raises:
        BoundsError, ApiError: it cannot be one.
    """
    if value is None or value == "":
        return None
    event_id = bounds.text(value, name, max_length=MAX_EVENT_ID)
    if "/" in event_id:
        raise invalid(name, event_id, "without '/': the routes of rewards have it in their path")
    return event_id


def _actions(body: Mapping[str, Any]) -> ActionSet:
    """Read actions and context in the service's shape, by the rules of /v1/rank."""
    actions = body.get("actions")
    if not isinstance(actions, list) or not actions:
        raise invalid("actions", actions, f"a list of 1 to {MAX_ACTIONS} actions")
    if len(actions) > MAX_ACTIONS:
        raise invalid("actions", f"{len(actions)} of them", f"at most {MAX_ACTIONS}")
    ids, rows = [], []
    for index, action in enumerate(actions):
        if not isinstance(action, dict):
            raise invalid(f"actions[{index}]", action, "an object with id and features")
        ids.append(action.get("id"))
        rows.append(flat_features(action.get("features"), f"actions[{index}].features"))
    named = same_names(rows, [str(one) for one in ids])
    return read_actions(
        {
            "actions": [{"id": one, "features": row} for one, row in zip(ids, named, strict=True)],
            "features": flat_features(body.get("contextFeatures"), "contextFeatures"),
        }
    )


@request_type
class PersonalizerRank:
    """The body of /personalizer/v1.0/rank.

    Attributes:
        actions: what may be chosen, with the features of the context.
        excluded: ids of actions that may not be chosen now.
        event_id: the client's, or None.
        deferred: whether the decision counts only once it is activated.
    """

    actions: ActionSet = body_rule(_actions)
    excludedActions: list[str] | tuple[()] = rule(list_of_ids, default=())  # noqa: N815  the service's name
    eventId: str | None = rule(read_event_id)  # noqa: N815
    deferActivation: bool = rule(flag, default=False)  # noqa: N815

    def allowed(self) -> list[int]:
        """Return the places of the actions that may be chosen, in order.

        Raises:
            ApiError: 400, an id that no action has, or none is left.
        """
        unknown = sorted(set(self.excludedActions) - set(self.actions.ids))
        if unknown:
            raise invalid("excludedActions", unknown[0], "the id of one of the actions")
        places = [n for n, one in enumerate(self.actions.ids) if one not in self.excludedActions]
        if not places:
            raise invalid("excludedActions", "all actions", "fewer: one must be left to choose")
        return places


@request_type
class PersonalizerReward:
    """The body of /personalizer/v1.0/events/{eventId}/reward.

    Attributes:
        value: how good the action was, in the range of the surface.
    """

    value: float = rule(number)


def some_actions(actions: ActionSet, places: Sequence[int]) -> ActionSet:
    """Return some of the actions of a decision."""
    if len(places) == len(actions.ids):
        return actions
    return ActionSet(
        [actions.ids[n] for n in places],
        actions.names,
        actions.numbers[list(places)],
        {name: [column[n] for n in places] for name, column in actions.texts.items()},
        actions.context,
    )


@dataclass(frozen=True, kw_only=True)
class EventRankRequest(RankRequest):
    """A request of a client that names its event: the same event is answered alike.

    Attributes:
        seed: of the event; None: the process's coins.
    """

    seed: bytes | None = None

    def rng_or(self, shared: np.random.Generator) -> np.random.Generator:
        """Return coins that follow from the event, or those of the process."""
        return shared if self.seed is None else np.random.default_rng(list(self.seed))


def seed_of(project_id: int, event_id: str) -> bytes:
    """Return the seed of an event; ids of two projects say nothing of one another."""
    return hashlib.sha256(f"{project_id}:{event_id}".encode()).digest()
