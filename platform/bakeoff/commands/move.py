"""`bakeoff move`: from the bundled database to one of a server of your own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from bakeoff.commands.backup import tools_option
from bakeoff.commands.terminal import echo, fail
from bakeoff.environment import read_environment

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.option(
    "--to", "target", required=True, metavar="DATABASE_URL",
    help="An empty database: postgresql://user:password@host:5432/bakeoff; - reads standard input.",
)  # fmt: skip
@tools_option
def move(target: str, tools: Path | None) -> None:
    """Move the bundled database to another PostgreSQL, while the platform stands still."""
    from bakeoff.backup.manifest import BackupError
    from bakeoff.backup.move_database import move_database

    if target == "-":  # everybody on a machine sees command lines
        target = sys.stdin.readline().strip()
    environment = read_environment()
    try:
        counts = move_database(environment, target, tools=tools)
    except BackupError as error:
        raise fail(str(error)) from error
    for table, count in counts.items():
        if count:
            echo(f"{count:>12,}  {table}")
    echo(f"All rows of {len(counts)} tables are in the other database, counted on both sides.")
    echo(
        "Set DATABASE_URL to it, on every machine, before you start the platform again: whatever starts"
    )
    echo(f"without it goes on with the old rows, which stay in {environment.home / 'postgres'}.")
