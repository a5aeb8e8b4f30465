"""A web process that gets no processor for a moment still knows what a user hid."""

from __future__ import annotations

import asyncio
import time

import redis.asyncio.connection

from bakeoff.environment import read_environment
from bakeoff.gateway.cache import HOT_SECONDS, BoundedRedis
from bakeoff.gateway.slates.cache_reader import GroupRead, UnitKeys
from inference.cache import cache_client


def test_what_a_unit_did_is_read_although_the_process_stood_still(monkeypatch):
    key, stalls = "test:stalled", []
    send = redis.asyncio.connection.UnixDomainSocketConnection.send_packed_command
    cache_client().zadd(key, {'["hide",null,"i1"]': 1.0})

    async def send_and_stand_still(connection, command, **options) -> None:
        await send(connection, command, **options)
        if b"test:stalled" in b"".join(command) and not stalls:
            stalls.append(time.sleep(HOT_SECONDS + 0.2))

    monkeypatch.setattr(
        redis.asyncio.connection.UnixDomainSocketConnection, "send_packed_command", send_and_stand_still
    )

    async def read() -> list:
        cache = BoundedRedis.of(read_environment().redis_url, HOT_SECONDS)
        state = await GroupRead(cache).read(UnitKeys(key))
        await cache.aclose()
        return list(state.actions)

    assert asyncio.run(read()) == [(b'["hide",null,"i1"]', 1.0)]
    assert len(stalls) == 1
