"""Load what a product says of its units."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from experiments.models import Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

CHUNK = 1000


def load_units(
    *,
    project_id: int,
    units: Iterable[tuple[str, Mapping[str, Any]]],
    progress: Callable[[int], None] = lambda _count: None,
) -> int:
    """Write (unit id, attributes) pairs; return how many."""
    rows, total = iter(units), 0
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
