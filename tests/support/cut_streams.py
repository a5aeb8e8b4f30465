"""Streams that are cut at random: by their provider, by their client, or not at all."""

from __future__ import annotations

import asyncio
import json
import random

from experiments.tasks import drain_spilled_rows
from tests.support.generating import Chat
from tests.support.provider import Exchange, chunk
from tests.support.waiting import wait_until

WHOLE, BROKEN, LEFT, SILENT = "whole", "broken", "left", "silent"
# What became of a stream, and how it may be recorded: a client that leaves may do so too late.
OUTCOMES = {
    WHOLE: {"completed"},
    BROKEN: {"broken", "failed"},
    LEFT: {"cancelled", "completed"},
    SILENT: {"failed", "broken"},
}
WORDS = 20


def provide(exchange: Exchange) -> None:
    """Say words until the fate that the request names."""
    fate, cut = exchange.body["messages"][0]["content"].split()
    exchange.start_stream()
    for number in range(WORDS):
        if fate in {BROKEN, SILENT} and number == int(cut):
            if fate == SILENT:
                exchange.handler.connection.settimeout(30)
                exchange.handler.connection.recv(1)
            return
        exchange.event(chunk({"content": f"word{number} "}))
    if fate == LEFT:  # its client leaves, and it goes on until then
        for _ in range(3000):
            exchange.write(b": more\n\n")
            exchange.handler.server.pause()
    exchange.event(chunk({}, "stop"))
    exchange.write(b"data: [DONE]\n\n")


def cut_streams(
    chat: Chat, *, streams: int, seed: int, at_once: int = 200, seconds: float = 1.0
) -> list[str]:
    """Open streams, cut them as drawn, wait for their records, and return their fates by number."""
    chat.surface.versions.update(alias="retired")
    chat.add(
        messages=[{"role": "user", "content": "{{ fate }} {{ cut }}"}],
        variables={"fate": {}, "cut": {}, "number": {}},
        first_token_seconds=seconds,
        total_seconds=2 * seconds,
    )
    chat.provider.behave = provide
    rng = random.Random(seed)
    fates = [rng.choice(list(OUTCOMES)) for _ in range(streams)]
    cuts = [rng.randrange(WORDS) for _ in range(streams)]
    asyncio.run(_open_all(chat, fates, cuts, at_once))
    wait_until(lambda: _recorded(chat) >= streams, "a record of each stream", seconds=60)
    return fates


def _recorded(chat: Chat) -> int:
    """Drain what a busy process spilled, as the scheduler does, and count."""
    drain_spilled_rows()
    return chat.slates().count()


async def _open_all(chat: Chat, fates: list[str], cuts: list[int], at_once: int) -> None:
    places = asyncio.Semaphore(at_once)

    async def one(number: int) -> None:
        async with places:
            await _open(chat, number, fates[number], cuts[number])

    await asyncio.gather(*(one(number) for number in range(len(fates))))


async def _open(chat: Chat, number: int, fate: str, cut: int) -> None:
    """Ask as plain bytes, so that the connection can be cut anywhere."""
    variables = {"fate": fate, "cut": str(cut), "number": str(number)}
    body = json.dumps(
        {"model": chat.surface.key, "user": f"u{number}", "stream": True, "variables": variables}
    ).encode()
    host, port = chat.lane.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        b"content-type: application/json\r\nauthorization: Bearer %s\r\ncontent-length: %d\r\n\r\n%s"
        % (chat.secret.encode(), len(body), body)
    )
    received = b""
    while part := await reader.read(4096):
        received += part
        if fate == LEFT and received.count(b"word") > cut:
            break
    writer.close()
