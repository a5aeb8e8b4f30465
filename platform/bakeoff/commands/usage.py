"""`bakeoff usage`: what a project used, month by month, and what is left of its quotas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import orjson
from click.core import ParameterSource

from bakeoff.commands.lists import json_option, show_rows
from bakeoff.commands.project import find_project, project_option, set_up_django
from bakeoff.commands.terminal import echo

if TYPE_CHECKING:
    from datetime import datetime

    from bakeoff.accounts.usage import QuotaState


@click.command()
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV instead, a row per month.")
@json_option
@click.option("--all", "every", is_flag=True, help="Of every project: a row per project and month.")
@click.option("--month", type=click.DateTime(["%Y-%m"]), help="With --all: of this month alone.")
@project_option
def usage(
    *, as_csv: bool, as_json: bool, every: bool, month: datetime | None, slug: str | None
) -> None:
    """Show what the project used, month by month, and its quotas."""
    if as_csv and as_json:
        raise click.UsageError("give one of --csv and --json.")
    source = click.get_current_context().get_parameter_source("slug")
    if every and source is ParameterSource.COMMANDLINE:
        raise click.UsageError("give one of --all and --project.")
    if every:
        _show_all(month, as_csv=as_csv, as_json=as_json)
        return
    if month is not None:
        raise click.UsageError("--month goes with --all.")
    project = find_project(slug)
    from django.utils import timezone

    from bakeoff.accounts.usage import csv_of_usage, read_usage

    used = read_usage(project, timezone.now())
    if as_csv:
        click.echo(csv_of_usage(project, used), nl=False)
    elif as_json:
        click.echo(orjson.dumps(used.as_json(), option=orjson.OPT_INDENT_2).decode())
    else:
        show_rows([month.as_json() for month in used.months], as_json=False, empty="No usage yet.")
        for state in used.quotas:
            echo(quota_line(state))
        echo(f"The next month begins on {used.resets_at:%Y-%m-%d} (UTC).")


def _show_all(month: datetime | None, *, as_csv: bool, as_json: bool) -> None:
    set_up_django()
    from bakeoff.accounts.usage import csv_of_months, read_all_usage

    used = read_all_usage(None if month is None else month.date())
    if as_csv:
        # The oldest first, as in the file of one project: months can be appended.
        click.echo(csv_of_months(reversed(used)), nl=False)
        return
    rows = [{"project": slug, **one.as_json()} for slug, one in used]
    show_rows(rows, as_json=as_json, empty="No usage yet.")


def quota_line(state: QuotaState) -> str:
    """Return how a quota stands, as a line."""
    if state.limit is None:
        return f"{state.quota}: {state.used:,} used, no quota"
    return f"{state.quota}: {state.used:,} of {state.limit:,} used, {state.left:,} left"
