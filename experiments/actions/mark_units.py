"""Mark units whose candidates must be computed again.

The cache keeps which versions the units of a surface were marked for. A surface that serves another
version, or whose cache was lost, is found by that, and its units are marked again.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from django.db import OperationalError
from django.db.models import Q
from redis.exceptions import RedisError

from experiments.ingest.likes import LikeRuleError, history_name, parse_rules
from experiments.slate_rules.repeat import DEFAULTS
from experiments.training_data.interactions import units_of
from experiments.training_data.unit_actions import repeat_events
from inference.actions.due_places import ask_for_places
from inference.cache import cache_client
from inference.models import ModelVersion, Surface
from inference.serving.keys import dirty_key, histories_key, marked_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.db.models import QuerySet

logger = logging.getLogger(__name__)


def versions_in_use() -> QuerySet[ModelVersion]:
    """Return champions and the variants of running experiments."""
    champion = Q(alias=ModelVersion.Alias.CHAMPION)
    return ModelVersion.objects.filter(champion | Q(variant__experiment__state="running")).distinct()


def mark_all_units(*, surface: Surface) -> int:
    """Mark every unit of whom anything is known; return how many. New items are placed, too.

    None where every version in use has had its units marked: candidates are kept by version, so an
    experiment that ends without a new champion changes none.
    """
    if surface.kind != Surface.Kind.RECOMMEND:
        return 0  # nothing is precomputed for labels and flags
    client, count = cache_client(), 0
    history = history_of(surface)
    client.sadd(histories_key(surface.project_id), history)  # erasure must find it
    versions = versions_in_use().filter(surface=surface).values_list("pk", flat=True)
    used = _marks(history, versions, repeat_events([surface])[surface.pk])
    if not used <= _marked([surface])[surface]:
        for units in units_of(surface):
            client.sadd(dirty_key(surface.pk), *units)
            count += len(units)
        ask_for_places(project_id=surface.project_id)
    # Only now: a process that dies before leaves the surface to the next look. A version that
    # serves no more is forgotten, since its candidates grow old.
    with client.pipeline() as pipe:
        pipe.delete(marked_key(surface.pk))
        pipe.sadd(marked_key(surface.pk), *used)
        pipe.execute()
    return count


def mark_soon(*, surface: Surface) -> None:
    """Mark the units now; without the cache, or where there are too many, the reconciler does it later.

    For after a commit: what was decided stands, and its answer must not be an error.
    """
    try:
        mark_all_units(surface=surface)
    # A project with years of events takes longer than a person waits; the reconciler has the time.
    except (RedisError, OSError, OperationalError) as error:
        logger.warning("units of '%s' are marked later: %s", surface, error)


def mark_later(*, project_id: int, surface_id: int | None = None) -> None:
    """Have the reconciler mark all units of a project: events came that no process has noted.

    Args:
        project_id: whose.
        surface_id: for this surface alone; None: for all of them.
    """
    surfaces = Surface.objects.filter(project_id=project_id, kind=Surface.Kind.RECOMMEND)
    if surface_id is not None:
        surfaces = surfaces.filter(pk=surface_id)
    keys = [marked_key(pk) for pk in surfaces.values_list("pk", flat=True)]
    # A cache that is away is found to be without marks anyway, or was not lost and lacks these events
    # until the units act again: the load itself must not fail.
    with contextlib.suppress(RedisError, OSError):
        if keys:
            cache_client().delete(*keys)


def surfaces_to_mark() -> QuerySet[Surface]:
    """Return surfaces whose units are not marked for what serves them, or whose cache was lost."""
    used: dict[int, set[int]] = {}
    for surface_id, version_id in versions_in_use().values_list("surface_id", "pk"):
        used.setdefault(surface_id, set()).add(version_id)
    surfaces = list(Surface.objects.unarchived().filter(kind=Surface.Kind.RECOMMEND))
    marked, names, events = _marked(surfaces), history_names(surfaces), repeat_events(surfaces)
    unmarked = [
        surface.pk
        for surface in surfaces
        # One whose rules cannot be read is returned too: it fails alone, and is named.
        if surface not in names
        or _marks(names[surface], used.get(surface.pk, ()), events[surface.pk]) != marked[surface]
    ]
    return Surface.objects.filter(pk__in=unmarked)


def history_of(surface: Surface) -> str:
    """Return the name under which the cache holds what units liked for this surface.

    Raises:
        LikeRuleError: its rules cannot be read.
    """
    return history_name(surface.project_id, parse_rules(surface.liked_events))


def history_names(surfaces: Iterable[Surface]) -> dict[Surface, str]:
    """Return the histories of surfaces, but for those whose rules cannot be read."""
    names = {}
    for surface in surfaces:
        with contextlib.suppress(LikeRuleError):
            names[surface] = history_of(surface)
    return names


def _marks(history: str, versions: Iterable[int], events: Iterable[str]) -> set[str]:
    """Return for what a surface's units are to be marked: its versions, and what is remembered.

    The latter holds without a version too: a static list shows nobody what they hid.

    Args:
        history: name of what is liked.
        versions: in use.
        events: that rules of repetition name.
    """
    recorded = ",".join(sorted(set(events) - DEFAULTS.keys()))
    return {f"actions:{history}:{recorded}", *(f"{version}:{history}" for version in versions)}


def _marked(surfaces: Sequence[Surface]) -> dict[Surface, set[str]]:
    """Return for which versions, and rules of what is liked, units were marked, by one question."""
    pipe = cache_client().pipeline(transaction=False)
    for surface in surfaces:
        pipe.smembers(marked_key(surface.pk))
    return {
        surface: {mark.decode() for mark in marks}
        for surface, marks in zip(surfaces, pipe.execute(), strict=True)
    }
