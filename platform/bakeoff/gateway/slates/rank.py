"""Decisions: choose one of the actions that a request brings, and store with which propensity.

The default action is what the product would do by itself. It keeps a share of the decisions whatever
the policy says, so that the policy's value against it can be estimated at any time. Features of the
action that was taken are stored with each decision, those of all actions with a sample.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bakeoff.gateway.slates.answer import KindAnswer
from inference.serving.choice import Choice, chances_of, choose, only
from inference.serving.ladder import ServedSlate, Slot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from bakeoff.gateway.config.versions import ServingVersion
    from bakeoff.gateway.slates.choose_version import ChosenVersion
    from bakeoff.gateway.slates.rank_request import RankRequest
    from bakeoff.gateway.slates.visitors import Visitor
    from inference.serving.action_set import ActionSet
    from inference.serving.rank_settings import RankSettings

RANK = "rank"
# Of a surface without a champion, features of all actions that are stored per decision, in the mean:
# by these alone the first version is judged. Of 50 actions with 64 features that is one in six.
FIRST_FEATURES = 512
DECISION = "$rank"  # in a slate's context: what the decision was between


NO_CHAMPION, APPRENTICE, FEATURES_DIFFER = "no_champion", "apprentice", "features_differ"


class _Preference(NamedTuple):
    """What a version prefers: why it does not answer, its shares and rewards, what is to be said."""

    fallback: str | None
    shares: NDArray[np.float64] | None = None
    rewards: NDArray[np.float64] | None = None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class RankAnswer(KindAnswer):
    """A decision.

    Attributes:
        chances: returns those of each action, (n,); only some answers show them.
    """

    chances: Callable[[], NDArray[np.float64]] = field(kw_only=True)


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
    ) -> RankAnswer:
        """Return the slate of one action."""
        rng = request.rng_or(self._rng)
        settings, actions = visitor.surface.rank, request.actions
        default = request.default_index
        preference = self._ask(chosen.version, actions, rng)
        fallback = preference.fallback
        shares = only(default, len(actions.ids)) if preference.shares is None else preference.shares
        if fallback == NO_CHAMPION and settings.apprentice > 0:
            # It watches: the product's own choice is what it is to learn, so nothing is explored.
            choice, fallback = Choice(default, 1.0, 1.0, default), APPRENTICE
            chances = partial(only, default, len(actions.ids))
        else:
            choice = choose(shares, default, settings, rng)
            chances = partial(chances_of, shares, default, settings)
        slot = Slot(
            item_id=actions.ids[choice.index],
            score=0.0
            if preference.rewards is None
            else round(float(preference.rewards[choice.index]), 6),
            rank=1 if choice.index == choice.best else 2,
            propensity=choice.propensity,
            explored=choice.index != choice.best,
        )
        slate = ServedSlate(
            slots=[slot], fallback=fallback, candidate_count=len(actions.ids), candidate_hash=""
        )
        fields = {"default": actions.ids[default]}
        return RankAnswer(
            slate,
            settings.explore,
            dict,  # no version of such a surface goes into shadow
            fields={**fields, "hint": preference.hint} if preference.hint else fields,
            recorded={
                DECISION: self._recorded(
                    request, choice, default, _stored_share(settings, actions, fallback), rng
                )
            },
            chances=chances,
        )

    def _ask(
        self, version: ServingVersion | None, actions: ActionSet, rng: np.random.Generator
    ) -> _Preference:
        """Return what a version prefers, or why it cannot be used."""
        if version is None:
            return _Preference(NO_CHAMPION)
        policy = version.model.policy if version.model is not None else None
        if policy is None:
            return _Preference("model_unavailable")
        # A feature that is missing is read as its mean; one of another type, or none at all, cannot be.
        if why := policy.space.why_not(actions):
            return _Preference(FEATURES_DIFFER, hint=f"{why}, as {version.label} has learnt it.")
        preferences = policy.prefer(actions, rng)
        return _Preference(None, preferences.shares, preferences.rewards)

    def _recorded(
        self,
        request: RankRequest,
        choice: Choice,
        default: int,
        share: float,
        rng: np.random.Generator,
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
        if rng.random() < share:
            recorded["actions"] = actions.as_json()
            if share < 1:  # so many decisions does it stand for that were stored without
                recorded["stored"] = share
        return recorded

    async def recorded_context(self, request: RankRequest) -> dict[str, Any]:
        """Return what the product said of the visitor."""
        return request.context

    def body(self, request: RankRequest, visitor: Visitor, slate: ServedSlate) -> dict[str, Any]:  # noqa: ARG002
        """Return the action and its propensity."""
        (slot,) = slate.slots
        return {"action": slot.item_id, "propensity": slot.propensity}


def _stored_share(settings: RankSettings, actions: ActionSet, fallback: str | None) -> float:
    """Return the share of such decisions that are stored with all actions."""
    if fallback == APPRENTICE:
        return 1.0  # it learns from what was not taken as much as from what was
    if fallback != NO_CHAMPION or not settings.sample:
        return settings.sample
    features = len(actions.ids) * (len(actions.names) + len(actions.texts))
    return max(settings.sample, min(FIRST_FEATURES / features, 1.0))
