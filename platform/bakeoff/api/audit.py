"""The audit trail of the project, for systems that keep it elsewhere: by a key with `export`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from ninja import Query, Router, Schema
from pydantic import AwareDatetime

from bakeoff.api.access import project_of
from bakeoff.api.errors import Problem
from bakeoff.api.paging import ROWS, Limit, Offset, page_of
from bakeoff.audit_export import FORMATS, AuditFilter, AuditRangeError, audit_text

router = Router(tags=["audit"])

Actor = Annotated[str, Query(max_length=150, description="Who acted.")]
Action = Annotated[str, Query(max_length=64, description="What was done, such as `start`.")]
Since = Annotated[AwareDatetime | None, Query(description="The first moment, with its offset.")]
Until = Annotated[AwareDatetime | None, Query(description="The first moment after.")]


class AuditOut(Schema):
    """One act of a person, a key or the platform."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


@router.get("/audit", response={200: list[AuditOut]})
def list_audit(
    request: HttpRequest,
    actor: Actor = "",
    action: Action = "",
    since: Since = None,
    until: Until = None,
    limit: Limit = ROWS,
    offset: Offset = 0,
) -> Any:
    """List the audit trail, newest first."""
    try:
        rows = AuditFilter(actor, action, since, until).entries(project_of(request))
    except AuditRangeError as error:
        raise Problem(422, "bad_range", str(error), error.field) from error
    return page_of(request, rows, AuditOut, limit=limit, offset=offset)


@router.get(
    "/audit/export",
    response={200: str},
    openapi_extra={
        "responses": {
            200: {"content": {kind: {"schema": {"type": "string"}} for kind, _ in FORMATS.values()}}
        }
    },
)
def export_audit(
    request: HttpRequest,
    format: Literal["jsonl", "csv"] = "jsonl",  # noqa: A002  the parameter's public name
    actor: Actor = "",
    action: Action = "",
    since: Since = None,
    until: Until = None,
) -> HttpResponseBase:
    """Give the audit trail as JSON Lines or CSV, oldest first, however long it is."""
    try:
        lines = audit_text(project_of(request), format, AuditFilter(actor, action, since, until))
    except AuditRangeError as error:
        raise Problem(422, "bad_range", str(error), error.field) from error
    return StreamingHttpResponse(lines, content_type=FORMATS[format][0])
