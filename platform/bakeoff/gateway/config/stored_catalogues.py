"""Large catalogues in a folder of this machine, which its web processes share.

Guarantees: of several processes one writes; another that needs the same waits for it, and reads on
its own after a while; where the folder cannot be written, or what is in it is damaged, catalogues are
in memory as small ones are.
"""

from __future__ import annotations

import logging
import shutil
import time
from typing import TYPE_CHECKING

from inference.serving.catalogue import Catalogue
from inference.serving.file_lock import try_lock
from inference.serving.stored_catalogue import (
    CatalogueWriter,
    StoredCatalogue,
    StoredCatalogueError,
    StoredRows,
    stored_folders,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from inference.serving.catalogue_row import CatalogueRow

logger = logging.getLogger(__name__)
MIN_STORED = 20_000  # items; of fewer, objects take 20 MB
MAX_IN_MEMORY = 100_000  # rows that changed since, before all are stored anew
WAIT_SECONDS = 45.0  # for another process that writes: within the time that a reading may take
POLL_SECONDS = 0.1
MAX_AGE_SECONDS = 3600.0  # of a folder that nobody finished


class BeingStoredError(Exception):
    """Another process writes the catalogue that is needed."""

    def __init__(self, lock: Path) -> None:
        """Remember what it holds."""
        super().__init__(f"{lock.stem} is being stored.")
        self._lock = lock

    def wait(self) -> None:
        """Return when the other process is done, or has taken too long."""
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            with try_lock(self._lock) as is_mine:
                if is_mine:
                    return
            time.sleep(POLL_SECONDS)


class StoredCatalogues:
    """What is stored in a folder; one in a process, used by one thread."""

    def __init__(self, root: Path) -> None:
        """Remember the folder; it is made when something is stored."""
        self._root = root
        self._waited: set[int] = set()  # projects whose writer took too long: read without it

    def find(self, project: int, number: int) -> StoredCatalogue | None:
        """Return the newest catalogue that is stored of a project; None for none that is whole.

        Args:
            project: whose items.
            number: of its last change: what is newer belongs to another database.
        """
        for folder in stored_folders(self._root, project):
            try:
                stored = StoredCatalogue(folder)
            except StoredCatalogueError as error:
                logger.warning("%s", error)
                shutil.rmtree(folder, ignore_errors=True)
            else:
                if stored.change <= number:
                    return stored
        return None

    def store(self, project: int, number: int, read: Callable[[], Iterable[CatalogueRow]]) -> Catalogue:
        """Store rows as they come, and return the catalogue of them.

        Args:
            project: whose items they are.
            number: of the last change that is in them.
            read: returns all of them; called again where they cannot be stored.

        Raises:
            BeingStoredError: another process does so now.
        """
        try:
            stored = self._write(project, number, read())
        except (OSError, StoredCatalogueError) as error:
            logger.warning("catalogue of project %s is held in memory: %s", project, error)
        else:
            if stored is not None:
                return Catalogue(stored)
            if project not in self._waited:
                self._waited.add(project)
                raise BeingStoredError(self._lock(project))
        catalogue = Catalogue()
        catalogue.apply(read(), number)
        return catalogue

    def shrink(self, project: int, catalogue: Catalogue) -> Catalogue:
        """Return a catalogue of the same rows, stored anew where too many of them are in memory."""
        rows = catalogue.rows
        in_memory = rows.in_memory if isinstance(rows, StoredRows) else len(rows)
        if in_memory <= MAX_IN_MEMORY:
            return catalogue
        each = rows.each() if isinstance(rows, StoredRows) else iter(rows)
        try:
            stored = self._write(project, catalogue.change, each)
        except (OSError, StoredCatalogueError) as error:
            logger.warning("catalogue of project %s is not stored: %s", project, error)
            return catalogue
        # While another process writes: at the next change.
        return catalogue if stored is None else Catalogue(stored)

    def clean(self, projects: Collection[int]) -> None:
        """Delete what is stored of other projects, and what was never finished."""
        for path in list(self._root.glob("*")):
            owner = path.name.split("-")[0].removesuffix(".lock")
            old = path.name.startswith(".new-") and _age(path) > MAX_AGE_SECONDS
            if old or (owner.isdigit() and int(owner) not in projects):
                shutil.rmtree(path, ignore_errors=True)

    def _lock(self, project: int) -> Path:
        return self._root / f"{project}.lock"

    def _write(self, project: int, number: int, rows: Iterable[CatalogueRow]) -> StoredCatalogue | None:
        """Write rows; None while another process does."""
        self._root.mkdir(parents=True, exist_ok=True)
        with try_lock(self._lock(project)) as is_mine:
            if not is_mine:
                return None
            writer = CatalogueWriter(self._root)
            try:
                for row in rows:
                    writer.add(row)
                return writer.finish(project, number)
            finally:
                writer.discard()


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
