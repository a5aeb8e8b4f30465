"""Let every web process load a version and answer with it, before any visitor is served by it.

The caller writes the version and a nonce into one hash of the cache and announces a change; each web
process loads the version beside what it serves, answers a question with it, and writes the result into
its heartbeat. The hash expires by itself: a caller that died leaves nothing behind.

Guarantees: a wait has an end; a process that gives no heartbeat any more is not waited for; results
of an earlier probe are never taken for this one's, because the nonce differs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from inference.serving.changes import CHANNEL
from inference.serving.heartbeats import read_heartbeats
from inference.serving.keys import PROBES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import redis

PROBE_TTL_SECONDS = 60  # three waits: a probe never vanishes while somebody waits for it
# Loading a large encoder takes seconds; a process that needs longer would serve nobody meanwhile.
PROBE_SECONDS = 20.0
POLL_SECONDS = 0.05  # of the heartbeats; a promotion should feel immediate
RETRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One web process's answer to a probe of a version.

    Attributes:
        nonce: of the probe that it answers.
        problem: why the version gave no answer; empty when it gave one.
        final: whether asking again is useless: the artifact is missing or damaged.
        milliseconds: that the answer took.
    """

    nonce: str
    problem: str = ""
    final: bool = False
    milliseconds: float = 0.0

    def as_json(self) -> list[object]:
        """Return what the heartbeat holds."""
        return [self.nonce, self.problem, self.final, round(self.milliseconds, 3)]


class CannotServeError(Exception):
    """A version that some web process cannot load or that gives no answer; the message says which."""


def probe_version(
    client: redis.Redis, version_id: int, label: str, *, seconds: float = PROBE_SECONDS
) -> dict[str, float]:
    """Wait until every live web process has loaded the version and answered with it.

    Args:
        client: the cache.
        version_id: of the version.
        label: its name, for messages.
        seconds: how long to wait.

    Returns:
        Per process the milliseconds that its answer took; empty when no process serves.

    Raises:
        CannotServeError: a process cannot load it, it gave no answer, or the time is over.
    """
    nonce, start, sent_at = uuid4().hex, time.monotonic(), -RETRY_SECONDS
    while True:
        now = time.monotonic() - start
        if now - sent_at >= RETRY_SECONDS:
            # Again and again: a worker may have to load the model before it can answer.
            client.hset(PROBES, str(version_id), nonce)
            client.expire(PROBES, PROBE_TTL_SECONDS)
            client.publish(CHANNEL, b"probe")
            sent_at = now
        results = _read_results(client, version_id, nonce)
        waiting = {process: one for process, one in results.items() if one is None or one.problem}
        if not waiting:
            return {process: one.milliseconds for process, one in results.items() if one is not None}
        refused = next((one for one in waiting.values() if one is not None and one.final), None)
        if refused is not None or now > seconds:
            raise CannotServeError(_sentence(label, waiting, seconds))
        time.sleep(POLL_SECONDS)


def _read_results(client: redis.Redis, version_id: int, nonce: str) -> dict[str, ProbeResult | None]:
    """Return what each live process says to this probe; None of one that has not answered yet."""
    results: dict[str, ProbeResult | None] = {}
    for process, heartbeat in read_heartbeats(client).items():
        fields = heartbeat.probes.get(str(version_id))
        result = ProbeResult(*fields) if fields is not None else None
        results[process] = result if result is not None and result.nonce == nonce else None
    return results


def _sentence(label: str, waiting: Mapping[str, ProbeResult | None], seconds: float) -> str:
    process, result = next(
        ((name, one) for name, one in waiting.items() if one is not None), (next(iter(waiting)), None)
    )
    if result is None:
        return (
            f"{label} is not served: web process {process} did not load it and answer "
            f"within {seconds:g} seconds."
        )
    return f"{label} cannot be served: web process {process} says: {result.problem}"
