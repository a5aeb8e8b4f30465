"""Where the archive is: a folder, or a prefix of an object store.

Guarantees: a file is whole under its name, or is not there. The archive knows whose it is: the first
platform that writes to it leaves its identity there, and another one is refused.

ArchiveError            the archive does not do what it should; one sentence, and nothing was dropped
└── MissingFileError    a file is not there
"""

from __future__ import annotations

import io
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from inference.serving.remote_store import RemoteStore, RemoteStoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

ID_FILE = "store_id"


class ArchiveError(Exception):
    """The archive cannot be written or read; the message is one sentence."""


class MissingFileError(ArchiveError):
    """A file that must be there is not."""


class ArchivePlace(Protocol):
    """Holds files by names with slashes."""

    @property
    def url(self) -> str:
        """Where it is, for people."""

    def put(self, name: str, file: Path) -> None:
        """Store a file under a name, whole; one of the same name is replaced."""

    def fetch(self, name: str, file: Path) -> None:
        """Copy a file to this machine.

        Raises:
            MissingFileError: it is not there.
        """

    def open(self, name: str) -> BinaryIO:
        """Open a file to read parts of it.

        Raises:
            MissingFileError: it is not there.
        """

    def size(self, name: str) -> int | None:
        """Return a file's size in bytes; None where it is not there."""

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""

    def claim(self, name: str, text: str) -> str:
        """Store a text where there is none yet; return what is there."""

    def probe(self) -> None:
        """Write, read and delete a file.

        Raises:
            ArchiveError: one of them fails.
        """


def missing_file(place: ArchivePlace, name: str) -> str:
    """Return a sentence if a file is not there or empty, else nothing; its size alone is read.

    Raises:
        ArchiveError: the archive does not answer.
    """
    size = place.size(name)
    if size:
        return ""
    state = "is missing" if size is None else "is empty"
    return f"{place.url}/{name} {state}: copy it back from your backup of the archive."


def open_place(url: str) -> ArchivePlace:
    """Return the place of a URL: `s3://…`, `gs://…`, or the path of a folder."""
    return StorePlace(RemoteStore(url)) if "://" in url else FolderPlace(Path(url))


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """A folder of this machine, or one that it mounts.

    Attributes:
        root: the folder; it is made with the first file.
    """

    root: Path

    @property
    def url(self) -> str:
        """Where it is, for people."""
        return str(self.root)

    def put(self, name: str, file: Path) -> None:
        """Copy a file beside its place, sync it, and rename it."""
        target = self.root / name
        draft = target.with_name(f".{target.name}.{uuid4()}")
        with self._sentences(f"{target} cannot be written"):
            target.parent.mkdir(parents=True, exist_ok=True)
            # Of a process that was killed; the lock of the project lets one write at a time.
            for left in list(target.parent.glob(f".{target.name}.*")):
                left.unlink(missing_ok=True)
            try:
                with file.open("rb") as source, draft.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
                    copy.flush()
                    os.fsync(copy.fileno())
                draft.replace(target)
                self._sync(target.parent)
            finally:
                draft.unlink(missing_ok=True)  # half a file on a full disk would keep it full

    def fetch(self, name: str, file: Path) -> None:
        """Copy a file."""
        with self._sentences(f"{self.root / name} cannot be read"):
            shutil.copyfile(self.root / name, file)

    def open(self, name: str) -> BinaryIO:
        """Open a file."""
        with self._sentences(f"{self.root / name} cannot be read"):
            return (self.root / name).open("rb")

    def size(self, name: str) -> int | None:
        """Return a file's size in bytes; None where it is not there."""
        try:
            return (self.root / name).stat().st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ArchiveError(f"{self.root / name} cannot be read: {error.strerror}.") from error

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        with self._sentences(f"{self.root / name} cannot be deleted"):
            (self.root / name).unlink(missing_ok=True)

    def claim(self, name: str, text: str) -> str:
        """Store a text where there is none yet; return what is there."""
        target = self.root / name
        with self._sentences(f"{self.root} cannot be written"):
            self.root.mkdir(parents=True, exist_ok=True)
            try:
                # Exclusive: of two processes that begin at once, one is first.
                with target.open("x") as file:
                    file.write(text)
            except FileExistsError:
                return target.read_text(errors="replace")
        return text

    def probe(self) -> None:
        """Write, read and delete a file; where the folder is not there yet, where it would be made."""
        content = b"bakeoff"
        with self._sentences(f"{self.root} cannot be written"):
            # Below a folder that this user may not read, the question itself is refused.
            folder = next(one for one in (self.root, *self.root.parents) if one.exists())
            target = folder / f".probe-{uuid4()}"
            try:
                target.write_bytes(content)
                same = target.read_bytes() == content
            finally:
                target.unlink(missing_ok=True)
        if not same:
            raise ArchiveError(f"{self.root} returns something else than what was written.")

    @contextmanager
    def _sentences(self, what: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise MissingFileError(f"{what}: it is not there.") from error
        except OSError as error:
            raise ArchiveError(f"{what}: {error.strerror or error}.") from error

    @staticmethod
    def _sync(folder: Path) -> None:
        """Make a rename outlive a power cut: PostgreSQL drops the rows next."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class StorePlace:
    """A prefix of an object store.

    Attributes:
        remote: the store.
    """

    remote: RemoteStore

    @property
    def url(self) -> str:
        """Where it is, for people."""
        return self.remote.url

    def put(self, name: str, file: Path) -> None:
        """Upload a file; an object store shows it when it is whole."""
        with _sentences():
            self.remote.put_file(name, file)

    def fetch(self, name: str, file: Path) -> None:
        """Download a file."""
        with _sentences():
            try:
                self.remote.fetch_file(name, file)
            except FileNotFoundError as error:
                raise MissingFileError(f"{self.url}/{name} is not there.") from error

    def open(self, name: str) -> BinaryIO:
        """Open a file; what is read of it is downloaded."""
        with _sentences():
            try:
                return io.BufferedReader(self.remote.open_file(name))
            except FileNotFoundError as error:
                raise MissingFileError(f"{self.url}/{name} is not there.") from error

    def size(self, name: str) -> int | None:
        """Return a file's size in bytes; None where it is not there."""
        with _sentences():
            return self.remote.size_of(name)

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        with _sentences():
            self.remote.delete_file(name)

    def claim(self, name: str, text: str) -> str:
        """Store a text where there is none yet; return what is there."""
        with _sentences():
            return self.remote.claim(name, text)

    def probe(self) -> None:
        """Write, read and delete an object."""
        with _sentences():
            self.remote.probe()


@contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except RemoteStoreError as error:
        raise ArchiveError(str(error)) from error
    except OSError as error:
        raise ArchiveError(
            f"this machine's disk cannot be written: {error.strerror or error}."
        ) from error
