"""Export a person's data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from django.forms.models import model_to_dict
from django.utils import timezone

from experiments.archive.place import ArchiveError
from experiments.archive.state import archive_place, archived_rows
from experiments.models import InterleavedUnit, Observation, SegmentsAtStart
from experiments.training_data.personal_data import ids_of_person, links_of_person, rows_of_person

if TYPE_CHECKING:
    from django.db.models import Model


class CannotExportUnitError(Exception):
    """It would not be complete; the message says why."""


def export_unit(*, project_id: int, unit_id: str) -> dict[str, Any]:
    """Return all data of a unit, under each of its ids, as plain values.

    Raises:
        CannotExportUnitError: the archive cannot be read, and may hold more.
    """
    ids = ids_of_person(project_id, unit_id)
    tables = {
        name: [_plain(row) for row in rows.order_by("pk")]
        for name, rows in rows_of_person(project_id, ids).items()
    }
    observed = Observation.objects.filter(experiment__project=project_id, unit_id__in=ids)
    tables["observations"] = [_plain(row) for row in observed.order_by("pk")]
    scored = InterleavedUnit.objects.filter(experiment__project=project_id, unit_id__in=ids)
    tables["interleaved"] = [_plain(row) for row in scored.order_by("pk")]
    known = SegmentsAtStart.objects.filter(experiment__project=project_id, unit_id__in=ids)
    tables["segments_at_start"] = [_plain(row) for row in known.order_by("pk")]
    tables["links"] = [_plain(row) for row in links_of_person(project_id, ids).order_by("pk")]
    try:
        archived = archived_rows(archive_place(), project_id, ids)
    except ArchiveError as error:
        raise CannotExportUnitError(f"the archive may hold more of the unit: {error}") from error
    tables |= {f"archived_{name}": [_readable(one) for one in rows] for name, rows in archived.items()}
    return {"unit_ids": ids, "exported_at": timezone.now().isoformat(), **tables}


_JSON = {"context", "draft", "generation", "pair", "properties", "slots"}


def _plain(row: Model) -> dict[str, Any]:
    """Return a row's columns; `model_to_dict` leaves out what cannot be edited, as keys are."""
    return {"id": row.pk, **model_to_dict(row)}


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    """Return an archived row with its JSON columns as values; `xid` is a number of the database."""
    return {
        name: orjson.loads(value) if name in _JSON and value is not None else value
        for name, value in row.items()
        if name != "xid"
    }
