"""Ids of the span in which the running code works, for lines of logs.

Imports nothing of OpenTelemetry: logs are written by processes that trace nothing, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class _Reader:
    """How ids are read; none until a process traces."""

    read: Callable[[], tuple[str, str] | None] | None = None


def read_span_ids_with(read: Callable[[], tuple[str, str] | None]) -> None:
    """Let lines of logs name their span from now on."""
    # A function on a class would be bound to its instances; nobody makes one.
    _Reader.read = staticmethod(read)


def span_ids() -> tuple[str, str] | None:
    """Return the ids of trace and span in hexadecimal; None outside of any span."""
    return None if _Reader.read is None else _Reader.read()
