"""`bakeoff upgrade`: the bundled database, from an older major of PostgreSQL to the bundled one."""

from __future__ import annotations

from pathlib import Path

import click

from bakeoff.commands.terminal import echo, fail
from bakeoff.environment import read_environment


@click.command()
@click.option(
    "--old-programs", type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of the old major's postgres and pg_ctl; without it, where packages put them.",
)  # fmt: skip
def upgrade(old_programs: Path | None) -> None:
    """Bring the bundled database from an older major of PostgreSQL to the bundled one."""
    from bakeoff.embedded.errors import StartError
    from bakeoff.embedded.upgrade_postgres import upgrade_postgres

    environment = read_environment()
    if not environment.bundled_postgres:
        raise fail(
            "DATABASE_URL names a server of your own: whoever runs it upgrades it; "
            "`bakeoff upgrade` is for the bundled one."
        )
    try:
        done = upgrade_postgres(environment, old_programs, echo)
    except StartError as error:
        raise fail(str(error)) from error
    if done is None:
        echo("The database is of the bundled major already: nothing to do.")
        return
    echo(f"The database is of PostgreSQL {done.target}, was {done.source}. `bakeoff up` starts it.")
    echo(f"The old one is in {done.remains}, as it was: remove it once the new one has served a while.")
