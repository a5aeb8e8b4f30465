"""PostgreSQL's own programs for a dump: those of the bundled server, or of a folder that is named.

The bundled ones speak no TLS: they reach a server that does through `tls_relay`.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bakeoff.backup.manifest import BackupError
from bakeoff.backup.tls_relay import Relay, reachable
from bakeoff.embedded.postgres import BINARIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_OWNED_BY_US = ("--no-owner", "--no-privileges")
_AS_SCRIPT = (*_OWNED_BY_US, "--file=-")
# Minors of late 2026 mark columns with this option, and a program of an earlier minor writes it into a
# dump, which no server of an earlier minor takes. It is the server's own business: it makes a new one.
_STAMP = re.compile(
    rb"^ALTER TABLE ONLY \S+ ALTER COLUMN \S+ SET \(pg_attver='?\d+'?\);$", re.MULTILINE
)
# `pg_restore` begins each script with settings, of which these are the last and one of PostgreSQL 17.
_LAST_SETTING = b"SET row_security "
_TIMEOUT = re.compile(rb"^SET transaction_timeout = 0;$", re.MULTILINE)
_KNOWS_TRANSACTION_TIMEOUT = 170000
MIN_MAJOR = 15  # of PostgreSQL, what the platform works on


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


def restore(database_url: str, source: Path, tools: Path | None, *, server: int) -> None:
    """Restore a dump into an empty database, all of it or nothing.

    Args:
        database_url: a libpq URL.
        source: the dump.
        tools: folder of `pg_restore` and `psql`; None: the bundled ones.
        server: version of the database's server, as `server_version_num`.

    Raises:
        BackupError: it failed; the message is the program's.
    """
    schema = _run("pg_restore", ["--section=pre-data", *_AS_SCRIPT, str(source)], None, tools)
    if _STAMP.search(schema) or server < _KNOWS_TRANSACTION_TIMEOUT:
        _restore_script(_STAMP.sub(b"", schema), database_url, source, tools, server=server)
        return
    arguments = ["--single-transaction", "--exit-on-error", *_OWNED_BY_US]
    _run("pg_restore", [*arguments, str(source)], database_url, tools)


def _restore_script(
    schema: bytes, database_url: str, source: Path, tools: Path | None, *, server: int
) -> None:
    """Run a script that makes the tables, and then the dump's rows and indexes, in one transaction.

    Raises:
        BackupError: a program failed; nothing was changed.
    """
    shell = ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]
    rows = ["pg_restore", "--section=data", "--section=post-data", *_AS_SCRIPT, str(source)]
    with (
        tempfile.TemporaryFile() as writer_errors,
        tempfile.TemporaryFile() as reader_errors,
        _target(database_url, tools) as target,
    ):
        shell.append(f"--dbname={target.address}")
        to_server = {"stdin": subprocess.PIPE, "stderr": writer_errors, "env": target.variables}
        with (
            contextlib.suppress(BrokenPipeError),  # psql ended: it says why
            _start(shell, tools, **to_server) as writer,
            _start(rows, tools, stdout=subprocess.PIPE, stderr=reader_errors) as reader,
        ):
            writer.stdin.write(b"BEGIN;\n" + _for_server(schema, server))
            writer.stdin.write(_for_server(_settings_of(reader.stdout), server))
            shutil.copyfileobj(reader.stdout, writer.stdin, 2**20)
            # The end of a dump that was cut off must not be taken for the end of the dump.
            if not reader.wait():
                writer.stdin.write(b"COMMIT;\n")
        failures = []
        for program, process, errors, known in (
            ("psql", writer, writer_errors, target.relay.failure),
            ("pg_restore", reader, reader_errors, ""),
        ):
            # Without a reader of its rows pg_restore is ended by a signal, and has nothing to say.
            if process.returncode not in {0, -signal.SIGPIPE}:
                errors.seek(0)
                reason = known or _reason(errors.read().decode(errors="replace"))
                failures.append(f"{program}: {reason or process.returncode}")
        if failures:
            raise BackupError("; ".join(failures) + ".")


def _settings_of(script: IO[bytes]) -> bytes:
    """Read a script up to the last of the settings with which it begins."""
    lines: list[bytes] = []
    for line in script:
        lines.append(line)
        if line.startswith(_LAST_SETTING):
            break
    return b"".join(lines)


def _for_server(script: bytes, server: int) -> bytes:
    """Leave out the setting that servers before 17 do not know: it ends no transaction of ours."""
    return script if server >= _KNOWS_TRANSACTION_TIMEOUT else _TIMEOUT.sub(b"", script)


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
    command = [str(path), *arguments]
    with contextlib.ExitStack() as stack:
        target = None if database_url is None else stack.enter_context(_target(database_url, tools))
        if target:
            command.append(f"--dbname={target.address}")
        variables = target.variables if target else None
        try:
            done = subprocess.run(command, env=variables, capture_output=True, check=False)
        except OSError as error:
            raise BackupError(f"{path} cannot be run: {error.strerror}.") from error
    if done.returncode:
        reason = target.relay.failure if target else ""
        reason = reason or _reason(done.stderr.decode(errors="replace"))
        raise BackupError(f"{program}: {reason or done.returncode}.")
    return done.stdout


@dataclass(frozen=True, slots=True)
class _Target:
    """What a program connects to, its environment, and the way there."""

    address: str
    variables: Mapping[str, str] = field(repr=False)
    relay: Relay


@contextlib.contextmanager
def _target(database_url: str, tools: Path | None) -> Iterator[_Target]:
    """Yield what a program connects to; one of somebody's own speaks TLS itself.

    Everybody on the machine sees command lines, so passwords go another way.

    Raises:
        BackupError: the bundled programs cannot reach it.
    """
    with (
        contextlib.nullcontext(Relay(database_url)) if tools else reachable(database_url) as relay,
        _in_service_file(conninfo_to_dict(relay.address)) as (options, of_service),
    ):
        password = options.pop("password", None)
        variables = {
            name: value
            for name, value in os.environ.items()
            # What a relay has read already would lead the program past it.
            if not (relay.is_private and name.startswith("PG"))
        }
        variables |= of_service
        if password:
            variables["PGPASSWORD"] = str(password)
        address = make_conninfo(**{name: str(value) for name, value in options.items()})
        yield _Target(address, variables, relay)


@contextlib.contextmanager
def _in_service_file(options: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """Yield options and variables that keep the password of a client's key off the command line.

    Libpq has no variable for it, but reads it from a file of services.

    Raises:
        BackupError: it cannot stand in such a file.
    """
    if not (password := options.pop("sslpassword", None)):
        yield options, {}
        return
    if options.get("service") or os.environ.get("PGSERVICE"):
        raise BackupError("sslpassword stands beside a service, must stand in the service's own file.")
    if password != password.rstrip() or "\n" in password:  # libpq reads a line, without its end
        raise BackupError("sslpassword must be one line that ends with no space.")
    with tempfile.NamedTemporaryFile("w", prefix="bf-", encoding="utf-8") as file:  # its mode is 600
        file.write(f"[bakeoff]\nsslpassword={password}\n")
        file.flush()
        yield options | {"service": "bakeoff"}, {"PGSERVICEFILE": file.name}


def _reason(output: str) -> str:
    """Return the line that says what is wrong."""
    lines = output.strip().splitlines() or [""]
    named = [match.group(1) for line in lines if (match := re.search(r"(?i)\berror:\s+(.+)", line))]
    return (named or lines)[0].rstrip(".")
