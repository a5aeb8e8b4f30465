"""`bakeoff migrate`: bring separate servers up to date, before anything works with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bakeoff.commands.first_run import first_run
from bakeoff.commands.terminal import echo, fail
from bakeoff.embedded.migrate import migrate as bring_up_to_date
from bakeoff.embedded.migrate import refuse_beside_others
from bakeoff.environment import read_environment
from bakeoff.schema_version import WrongSchemaError, check_schema, compare_schema, only_expands
from inference.serving.store import ForeignStoreError, check_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bakeoff.environment import Environment


@click.command()
@click.option(
    "--plan",
    is_flag=True,
    help="Only say what would change, and whether the platform may serve meanwhile.",
)
@click.option(
    "--offline",
    is_flag=True,
    help="All processes are stopped: do not ask the cache for signs of life.",
)
def migrate(*, plan: bool, offline: bool) -> None:
    """Make tables and months, check the artifacts; on the first run an administrator and a project."""
    environment = read_environment()
    try:
        if plan:
            for line in _plan(environment):
                echo(line)
            return
        if not offline:
            refuse_beside_others(environment)
        environment.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        bring_up_to_date(environment)
        check_store(environment.database_url, environment.artifacts)
        lines = first_run(environment)
    except (ForeignStoreError, WrongSchemaError) as error:
        raise fail(str(error)) from error
    echo("The database is up to date.")
    for line in lines:
        echo(line)


def _plan(environment: Environment) -> Iterator[str]:
    """Yield what a migration would apply, and what that means for processes that run.

    Raises:
        WrongSchemaError: a later version has worked on the database.
    """
    check_schema(environment.database_url, may_be_older=True)
    difference = compare_schema(environment.database_url)
    yield from difference.missing
    if not difference.missing:
        yield "Nothing to migrate."
    elif difference.is_empty_database:
        yield f"The database is empty: it gets {len(difference.missing)} migrations."
    elif only_expands(difference.missing):
        yield (
            "These only add: processes of the version before may serve meanwhile, and be replaced one "
            "by one."
        )
    else:
        yield (
            "Stop what works on the database first: processes of the version before do not know the "
            "change."
        )
