"""Clients of the cache by its URL: of one server, or of the primary that sentinels name.

Guarantees: each new connection goes to the primary of that moment; a connection to a server that is no
primary any more is dropped at its first write. Does not guarantee that what a primary took is on the
next one: replication is asynchronous (docs/deployment.md says what that means).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar, cast

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel

from inference.sentinel_address import SentinelAddress, is_sentinel

if TYPE_CHECKING:
    from collections.abc import Mapping

Async = TypeVar("Async", bound=redis.asyncio.Redis)

# A sentinel on a machine that is off costs this, once: it is not tried again, and the one that answers
# is asked first from then on. Less than half the fast lane's deadline of a command, within which the
# next must be reached.
SENTINEL_SECONDS = 0.1
# Over TLS a handshake is part of it: a client whose own limit is longer than the fast lane's waits for
# the same share of that, though no longer than this.
SHARE, MAX_TLS_SECONDS = 0.4, 0.5


def redis_client(url: str, **options: Any) -> redis.Redis:
    """Return a client; nothing connects before its first command.

    Args:
        url: of a server as redis-py reads it, or of sentinels.
        options: of its connections, such as `socket_timeout`.
    """
    if not is_sentinel(url):
        return redis.Redis.from_url(url, **options)
    address = SentinelAddress.of(url)
    sentinel: Any = _Sentinel(address, **options)  # redis-py has no types for it
    client: redis.Redis = sentinel.master_for(address.name, **options)
    return client


def async_redis_client(url: str, kind: type[Async], **options: Any) -> Async:
    """Return a client of asyncio; nothing connects before its first command.

    Args:
        url: of a server as redis-py reads it, or of sentinels.
        kind: its class.
        options: of its connections.
    """
    client: Async
    if not is_sentinel(url):
        client = cast("Async", kind.from_url(url, **options))
        return client
    address = SentinelAddress.of(url)
    client = _AsyncSentinel(address, **options).master_for(address.name, redis_class=kind, **options)
    return client


class _Sentinel(redis.sentinel.Sentinel):
    """Says in one sentence that none answers; redis-py writes out every client."""

    def __init__(self, address: SentinelAddress, **options: Any) -> None:
        self._absence = address.absence
        initialize: Any = super().__init__  # redis-py has no types for it
        initialize(address.hosts, sentinel_kwargs=_asking(address, options), **address.server_options)

    def discover_master(self, service_name: str) -> Any:
        discover: Any = super().discover_master
        try:
            return discover(service_name)
        except redis.sentinel.MasterNotFoundError as error:
            raise redis.sentinel.MasterNotFoundError(self._absence) from error


class _AsyncSentinel(redis.asyncio.sentinel.Sentinel):
    """The same for asyncio."""

    def __init__(self, address: SentinelAddress, **options: Any) -> None:
        self._absence = address.absence
        initialize: Any = super().__init__  # redis-py has no types for it
        initialize(address.hosts, sentinel_kwargs=_asking(address, options), **address.server_options)

    async def discover_master(self, service_name: str) -> Any:
        try:
            return await super().discover_master(service_name)
        except redis.asyncio.sentinel.MasterNotFoundError as error:
            raise redis.asyncio.sentinel.MasterNotFoundError(self._absence) from error


def _asking(address: SentinelAddress, options: Mapping[str, Any]) -> dict[str, Any]:
    seconds = SENTINEL_SECONDS
    if address.tls is not None:
        own = options.get("socket_timeout") or options.get("socket_connect_timeout") or math.inf
        seconds = max(seconds, min(SHARE * own, MAX_TLS_SECONDS))
    limits = {"socket_timeout": seconds, "socket_connect_timeout": seconds}
    # redis-py tries one that is away four times, and waits in between.
    return {**limits, "retry": None, **address.sentinel_options}
