"""`bakeoff migrate`: bring separate servers up to date, before anything works with them."""

from __future__ import annotations

import click

from bakeoff.commands.first_run import first_run
from bakeoff.commands.terminal import echo, fail
from bakeoff.embedded.migrate import migrate as bring_up_to_date
from bakeoff.environment import read_environment
from bakeoff.schema_version import WrongSchemaError
from inference.serving.store import ForeignStoreError, check_store


@click.command()
def migrate() -> None:
    """Make tables and months, check the artifacts; on the first run an administrator and a project."""
    environment = read_environment()
    try:
        environment.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        bring_up_to_date(environment)
        check_store(environment.database_url, environment.artifacts)
        lines = first_run(environment)
    except (ForeignStoreError, WrongSchemaError) as error:
        raise fail(str(error)) from error
    echo("The database is up to date.")
    for line in lines:
        echo(line)
