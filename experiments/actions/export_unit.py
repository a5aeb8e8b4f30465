"""Export a person's data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.forms.models import model_to_dict
from django.utils import timezone

from experiments.models import InterleavedUnit, Observation
from experiments.training_data.personal_data import ids_of_person, links_of_person, rows_of_person

if TYPE_CHECKING:
    from django.db.models import Model


def export_unit(*, project_id: int, unit_id: str) -> dict[str, Any]:
    """Return all data of a unit, under each of its ids, as plain values."""
    ids = ids_of_person(project_id, unit_id)
    tables = {
        name: [_plain(row) for row in rows.order_by("pk")]
        for name, rows in rows_of_person(project_id, ids).items()
    }
    observed = Observation.objects.filter(experiment__project=project_id, unit_id__in=ids)
    tables["observations"] = [_plain(row) for row in observed.order_by("pk")]
    scored = InterleavedUnit.objects.filter(experiment__project=project_id, unit_id__in=ids)
    tables["interleaved"] = [_plain(row) for row in scored.order_by("pk")]
    tables["links"] = [_plain(row) for row in links_of_person(project_id, ids).order_by("pk")]
    return {"unit_ids": ids, "exported_at": timezone.now().isoformat(), **tables}


def _plain(row: Model) -> dict[str, Any]:
    """Return a row's columns; `model_to_dict` leaves out what cannot be edited, as keys are."""
    return {"id": row.pk, **model_to_dict(row)}
