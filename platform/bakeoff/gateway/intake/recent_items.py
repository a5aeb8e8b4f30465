"""What units did with items lately, in the cache: what their next request is ranked by, and without."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import redis.asyncio
import redis.exceptions

from bakeoff.gateway.cache import execute_awake
from experiments.ingest.likes import is_liked
from experiments.slate_rules.repeat import DEFAULT_EVENTS, event_of, value_to_record
from inference.serving.keys import (
    MAX_RECENT,
    actions_key,
    active_key,
    other_actions_key,
    recent_key,
)
from inference.serving.unit_actions import UnitAction, add_actions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bakeoff.gateway.config.serving_config import ServingConfig, SurfaceConfig

RECOMMEND = "recommend"  # the surfaces whose answers hold items
# Of units whose actions the cache did not take, in one process: an outage of seconds loses none.
MAX_MISSED = 10_000


class ItemAction(NamedTuple):
    """What a unit did with an item, if it was one.

    Attributes:
        unit: who.
        item: with which item, or None.
        name: of the event; of feedback `feedback.` and its kind.
        value: of the event or the feedback, or None.
        at: when, in seconds since 1970.
        is_withdrawn: whether it takes back what was said before.
    """

    unit: str
    item: str | None
    name: str
    value: float | None
    at: float
    is_withdrawn: bool = False


class RecentItems:
    """Notes what is done; one in a process."""

    def __init__(self, cache: redis.asyncio.Redis) -> None:
        """Remember where to note."""
        self._cache = cache
        self._missed: list[tuple[int, ItemAction]] = []

    async def note(self, config: ServingConfig, project: int, actions: Sequence[ItemAction]) -> None:
        """Let the next request see what was done, and have the unit's candidates refreshed."""
        noted = [(project, action) for action in actions if action.item]
        if not noted:
            return
        # What an outage kept out of the cache goes first: the newest of an item stands on top.
        noted, self._missed = [*self._missed, *noted], []
        pipe = self._cache.pipeline(transaction=False)
        by_project: dict[int, list[ItemAction]] = defaultdict(list)
        for owner, action in noted:
            by_project[owner].append(action)
        for owner, theirs in by_project.items():
            surfaces = [one for one in config.surfaces.get(owner, {}).values() if one.kind == RECOMMEND]
            if surfaces:
                _note_likes(pipe, surfaces, theirs)
                _note_actions(pipe, owner, surfaces, theirs, others=_named_by_rules(config, surfaces))
        if not len(pipe):
            return
        try:
            await execute_awake(pipe)
        except (redis.exceptions.RedisError, OSError):
            # The facts themselves are safe, and a cache that was lost is rebuilt from them.
            self._missed = [*noted, *self._missed][-MAX_MISSED:]


def _note_likes(
    pipe: redis.asyncio.client.Pipeline,
    surfaces: Iterable[SurfaceConfig],
    actions: Sequence[ItemAction],
) -> None:
    # By rules and not by surface: a project may have hundreds of surfaces, and most count the same.
    rules = {surface.history: surface.liked for surface in surfaces}
    for history, liked in rules.items():
        for action in actions:
            if not action.is_withdrawn and is_liked(liked, action.name, action.value):
                recent = recent_key(history, action.unit)
                pipe.lpush(recent, str(action.item))
                pipe.ltrim(recent, 0, MAX_RECENT - 1)
                pipe.sadd(active_key(history), action.unit)


def _note_actions(
    pipe: redis.asyncio.client.Pipeline,
    project: int,
    surfaces: Sequence[SurfaceConfig],
    actions: Sequence[ItemAction],
    *,
    others: frozenset[str],
) -> None:
    """Note what rules of repetition are about, for all surfaces: a purchase is one on every page."""
    histories = {surface.history for surface in surfaces}
    by_key: dict[str, list[UnitAction]] = defaultdict(list)
    for action in actions:
        event = event_of(action.name)
        value = value_to_record(event, action.value)
        noted = UnitAction(action.name, str(action.item), action.at, value, action.is_withdrawn)
        if event in DEFAULT_EVENTS:
            by_key[actions_key(project, action.unit)].append(noted)
            # So that candidates are made without it: a list that is only thinned out grows short.
            for history in histories:
                pipe.sadd(active_key(history), action.unit)
        elif action.name in others or event in others:
            by_key[other_actions_key(project, action.unit)].append(noted)
    for key, theirs in by_key.items():
        add_actions(pipe, key, theirs)


def _named_by_rules(config: ServingConfig, surfaces: Sequence[SurfaceConfig]) -> frozenset[str]:
    """Return what rules may be about beside the defaults: likes, and events that rules name."""
    rules = [surface.rules for surface in surfaces]
    if config.variant_rules:
        variants = (
            variant.variant_id
            for surface in surfaces
            for experiment in surface.experiments
            for variant in experiment.variants.values()
        )
        rules += [config.variant_rules[one] for one in variants if one in config.variant_rules]
    liked = {rule.name for surface in surfaces for rule in surface.liked}
    return frozenset(liked.union(*(one.repeat for one in rules)))
