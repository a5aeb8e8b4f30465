"""A span of what a request waits for until its rows are durable.

The commit is one for many requests: each has a span of its own, which says how long its rows waited for
their turn, and how many requests were written with them.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bakeoff.telemetry.spans import Spans
from experiments.ingest.rows import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Span

    from bakeoff.telemetry.tracing import Tracing
    from experiments.ingest.rows import Rows


class CommitSpan:
    """The span of one request's rows."""

    def __init__(self, span: Span) -> None:
        """Begin to wait."""
        self._span, self._since = span, time.perf_counter()

    def begin_write(self, requests: int) -> None:
        """Note that the rows are being written now, with those of other requests.

        Args:
            requests: in the commit. Of several tries the last one stays.
        """
        waited = (time.perf_counter() - self._since) * 1000
        self._span.set_attribute("bakeoff.commit.waited_ms", round(waited, 3))
        self._span.set_attribute("bakeoff.commit.requests", requests)

    def end(self, durability: str) -> None:
        """Note that the rows are durable."""
        self._span.set_attribute("bakeoff.durability", durability)


class CommitSpans:
    """Begins spans of commits; one in a process."""

    def __init__(self, tracing: Tracing) -> None:
        """Remember the way out."""
        self._spans = Spans(tracing, "bakeoff.gateway")

    @contextmanager
    def committing(self, rows: Rows) -> Iterator[CommitSpan]:
        """Let a span last until a request's rows are durable, or cannot be."""
        attributes: dict[str, str | int] = {
            "db.system.name": "postgresql",
            "db.operation.name": "INSERT",
            "bakeoff.commit.rows": sum(len(getattr(rows, kind)) for kind in KINDS),
        }
        with self._spans.client("postgresql INSERT", attributes) as span:
            yield CommitSpan(span)
