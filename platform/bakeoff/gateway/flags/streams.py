"""Server-sent events for clients of flags: OFREP's refetches, and GrowthBook's payloads."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import orjson

from bakeoff.gateway.flags.payloads import growthbook_payload
from experiments.assignment.flags import NO_FLAGS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bakeoff.gateway.config.config_watcher import ServingConfigWatcher
    from bakeoff.gateway.config.serving_config import KeyConfig
    from bakeoff.gateway.http.door import Call

HEARTBEAT_SECONDS = 15.0  # below the idle time-out of common proxies
_STILL_HERE = b": still here\n\n"


class FlagStreams:
    """The handlers; one in a process."""

    def __init__(self, config: ServingConfigWatcher) -> None:
        """Remember whom to watch."""
        self._config = config

    async def refetches(self, call: Call) -> AsyncIterator[bytes]:
        """Return OFREP's refetch events, one whenever the flags of the key's project change."""
        return self._refetches(call.caller.key)

    async def payloads(self, call: Call) -> AsyncIterator[bytes]:
        """Return GrowthBook's payload now and whenever it changes."""
        return self._payloads(call.caller.key)

    async def _refetches(self, key: KeyConfig) -> AsyncIterator[bytes]:
        async for etag in self._changes(key):
            if etag is None:
                yield _STILL_HERE
                continue
            event = {"type": "refetchEvaluation", "etag": etag, "lastModified": int(time.time())}
            yield b"id: %s\ndata: %s\n\n" % (etag.encode(), orjson.dumps(event))

    async def _payloads(self, key: KeyConfig) -> AsyncIterator[bytes]:
        sent = growthbook_payload(self._config.current, key)
        yield b"event: features\ndata: %s\n\n" % sent
        async for etag in self._changes(key):
            payload = growthbook_payload(self._config.current, key)
            # Flags changed that this payload does not hold: a comment keeps the connection alive.
            if etag is None or payload == sent:
                yield _STILL_HERE
                continue
            sent = payload
            yield b"event: features\ndata: %s\n\n" % sent

    async def _changes(self, key: KeyConfig) -> AsyncIterator[str | None]:
        """Yield the etag of a project's flags whenever it changes, and None to keep a connection alive.

        Ends when the key is usable no more.
        """
        last_etag = self._etag(key)
        while self._is_usable(key):
            # Taken before the wait: a reload between the two would otherwise be missed.
            reloaded = self._config.reloaded
            try:
                await asyncio.wait_for(reloaded.wait(), HEARTBEAT_SECONDS)
            except TimeoutError:
                yield None
                continue
            etag = self._etag(key)
            if etag != last_etag:
                last_etag = etag
                yield etag

    def _is_usable(self, key: KeyConfig) -> bool:
        now = self._config.current.keys.get(key.digest)  # its expiry may have been changed
        return now is not None and not now.is_expired

    def _etag(self, key: KeyConfig) -> str:
        return self._config.current.flags.get(key.project_id, NO_FLAGS).etag
