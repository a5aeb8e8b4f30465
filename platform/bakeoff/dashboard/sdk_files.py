"""The scripts of pages: one folder per released version, whose bytes never change.

A page may name a version with the hash of its bytes (subresource integrity), so that nobody on the way can
change what it runs; `v1` is the newest of its major version, and changes when the platform is upgraded.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from pathlib import Path

# A wheel has them beside the package, a working copy where they are built.
IN_WHEEL = settings.BASE_DIR / "sdk"
FOLDER = IN_WHEEL if IN_WHEEL.exists() else settings.BASE_DIR.parents[1] / "clients" / "js" / "sdk"
EMBED = "bakeoff.js"
SLATE = "slate.js"
SURVEY = "survey.js"
FILES = (EMBED, SLATE, SURVEY)


@cache
def versions() -> tuple[str, ...]:
    """Return the versions there are, the newest first."""
    numbers = (tuple(map(int, path.name.split("."))) for path in FOLDER.iterdir() if path.is_dir())
    return tuple(".".join(map(str, number)) for number in sorted(numbers, reverse=True))


def script_path(version: str, file: str) -> Path | None:
    """Return where a script is; None where there is no such version or file."""
    if version not in versions() or file not in FILES:
        return None
    return FOLDER / version / file


@cache
def integrity_of(version: str, file: str) -> str:
    """Return a script's hash as the attribute `integrity` takes it."""
    digest = hashlib.sha384((FOLDER / version / file).read_bytes()).digest()
    return f"sha384-{base64.b64encode(digest).decode()}"
