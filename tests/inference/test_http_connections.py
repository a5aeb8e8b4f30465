"""Connections to elsewhere: when one is used again, and what of an answer is believed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
import uvloop

from inference.http_connections import MAX_HEAD_BYTES, Target, write_request
from inference.outgoing import OutgoingClient, OutgoingError

WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Peer:
    """A server that answers each request with the next of these bytes; None: it hangs up."""

    def __init__(self, answers: list[bytes | None]) -> None:
        self.answers, self.connections = answers, 0
        self.has_hung_up = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.answers:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(2)
                answer = self.answers.pop(0)
                if answer is None:
                    break
                writer.write(answer)
                if b"connection: close" in answer or b"HTTP/1.0" in answer:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self.has_hung_up.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/x?y=1"


@asynccontextmanager
async def answering(*answers: bytes | None):
    peer, client = Peer(list(answers)), OutgoingClient(max_connections=2)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer, lambda: client.post(peer.url, content=b"{}", headers={}, seconds=30)
    finally:
        await client.aclose()
        server.close()


def run(*answers: bytes | None, times: int = 1, loop=uvloop) -> tuple[list[bytes], int]:
    """Ask so many times; return what was answered and how many connections that took."""

    async def ask() -> tuple[list[bytes], int]:
        async with answering(*answers) as (peer, post):
            return [(await post()).content for _ in range(times)], peer.connections

    return loop.run(ask())


@pytest.mark.parametrize("loop", [asyncio, uvloop])
def test_a_connection_is_used_again(loop):
    assert run(WHOLE, WHOLE, WHOLE, times=3, loop=loop) == ([b"ok"] * 3, 1)


@pytest.mark.parametrize(
    ("first", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno", b"no"),
        # What comes behind an answer would pass for the next one.
        (WHOLE + b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong", b"ok"),
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", b"to the end"),
    ],
)
def test_a_connection_is_not_used_again(first, body):
    assert run(first, WHOLE, times=2) == ([body, b"ok"], 2)


def test_parts_are_put_together():
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    announced = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + WHOLE
    assert run(chunked, announced, times=2) == ([b"abcde", b"ok"], 1)


@pytest.mark.parametrize(
    "broken",
    [
        None,
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx: " + b"0" * (MAX_HEAD_BYTES + 1),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;" + b"0" * (2 * MAX_HEAD_BYTES),
    ],
    ids=["hung up", "half", "two lengths", "no chunk", "upgrade", "endless head", "endless framing"],
)
def test_what_is_no_whole_answer_is_none(broken):
    async def ask() -> None:
        async with answering(broken, broken) as (_, post):
            with pytest.raises(OutgoingError):
                await post()

    asyncio.run(ask())


def test_a_connection_that_rests_and_is_closed_by_its_peer_is_not_used():
    async def ask() -> int:
        async with answering(WHOLE) as (peer, post):
            await post()  # the peer has no more answers, and hangs up
            await peer.has_hung_up.wait()
            for _ in range(20):  # turns of the loop: the end is on its way through this machine
                await asyncio.sleep(0)
            peer.answers += [WHOLE]
            await post()
            return peer.connections

    assert asyncio.run(ask()) == 2


def test_a_request_cannot_carry_more_than_was_meant():
    target = Target.parse("https://[2001:db8::1]:444/a?b=c#d")
    assert write_request("GET", target, {"x": "y"}, None) == (
        b"GET /a?b=c HTTP/1.1\r\nhost: [2001:db8::1]:444\r\nx: y\r\n\r\n"
    )
    for value in ("a\r\nhost: b", "a\n", "a\0"):
        with pytest.raises(ValueError, match="has a control character"):
            write_request("GET", target, {"x": value}, None)
    for url in ("http://a/b c", "http://a/\r\nx", "file:///etc/passwd", "http:///x", "http://ä/"):
        with pytest.raises(ValueError, match="not a URL"):
            Target.parse(url)
