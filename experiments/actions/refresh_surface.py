"""Recompute the candidates of a surface's units that did something.

Guarantees: one process works on a surface at a time; units that were taken and not finished, because of
an error or because the process died, are given back.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, cast

from django.conf import settings

from experiments.actions.mark_units import history_names, history_of, versions_in_use
from experiments.training_data.interactions import histories_of
from inference.cache import cache_client
from inference.lease import lease
from inference.models import Surface
from inference.serving.artifact import ArtifactError
from inference.serving.keys import active_key, dirty_key, taken_key
from inference.serving.ranker import Ranker
from inference.serving.refresh import refresh_units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

# One matrix product each; more would hold memory, fewer would pay for each trip.
UNITS_PER_BATCH = 500
UNITS_PER_HAND_OUT = 200  # times hundreds of surfaces: Redis answers nobody else meanwhile
LEASE_SECONDS = 120.0  # a batch takes a second; a machine that pages takes longer
# Taken and noted in one step: a process that dies after it leaves them where the next one finds them.
_TAKE = """local units = redis.call('SPOP', KEYS[1], ARGV[1])
    if #units > 0 then redis.call('SADD', KEYS[2], unpack(units)) end
    return units"""
# In one step, so that a unit is in all of the sets or in none.
_HAND_OUT = """local units = redis.call('SPOP', KEYS[1], ARGV[1])
    if #units > 0 then
        for i = 2, #KEYS do redis.call('SADD', KEYS[i], unpack(units)) end
    end
    return #units"""
_GIVE_BACK = """local units = redis.call('SMEMBERS', KEYS[2])
    if #units > 0 then redis.call('SADD', KEYS[1], unpack(units)) end
    redis.call('DEL', KEYS[2])"""


def refresh_surface(*, surface: Surface) -> int:
    """Work until no unit is left; return how many there were, 0 when another process works here.

    Raises:
        ArtifactError: a version in use cannot be loaded; the units were refreshed for the others.
    """
    client, count = cache_client(), 0
    with lease(client, f"refresh:{surface.pk}", seconds=LEASE_SECONDS) as mine:
        if mine is None:
            return 0
        _give_back(surface)  # what a process that died had taken
        try:
            while units := _take(surface):
                histories = histories_of(surface, units)
                rankers, failure = _load_rankers(surface)
                refresh_units(
                    client,
                    history_of(surface),
                    rankers,
                    histories,
                    project_id=surface.project_id,
                    candidates=surface.candidates,
                )
                if failure is not None:
                    raise failure  # the others have their units; this one's stay marked
                count += len(units)
                if not mine.renew():
                    break  # frozen for so long that another took over: what it took goes back
                client.delete(taken_key(surface.pk))
        finally:
            _give_back(surface)
    return count


def surfaces_with_dirty_units() -> QuerySet[Surface]:
    """Tell surfaces which units liked something; return those with units to refresh."""
    surfaces = list(Surface.objects.unarchived().filter(kind=Surface.Kind.RECOMMEND))
    _hand_out(surfaces)
    pipe = cache_client().pipeline(transaction=False)
    for surface in surfaces:
        pipe.exists(dirty_key(surface.pk), taken_key(surface.pk))
    dirty = [surface.pk for surface, count in zip(surfaces, pipe.execute(), strict=True) if count]
    return Surface.objects.filter(pk__in=dirty)


def _hand_out(surfaces: Sequence[Surface]) -> None:
    """Move the units that liked something into the set of each surface that counts it."""
    dirty: dict[str, list[str]] = {}
    for surface, history in history_names(surfaces).items():
        dirty.setdefault(history, []).append(dirty_key(surface.pk))
    for history, keys in dirty.items():
        moved = [active_key(history), *keys]
        while cache_client().eval(_HAND_OUT, len(moved), *moved, str(UNITS_PER_HAND_OUT)):
            pass


def _take(surface: Surface) -> list[str]:
    keys = (dirty_key(surface.pk), taken_key(surface.pk))
    taken = cast("list[bytes]", cache_client().eval(_TAKE, 2, *keys, str(UNITS_PER_BATCH)))
    return [unit.decode() for unit in taken]


def _give_back(surface: Surface) -> None:
    cache_client().eval(_GIVE_BACK, 2, dirty_key(surface.pk), taken_key(surface.pk))


@lru_cache(maxsize=16)
def _load_ranker(digest: str) -> Ranker:
    return Ranker(settings.BAKEOFF.artifacts, digest)


def _load_rankers(surface: Surface) -> tuple[dict[int, Ranker], Exception | None]:
    """Load what serves the surface; return it, and the error of a version that cannot be loaded."""
    rankers: dict[int, Ranker] = {}
    failure: Exception | None = None
    for version in versions_in_use().filter(surface=surface):
        try:
            ranker = _load_ranker(version.artifact_sha256)
            ranker.seek_indexes()
            if ranker.order is None:  # of what is live nothing can be precomputed
                rankers[version.pk] = ranker
        except (ArtifactError, OSError, ValueError) as error:
            failure = error
    return rankers, failure
