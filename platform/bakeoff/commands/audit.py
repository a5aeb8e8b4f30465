"""`bakeoff audit`: read the audit trail, and write it to a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bakeoff.commands.lists import json_option, show_rows
from bakeoff.commands.project import find_project, project_option
from bakeoff.commands.terminal import echo
from bakeoff.commands.times import TIME, in_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from bakeoff.audit_export import AuditFilter

MAX_SHOWN = 1000


def _filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--until", type=TIME, help="The first moment after, in UTC."),
        click.option("--since", type=TIME, help="The first moment, in UTC, such as 2026-12-01."),
        click.option("--action", default="", help="What was done, such as start."),
        click.option("--actor", default="", help="Who acted."),
    ):
        command = option(command)
    return command


@click.group()
def audit() -> None:
    """Read the audit trail, and write it to a file."""


@audit.command(name="list")
@_filter_options
@click.option(
    "--limit", type=click.IntRange(1, MAX_SHOWN), default=50, show_default=True, help="Newest entries."
)
@json_option
@project_option
def list_audit(*, limit: int, as_json: bool, slug: str | None, **which: Any) -> None:
    """List the newest entries."""
    project = find_project(slug)
    from bakeoff.audit_export import AuditRangeError

    try:
        entries = _filter(**which).entries(project)[:limit]
    except AuditRangeError as error:
        raise click.UsageError(str(error)) from error
    rows = [
        {
            "at": one.at,
            "actor": one.actor,
            "action": one.action,
            "subject": one.subject,
            "detail": one.detail,
        }
        for one in entries
    ]
    show_rows(rows, as_json=as_json, hidden=("detail",), empty="No entries.")


@audit.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@_filter_options
@project_option
def export(out: Path, slug: str | None, **which: Any) -> None:
    """Write the entries to OUT (.jsonl or .csv), oldest first."""
    project = find_project(slug)
    from bakeoff.audit_export import FORMATS, AuditRangeError, audit_lines

    kind = out.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise click.UsageError(f"out == '{out}', must end in .jsonl or .csv.")
    try:
        lines = audit_lines(project, kind, _filter(**which))
    except AuditRangeError as error:
        raise click.UsageError(str(error)) from error
    entries = _write_whole(out, lines) - (kind == "csv")
    written = f"{entries} entry" if entries == 1 else f"{entries} entries"
    echo(f"{written} written to {out}.")


def _write_whole(out: Path, chunks: Iterator[list[str]]) -> int:
    """Write beside a file, which it replaces at the end: a failure leaves the old one. Return lines."""
    written = 0
    draft = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with draft.open("x", encoding="utf-8", newline="") as file:
            for lines in chunks:
                file.writelines(lines)
                written += len(lines)
        draft.replace(out)
    except OSError as error:
        raise click.UsageError(f"out == '{out}', cannot be written: {error.strerror}.") from error
    finally:
        draft.unlink(missing_ok=True)
    return written


def _filter(actor: str, action: str, since: datetime | None, until: datetime | None) -> AuditFilter:
    from bakeoff.audit_export import AuditFilter

    return AuditFilter(actor, action, in_utc(since), in_utc(until))
