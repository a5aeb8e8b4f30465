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
    from collections.abc import Mapping, Sequence

    from bakeoff.gateway.config.serving_config import ServingConfig, SurfaceConfig
    from experiments.ingest.likes import LikeRule

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


class _Wanted(NamedTuple):
    """What the surfaces of a project remember of units.

    Attributes:
        likes: what counts as a like, by history; nothing where no surface shows items.
        others: events beside the defaults that are remembered: likes, and what rules name.
    """

    likes: Mapping[str, Sequence[LikeRule]]
    others: frozenset[str]

    def has(self, name: str) -> bool:
        """Whether an event, or feedback `feedback.` and its kind, may be remembered."""
        event = event_of(name)
        named = event in DEFAULT_EVENTS or name in self.others or event in self.others
        return named and bool(self.likes)


class RecentItems:
    """Notes what is done; one in a process."""

    def __init__(self, cache: redis.asyncio.Redis) -> None:
        """Remember where to note."""
        self._cache = cache
        self._missed: list[tuple[int, ItemAction]] = []
        # By project, of one configuration: the next one is another object.
        self._wanted: dict[int, _Wanted] = {}
        self._config: ServingConfig | None = None

    def wants(self, config: ServingConfig, project: int, name: str) -> bool:
        """Whether anything is remembered of events of a name; of most, nothing is."""
        return self._wanted_by(config, project).has(name)

    async def note(self, config: ServingConfig, project: int, actions: Sequence[ItemAction]) -> None:
        """Let the next request see what was done, and have the unit's candidates refreshed."""
        noted = [(project, action) for action in actions if action.item]
        if not noted and not self._missed:
            return
        # What an outage kept out of the cache goes first: the newest of an item stands on top.
        noted, self._missed = [*self._missed, *noted], []
        pipe = self._cache.pipeline(transaction=False)
        by_project: dict[int, list[ItemAction]] = defaultdict(list)
        for owner, action in noted:
            by_project[owner].append(action)
        for owner, theirs in by_project.items():
            wanted = self._wanted_by(config, owner)
            _note_likes(pipe, wanted, theirs)
            _note_actions(pipe, owner, wanted, theirs)
        if not len(pipe):
            return
        try:
            await execute_awake(pipe)
        except (redis.exceptions.RedisError, OSError):
            # The facts themselves are safe, and a cache that was lost is rebuilt from them.
            self._missed = [*noted, *self._missed][-MAX_MISSED:]

    def _wanted_by(self, config: ServingConfig, project: int) -> _Wanted:
        if config is not self._config:
            self._config, self._wanted = config, {}
        wanted = self._wanted.get(project)
        if wanted is None:
            surfaces = [
                one for one in config.surfaces.get(project, {}).values() if one.kind == RECOMMEND
            ]
            # By rules and not by surface: a project may have hundreds, and most count the same.
            likes = {surface.history: surface.liked for surface in surfaces}
            wanted = self._wanted[project] = _Wanted(likes, _named_by_rules(config, surfaces))
        return wanted


def _note_likes(
    pipe: redis.asyncio.client.Pipeline, wanted: _Wanted, actions: Sequence[ItemAction]
) -> None:
    for history, liked in wanted.likes.items():
        for action in actions:
            if not action.is_withdrawn and is_liked(liked, action.name, action.value):
                recent = recent_key(history, action.unit)
                pipe.lpush(recent, str(action.item))
                pipe.ltrim(recent, 0, MAX_RECENT - 1)
                pipe.sadd(active_key(history), action.unit)


def _note_actions(
    pipe: redis.asyncio.client.Pipeline, project: int, wanted: _Wanted, actions: Sequence[ItemAction]
) -> None:
    """Note what rules of repetition are about, for all surfaces: a purchase is one on every page."""
    if not wanted.likes:
        return
    by_key: dict[str, list[UnitAction]] = defaultdict(list)
    for action in actions:
        event = event_of(action.name)
        value = value_to_record(event, action.value)
        noted = UnitAction(action.name, str(action.item), action.at, value, action.is_withdrawn)
        if event in DEFAULT_EVENTS:
            by_key[actions_key(project, action.unit)].append(noted)
            # So that candidates are made without it: a list that is only thinned out grows short.
            for history in wanted.likes:
                pipe.sadd(active_key(history), action.unit)
        elif action.name in wanted.others or event in wanted.others:
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
