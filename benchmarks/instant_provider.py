"""A provider that answers at once: raw asyncio, so that it costs less than what is measured.

`python -m benchmarks.instant_provider PORT [SECONDS]`: with SECONDS a stream takes that long.
"""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop

from benchmarks.load import whole_message

CHUNKS = 32
_NAMED = {"id": "x", "created": 1, "model": "instant"}
_USAGE = {"prompt_tokens": 10, "completion_tokens": CHUNKS, "total_tokens": 10 + CHUNKS}


def _event(delta: dict, finish: str | None = None) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return (
        b"data: "
        + json.dumps({**_NAMED, "object": "chat.completion.chunk", "choices": choices}).encode()
        + b"\n\n"
    )


def _part(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


_MESSAGE = {"role": "assistant", "content": "word " * CHUNKS}
_WHOLE = json.dumps(
    {
        **_NAMED, "object": "chat.completion", "usage": _USAGE,
        "choices": [{"index": 0, "message": _MESSAGE, "finish_reason": "stop"}],
    }
).encode()  # fmt: skip
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
    len(_WHOLE),
    _WHOLE,
)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
WORD = _part(_event({"content": "word "}))
_LAST_USAGE = (
    b"data: "
    + json.dumps({**_NAMED, "object": "chat.completion.chunk", "choices": [], "usage": _USAGE}).encode()
    + b"\n\n"
)
END = _part(_event({}, "stop")) + _part(_LAST_USAGE) + _part(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One connection; requests follow one another."""

    seconds = 0.0

    def connection_made(self, transport) -> None:
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        message = whole_message(self.buffer)
        if message is None:
            return
        _, body = message
        self.buffer = b""
        if b'"stream":true' not in body.replace(b" ", b""):
            self.transport.write(WHOLE)
        elif self.seconds:
            asyncio.ensure_future(self._slowly())  # noqa: RUF006  the connection holds it
        else:
            self.transport.write(HEAD)
            for _ in range(CHUNKS):  # each a write of its own, as tokens come
                self.transport.write(WORD)
            self.transport.write(END)

    async def _slowly(self) -> None:
        self.transport.write(HEAD)
        for _ in range(CHUNKS):
            self.transport.write(WORD)
            await asyncio.sleep(self.seconds / CHUNKS)
        self.transport.write(END)


async def serve(port: int, seconds: float) -> None:
    Connection.seconds = seconds
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0))
