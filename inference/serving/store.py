"""Whether the artifacts here are those of the database.

Guarantees: the first process that starts on a database makes its store known there; one that starts on
another folder is told so. Without this two homes on one database train and promote what the other
cannot find. A copy of a store has the same identity: it holds the same artifacts.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import psycopg

from inference.serving.remote_store import RemoteStoreError, remote_of

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)
ID_FILE = "store_id"
CONNECT_SECONDS = 5  # a process that starts does not wait longer for a check


class ForeignStoreError(Exception):
    """The folder is not the store of this database; the message is one sentence with the remedy."""


def check_store(database_url: str, artifacts: Path, *, claim: bool = True) -> None:
    """Compare the folder with the database.

    Does nothing while the database is away or has no tables yet: a process that starts later compares.

    Args:
        database_url: a libpq URL.
        artifacts: the folder.
        claim: whether to make it the store of a database that has none yet.

    Raises:
        ForeignStoreError: it is another's, or the folder cannot be written.
    """
    try:
        with psycopg.connect(database_url, connect_timeout=CONNECT_SECONDS) as connection:
            if claim:
                _claim(connection, artifacts)
            row = connection.execute("SELECT store_id FROM inference_artifactstore").fetchone()
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable):
        return
    mine, theirs = read_store_id(artifacts), UUID(str(row[0])) if row is not None else None
    if mine is None and (remote := remote_of(artifacts)) is not None and remote.is_away:
        # A machine that is new begins with the fallback; nothing says that the store is another's.
        return
    if theirs is not None and mine != theirs:
        raise ForeignStoreError(
            f"Artifacts in {artifacts} are not those of this database "
            f"(id == {mine or 'none'}, must be {theirs}): set BAKEOFF_HOME to the home that belongs to "
            "it, or take this one with `bakeoff artifacts --adopt`."
        )
    if mine is not None and claim:
        _mark_remote(artifacts, mine)


def _mark_remote(artifacts: Path, mine: UUID) -> None:
    """Give the object store the identity of its cache, or compare both.

    Raises:
        ForeignStoreError: it holds another platform's artifacts.
    """
    if (remote := remote_of(artifacts)) is None:
        return
    try:
        theirs = remote.claim(ID_FILE, f"{mine}\n").strip()
    except RemoteStoreError as error:
        # What is cached serves on without it; a process that starts later compares.
        logger.warning("artifacts: %s", error)
        return
    if theirs != str(mine):
        raise ForeignStoreError(
            f"{remote.url} holds another platform's artifacts (id == {theirs:.40}, must be {mine}): "
            "set BAKEOFF_ARTIFACTS to a prefix of its own."
        )


def read_store_id(artifacts: Path) -> UUID | None:
    """Return a store's identity, or None where it has none that can be read.

    An empty cache of an object store takes that one's.
    """
    try:
        return UUID((artifacts / ID_FILE).read_text().strip())
    except FileNotFoundError:
        return _join_remote(artifacts)
    except (OSError, ValueError):
        return None


def _join_remote(artifacts: Path) -> UUID | None:
    if (remote := remote_of(artifacts)) is None:
        return None
    try:
        known = UUID((remote.read(ID_FILE) or b"").decode().strip())
        _write_id(artifacts, known)
    except RemoteStoreError as error:
        logger.warning("artifacts: %s", error)
    except (OSError, ValueError):
        pass
    else:
        return known
    return None


def make_store_id(artifacts: Path) -> UUID:
    """Return a store's identity, which it gets if it has none.

    Raises:
        ForeignStoreError: the folder cannot be written.
    """
    if known := read_store_id(artifacts):
        return known
    store_id = uuid4()
    try:
        _write_id(artifacts, store_id)
    except OSError as error:
        raise ForeignStoreError(f"Artifacts in {artifacts} cannot be written: {error}.") from error
    return store_id


def _write_id(artifacts: Path, store_id: UUID) -> None:
    artifacts.mkdir(parents=True, exist_ok=True)
    new = artifacts / f".{uuid4()}"
    new.write_text(f"{store_id}\n")
    new.replace(artifacts / ID_FILE)


def _claim(connection: psycopg.Connection, artifacts: Path) -> None:
    is_claimed = "SELECT 1 FROM inference_artifactstore"
    if connection.execute(is_claimed).fetchone() is not None:
        return
    # Of processes that start at once on a new database one makes the identity, with its file and its
    # object: a second one's would take their place, or be refused on another machine.
    connection.execute("LOCK TABLE inference_artifactstore IN SHARE ROW EXCLUSIVE MODE")
    if connection.execute(is_claimed).fetchone() is not None:
        return
    store_id = make_store_id(artifacts)
    connection.execute("INSERT INTO inference_artifactstore (id, store_id) VALUES (1, %s)", [store_id])
    _mark_remote(artifacts, store_id)
