"""Erase a person's data, or hand it over."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, cast

from django.conf import settings
from django.db import connection, transaction
from django.forms.models import model_to_dict
from django.utils import timezone

from bakeoff.accounts.audit import record_audit
from experiments.actions.mark_units import history_names
from experiments.ingest.spill import REFUSED, STREAM, drain
from experiments.models import (
    Event,
    ExcludedUnit,
    Exposure,
    Feedback,
    Link,
    Observation,
    QuarantinedExposure,
    Slate,
    Unit,
)
from experiments.training_data.personal_data import ids_of_person
from inference.actions.destroy_snapshots import destroy_snapshots
from inference.cache import cache_client
from inference.models import ModelVersion, Surface
from inference.serving.keys import (
    active_key,
    candidates_key,
    dirty_key,
    histories_key,
    recent_key,
    taken_key,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import Model, QuerySet

_TABLES: dict[str, type[Model]] = {
    "events": Event,
    "slates": Slate,
    "exposures": Exposure,
    "quarantined": QuarantinedExposure,
    "feedback": Feedback,
    "excluded": ExcludedUnit,
    "attributes": Unit,
}


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
    """Delete all that is kept of a unit, under each of its ids.

    Totals stay, so that every decision can still be recomputed; the audit entry names the unit by a
    hash.

    Raises:
        CannotEraseError: spilled rows wait for the database and may hold the unit.
    """
    _drain_all()
    ids = ids_of_person(project_id, unit_id)
    with transaction.atomic():
        rows = {name: found.delete()[0] for name, found in _rows_of(project_id, ids).items()}
        rows["observations"] = Observation.objects.filter(
            experiment__project=project_id, unit_id__in=ids
        ).delete()[0]
        rows["links"] = _links_of(project_id, ids).delete()[0]
        erasure = Erasure(
            ids=len(ids),
            rows=rows,
            cached=_forget_in_cache(project_id, ids),
            snapshots=destroy_snapshots(
                project_id=project_id, unit_ids=ids, folder=settings.BAKEOFF.snapshots
            ),
            refused_entries=cache_client().xlen(REFUSED),
        )
        record_audit(
            project_id,
            actor=by,
            action="erase",
            subject=f"unit sha256:{hashlib.sha256(unit_id.encode()).hexdigest()[:16]}",
            detail=asdict(erasure),
        )
    return erasure


def export_unit(*, project_id: int, unit_id: str) -> dict[str, Any]:
    """Return all that is kept of a unit, under each of its ids, as plain values."""
    ids = ids_of_person(project_id, unit_id)
    found = {
        name: [_plain(row) for row in rows.order_by("pk")]
        for name, rows in _rows_of(project_id, ids).items()
    }
    observed = Observation.objects.filter(experiment__project=project_id, unit_id__in=ids)
    found["observations"] = [_plain(row) for row in observed.order_by("pk")]
    found["links"] = [_plain(row) for row in _links_of(project_id, ids).order_by("pk")]
    return {"unit_ids": ids, "exported_at": timezone.now().isoformat(), **found}


def _rows_of(project_id: int, ids: Sequence[str]) -> dict[str, QuerySet[Any]]:
    return {
        name: cast("Any", model).objects.filter(project_id=project_id, unit_id__in=ids)
        for name, model in _TABLES.items()
    }


def _links_of(project_id: int, ids: Sequence[str]) -> QuerySet[Link]:
    """Return the pairs of a person; a pair that names them with another person goes too."""
    mine = Link.objects.filter(project_id=project_id)
    return mine.filter(anonymous_id__in=ids) | mine.filter(user_id__in=ids)


def _plain(row: Model) -> dict[str, Any]:
    """Return a row's columns; `model_to_dict` leaves out what cannot be edited, as keys are."""
    return {"id": row.pk, **model_to_dict(row)}


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
    known = cast("set[bytes]", client.smembers(histories_key(project_id)))
    histories = {name.decode() for name in known} | set(history_names(surfaces).values())
    # Version 0.1 kept them by surface.
    histories |= {str(surface.pk) for surface in surfaces}
    names = [recent_key(history, unit) for history in histories for unit in ids]
    names += [candidates_key(version, unit) for version in versions for unit in ids]
    forgotten = client.delete(*names) if names else 0
    sets = [active_key(history) for history in histories]
    sets += [key(surface.pk) for surface in surfaces for key in (dirty_key, taken_key)]
    return forgotten + sum(client.srem(name, *ids) for name in sets)
