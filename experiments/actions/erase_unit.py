"""Erase a person's data."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, cast

import orjson
from django.conf import settings
from django.db import connection, transaction

from bakeoff.accounts.audit import record_audit
from experiments.actions.clear_theme_names import clear_theme_names
from experiments.actions.count_decisions import lock_counts
from experiments.actions.lock_order import lock_themed_texts
from experiments.actions.mark_units import history_names
from experiments.archive.place import ArchiveError
from experiments.archive.state import archive_place
from experiments.ingest.spill import REFUSED, STREAM, drain
from experiments.models import (
    ArchivedMonth,
    InterleavedUnit,
    Observation,
    SegmentsAtStart,
    Survey,
    ThemedText,
)
from experiments.training_data.personal_data import ids_of_person, links_of_person, rows_of_person
from inference.actions.destroy_snapshots import destroy_snapshots
from inference.cache import cache_client
from inference.models import ModelVersion, Surface
from inference.serving.keys import (
    actions_key,
    active_key,
    answers_of_unit_key,
    candidates_key,
    dirty_key,
    histories_key,
    other_actions_key,
    recent_key,
    shadow_key,
    surveyed_key,
    taken_key,
)
from inference.serving.remote_store import RemoteStoreError

if TYPE_CHECKING:
    from collections.abc import Sequence


class CannotEraseError(Exception):
    """It would not be complete; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was done.

    Attributes:
        ids: how many ids the person had.
        rows: how many rows were deleted, by table.
        cached: how many entries of the cache were deleted.
        snapshots: how many frozen training sets were destroyed.
        refused_entries: spilled commits that the database refuses and a person must look through.
    """

    ids: int
    rows: dict[str, int]
    cached: int
    snapshots: int
    refused_entries: int
    kept: list[str] = field(
        default_factory=lambda: [
            "totals and decisions, which name nobody",
            "weights of models trained before",
            "ids of events without content, so that a late retry does not bring one back; they go "
            "with the project's retention",
        ]
    )


def erase_unit(*, project_id: int, unit_id: str, by: str) -> Erasure:
    """Delete all data of a unit, under each of its ids.

    Totals stay, so that every decision can still be recomputed; the audit entry names the unit by a
    hash.

    Raises:
        CannotEraseError: spilled rows wait for the database and may hold the unit, or the archive
            or the store of snapshots cannot be rewritten.
    """
    _drain_all()
    ids = ids_of_person(project_id, unit_id)
    # Rows and entry in one: the trail never names an erasure that did not happen.
    with transaction.atomic():
        rows = _erase_archived(project_id, ids)
        lock_counts(project_id)
        for name, query in rows_of_person(project_id, ids).items():
            if query.model is ThemedText:
                lock_themed_texts(query)
            rows[name] = query.delete()[0]
        rows["observations"] = Observation.objects.filter(
            experiment__project=project_id, unit_id__in=ids
        ).delete()[0]
        rows["interleaved"] = InterleavedUnit.objects.filter(
            experiment__project=project_id, unit_id__in=ids
        ).delete()[0]
        rows["segments_at_start"] = SegmentsAtStart.objects.filter(
            experiment__project=project_id, unit_id__in=ids
        ).delete()[0]
        rows["links"] = links_of_person(project_id, ids).delete()[0]
        erasure = Erasure(
            ids=len(ids),
            rows=rows,
            cached=_forget_in_cache(project_id, ids),
            snapshots=_destroy_snapshots(project_id, ids),
            refused_entries=cache_client().xlen(REFUSED),
        )
        record_audit(
            project_id,
            actor=by,
            action="erase",
            subject=f"unit sha256:{hashlib.sha256(unit_id.encode()).hexdigest()[:16]}",
            detail=asdict(erasure),
        )
    # After the commit: a reading locks themes before texts, and this would after. Pages show such a
    # name no more, and a tick clears what a crash left.
    clear_theme_names()
    return erasure


def _erase_archived(project_id: int, ids: Sequence[str]) -> dict[str, int]:
    if not ArchivedMonth.objects.filter(project_id=project_id).exists():
        return {}
    # PyArrow's, which web processes load when a month is archived, and not before.
    from experiments.actions.erase_archived import erase_archived  # noqa: PLC0415

    try:
        rows = erase_archived(project_id=project_id, unit_ids=ids, place=archive_place())
    except ArchiveError as error:
        raise CannotEraseError(f"the archive may hold the unit: {error}") from error
    return {"archived": rows}


def _destroy_snapshots(project_id: int, ids: Sequence[str]) -> int:
    try:
        return destroy_snapshots(project_id=project_id, unit_ids=ids, folder=settings.BAKEOFF.snapshots)
    except RemoteStoreError as error:
        raise CannotEraseError(f"training data may hold the unit: {error}") from error


def _drain_all() -> None:
    connection.ensure_connection()
    client = cache_client()
    while drain(client, connection.connection):
        pass
    if waiting := client.xlen(STREAM):
        raise CannotEraseError(
            f"spilled commits == {waiting}, must be 0: they may hold the unit. Try again in a minute."
        )


def _forget_in_cache(project_id: int, ids: Sequence[str]) -> int:
    client = cache_client()
    surfaces = list(Surface.objects.filter(project_id=project_id))
    versions = ModelVersion.objects.filter(surface__in=surfaces).values_list("pk", flat=True)
    known = _members(histories_key(project_id))
    histories = {name.decode() for name in known} | set(history_names(surfaces).values())
    # Version 0.1 kept them by surface.
    histories |= {str(surface.pk) for surface in surfaces}
    names = [recent_key(history, unit) for history in histories for unit in ids]
    names += [key(project_id, unit) for key in (actions_key, other_actions_key) for unit in ids]
    surveys = Survey.objects.filter(project=project_id).values_list("key", flat=True)
    names += [surveyed_key(project_id, survey, unit) for survey in surveys for unit in ids]
    names += [candidates_key(version, unit) for version in versions for unit in ids]
    answers = [answers_of_unit_key(project_id, unit) for unit in ids]
    names += [*answers, *(name.decode() for key in answers for name in _members(key))]
    forgotten = client.delete(*names) if names else 0
    forgotten += _forget_shadows(surfaces, ids)
    sets = [active_key(history) for history in histories]
    sets += [key(surface.pk) for surface in surfaces for key in (dirty_key, taken_key)]
    return forgotten + sum(client.srem(name, *ids) for name in sets)


def _forget_shadows(surfaces: Sequence[Surface], ids: Sequence[str]) -> int:
    """Delete the requests of these ids that wait for versions in shadow."""
    client, forgotten, wanted = cache_client(), 0, set(ids)
    for surface in surfaces:
        key = shadow_key(surface.pk)
        for raw in cast("list[bytes]", client.lrange(key, 0, -1)):
            if orjson.loads(raw).get("unit_id") in wanted:
                forgotten += client.lrem(key, 0, raw.decode())
    return forgotten


def _members(key: str) -> set[bytes]:
    return cast("set[bytes]", cache_client().smembers(key))
