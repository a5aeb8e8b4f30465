"""PostgreSQL's own programs for a dump: those of the bundled server, or of a folder that is named."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bakeoff.backup.manifest import BackupError
from bakeoff.embedded.postgres import BINARIES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_OWNED_BY_US = ("--no-owner", "--no-privileges")
_AS_SCRIPT = (*_OWNED_BY_US, "--file=-")
# Minors of late 2026 mark columns with this option, and a program of an earlier minor writes it into a
# dump, which no server of an earlier minor takes. It is the server's own business: it makes a new one.
_STAMP = re.compile(
    rb"^ALTER TABLE ONLY \S+ ALTER COLUMN \S+ SET \(pg_attver='?\d+'?\);$", re.MULTILINE
)


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
    arguments = ["--format=custom", f"--snapshot={snapshot}", *_OWNED_BY_US]
    _run("pg_dump", [*arguments, f"--file={to}"], database_url, tools)


def restore(database_url: str, source: Path, tools: Path | None) -> None:
    """Restore a dump into an empty database, all of it or nothing.

    Raises:
        BackupError: it failed; the message is the program's.
    """
    schema = _run("pg_restore", ["--section=pre-data", *_AS_SCRIPT, str(source)], None, tools)
    if _STAMP.search(schema):
        _restore_script(_STAMP.sub(b"", schema), database_url, source, tools)
        return
    arguments = ["--single-transaction", "--exit-on-error", *_OWNED_BY_US]
    _run("pg_restore", [*arguments, str(source)], database_url, tools)


def _restore_script(schema: bytes, database_url: str, source: Path, tools: Path | None) -> None:
    """Run a script that makes the tables, and then the dump's rows and indexes, in one transaction.

    Raises:
        BackupError: a program failed; nothing was changed.
    """
    target, variables = _target(database_url)
    shell = ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={target}"]
    rows = ["pg_restore", "--section=data", "--section=post-data", *_AS_SCRIPT, str(source)]
    with tempfile.TemporaryFile() as writer_errors, tempfile.TemporaryFile() as reader_errors:
        with (
            contextlib.suppress(BrokenPipeError),  # psql ended: it says why
            _start(shell, tools, stdin=subprocess.PIPE, stderr=writer_errors, env=variables) as writer,
            _start(rows, tools, stdout=subprocess.PIPE, stderr=reader_errors) as reader,
        ):
            writer.stdin.write(b"BEGIN;\n" + schema)
            shutil.copyfileobj(reader.stdout, writer.stdin, 2**20)
            # The end of a dump that was cut off must not be taken for the end of the dump.
            if not reader.wait():
                writer.stdin.write(b"COMMIT;\n")
        failures = []
        for program, process, errors in (
            ("psql", writer, writer_errors),
            ("pg_restore", reader, reader_errors),
        ):
            if process.returncode:
                errors.seek(0)
                reason = _reason(errors.read().decode(errors="replace"))
                failures.append(f"{program}: {reason or process.returncode}")
        if failures:
            raise BackupError("; ".join(failures) + ".")


def _start(command: Sequence[str], tools: Path | None, **streams: Any) -> Any:
    """Start a program of PostgreSQL.

    Raises:
        BackupError: it is not there.
    """
    path = (tools or BINARIES) / command[0]
    try:
        return subprocess.Popen([str(path), *command[1:]], **{"stdout": subprocess.DEVNULL, **streams})
    except OSError as error:
        raise BackupError(f"{path} cannot be run: {error.strerror}.") from error


def _run(program: str, arguments: Sequence[str], database_url: str | None, tools: Path | None) -> bytes:
    path = (tools or BINARIES) / program
    command, variables = [str(path), *arguments], None
    if database_url is not None:
        target, variables = _target(database_url)
        command.append(f"--dbname={target}")
    try:
        done = subprocess.run(command, env=variables, capture_output=True, check=False)
    except OSError as error:
        raise BackupError(f"{path} cannot be run: {error.strerror}.") from error
    if done.returncode:
        printed = done.stderr.decode(errors="replace")
        raise BackupError(f"{program}: {_reason(printed) or done.returncode}.")
    return done.stdout


def _target(database_url: str) -> tuple[str, dict[str, str]]:
    """Return what a program connects to, and its environment.

    Everybody on the machine sees command lines, so the password goes another way.
    """
    options = conninfo_to_dict(database_url)
    password = options.pop("password", None)
    variables = os.environ | ({"PGPASSWORD": str(password)} if password else {})
    return make_conninfo(**{name: str(value) for name, value in options.items()}), variables


def _reason(output: str) -> str:
    """Return the line that says what is wrong, with the remedy where it is the bundled program."""
    lines = output.strip().splitlines() or [""]
    named = [match.group(1) for line in lines if (match := re.search(r"(?i)\berror:\s+(.+)", line))]
    reason = (named or lines)[0]
    if "SSL support is not compiled in" in reason:
        return f"{reason.rstrip('.')}; name the folder of your own programs by --tools"
    return reason.rstrip(".")
