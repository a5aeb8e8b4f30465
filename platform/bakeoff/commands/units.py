"""`bakeoff units`: hand over a person's data, erase it, or leave units out of analysis."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.project import find_project, project_option
from bakeoff.commands.terminal import echo, fail
from inference.plurals import counted, verb


@click.group()
def units() -> None:
    """Export or erase the data of a unit; leave units out of analysis."""


@units.command()
@click.argument("unit_id")
@click.option("--out", type=click.Path(path_type=Path), help="File to write to; printed by default.")
@project_option
def export(unit_id: str, out: Path | None, slug: str | None) -> None:
    """Write all data of a unit, under each of its ids, as JSON."""
    project = find_project(slug)
    from experiments.actions.export_unit import CannotExportUnitError, export_unit

    try:
        data = export_unit(project_id=project.pk, unit_id=unit_id)
    except CannotExportUnitError as error:
        raise fail(str(error)) from error
    text = orjson.dumps(data, default=str, option=orjson.OPT_INDENT_2).decode()
    if out is None:
        click.echo(text)
        return
    out.write_text(text + "\n", encoding="utf-8")
    total = sum(len(rows) for rows in data.values() if isinstance(rows, list))
    echo(f"{counted(total, 'row')} written to {out}.")


@units.command()
@click.argument("unit_id")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option(
    "--retrain", is_flag=True, help="Train champions anew that have learnt from the unit's data."
)
@project_option
def erase(
    unit_id: str,
    yes: bool,  # noqa: FBT001  click passes it so
    retrain: bool,  # noqa: FBT001  likewise
    slug: str | None,
) -> None:
    """Delete all data of a unit, under each of its ids; totals, which name no unit, stay."""
    project = find_project(slug)
    from experiments.actions.erase_unit import CannotEraseError, erase_unit

    if not yes:
        click.confirm(f"Erase '{unit_id}' of project '{project}' for good?", abort=True)
    try:
        erased = erase_unit(project_id=project.pk, unit_id=unit_id, by=OPERATOR)
    except CannotEraseError as error:
        raise fail(str(error)) from error
    for name, count in erased.rows.items():
        echo(f"{name:13} {count} deleted")
    echo(f"{'cache':13} {erased.cached} deleted")
    echo(f"{'snapshots':13} {erased.snapshots} destroyed")
    echo(f"Kept: {'; '.join(erased.kept)}.")
    if erased.refused_entries:
        echo(f"Spilled commits that the database rejects, to be reviewed: {erased.refused_entries}.")
    if retrain:
        from experiments.actions.retrain_after_erasure import retrain_after_erasure

        queued = retrain_after_erasure(project_id=project.pk, by=OPERATOR)
        for key, line in queued.items():
            echo(f"{key}: {line}")
        if not queued:
            echo("No champion has learnt from data that were destroyed.")


@units.command()
@click.argument("unit_ids", nargs=-1, required=True)
@project_option
def exclude(unit_ids: tuple[str, ...], slug: str | None) -> None:
    """Leave units, such as your own staff, out of analysis for good."""
    project = find_project(slug)
    if wrong := [unit for unit in unit_ids if not 1 <= len(unit) <= 200]:
        raise click.UsageError(f"unit_id == '{wrong[0][:40]}', must be a text of 1 to 200 characters.")
    from experiments.actions.exclude_units import exclude_units

    added = exclude_units(project_id=project.pk, unit_ids=unit_ids, by=OPERATOR)
    before = len(unit_ids) - added
    echo(f"{counted(added, 'unit')} excluded, {before} {verb(before, 'was', 'were')} excluded already.")
