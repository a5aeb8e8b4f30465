"""Artifacts in an object store: a folder of this machine is the cache of what stands there.

Guarantees: an artifact is seen in the store when all of its files are there, because its manifest comes
last; what comes from there is compared with its hash before it has its name here, so a damaged or cut
download is never served. The library is imported where a store is set, and nowhere else.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from inference.serving.remote_file import RemoteFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

VARIABLE = "BAKEOFF_ARTIFACTS"
SCHEMES = ("s3", "gs", "file")
MANIFEST = "manifest.json"
CHUNK = 8_000_000  # bytes of one request: each has its own limit of time, whatever the file's size
# One request may last so long: who waits is a process that reads its configuration.
CONNECT, REQUEST = timedelta(seconds=3), timedelta(seconds=30)
RETRIES, RETRY_WITHIN = 1, timedelta(seconds=5)
PAUSE_SECONDS = 10.0  # after a failure nobody waits for the store again so soon
_remotes: dict[Path, RemoteStore] = {}


class RemoteStoreError(Exception):
    """The object store does not do what it should; the message is one sentence with its URL."""


class StoreAwayError(RemoteStoreError):
    """It does not answer now; later it may."""


class StoreSettingError(ValueError):
    """The setting breaks its rule, or the package is missing; the message says which."""


def parse_url(url: str, variable: str = VARIABLE) -> str:
    """Return the URL of an object store without the slash at its end; nothing for nothing.

    Args:
        url: as a person wrote it.
        variable: that has it, for messages.

    Raises:
        StoreSettingError: it is none, or the package that speaks to it is missing.
    """
    if not url:
        return ""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        wanted = [f"{scheme}://" for scheme in SCHEMES]
        raise StoreSettingError(f"{variable} == '{url}', must begin with one of {wanted}.")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise StoreSettingError(
            f"{variable} must be a bucket and a prefix alone: credentials are the library's own "
            "variables, such as AWS_ACCESS_KEY_ID."
        )
    place = parts.path.strip("/") if parts.scheme == "file" else parts.netloc
    if not place or (parts.scheme == "file" and parts.netloc):
        raise StoreSettingError(
            f"{variable} == '{url}', must be like s3://bucket/prefix, gs://bucket/prefix or "
            "file:///folder."
        )
    if find_spec("obstore") is None:
        raise StoreSettingError(f"{variable} needs a package: pip install 'bakeoff[objectstore]'.")
    return url.rstrip("/")


def use_remote(folder: Path, url: str) -> None:
    """Make a folder the cache of an object store from now on, in this process.

    Args:
        folder: of artifacts, on this machine.
        url: as `parse_url` returns it; empty: the folder is all there is.
    """
    if url:
        _remotes[folder] = RemoteStore(url)
    else:
        _remotes.pop(folder, None)


def remote_of(folder: Path) -> RemoteStore | None:
    """Return the object store whose cache a folder is, if it is one."""
    return _remotes.get(folder)


class RemoteStore:
    """An object store: `artifacts/HASH/FILE`, `snapshots/HASH.parquet`, and `store_id`."""

    def __init__(self, url: str) -> None:
        """Remember the URL; nothing is opened yet."""
        self.url = url
        self._away_until, self._why = 0.0, ""

    @property
    def is_away(self) -> bool:
        """Whether it did not answer a moment ago."""
        return self._away_until > time.monotonic()

    def refuse_while_away(self) -> None:
        """Spare who cannot wait another time-out.

        Raises:
            StoreAwayError: it did not answer a moment ago; the sentence of then.
        """
        if self.is_away:
            raise StoreAwayError(self._why)

    def upload(self, folder: Path, digest: str) -> None:
        """Make an artifact's files be in the store, its manifest last.

        Raises:
            RemoteStoreError: they are not all there.
        """
        with self._calls() as (store, library):
            there = self._sizes(digest)
            for path in sorted(folder.iterdir()):
                # By size: what stands under a hash was complete when it came, and is checked on its way
                # back.
                if path.name != MANIFEST and there.get(path.name) != path.stat().st_size:
                    library.put(store, _key(digest, path.name), path)
            # Again, too, where it is there: it is new again for the clean-up.
            library.put(store, _key(digest, MANIFEST), (folder / MANIFEST).read_bytes())

    def download(
        self,
        root: Path,
        digest: str,
        files_of: Callable[[bytes], Mapping[str, str]],
        max_bytes: int,
    ) -> None:
        """Put an artifact into a folder: whole, checked and by a rename.

        Args:
            root: of this machine's artifacts.
            digest: of the manifest.
            files_of: returns the hashes of a manifest's files by name, or raises.
            max_bytes: of all files together.

        Raises:
            RemoteStoreError: it is not there, is damaged, or the store does not answer.
        """
        self.refuse_while_away()
        manifest = self.read(_key(digest, MANIFEST))
        if manifest is None:
            raise RemoteStoreError(f"artifact {digest[:12]} is not in {self.url}.")
        if hashlib.sha256(manifest).hexdigest() != digest:
            raise RemoteStoreError(f"manifest of artifact {digest[:12]} in {self.url} was changed.")
        if (size := sum(self._sizes(digest).values())) > max_bytes:
            raise RemoteStoreError(
                f"bytes of artifact {digest[:12]} in {self.url} == {size}, must be at most {max_bytes}."
            )
        root.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".new-", dir=root))
        try:
            for name, sha256 in files_of(manifest).items():
                self._download_file(_key(digest, name), folder / name, sha256)
            _write_synced(folder / MANIFEST, [manifest])
            folder.chmod(0o755)
            try:
                folder.rename(root / digest)
            except OSError:
                if not (root / digest).is_dir():  # else another process of this machine was first
                    raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _download_file(self, key: str, path: Path, sha256: str) -> None:
        content = hashlib.sha256()

        def chunks() -> Iterator[bytes]:
            with self._calls() as (store, library):
                size = library.head(store, key)["size"]
            for chunk in self._chunks(key, 0, size):
                content.update(chunk)
                yield chunk

        _write_synced(path, chunks())
        if content.hexdigest() != sha256:
            raise RemoteStoreError(f"{key} in {self.url} is not what its manifest says.")

    def read(self, key: str) -> bytes | None:
        """Return a small object, or None where there is none.

        Raises:
            RemoteStoreError: the store denies, has no such bucket, or does not answer.
        """
        with self._calls() as (store, library):
            try:
                return bytes(library.get(store, key).bytes())
            except FileNotFoundError as error:
                if self._is_gone(error):
                    raise
                return None

    def claim(self, key: str, text: str) -> str:
        """Write a text where nothing stands yet; return what stands there.

        Of two that claim at the same moment the store itself lets one write, by `If-None-Match`.

        Raises:
            RemoteStoreError: the store denies, or does not answer.
        """
        there = self.read(key)  # first: who only reads a store needs no right to write
        if there is None:
            with self._calls() as (store, library), suppress(library.exceptions.AlreadyExistsError):
                library.put(store, key, text.encode(), mode="create")
            there = self.read(key)
        return (there or b"").decode(errors="replace")

    def files(self, prefix: str) -> list[tuple[str, float]]:
        """Return the keys under a prefix, and when each object came, in seconds since 1970.

        Raises:
            RemoteStoreError: the store denies, or does not answer.
        """
        with self._calls() as (store, library):
            listed = [one for batch in library.list(store, prefix) for one in batch]
        return [(one["path"], one["last_modified"].timestamp()) for one in listed]

    def put_file(self, key: str, file: Path | bytes) -> None:
        """Upload a file; one that is there is replaced, and readers see either of both whole.

        Raises:
            RemoteStoreError: the file is gone, or the store denies, lacks the bucket or is away.
        """
        if isinstance(file, bytes):
            with self._calls() as (store, library):
                library.put(store, key, file)
            return
        with self._calls() as (store, library):
            # Within, so that a file which is gone is an error of the same kind. S3 takes 10,000 parts
            # of a file; a few at once, so that each ends within its limit of time.
            part = max(CHUNK, file.stat().st_size // 9000)
            library.put(store, key, file, chunk_size=part, max_concurrency=3)

    def fetch_file(self, key: str, path: Path) -> None:
        """Download an object into a file.

        Raises:
            FileNotFoundError: it is not there.
            RemoteStoreError: the store denies, or does not answer.
            OSError: the file cannot be written.
        """
        size = self.size_of(key)
        if size is None:
            raise FileNotFoundError(key)
        _write_synced(path, self._chunks(key, 0, size))

    def open_file(self, key: str) -> RemoteFile:
        """Open an object whose parts are downloaded as they are read.

        Raises:
            FileNotFoundError: it is not there.
            RemoteStoreError: the store denies, or does not answer; also of the reads that follow.
        """
        size = self.size_of(key)
        if size is None:
            raise FileNotFoundError(key)
        return RemoteFile(partial(self._chunks, key), size=size, max_bytes=CHUNK)

    def size_of(self, key: str) -> int | None:
        """Return an object's size in bytes, or None where it is not there.

        Raises:
            RemoteStoreError: the store denies, has no such bucket, or does not answer.
        """
        about = self._head(key)
        return None if about is None else int(about["size"])

    def modified_at(self, key: str) -> float | None:
        """Return when an object came, in seconds since 1970, or None where it is not there.

        Raises:
            RemoteStoreError: the store denies, has no such bucket, or does not answer.
        """
        about = self._head(key)
        return None if about is None else float(about["last_modified"].timestamp())

    def _head(self, key: str) -> Any:
        with self._calls() as (store, library):
            try:
                return library.head(store, key)
            except FileNotFoundError as error:
                if self._is_gone(error):
                    raise
                return None

    def delete_file(self, key: str) -> None:
        """Delete an object, if it is there.

        Raises:
            RemoteStoreError: the store denies, or does not answer.
        """
        with self._calls() as (store, library):
            try:
                library.delete(store, key)
            except FileNotFoundError as error:
                if self._is_gone(error):
                    raise

    def _chunks(self, key: str, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            with self._calls() as (store, library):
                chunk = library.get_range(store, key, start=start, end=min(start + CHUNK, end))
            yield bytes(chunk)
            start += CHUNK

    def digests(self) -> list[str]:
        """Return the hashes of the artifacts in the store, and of those that are on their way.

        Raises:
            RemoteStoreError: the store denies, or does not answer.
        """
        with self._calls() as (store, library):
            listed = library.list_with_delimiter(store, "artifacts")["common_prefixes"]
            return [path.rpartition("/")[2] for path in listed]

    def delete_old(self, before: float, is_named: Callable[[str], bool]) -> int:
        """Delete the artifacts that nothing names and that came before a time; return how many.

        Args:
            before: seconds since 1970.
            is_named: whether an artifact is needed, by its hash.

        Raises:
            RemoteStoreError: the store denies, or does not answer.
        """
        return sum(self._delete_artifact(digest, before, is_named) for digest in self.digests())

    def _delete_artifact(self, digest: str, before: float, is_named: Callable[[str], bool]) -> bool:
        with self._calls() as (store, library):
            listed = [one for batch in library.list(store, f"artifacts/{digest}") for one in batch]
            # By its newest file: an upload that goes on has no manifest yet.
            if any(one["last_modified"].timestamp() >= before for one in listed) or is_named(digest):
                return False
            # The manifest first: what lacks files is seen by nobody.
            paths = sorted(
                (one["path"] for one in listed), key=lambda path: not path.endswith(MANIFEST)
            )
            for path in paths:
                library.delete(store, path)
        return True

    def probe(self) -> None:
        """Write, read and delete an object.

        Raises:
            RemoteStoreError: one of them fails.
        """
        key, content = f"probe-{uuid4()}", b"bakeoff"
        with self._calls() as (store, library):
            library.put(store, key, content)
            same = bytes(library.get(store, key).bytes()) == content
            library.delete(store, key)
        if not same:
            raise RemoteStoreError(f"{self.url} returns something else than what was written.")

    def _sizes(self, digest: str) -> dict[str, int]:
        with self._calls() as (store, library):
            return {
                one["path"].rpartition("/")[2]: one["size"]
                for batch in library.list(store, f"artifacts/{digest}")
                for one in batch
            }

    @contextmanager
    def _calls(self) -> Iterator[tuple[Any, Any]]:
        """Give the store and the library; what they raise becomes a sentence."""
        import obstore  # noqa: PLC0415  an extra

        try:
            yield _open(self.url), obstore
        except (obstore.exceptions.BaseError, FileNotFoundError, PermissionError) as error:
            problem = self._problem(error)
            if isinstance(problem, StoreAwayError):
                self._away_until, self._why = time.monotonic() + PAUSE_SECONDS, str(problem)
            raise problem from error

    def _is_gone(self, error: Exception) -> bool:
        """Whether the bucket, or the folder in its place, is not there: then no object is missing."""
        texts = ("NoSuchBucket", "Unable to canonicalize")
        place = urlsplit(self.url)
        return any(text in str(error) for text in texts) or (
            place.scheme == "file" and not Path(unquote(place.path)).is_dir()
        )

    def _problem(self, error: Exception) -> RemoteStoreError:
        import obstore  # noqa: PLC0415

        text = " ".join(str(error).split())
        line = text.partition(" Debug source:")[0][:200].rstrip(". ")
        kinds = obstore.exceptions
        denials = (kinds.PermissionDeniedError, kinds.UnauthenticatedError, PermissionError)
        if isinstance(error, denials) or "AccessDenied" in text:
            return RemoteStoreError(
                f"{self.url} denies access: its credentials must allow to list, read, write and delete."
            )
        if isinstance(error, FileNotFoundError) and error.filename is not None:  # of this machine
            return RemoteStoreError(f"{error.filename} is gone, and is not in {self.url}.")
        if self._is_gone(error):
            return RemoteStoreError(f"{self.url} does not exist: make its bucket or folder first.")
        if isinstance(error, FileNotFoundError):
            return RemoteStoreError(f"{self.url} lacks an object: {line}.")
        return StoreAwayError(f"{self.url} does not answer: {line}.")


def _key(digest: str, name: str) -> str:
    return f"artifacts/{digest}/{name}"


@lru_cache(maxsize=8)
def _open(url: str) -> Any:
    """Return the library's store; its clients are threads' to share."""
    from obstore.store import from_url  # noqa: PLC0415

    limits: Any = {
        "connect_timeout": CONNECT,
        "timeout": REQUEST,
        # The library's own variable, which options that are passed would replace.
        "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() in {"1", "true"},
    }
    retries: Any = {"max_retries": RETRIES, "retry_timeout": RETRY_WITHIN}
    if url.startswith("file:"):
        return from_url(url)
    return from_url(url, client_options=limits, retry_config=retries)


def _write_synced(path: Path, chunks: Any) -> None:
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
