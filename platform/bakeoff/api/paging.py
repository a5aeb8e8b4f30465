"""Lists of the management API come in pages: at most so many rows, from a place on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

from ninja import Query, Schema

from inference.unreadable_rows import read_rows

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet
    from django.http import HttpRequest

MAX_ROWS = 1000
ROWS = 100  # of a page, unless the client says how many
Limit = Annotated[int, Query(ge=1, le=MAX_ROWS, description="How many rows at most.")]
Offset = Annotated[int, Query(ge=0, le=1_000_000, description="How many rows to leave out.")]
# Of what can be archived: one list or the other, as the pages have them.
Archived = Annotated[bool, Query(description="The archived ones alone; else all others.")]
UNREADABLE = "Bakeoff-Unreadable"  # header with the names of rows that are left out

Row = TypeVar("Row", bound="Model")


def page_of(
    request: HttpRequest, rows: QuerySet[Row], shown_as: type[Schema], *, limit: int, offset: int
) -> list[Row]:
    """Return a page of ordered rows; one that is not full is the last.

    Rows that cannot be read are left out and named in the answer's header `Bakeoff-Unreadable`: they
    hide no other.
    """

    def check(row: Row) -> None:
        shown_as.from_orm(row)

    page, unreadable = read_rows(rows, start=offset, stop=offset + limit, check=check)
    request.unreadable_rows = [row.name for row in unreadable]  # type: ignore[attr-defined]
    return page
