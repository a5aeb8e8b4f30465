"""Read a request's body in the event loop: with a bound, a deadline, and before any thread is taken.

Guarantees: no body is larger than its limit, packed or unpacked (what comes beyond is read and
dropped, up to `MAX_DROPPED_BYTES`, so that its sender gets the answer; of who sent no secret key up to
`MAX_DROPPED_OF_STRANGERS`); none takes longer than its
deadline; an address has at most `MAX_SLOW_PER_ADDRESS` slow bodies at once, and all bodies that are
held for Django fit in `MAX_HELD_BYTES`. Does not limit connections that send no body: they cost a
socket each.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bakeoff.gateway.http.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bakeoff.asgi_types import Receive, Scope

MAX_BODY = 1024 * 1024
MAX_FORM = 5 * MAX_BODY // 2  # of pages, as Django has it
MAX_BULK_BODY = 32 * 1024 * 1024  # of the management API: a thousand items with their texts
MAX_DROPPED_BYTES = 64 * 1024 * 1024  # of a body that is too large, before its connection is closed
MAX_DROPPED_OF_STRANGERS = 4 * 1024 * 1024
MAX_IMAGE = 10 * 1024 * 1024  # of an item: as images are judged by themselves
MAX_HELD_BYTES = 256 * 1024 * 1024
# A body that is not there by then comes slowly, and takes one of its address's places.
PROMPT_SECONDS = 2.0
MAX_SLOW_PER_ADDRESS = 32
MAX_GZIP_MEMBERS = 64
MAX_HEADER_BYTES = 32 * 1024
DEADLINE_SECONDS = 15.0
# Set in the scope of a request whose whole body came with its header, as most do.
ARRIVED = "bakeoff.body_arrived"
BULK_DEADLINE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What one body may be.

    Attributes:
        max_bytes: packed, and again unpacked.
        deadline_seconds: from its first byte to its last.
        trusted: whether a secret key came with it: more of it is dropped where it is too large.
    """

    max_bytes: int = MAX_BODY
    deadline_seconds: float = DEADLINE_SECONDS
    trusted: bool = False


FAST_LANE = BodyLimits()
FORM = BodyLimits(MAX_FORM)
IMAGE = BodyLimits(MAX_IMAGE, BULK_DEADLINE_SECONDS, trusted=True)
BULK = BodyLimits(MAX_BULK_BODY, BULK_DEADLINE_SECONDS, trusted=True)


@dataclass(slots=True)
class BodyReader:
    """Reads bodies; one in a process, because it counts what is slow and what is held."""

    _slow: Counter[str] = field(default_factory=Counter)
    _held: int = 0

    async def read(self, scope: Scope, receive: Receive, limits: BodyLimits = FAST_LANE) -> bytes:
        """Return the whole body, unpacked.

        Raises:
            ApiError: 413 or 408 beyond its limits, 429 when its address sends too many slowly, 415 or
                400 when it cannot be unpacked, 400 when the client went away.
        """
        body = _Body(receive, limits)
        if ARRIVED in scope:  # nothing to wait for: a timer would cost more than the reading
            await body.fill()
        else:
            await self._fill(body, scope, limits)
        return unpack(_header(scope, b"content-encoding"), b"".join(body.parts), limits.max_bytes)

    async def _fill(self, body: _Body, scope: Scope, limits: BodyLimits) -> None:
        try:
            async with asyncio.timeout(PROMPT_SECONDS):
                await body.fill()
        except TimeoutError:
            with self._slow_place(_address(scope)):
                await self._fill_slowly(body, limits.deadline_seconds - PROMPT_SECONDS)

    async def _fill_slowly(self, body: _Body, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await body.fill()
        except TimeoutError:
            if body.is_too_large:
                raise _too_large(body.max_bytes) from None
            raise ApiError(
                408, "body_too_slow", "The body did not arrive in time.", closes=True
            ) from None

    @contextmanager
    def _slow_place(self, address: str) -> Iterator[None]:
        if self._slow[address] >= MAX_SLOW_PER_ADDRESS:
            raise ApiError(
                429,
                "too_many_slow_bodies",
                f"bodies sent slowly from {address} == {MAX_SLOW_PER_ADDRESS}, must be fewer.",
                retry_after=5,
                closes=True,
            )
        self._slow[address] += 1
        try:
            yield
        finally:
            self._slow[address] -= 1
            if not self._slow[address]:
                del self._slow[address]

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """Count a body for as long as Django has it.

        Raises:
            ApiError: 503, too many bytes are held.
        """
        if self._held + size > MAX_HELD_BYTES:
            raise ApiError(503, "too_busy", "Too many large bodies are being handled.", retry_after=2)
        self._held += size
        try:
            yield
        finally:
            self._held -= size


class _Body:
    """What has arrived of a body within limits; `fill` goes on where it was stopped."""

    def __init__(self, receive: Receive, limits: BodyLimits) -> None:
        self.parts: list[bytes] = []
        self._receive, self._room = receive, limits.max_bytes
        self.max_bytes = limits.max_bytes
        self._max_dropped = MAX_DROPPED_BYTES if limits.trusted else MAX_DROPPED_OF_STRANGERS

    async def fill(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ApiError(400, "disconnected", "The client went away before the body ended.")
            part = message.get("body", b"")
            self._room -= len(part)
            if self._room < 0:
                # The rest is read and dropped: a client that still sends would see its connection
                # reset, not the answer.
                self.parts.clear()
                if not message.get("more_body") or self._room < -self._max_dropped:
                    raise _too_large(self.max_bytes)
                continue
            self.parts.append(part)
            if not message.get("more_body"):
                return

    @property
    def is_too_large(self) -> bool:
        """Whether more came than may be."""
        return self._room < 0


def unpack(encoding: str, raw: bytes, max_bytes: int) -> bytes:
    """Undo `Content-Encoding`; what grows beyond the limit is not unpacked to its end.

    Raises:
        ApiError: 415 for another encoding than gzip, 400 for what is no gzip, 413 for too much.
    """
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        return raw
    if encoding not in {"gzip", "x-gzip"}:
        raise ApiError(
            415,
            "unsupported_encoding",
            f"content-encoding == '{encoding[:40]}', must be gzip or identity.",
        )
    parts: list[bytes] = []
    room = max_bytes
    while raw:  # a gzip file may be several, one after the other
        # What is behind each is copied: a hundred thousand empty ones would take half a minute.
        if len(parts) == MAX_GZIP_MEMBERS:
            rule = f"it has more than {MAX_GZIP_MEMBERS} members"
            raise ApiError(400, "not_gzip", f"The body is not taken as gzip: {rule}.")
        unpacker = zlib.decompressobj(wbits=31)
        try:
            part = unpacker.decompress(raw, room + 1)
        except zlib.error as error:
            raise ApiError(400, "not_gzip", f"The body is not gzip: {error}.") from error
        room -= len(part)
        if room < 0:
            raise _too_large(max_bytes)
        if not unpacker.eof:
            raise ApiError(400, "not_gzip", "The body is not gzip: it ends too early.")
        parts.append(part)
        raw = unpacker.unused_data
    return b"".join(parts)


def _too_large(max_bytes: int) -> ApiError:
    return ApiError(
        413, "body_too_large", f"body > {max_bytes} bytes, must be at most {max_bytes}.", closes=True
    )


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _header(scope: Scope, name: bytes) -> str:
    return next((str(v.decode("latin-1")) for key, v in scope["headers"] if key == name), "")
