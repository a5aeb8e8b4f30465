"""Decisions: choose one of the actions that a request brings, and store with which propensity.

The default action is what the product would do by itself. It keeps a share of the decisions whatever
the policy says, so that the policy's value against it can be estimated at any time. Features of the
action that was taken are stored with each decision, those of all actions with a sample.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.gateway.slates.answer import KindAnswer
from inference.serving.choice import choose, only
from inference.serving.ladder import ServedSlate, Slot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.gateway.slates.choose_version import ChosenVersion
    from bakeoff.gateway.slates.rank_request import RankRequest
    from bakeoff.gateway.slates.visitors import Visitor
    from inference.serving.choice import Choice
    from inference.serving.rank_settings import RankSettings

RANK = "rank"
DECISION = "$rank"  # in a slate's context: what the decision was between


class Ranking:
    """Serves surfaces of the kind `rank`; one in a process."""

    name = RANK

    def __init__(self) -> None:
        """Make the coins."""
        self._rng = np.random.default_rng()

    async def serve(
        self,
        request: RankRequest,
        visitor: Visitor,
        chosen: ChosenVersion,
    ) -> KindAnswer:
        """Return the slate of one action."""
        settings, actions = visitor.surface.rank, request.actions
        default = request.default_index
        shares = only(default, len(actions.ids))
        fallback = "no_champion" if chosen.version is None else "model_unavailable"
        choice = choose(shares, default, settings, self._rng)
        slot = Slot(
            item_id=actions.ids[choice.index],
            score=float(shares[choice.index]),
            rank=1 if choice.index == choice.best else 2,
            propensity=choice.propensity,
            explored=choice.index != choice.best,
        )
        slate = ServedSlate(
            slots=[slot], fallback=fallback, candidate_count=len(actions.ids), candidate_hash=""
        )
        return KindAnswer(
            slate,
            settings.explore,
            dict,  # no version of such a surface goes into shadow
            fields={"default": actions.ids[default]},
            recorded={DECISION: self._recorded(request, choice, default, settings)},
        )

    def _recorded(
        self, request: RankRequest, choice: Choice, default: int, settings: RankSettings
    ) -> Mapping[str, Any]:
        """Return what is stored of a decision beside its slot."""
        actions = request.actions
        recorded: dict[str, Any] = {
            "default": actions.ids[default],
            "default_propensity": choice.default_propensity,
            "features": actions.features_of(choice.index),
        }
        if actions.context:
            recorded["context"] = actions.context
        if self._rng.random() < settings.sample:
            recorded["actions"] = actions.as_json()
        return recorded

    async def recorded_context(self, request: RankRequest) -> dict[str, Any]:
        """Return what the product said of the visitor."""
        return request.context

    def body(self, request: RankRequest, visitor: Visitor, slate: ServedSlate) -> dict[str, Any]:  # noqa: ARG002
        """Return the action and its propensity."""
        (slot,) = slate.slots
        return {"action": slot.item_id, "propensity": slot.propensity}
