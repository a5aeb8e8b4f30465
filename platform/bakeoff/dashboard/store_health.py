"""Whether the object stores of artifacts and of the archive answer, and have what they should.

The health page asks every few seconds and must not wait for a store that is away each time.
"""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING

from django.conf import settings

from experiments.archive.place import ID_FILE as ARCHIVE_ID
from experiments.archive.place import ArchiveError
from experiments.archive.state import archive_place, missing_files
from inference.serving.remote_store import MANIFEST, RemoteStoreError, remote_of
from inference.serving.store import ID_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERY_SECONDS = 30.0
MAX_NAMED = 3


class _Last:
    """What the stores said last, in this process."""

    lock = Lock()
    read_at = -EVERY_SECONDS
    problems: tuple[tuple[str, str], ...] = ()


def store_problems() -> tuple[tuple[str, str], ...]:
    """Return the setting of each store with a problem, and the problem as a sentence."""
    with _Last.lock:
        if time.monotonic() - _Last.read_at >= EVERY_SECONDS:
            _Last.problems = tuple(_read())
            _Last.read_at = time.monotonic()
        return _Last.problems


def forget_problems() -> None:
    """Ask anew at the next call."""
    with _Last.lock:
        _Last.read_at = -EVERY_SECONDS


def is_artifact_missing(digest: str) -> bool:
    """Whether neither this machine nor the object store has an artifact; False while nobody can say."""
    artifacts = settings.BAKEOFF.artifacts
    if (artifacts / digest).exists():
        return False
    if (remote := remote_of(artifacts)) is None:
        return True
    try:
        remote.refuse_while_away()
        return remote.size_of(f"artifacts/{digest}/{MANIFEST}") is None
    except RemoteStoreError:
        return False  # `store_problems` names the store


def _read() -> Iterator[tuple[str, str]]:
    if (remote := remote_of(settings.BAKEOFF.artifacts)) is not None:
        try:
            remote.read(ID_FILE)
        except RemoteStoreError as error:
            yield "BAKEOFF_ARTIFACTS", str(error)
    place = archive_place()
    try:
        place.size(ARCHIVE_ID)  # an archive that is away is named before the first month goes there
        for number, sentence in enumerate(missing_files(place)):
            if number == MAX_NAMED:
                break
            yield "BAKEOFF_ARCHIVE", sentence
    except ArchiveError as error:
        yield "BAKEOFF_ARCHIVE", str(error)
