"""Django's secret key: the configured one, or one that is made once and kept in the home.

Guarantees: processes that start together read one key; nobody else on the machine can read it; no
folder is made, so reading the settings leaves the working directory alone.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NAME = "secret_key"


def read_key(home: Path) -> str:
    """Return the key of a home; one for this process alone where the home is missing or read-only."""
    if key := os.environ.get("SECRET_KEY"):
        return key
    path = home / NAME
    with contextlib.suppress(OSError):
        if key := path.read_text().strip():
            return key
    key = secrets.token_urlsafe(48)
    try:
        return _keep(path, key)
    except OSError:
        return key


def _keep(path: Path, key: str) -> str:
    """Write a key unless another process was faster; return the one that is there.

    Raises:
        OSError: there is no such folder, or it cannot be written.
    """
    draft = path.with_name(f"{NAME}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        if path.exists() and not path.read_text().strip():
            draft.replace(path)  # an interrupted start of an earlier version left it empty
            return key
        # A link is made of the whole file or not at all, and never over another's.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
        return path.read_text().strip()
    finally:
        draft.unlink(missing_ok=True)
