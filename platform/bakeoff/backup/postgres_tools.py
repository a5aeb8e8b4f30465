"""PostgreSQL's own programs for a dump: those of the bundled server, or of a folder that is named."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bakeoff.backup.manifest import BackupError
from bakeoff.embedded.postgres import BINARIES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def dump(database_url: str, snapshot: str, to: Path, tools: Path | None) -> None:
    """Dump a database as it is in an exported snapshot.

    Args:
        database_url: a libpq URL.
        snapshot: name of the snapshot, whose transaction is open.
        to: the file.
        tools: folder of `pg_dump`; None: the bundled one.

    Raises:
        BackupError: it failed; the message is the program's.
    """
    arguments = ["--format=custom", f"--snapshot={snapshot}", "--no-owner", "--no-privileges"]
    _run("pg_dump", [*arguments, f"--file={to}"], database_url, tools)


def restore(database_url: str, source: Path, tools: Path | None) -> None:
    """Restore a dump into an empty database, all of it or nothing.

    Raises:
        BackupError: it failed; the message is the program's.
    """
    arguments = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
    _run("pg_restore", [*arguments, str(source)], database_url, tools)


def _run(program: str, arguments: Sequence[str], database_url: str, tools: Path | None) -> None:
    path = (tools or BINARIES) / program
    options = conninfo_to_dict(database_url)
    # Everybody on the machine sees command lines, so the password goes another way.
    password = options.pop("password", None)
    variables = os.environ | ({"PGPASSWORD": str(password)} if password else {})
    target = make_conninfo(**{name: str(value) for name, value in options.items()})
    try:
        done = subprocess.run(
            [str(path), *arguments, f"--dbname={target}"],
            env=variables,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise BackupError(f"{path} cannot be run: {error.strerror}.") from error
    if done.returncode:
        raise BackupError(f"{program}: {_reason(done.stderr) or done.returncode}.")


def _reason(output: str) -> str:
    """Return the line that says what is wrong, with the remedy where it is the bundled program."""
    lines = [line for line in output.strip().splitlines() if "error:" in line] or [output.strip()]
    reason = lines[0].partition("error: ")[2] or lines[0]
    if "SSL support is not compiled in" in reason:
        return f"{reason.rstrip('.')}; name the folder of your own programs by --tools"
    return reason.rstrip(".")
