"""Tell of what is wrong with the platform itself: a buffer that fills, processes that are gone.

Guarantees: each cause is told once to every project that subscribes to it, until it is over; what was
seen while PostgreSQL was away is told when it is back. A silent process is told of at once; what ended,
or never came, must be missing for `GRACE_SECONDS`: to be started again, as in a release, is no news.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from django.db import transaction
from django.db.models.functions import Now

from bakeoff.alerts.models import Alert, Subscription
from bakeoff.alerts.outbox import record_alert, resolve_alerts
from bakeoff.alerts.pages import health_path
from experiments.ingest.spill import MAX_ENTRIES, STREAM
from inference.process_issues import read_background
from inference.serving.heartbeats import read_gone_hosts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import redis

GRACE_SECONDS = 60.0
MAX_BUFFERED_SECONDS = 60.0
MAX_BUFFERED_SHARE = 0.5
BUFFER = "buffer"
GONE = "gone:"


@dataclass(frozen=True, slots=True)
class BufferState:
    """What waits for PostgreSQL: how many entries, and how long the oldest of them."""

    entries: int
    oldest_seconds: float

    @property
    def is_filling(self) -> bool:
        """Whether somebody should hear of it."""
        return (
            self.entries >= MAX_BUFFERED_SHARE * MAX_ENTRIES
            or self.oldest_seconds > MAX_BUFFERED_SECONDS
        )


@dataclass(frozen=True, slots=True)
class Gone:
    """Something that is not there and should be: what, since when it is news, and a sentence."""

    where: str
    summary: str
    grace_seconds: float


@dataclass(slots=True)
class PlatformWatch:
    """Looks at the cache now and then; one in a process that delivers alerts."""

    client: redis.Redis
    clock: Callable[[], float] = time.monotonic
    _filling: BufferState | None = field(default=None, init=False)
    _gone_since: dict[str, float] = field(default_factory=dict, init=False)

    def turn(self) -> None:
        """Read the cache, then write what is new and what is over.

        Raises:
            redis.exceptions.RedisError: the cache does not answer: nothing is known, nothing written.
            django.db.Error: PostgreSQL is away; what was seen is written by a later turn.
        """
        buffer = read_buffer(self.client)
        if buffer.is_filling:
            self._filling = buffer
        gone = read_gone(self.client)
        self._alert_on_buffer(buffer)
        self._alert_on_gone(gone)

    def _alert_on_buffer(self, now: BufferState) -> None:
        if self._filling is not None:
            self._tell(
                Alert.Event.BUFFER_FILLING,
                BUFFER,
                subject="event buffer",
                summary=f"{self._filling.entries} commits have waited for PostgreSQL for up to "
                f"{self._filling.oldest_seconds:.0f} s; the buffer holds {MAX_ENTRIES}, then requests "
                "are refused.",
            )
            self._filling = None
        if not now.entries:
            resolve_alerts(BUFFER)

    def _alert_on_gone(self, gone: Sequence[Gone]) -> None:
        now = self.clock()
        self._gone_since = {one.where: self._gone_since.get(one.where, now) for one in gone}
        for one in gone:
            if now - self._gone_since[one.where] >= one.grace_seconds:
                key = f"{GONE}{one.where}"
                self._tell(Alert.Event.WORKER_GONE, key, subject=one.where, summary=one.summary)
        back = Alert.objects.unresolved().filter(dedupe_key__startswith=GONE)
        back.exclude(dedupe_key__in=[f"{GONE}{one.where}" for one in gone]).update(resolved_at=Now())

    def _tell(self, event: Alert.Event, key: str, *, subject: str, summary: str) -> None:
        with transaction.atomic():
            for project_id in _subscribed(event):
                record_alert(
                    project_id,
                    event=event,
                    subject=subject,
                    summary=summary,
                    path=health_path(),
                    dedupe_key=key,
                )


def read_buffer(client: redis.Redis) -> BufferState:
    """Return what waits for PostgreSQL now."""
    entries = client.xlen(STREAM)
    oldest = cast("list[tuple[bytes, object]]", client.xrange(STREAM, count=1))
    if not oldest:
        return BufferState(entries, 0.0)
    seconds, _ = client.time()
    # An entry's id begins with when it was added, in milliseconds of the same server's clock.
    added_at = int(oldest[0][0].partition(b"-")[0]) / 1000
    return BufferState(entries, max(seconds - added_at, 0.0))


def read_gone(client: redis.Redis) -> list[Gone]:
    """Return what is not there and should be."""
    background = read_background(client)
    silent = {process.beat.name for process in background.processes if process.silent}
    gone = [
        Gone(
            issue.where,
            f"{issue.where}: {issue.what}. {issue.remedy}",
            # Silence is half a minute old already.
            grace_seconds=0.0 if issue.where in silent else GRACE_SECONDS,
        )
        for issue in background.gone
    ]
    return [*gone, *(_gone_web(host) for host in read_gone_hosts(client))]


def _gone_web(host: str) -> Gone:
    summary = f"web@{host}: no web process of this machine gives a sign of life. See its log."
    return Gone(f"web@{host}", summary, GRACE_SECONDS)


def _subscribed(event: str) -> Collection[int]:
    """Return the projects of which somebody wants to hear of an event of the platform."""
    return {one.project_id for one in Subscription.objects.filter(enabled=True) if one.wants(event)}
