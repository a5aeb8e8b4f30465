"""Events in batches, spooled to disk: what was told is sent, after an outage or a restart too.

Each event has an id, so that sending twice is harmless. A batch that is refused is halved until the event
that is wrong goes alone. A spool file belongs to one process.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff_client.transport import MAX_WAIT_SECONDS, BakeoffError

if TYPE_CHECKING:
    import os
    from types import TracebackType

    from bakeoff_client.client import Client
    from bakeoff_client.flags import Evaluation

logger = logging.getLogger("bakeoff_client")
# Half of what the platform takes in one request.
BATCH = 500
MAX_BYTES = 900_000  # of a request: the platform takes a mebibyte
SPLIT = {400, 413}  # a refusal that may be one event's
RETRYABLE = {0, 429, 502, 503, 504}


class Events:
    """Tells the platform in the background; safe to share between threads."""

    def __init__(
        self,
        client: Client,
        *,
        spool: str | os.PathLike[str] | None = None,
        flush_seconds: float = 1.0,
        max_waiting: int = 100_000,
    ) -> None:
        """Begin with what the spool still holds.

        Args:
            client: whom to tell.
            spool: file of what is not sent yet; None keeps it in memory alone.
            flush_seconds: how long an event waits for others.
            max_waiting: beyond it the oldest are dropped, with a warning.

        Raises:
            OSError: the spool cannot be opened.
        """
        self._client, self._pause, self._max_waiting = client, flush_seconds, max_waiting
        self._lock, self._wake, self._ended = threading.Lock(), threading.Event(), False
        self._path = Path(spool) if spool is not None else None
        self._waiting: deque[dict[str, Any]] = deque(self._read())
        self._file = self._path.open("a", encoding="utf-8") if self._path is not None else None
        self.refused: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> Events:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def track(self, name: str, *, unit_id: str, **fields: Any) -> str:
        """Tell what a unit did; return the event's id."""
        event_id = str(uuid.uuid4())
        at = datetime.now(UTC).isoformat()
        self._add({"event_id": event_id, "name": name, "unit_id": unit_id, "occurred_at": at, **fields})
        return event_id

    def exposure(self, evaluation: Evaluation, unit_id: str) -> None:
        """Tell that a unit met a variant: the `on_exposure` of `Flags`."""
        self._add(
            {
                "type": "track",
                "event": "Experiment Viewed",
                "messageId": f"{evaluation.flag}:{evaluation.variant}:{unit_id}",
                "userId": unit_id,
                "timestamp": datetime.now(UTC).isoformat(),
                "properties": {"experiment_id": evaluation.flag, "variation_id": evaluation.variant},
            }
        )

    def close(self, timeout_seconds: float = 5.0) -> int:
        """Send what waits, for at most this long; return how many still wait (in the spool)."""
        self._ended = True
        self._wake.set()
        self._thread.join(timeout_seconds)
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
            return len(self._waiting)

    def _add(self, event: dict[str, Any]) -> None:
        with self._lock:
            if len(self._waiting) >= self._max_waiting:
                self._waiting.popleft()
                logger.warning("more than %d events wait: the oldest is dropped", self._max_waiting)
            self._waiting.append(event)
            if self._file is not None:
                # Flushed before the caller goes on: a crash right after loses nothing that was tracked.
                self._file.write(json.dumps(event) + "\n")
                self._file.flush()
            full = len(self._waiting) >= BATCH
        if full:
            self._wake.set()

    def _read(self) -> list[dict[str, Any]]:
        """Read the spool; a line that a crash cut in two is left out."""
        events: list[dict[str, Any]] = []
        if self._path is None or not self._path.exists():
            return events
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                events.append(json.loads(line))
            except ValueError:
                logger.warning("a line of %s is damaged and left out", self._path)
        return events

    def _run(self) -> None:
        while True:
            self._wake.wait(self._pause)
            self._wake.clear()
            wait = self._send()
            if self._ended and (wait or not self._waiting):
                return
            if wait:
                time.sleep(wait)

    def _send(self) -> float:
        """Send batch by batch; return how long to wait before the next try, 0 when all is told."""
        while True:
            with self._lock:
                batch = [self._waiting[i] for i in range(min(BATCH, len(self._waiting)))]
            if not batch:
                return 0.0
            plain = [event for event in batch if "messageId" not in event]
            segment = [event for event in batch if "messageId" in event]
            try:
                self._tell("/v1/events", "events", plain)
                self._tell("/v1/batch", "batch", segment)
            except BakeoffError as error:
                if error.status in RETRYABLE:
                    return max(min(error.retry_after, MAX_WAIT_SECONDS), self._pause, 0.05)
                # What is refused as a whole would be refused again: it must not hold up the rest.
                logger.error("%d events are refused: %s", len(batch), error)  # noqa: TRY400
                self.refused.append({"code": error.code, "message": str(error)})
            self._forget(len(batch))

    def _tell(self, path: str, name: str, events: list[dict[str, Any]]) -> None:
        """Send events, in halves where they are too large or refused together.

        Raises:
            BakeoffError: a refusal that no single event caused, or no answer.
        """
        if not events:
            return
        if len(events) == 1 or sum(len(json.dumps(event)) for event in events) <= MAX_BYTES:
            try:
                self.refused += self._client.post(path, {name: events}).get("rejected", [])
            except BakeoffError as error:
                if error.status not in SPLIT:
                    raise
                if len(events) == 1:
                    logger.error("an event is refused: %s", error)  # noqa: TRY400
                    self.refused.append({"code": error.code, "message": str(error), "event": events[0]})
                    return
            else:
                return
        half = len(events) // 2
        self._tell(path, name, events[:half])
        self._tell(path, name, events[half:])

    def _forget(self, count: int) -> None:
        """Take what was sent off the spool: the file is written anew beside its place and renamed."""
        with self._lock:
            for _ in range(min(count, len(self._waiting))):
                self._waiting.popleft()
            if self._file is None or self._path is None:
                return
            beside = self._path.with_name(self._path.name + ".new")
            with beside.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(event) + "\n" for event in self._waiting)
            self._file.close()
            # At once: a crash leaves the old spool or the new one, never half of it.
            beside.replace(self._path)
            self._file = self._path.open("a", encoding="utf-8")
