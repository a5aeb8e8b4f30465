"""End a process that would serve or train beside the database's own artifacts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from inference.serving.store import ForeignStoreError, check_store

if TYPE_CHECKING:
    from bakeoff.environment import Environment


def exit_on_foreign_store(environment: Environment) -> None:
    """End with one sentence and status 1 when the home's artifacts are not the database's."""
    try:
        check_store(environment.database_url, environment.artifacts)
    except ForeignStoreError as error:
        sys.stderr.write(f"Error: {error}\n")
        raise SystemExit(1) from error
