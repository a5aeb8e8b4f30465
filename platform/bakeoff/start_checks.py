"""End a process that cannot work on this database, before it does anything: with one sentence."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bakeoff.schema_version import WrongSchemaError, check_schema
from inference.serving.store import ForeignStoreError, check_store

if TYPE_CHECKING:
    from bakeoff.environment import Environment


def exit_on_wrong_database(environment: Environment) -> None:
    """End with status 1 when the database is of another version, or other artifacts belong to it."""
    try:
        check_schema(environment.database_url)
        check_store(environment.database_url, environment.artifacts)
    except (WrongSchemaError, ForeignStoreError) as error:
        sys.stderr.write(f"Error: {error}\n")
        raise SystemExit(1) from error
