"""Where the platform of a home answers: written once it does, and taken away when it stops."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from bakeoff.environment import Environment

DEFAULT = "http://127.0.0.1:8000"
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  a host to listen on, none to ask


def write_address(environment: Environment, host: str, port: int) -> None:
    """Say where the platform answers, to commands of the same home."""
    host = EVERYWHERE.get(host) or (f"[{host}]" if ":" in host else host)
    _file_of(environment).write_text(f"http://{host}:{port}")


def forget_address(environment: Environment) -> None:
    """Say no more where it answers; a home that is gone has nothing to be said of."""
    with contextlib.suppress(OSError):
        _file_of(environment).unlink(missing_ok=True)


def read_address(environment: Environment) -> str:
    """Return where the platform of a home answers; port 8000 of this machine where none has said."""
    with contextlib.suppress(OSError, ValueError):
        return _file_of(environment).read_text().strip() or DEFAULT
    return DEFAULT


def ready_seconds(environment: Environment) -> float | None:
    """Return for how long the platform of a home has been ready; None where none runs."""
    with contextlib.suppress(OSError):
        return max(time.time() - _file_of(environment).stat().st_mtime, 0.0)
    return None


def _file_of(environment: Environment) -> Path:
    return environment.run_folder / "address"
