"""What a backup says of itself: from which moment and version it is, and the hash of each of its files.

Written last: a folder without it is a backup that was cut.

BackupError     it cannot be made, read or restored; one sentence, and nothing was changed
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

NAME = "manifest.json"
FORMAT = 1
DUMP, SPILL = "database.dump", "spill.jsonl"
# Of a home: models, frozen training data, and the key that signs sessions and links.
FOLDERS, SECRET_KEY = ("artifacts", "snapshots"), "secret_key"
ARCHIVE = "archive"  # where the home has it
CHUNK = 2**20


class BackupError(Exception):
    """A backup cannot be made, read or restored."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A backup.

    Attributes:
        version: of Bakeoff that made it.
        server: version of its PostgreSQL, as `server_version_num`.
        taken_at: the moment of its rows, ISO 8601.
        counts: rows by table at that moment.
        spilled: commits that waited for PostgreSQL then.
        settings: variables of the environment that are no secrets, for information.
        files: SHA-256 of each file, by its path in the backup.
    """

    version: str
    server: int
    taken_at: str
    counts: Mapping[str, int]
    spilled: int
    settings: Mapping[str, str]
    files: Mapping[str, str]

    def write(self, folder: Path) -> None:
        """Write it into a backup."""
        body = orjson.dumps({"format": FORMAT, **asdict(self)}, option=orjson.OPT_INDENT_2)
        (folder / NAME).write_bytes(body)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read a backup's.

        Raises:
            BackupError: there is none, or another version wrote it.
        """
        if not folder.is_dir():
            raise BackupError(f"{folder} is no folder, must be a backup.")
        try:
            fields = orjson.loads((folder / NAME).read_bytes())
        except FileNotFoundError as error:
            raise BackupError(
                f"{folder} has no {NAME}: it is no backup, or one that was cut off."
            ) from error
        except (OSError, orjson.JSONDecodeError) as error:
            raise BackupError(f"{folder / NAME} cannot be read: {error}.") from error
        try:
            if fields.pop("format", None) != FORMAT:
                raise BackupError(f"{folder} was made by a later version: upgrade Bakeoff first.")
            manifest = cls(**fields)
            for path in manifest.files:
                (folder / path).resolve()
        except (AttributeError, TypeError, ValueError) as error:
            raise BackupError(f"{folder / NAME} is damaged: {error}.") from error
        return manifest

    def check_files(self, folder: Path) -> None:
        """Compare every file with its hash.

        Raises:
            BackupError: one is missing or damaged.
        """
        for path, digest in self.files.items():
            file = folder / path
            if not file.is_file():
                raise BackupError(f"{file} is missing: the backup is not whole.")
            if digest_of(file) != digest:
                raise BackupError(f"{file} is damaged: its SHA-256 must be {digest}.")


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_of(folder: Path) -> Iterator[Path]:
    """Yield every file below a folder, in order."""
    yield from sorted(path for path in folder.rglob("*") if path.is_file())
