"""`/metrics`: what this machine's web processes count, and how the platform is.

Guarantees: the answer comes within seconds whatever PostgreSQL and Redis do: what they would say is
left out then, and `bakeoff_platform_metrics_up` is 0. Without a token only this machine is answered,
and nobody who comes through a proxy.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.http.routes import Answer
from bakeoff.gateway.metrics import CONFIG_AGE, LOOP_LAG, REGISTRY, WRITER_WAITING, WRITER_WAITING_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from bakeoff.gateway.config.config_watcher import ServingConfigWatcher
    from bakeoff.gateway.http.request import Request
    from bakeoff.gateway.intake.group_commit import GroupCommit
    from inference.supervision import WorkStatus

logger = logging.getLogger(__name__)
PLATFORM_SECONDS = 5.0  # Prometheus gives up after ten
GAUGES_SECONDS = 2.0
TEXT = b"text/plain; version=0.0.4; charset=utf-8"
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_FORWARDED = (b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via")
_UP = b"""# HELP bakeoff_platform_metrics_up Whether this answer holds what PostgreSQL and Redis say.
# TYPE bakeoff_platform_metrics_up gauge
bakeoff_platform_metrics_up %d
"""


class Scrape:
    """Answers /metrics, and keeps the gauges of its process; one in a process."""

    def __init__(
        self,
        config: ServingConfigWatcher,
        writer: GroupCommit,
        *,
        token: str,
        platform: Callable[[], bytes] | None,
    ) -> None:
        """Remember what is measured, and who may read it.

        Args:
            config: whose age is a gauge.
            writer: whose queue is a gauge.
            token: that a scrape must carry; empty: this machine alone may read.
            platform: what PostgreSQL, Redis and the broker say, in Prometheus' text format.
        """
        self._config, self._writer, self._token, self._platform = config, writer, token, platform
        # One at a time, in a thread of its own: servers that hang must hold up no page.
        self._threads = ThreadPoolExecutor(1, "metrics")
        self._reading: asyncio.Future[bytes] | None = None

    async def answer(self, request: Request) -> Answer:
        """Answer a scrape.

        Raises:
            ApiError: 401 without the token; 403 from another machine where there is none.
        """
        self._admit(request)
        own, platform = await asyncio.gather(asyncio.to_thread(read_registry), self._read_platform())
        return Answer(200, own + (_UP % (platform is not None)) + (platform or b""), [], TEXT)

    def _admit(self, request: Request) -> None:
        if self._token:
            scheme, _, sent = request.header(b"authorization").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(
                sent.strip().encode(), self._token.encode()
            ):
                message = "Send Authorization: Bearer and the token of BAKEOFF_METRICS_TOKEN."
                raise ApiError(401, "no_valid_token", message)
            return
        # A proxy on this machine speaks for others, whether or not its word is believed.
        if not _is_loopback(request.address) or any(request.header(name) for name in _FORWARDED):
            message = "Without BAKEOFF_METRICS_TOKEN metrics are shown to this machine alone."
            raise ApiError(403, "token_needed", message)

    async def _read_platform(self) -> bytes | None:
        """Return what the servers say, or None where they do not say it in time."""
        if self._platform is None:
            return None
        if self._reading is None or self._reading.done():
            # All who scrape meanwhile get the same answer, and a reading that hangs gets no second.
            loop = asyncio.get_running_loop()
            self._reading = loop.run_in_executor(self._threads, self._platform)
        done, _ = await asyncio.wait({self._reading}, timeout=PLATFORM_SECONDS)
        if not done:
            return None
        if (error := self._reading.exception()) is not None:
            logger.warning("the platform's metrics are left out: %s", error)
            return None
        return self._reading.result()

    async def run(self, status: WorkStatus) -> None:
        """Keep the gauges of this process."""
        loop = asyncio.get_running_loop()
        while True:
            status.beat()
            WRITER_WAITING.set(self._writer.waiting)
            WRITER_WAITING_BYTES.set(self._writer.waiting_bytes)
            CONFIG_AGE.set(self._config.age_seconds)
            due = loop.time() + GAUGES_SECONDS
            await asyncio.sleep(GAUGES_SECONDS)
            LOOP_LAG.set(max(loop.time() - due, 0.0))

    async def stop(self) -> None:
        """End; a reading that hangs is left behind."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def read_registry() -> bytes:
    """Return what was counted, in Prometheus' text format: by this process, or by all of its folder."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return generate_latest(REGISTRY)
    for path in Path(folder).glob("gauge_live*_*.db"):
        pid = path.stem.rpartition("_")[2]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            # Its gauges alone: what it counted stays.
            mark_process_dead(int(pid), folder)  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _is_loopback(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:  # a socket file, behind which stands a proxy
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return (mapped or ip).is_loopback
