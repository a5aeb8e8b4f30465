"""Load attributes of units from a person's file."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from experiments.actions.record_load import record_load
from experiments.models import Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

# One commit each: an interrupted load loses less than a second of work.
CHUNK = 1000


def load_units(
    *,
    project_id: int,
    units: Iterable[tuple[str, Mapping[str, Any]]],
    by: str,
    progress: Callable[[int], None] = lambda _count: None,
) -> int:
    """Load (unit id, attributes) pairs from a person's file; return how many were written.

    Args:
        project_id: whose units.
        units: in any order; the last of several with one id in a chunk counts.
        by: who loads.
        progress: is called with the number of units of each chunk, after its commit.
    """
    with record_load(project_id, by=by, what="users", progress=progress) as count:
        return _write(project_id, units, count)


def _write(
    project_id: int,
    units: Iterable[tuple[str, Mapping[str, Any]]],
    progress: Callable[[int], None],
) -> int:
    rows, total = iter(units), 0
    # One statement may not touch a row twice, so a chunk is a dict: the last of an id counts.
    while chunk := dict(islice(rows, CHUNK)):
        Unit.objects.bulk_create(
            [
                Unit(
                    project_id=project_id,
                    unit_id=unit_id,
                    attributes=dict(attributes),
                    updated_at=timezone.now(),
                )
                for unit_id, attributes in chunk.items()
            ],
            update_conflicts=True,
            unique_fields=["project", "unit_id"],
            update_fields=["attributes", "updated_at"],
        )
        total += len(chunk)
        progress(len(chunk))
    return total
