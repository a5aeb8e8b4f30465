"""Where the pages' sources lie, and where the built pages of exactly these sources belong."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).resolve().parents[1]
# A wheel has them inside the package, a working copy at its root.
IN_WHEEL = PACKAGE / "help_pages"
SOURCES = IN_WHEEL if IN_WHEEL.exists() else PACKAGE.parents[1]


def site_folder(home: Path) -> Path:
    """Return where the pages of these sources are, once they are built.

    Args:
        home: of the platform.
    """
    return home / "help" / _fingerprint()


def can_build() -> bool:
    """Whether the builder (extra `docs`) and the sources are installed."""
    packages = ("mkdocs", "material")
    return (SOURCES / "mkdocs.yml").exists() and all(map(importlib.util.find_spec, packages))


@cache
def _fingerprint() -> str:
    """Return a name that changes with the pages and with the code that the reference is made of."""
    digest = hashlib.sha256()
    for path in _inputs():
        state = path.stat()
        digest.update(f"{path} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _inputs() -> Iterator[Path]:
    yield SOURCES / "mkdocs.yml"
    yield from sorted((SOURCES / "docs").rglob("*.*"))
    for pattern in ("*.py", "*.yaml", "*.json"):
        yield from sorted(PACKAGE.rglob(pattern))
