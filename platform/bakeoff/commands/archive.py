"""`bakeoff archive`: old months of events and slates as Parquet, dropped from PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.lists import json_option, show_rows
from bakeoff.commands.project import set_up_django
from bakeoff.commands.terminal import Refusal, echo, error_console, fail, progress
from bakeoff.environment import MIN_ARCHIVE_MONTHS, read_environment

if TYPE_CHECKING:
    from experiments.archive.plan import MonthPlan

WHOLE, GOES, STAYS = "archived", "to archive", "stays"


@click.command()
@click.option(
    "--months", type=int, metavar="N",
    help="Months that ended so long ago; default: BAKEOFF_ARCHIVE_AFTER_MONTHS.",
)  # fmt: skip
@click.option("--plan", "only_plan", is_flag=True, help="Say what would go and what stays, and why.")
@click.option("--check", is_flag=True, help="Read every archived file back, and archive nothing.")
@json_option
def archive(*, months: int | None, only_plan: bool, check: bool, as_json: bool) -> None:
    """Move old months of events and answers to the archive, checked before they are dropped.

    A month that somebody reads stays. What was cut off is begun again by the next call.
    """
    if only_plan and check:
        raise click.UsageError("give one of --plan and --check.")
    set_up_django()
    from experiments.archive.place import ArchiveError

    try:
        if check:
            _check(as_json=as_json)
        else:
            _archive(_months(months), only_plan=only_plan, as_json=as_json)
    except ArchiveError as error:
        raise fail(str(error)) from error


def _months(named: int | None) -> int:
    months = read_environment().archive_after_months if named is None else named
    if months == 0 and named is None:
        raise Refusal("months are not named: give --months, or set BAKEOFF_ARCHIVE_AFTER_MONTHS.")
    if months < MIN_ARCHIVE_MONTHS:
        raise Refusal(
            f"months == {months}, must be at least {MIN_ARCHIVE_MONTHS}: live events may be late."
        )
    return months


def _archive(months: int, *, only_plan: bool, as_json: bool) -> None:
    from django.utils import timezone

    from experiments.actions.archive_months import archive_month
    from experiments.archive.plan import plan_archive
    from experiments.archive.state import archive_place

    plans = plan_archive(months=months, now=timezone.now())
    going = [plan for plan in plans if not plan.reasons]
    rows = [_row(plan, STAYS if plan.reasons else GOES) for plan in plans]
    if not only_plan and going:
        place = archive_place()
        # Each row is written and read back, then dropped.
        total = 2 * sum(plan.total for plan in going)
        done = {}
        with progress("rows", total, to=error_console) as advance:
            for plan in going:
                done[plan.label] = archive_month(plan=plan, place=place, by=OPERATOR, advance=advance)
        rows = [
            _row(plan, STAYS) if plan.reasons else _row(plan, WHOLE) | {"bytes": done[plan.label].bytes}
            for plan in plans
        ]
    show_rows(rows, as_json=as_json, empty=f"No month ended {months} months ago or earlier.")
    if not as_json and not only_plan and going:
        echo(f"The archive is {read_environment().archive}.")


def _row(plan: MonthPlan, state: str) -> dict[str, Any]:
    return {
        "month": f"{plan.partition.month:%Y-%m}",
        "table": str(plan.table),
        "rows": plan.total,
        "bytes": plan.bytes,
        "state": state,
        "why": "; ".join(dict.fromkeys(plan.reasons or plan.notes)),
    }


def _check(*, as_json: bool) -> None:
    from experiments.archive.plan import slugs_of
    from experiments.archive.state import archive_place, check_file
    from experiments.models import ArchivedMonth

    files = list(ArchivedMonth.objects.filter(archived_at__isnull=False))
    slugs, place = slugs_of({row.project_id for row in files}), archive_place()
    rows, broken = [], 0
    with progress("files", len(files), to=error_console) as advance:
        for row in files:
            problem = check_file(place, row)
            broken += bool(problem)
            advance(1, str(row))
            rows.append(
                {
                    "month": f"{row.month:%Y-%m}", "table": row.table,
                    "project": slugs.get(row.project_id), "rows": row.rows, "bytes": row.bytes,
                    "problem": problem,
                }
            )  # fmt: skip
    show_rows(rows, as_json=as_json, empty=f"Nothing is archived in {place.url}.")
    if broken:
        raise fail(f"files of the archive that are not whole == {broken}, must be 0.")
