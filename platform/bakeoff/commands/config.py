"""`bakeoff config`: a project's configuration as a file."""

from __future__ import annotations

import os
import sys
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

import click
import orjson

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.config_check import check
from bakeoff.commands.project import find_project, project_option, set_up_django
from bakeoff.commands.terminal import Refusal, echo, fail
from inference.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.accounts.models import Project
    from bakeoff.config_file.apply import Outcome
    from bakeoff.config_file.read_file import ConfigFile, Fault


@click.group()
def config() -> None:
    """Check the settings; export a project's configuration as YAML, and apply such a file."""


config.add_command(check)


@config.command()
@project_option
def export(slug: str | None) -> None:
    """Print the project's configuration; secrets are never in it."""
    project = find_project(slug)
    from bakeoff.config_file.export import config_as_yaml, export_config

    click.echo(config_as_yaml(export_config(project)), nl=False)


@config.command()
def schema() -> None:
    """Print the file's JSON Schema, by which editors complete and check it."""
    set_up_django()
    from bakeoff.config_file.document import json_schema

    click.echo(orjson.dumps(json_schema(), option=orjson.OPT_INDENT_2).decode())


@config.command()
@click.option(
    "--file", "-f", "file", type=click.File("rb"),
    help="The file; standard input if it is - or left out.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@project_option
def apply(
    file: BinaryIO | None,
    dry_run: bool,  # noqa: FBT001  click passes it so
    yes: bool,  # noqa: FBT001  likewise
    slug: str | None,
) -> None:
    """Show what a file would change, and change it: all of it, or nothing where a rule is broken."""
    project = find_project(slug)
    file = file or _piped()
    name = str(getattr(file, "name", "<stdin>"))
    read = _read(project, file, name)
    planned = _apply(project, read, name, dry_run=True)
    for change in planned.changes:
        echo(str(change))
    for sentence in planned.proposals:
        echo(f"! would be proposed: {sentence}" if dry_run else f"! {sentence}")
    for warning in planned.warnings:
        echo(f"! {name}:{warning}")
    if not planned.changes and not planned.proposals:
        echo("Nothing to change.")
        return
    count = len(planned.changes)
    if dry_run:
        echo(f"{count} changes; nothing was changed.")
        return
    if not yes and name == "<stdin>":
        raise Refusal(
            "the file came by standard input, where no question can be answered; nothing was changed. "
            "Add --yes, or --dry-run to see the changes alone."
        )
    if not yes:
        click.confirm(f"Make {counted(count, 'change')} in project '{project}'?", abort=True)
    _apply(project, read, name, shown=planned)
    echo(f"{counted(count, 'change')} made.")


def _piped() -> BinaryIO:
    """Return standard input; what comes from a terminal, or from nowhere, is no file."""
    piped = sys.stdin.buffer
    if piped.isatty() or not (text := piped.read()).strip():
        raise click.UsageError(
            "Name a file with --file / -f, or give one by standard input: "
            "bakeoff config export | bakeoff config apply."
        )
    return BytesIO(text)


def _read(project: Project, file: BinaryIO, name: str) -> ConfigFile:
    from bakeoff.config_file.every_fault import every_fault
    from bakeoff.config_file.read_file import FileFaultsError, read_config

    try:
        return read_config(file.read().decode())
    except UnicodeDecodeError as error:
        raise Refusal(f"{name}: byte {error.start} is no UTF-8.") from error
    except FileFaultsError as error:
        faults = every_fault(project=project, error=error, by=OPERATOR, environment=os.environ)
        raise _refusal(name, faults) from error


def _apply(
    project: Project,
    read: ConfigFile,
    name: str,
    *,
    dry_run: bool = False,
    shown: Outcome | None = None,
) -> Outcome:
    from bakeoff.config_file.apply import ChangedMeanwhileError, apply_config

    try:
        outcome = apply_config(
            project=project, file=read, by=OPERATOR, environment=os.environ, dry_run=dry_run,
            shown=shown,
        )  # fmt: skip
    except ChangedMeanwhileError as error:
        raise fail(f"{error}.") from error
    if outcome.refusals:
        raise _refusal(name, outcome.refusals)
    return outcome


def _refusal(name: str, faults: Sequence[Fault]) -> Refusal:
    lines = [f"{name}:{fault}" for fault in faults]
    return Refusal("\n".join(["the file breaks a rule; nothing was changed.", *lines]))
