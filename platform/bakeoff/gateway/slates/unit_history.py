"""What a request needs to know of its unit, read from the cache and judged by rules of repetition."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.slates.cache_reader import GroupRead, UnitKeys
from experiments.slate_rules.repeat import (
    DEFAULTS,
    NOTHING_ACTED,
    ActedItems,
    check_recorded,
    judge_actions,
)
from experiments.slate_rules.rule_error import RuleError
from inference.serving.keys import actions_key, candidates_key, other_actions_key, recent_key
from inference.serving.unit_actions import read_actions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.gateway.config.serving_config import SurfaceConfig
    from bakeoff.gateway.config.versions import ServingVersion
    from bakeoff.gateway.slates.requests import RecommendRequest
    from bakeoff.gateway.slates.visitors import Visitor


class UnitHistory(NamedTuple):
    """What is known of a unit.

    Attributes:
        recent: item ids that it liked lately, newest first.
        precomputed: candidates under the version that answers, int32 bytes, or None.
        acted: what may not be shown to it again, and what may.
        rivals: candidates under the further versions of one interleaved answer.
    """

    recent: tuple[str, ...] = ()
    precomputed: bytes | None = None
    acted: ActedItems = NOTHING_ACTED
    rivals: tuple[bytes | None, ...] = ()


async def read_history(
    reader: GroupRead,
    request: RecommendRequest,
    visitor: Visitor,
    version: ServingVersion | None,
    rivals: Sequence[ServingVersion] = (),
) -> UnitHistory:
    """Read a unit, in one round trip.

    Args:
        reader: of the cache.
        request: whose rules hold beside the surface's.
        visitor: whose unit.
        version: whose candidates are wanted, and to which recent items matter; None for neither.
        rivals: further versions whose candidates are wanted, where the answer is interleaved.

    Raises:
        ApiError: 400, the request has a rule about an event that nothing is remembered of.
    """
    repeat = _repeat_rules(request, visitor.surface)
    project, unit = visitor.key.project_id, visitor.unit
    # Most units have clicked a lot, and most requests have no rule about clicks.
    reads_others = not repeat.keys() <= DEFAULTS.keys()
    state = await reader.read(
        UnitKeys(
            actions_key(project, unit),
            None if version is None else candidates_key(version.version_id, unit),
            None if version is None else recent_key(visitor.surface.history, unit),
            other_actions_key(project, unit) if reads_others else None,
            tuple(candidates_key(rival.version_id, unit) for rival in rivals),
        )
    )
    actions = read_actions(state.actions)
    acted = judge_actions(actions, repeat, visitor.surface.liked, now=time.time())
    return UnitHistory(state.recent, state.precomputed, acted, state.rivals)


def _repeat_rules(request: RecommendRequest, surface: SurfaceConfig) -> Mapping[str, float]:
    """Return after how many seconds items may be shown again, by event, beside the defaults."""
    requested = request.rules.repeat
    if not requested:
        return surface.rules.repeat
    try:
        check_recorded(requested, surface.rules.repeat, surface.liked)
    except RuleError as error:
        raise ApiError(400, "invalid_value", str(error), field=error.field) from error
    return {**surface.rules.repeat, **requested}
