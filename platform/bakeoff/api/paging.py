"""Lists of the management API come in pages: at most so many rows, from a place on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

from ninja import Query

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet

MAX_ROWS = 1000
ROWS = 100  # of a page, unless the client says how many
Limit = Annotated[int, Query(ge=1, le=MAX_ROWS, description="How many rows at most.")]
Offset = Annotated[int, Query(ge=0, le=1_000_000, description="How many rows to leave out.")]

Row = TypeVar("Row", bound="Model")


def page_of(rows: QuerySet[Row], *, limit: int, offset: int) -> QuerySet[Row]:
    """Return a page of ordered rows; one that is not full is the last."""
    return rows[offset : offset + limit]
