"""Wait for what another process or thread does: by its effect, never by a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 60.0  # generous: a busy machine is no failure
POLL_SECONDS = 0.02


def wait_until(
    holds: Callable[[], object], what: str = "what was waited for", *, seconds: float = SECONDS
) -> None:
    """Poll until a condition holds; fail with what was waited for."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(POLL_SECONDS)
