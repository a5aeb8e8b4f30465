"""What the project used, and what is left of its quotas."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router, Schema

from bakeoff.accounts.usage import csv_of_usage, read_usage
from bakeoff.api.access import project_of

router = Router(tags=["usage"])
CSV = "text/csv; charset=utf-8"


class MonthOut(Schema):
    """What was committed in a calendar month, in UTC."""

    month: str
    answers: int
    events: int
    feedback: int
    generations: int
    tokens_in: int
    tokens_out: int


class QuotaOut(Schema):
    """How a quota stands this month; without a limit, `limit` and `left` are null."""

    quota: str
    limit: int | None
    used: int
    left: int | None


class UsageOut(Schema):
    """Months with any usage, newest first, and each quota."""

    months: list[MonthOut]
    quotas: list[QuotaOut]
    resets_at: datetime


@router.get("/usage", response={200: UsageOut})
def show_usage(request: HttpRequest) -> Any:
    """Show what the project used in each month, and what is left of its quotas."""
    return read_usage(project_of(request), timezone.now()).as_json()


@router.get(
    "/usage.csv",
    response={200: str},
    openapi_extra={"responses": {200: {"content": {CSV: {"schema": {"type": "string"}}}}}},
)
def download_usage(request: HttpRequest) -> HttpResponse:
    """Give it as CSV, a row per month, oldest first."""
    project = project_of(request)
    return HttpResponse(csv_of_usage(project, read_usage(project, timezone.now())), content_type=CSV)
