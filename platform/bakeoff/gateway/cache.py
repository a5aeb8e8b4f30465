"""The fast lane's clients of Redis: every command, and every pipeline as a whole, has a deadline.

redis-py's own time-outs count from byte to byte, and a server that is frozen, or that drips, must not
hold a request: here the wait ends whatever the server does, as redis-py's TimeoutError.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import redis.asyncio
import redis.exceptions
from redis.asyncio.client import Pipeline

from experiments.ingest.spill import SYNC_TIMEOUT_MS
from inference.redis_clients import async_redis_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOT_SECONDS = 0.25  # on the way of a request: without the cache it is answered, too
STORE_SECONDS = SYNC_TIMEOUT_MS / 1000 + 1.0  # where rows are put that must not be lost
QUIET_SECONDS = 5.0
CONNECT_SECONDS = 2.0
# A deadline of the hot way that is noticed so much too late tells of this process, not of the server.
STALL_SECONDS = 0.05
# Two quiet periods without even the answer to a ping.
MAX_SILENT = 2


class BoundedRedis(redis.asyncio.Redis):
    """A client whose every wait ends by a deadline."""

    seconds: float = HOT_SECONDS

    @classmethod
    def of(cls, url: str, seconds: float) -> BoundedRedis:
        """Return a client; nothing connects before its first command.

        Args:
            url: where.
            seconds: how long a command may take, with its connecting.
        """
        client = async_redis_client(
            url, cls, socket_timeout=seconds, socket_connect_timeout=seconds, retry=None
        )
        client.seconds = seconds
        return client

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run one command.

        Raises:
            redis.exceptions.RedisError: no answer in time, among others.
        """
        try:
            async with asyncio.timeout(self.seconds):
                return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except TimeoutError:
            raise _too_late(self.seconds) from None

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:  # noqa: FBT001, FBT002  redis-py's signature
        """Return a pipeline whose commands together end by the deadline."""
        pipe = _BoundedPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        pipe.seconds = self.seconds
        return pipe


class _BoundedPipeline(Pipeline):
    seconds: float = HOT_SECONDS

    async def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT001, FBT002  redis-py's signature
        try:
            async with asyncio.timeout(self.seconds):
                return await super().execute(raise_on_error)
        except TimeoutError:
            raise _too_late(self.seconds) from None


async def execute_awake(pipe: Pipeline) -> list[Any]:
    """Run a pipeline, a second time where this process stood still beyond the deadline.

    A process that got no processor finds the deadline and the answer at once, and asyncio takes the
    deadline first. The commands may run twice.

    Raises:
        redis.exceptions.RedisError: no answer in time, among others.
    """
    loop, commands = asyncio.get_running_loop(), list(pipe.command_stack)
    started = loop.time()
    try:
        return await pipe.execute()
    except redis.exceptions.TimeoutError:
        if loop.time() - started < HOT_SECONDS + STALL_SECONDS:
            raise
    pipe.command_stack = commands
    return await pipe.execute()


def _too_late(seconds: float) -> redis.exceptions.TimeoutError:
    return redis.exceptions.TimeoutError(f"Redis gave no answer within {seconds:g} s.")


def listening_client(url: str) -> redis.asyncio.Redis:
    """Return a client for subscriptions and blocking reads, whose waits the caller bounds."""
    return async_redis_client(url, redis.asyncio.Redis, socket_connect_timeout=CONNECT_SECONDS)


async def subscribe(
    client: redis.asyncio.Redis, channel: str, *, quiet_seconds: float = QUIET_SECONDS
) -> AsyncIterator[bytes | None]:
    """Yield what is published on a channel, and None whenever nothing was for a while.

    Raises:
        redis.exceptions.RedisError, OSError: Redis is away, or gives no sign of life any more.
    """
    async with client.pubsub() as pubsub:
        async with asyncio.timeout(CONNECT_SECONDS):  # a frozen server lets everybody connect
            await pubsub.subscribe(channel)
        silent = 0
        while True:
            async with asyncio.timeout(quiet_seconds + CONNECT_SECONDS):  # it may connect anew
                message = await pubsub.get_message(timeout=quiet_seconds)
            if message is None:
                # A server that is frozen, or gone without a word, looks like one with no news.
                silent += 1
                if silent > MAX_SILENT:
                    raise _too_late(silent * quiet_seconds)
                await pubsub.ping()
                yield None
                continue
            silent = 0
            if message["type"] == "message":
                yield message["data"]
