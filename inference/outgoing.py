"""The one way out: requests that the platform makes to addresses which users configured.

Guarantees, for every address and every answer:

- only public addresses are connected to: a name is resolved, every address it has is judged, and the
  connection goes to a judged address, so that a name cannot change its mind in between. Loopback,
  private, link-local, multicast and every form that hides one of them are refused, unless the setting
  BAKEOFF_OUTGOING_ALLOW names the address, its network, the host, or one port of it;
- no proxy of the environment, no redirect, no packed answer, no answer beyond a limit;
- a call ends by its deadline, the name's resolution and a dripping answer included; of a stream the
  caller sets the deadlines;
- every failure to get an answer reads the same, so that nobody can map a network by it. The log has
  the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import logging
import os
import socket
import ssl
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from inference.http_connections import Connection, ConnectionPool, Origin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

logger = logging.getLogger(__name__)
ALLOW = "BAKEOFF_OUTGOING_ALLOW"
LOCAL_LLM = "BAKEOFF_LOCAL_LLM"  # host:port of the embedded language model, which is allowed too
MAX_CONNECTIONS = 64  # of a process; more wait, within their deadline
MAX_ANSWER_BYTES = 4 * 2**20  # a number for each of 100,000 candidates, and more
KEEPALIVE_SECONDS = 20.0  # saves the TLS handshake of a call that comes soon after
# Global unicast: everything else is reserved, or a way to write an IPv4 address (::a.b.c.d, NAT64).
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class OutgoingError(OSError):
    """There is no answer; the message is the same for every reason."""


class AnswerTooLargeError(OutgoingError):
    """The answer of an address that may be asked is larger than the caller takes."""


class AllowError(ValueError):
    """The setting cannot be understood."""


class AddressRefusedError(ValueError):
    """An address breaks the rule by its text alone; the message says which."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered: the status, and the body, at most `MAX_ANSWER_BYTES`."""

    status: int
    content: bytes


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """What may be called beside public addresses: networks, names of hosts, and single ports."""

    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    hosts: frozenset[str] = frozenset()
    ports: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def parse(cls, text: str) -> AllowedHosts:
        """Read addresses, networks, names, and HOST:PORT, by commas or blanks.

        Raises:
            AllowError: a word is not one of these.
        """
        networks, hosts, ports = [], set(), set()
        for word in text.replace(",", " ").split():
            try:
                networks.append(ipaddress.ip_network(word, strict=False))
            except ValueError as error:
                host, _, port = word.rpartition(":")
                if host and "/" not in word and port.isascii() and port.isdigit():
                    ports.add((host.strip("[]").lower(), int(port)))
                elif "/" in word or ":" in word:
                    raise AllowError(
                        f"{ALLOW} has '{word}', must be an address, a network, the name of a host, or "
                        "HOST:PORT."
                    ) from error
                else:
                    hosts.add(word.lower())
        return cls(tuple(networks), frozenset(hosts), frozenset(ports))

    def permits(self, host: str, address: str, port: int | None = None) -> bool:
        """Whether a host may be reached at an address, on a port."""
        name = host.lower().rstrip(".")
        if name in self.hosts or (name, port) in self.ports:
            return True
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        ip = getattr(ip, "ipv4_mapped", None) or ip
        if (str(ip), port) in self.ports:
            return True
        return _is_public(ip) or any(ip in network for network in self.networks)


def check_address(url: str) -> None:
    """Refuse a URL that could never be called, before it is stored.

    A name is judged when it is connected to, and only then: what it resolves to may change.

    Raises:
        AddressRefusedError: it is no https URL (http where the operator allows the host), has a user or
            a fragment, or names an address that is neither public nor allowed.
        AllowError: the setting cannot be understood.
    """
    hosts = allowed_hosts()
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise AddressRefusedError(f"'{_without_secrets(url)}' is no URL: {error}.") from error
    printable = url.isascii() and url.isprintable() and " " not in url
    plain = printable and "@" not in parts.netloc and not parts.fragment
    if parts.scheme not in {"https", "http"} or not host or not plain:
        raise AddressRefusedError(
            f"'{_without_secrets(url)}' must be a URL such as https://hooks.example/bakeoff, without "
            "user or fragment."
        )
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        name = host.lower().rstrip(".")
        is_allowed, is_local = name in hosts.hosts or (name, port) in hosts.ports, _is_local_name(host)
    else:
        is_local = not hosts.permits(host, str(ip), port)
        is_allowed = not is_local and not AllowedHosts().permits(host, str(ip))
    if is_local and not is_allowed:
        raise AddressRefusedError(f"'{host}' is no public address, and {ALLOW} does not name it.")
    if parts.scheme == "http" and not is_allowed:
        raise AddressRefusedError(f"'{_without_secrets(url)}' must begin with https://.")


def _is_local_name(host: str) -> bool:
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith((".localhost", ".local", ".internal"))


def _is_public(ip: Address) -> bool:
    if ip.is_multicast or not ip.is_global:
        return False
    return ip.version == 4 or (ip in _GLOBAL_V6 and ip not in _SIX_TO_FOUR)


@lru_cache(maxsize=8)
def _parsed(text: str) -> AllowedHosts:
    return AllowedHosts.parse(text)


def allowed_hosts() -> AllowedHosts:
    """Return what the setting allows now.

    Raises:
        AllowError: it cannot be understood.
    """
    return _parsed(f"{os.environ.get(ALLOW, '')} {os.environ.get(LOCAL_LLM, '')}")


def allow_outgoing(host: str) -> None:
    """Allow an address or a host besides, in this process and in what it starts."""
    os.environ[ALLOW] = f"{os.environ.get(ALLOW, '')} {host}".strip()


async def _connect(origin: Origin, make: Callable[[], Connection]) -> Connection:
    """Resolve a name once, judge each address, and connect to one that was judged.

    TLS still verifies the name: the certificate is checked against it, not against the address.

    Raises:
        OutgoingError: no address of the host may be called.
        OSError: none of them can be.
    """
    hosts, loop = allowed_hosts(), asyncio.get_running_loop()
    resolved = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in resolved))
    # One that is refused refuses all: a name that has both is made to be tried again and again.
    if not addresses or not all(hosts.permits(origin.host, one, origin.port) for one in addresses):
        raise OutgoingError(f"{origin.host} is {addresses}, which {ALLOW} does not allow")
    tls = _tls() if origin.scheme == "https" else None
    name = origin.host if tls else None

    async def connect(address: str) -> Connection:
        return (
            await loop.create_connection(make, address, origin.port, ssl=tls, server_hostname=name)
        )[1]

    for address in addresses[:-1]:  # a name often has an address of a family that is not here
        with contextlib.suppress(OSError):
            return await connect(address)
    return await connect(addresses[-1])


@dataclass(frozen=True, slots=True)
class StreamedAnswer:
    """An answer whose body comes in parts.

    Attributes:
        status: of HTTP.
        parts: of the body, as they come; raises OutgoingError where the connection breaks, or when they
            are larger than was allowed.
    """

    status: int
    parts: AsyncIterator[bytes]


@functools.cache
def _tls() -> ssl.SSLContext:
    # Reading every authority takes as long as a fast answer; a context may be shared.
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class OutgoingClient:
    """Connections to elsewhere, kept for a while; one in an event loop."""

    def __init__(self, max_connections: int = MAX_CONNECTIONS) -> None:
        """Make the pool; nothing connects yet.

        Args:
            max_connections: at once; more requests wait, within their deadline.
        """
        self._pool = ConnectionPool(
            _connect, max_connections=max_connections, keepalive_seconds=KEEPALIVE_SECONDS
        )

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._pool.aclose()

    async def post(
        self,
        url: str,
        *,
        content: bytes,
        headers: dict[str, str],
        seconds: float,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> Answer:
        """Send a POST.

        Args:
            url: where to.
            content: the body.
            headers: beside those of every request.
            seconds: within which the whole answer must be here.
            max_bytes: of the answer's body; a longer one is none.

        Raises:
            OutgoingError: there is no answer, or not within the deadline, or it may not be asked.
        """
        return await self._ask("POST", url, content, headers, seconds=seconds, max_bytes=max_bytes)

    async def get(self, url: str, *, seconds: float, max_bytes: int) -> Answer:
        """Send a GET, as `post` does; of an answer that is too large the error says so.

        Raises:
            AnswerTooLargeError, OutgoingError: there is no usable answer.
        """
        return await self._ask("GET", url, None, {}, seconds=seconds, max_bytes=max_bytes)

    async def _ask(
        self,
        method: str,
        url: str,
        content: bytes | None,
        headers: dict[str, str],
        *,
        seconds: float,
        max_bytes: int,
    ) -> Answer:
        try:
            async with asyncio.timeout(seconds):
                return await self._whole(method, url, content, headers, max_bytes)
        except (OSError, ValueError) as error:
            logger.warning("%s gave no answer: %s: %s", _without_secrets(url), type(error), error)
            # Who answers too much may be asked: to say so maps no network.
            kind = AnswerTooLargeError if isinstance(error, AnswerTooLargeError) else OutgoingError
            raise kind(no_answer_message(url, seconds)) from None

    @contextlib.asynccontextmanager
    async def stream(
        self,
        url: str,
        *,
        content: bytes,
        headers: dict[str, str],
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> AsyncIterator[StreamedAnswer]:
        """Send a POST, and give the answer when its head is there; the connection ends with the block.

        Args:
            url: where to.
            content: the body.
            headers: beside those of every request.
            max_bytes: of the answer's body.

        Raises:
            OutgoingError: there is no answer, or it may not be asked; in the block: it broke.
        """
        async with contextlib.AsyncExitStack() as stack:
            # Not around the block: what its code raises is its own.
            with _named_failure(url):
                response = await stack.enter_async_context(self._respond("POST", url, content, headers))
            yield StreamedAnswer(response.status, _checked_parts(url, _parts_of(response, max_bytes)))

    async def _whole(
        self, method: str, url: str, content: bytes | None, headers: dict[str, str], max_bytes: int
    ) -> Answer:
        async with self._respond(method, url, content, headers) as response:
            parts = [part async for part in _parts_of(response, max_bytes)]
            return Answer(response.status, b"".join(parts))

    @contextlib.asynccontextmanager
    async def _respond(
        self, method: str, url: str, content: bytes | None, headers: dict[str, str]
    ) -> AsyncIterator[Connection]:
        # A packed answer can be a thousand times what its bytes say.
        wanted = {**headers, "accept-encoding": "identity"}
        async with self._pool.request(method, url, headers=wanted, content=content) as answer:
            for name, value in answer.headers:
                if name == b"content-encoding" and value.strip().lower() != b"identity":
                    raise OutgoingError("the answer is packed, must be identity")
            yield answer


@contextlib.contextmanager
def _named_failure(url: str) -> Iterator[None]:
    """Turn whatever goes wrong with an answer into the one error; the log has the reason."""
    try:
        yield
    except (OSError, ValueError) as error:
        logger.warning("%s gave no answer: %s: %s", _without_secrets(url), type(error), error)
        raise OutgoingError(f"{_without_secrets(url)} gave no usable answer.") from None


async def _checked_parts(url: str, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    with _named_failure(url):
        async for part in parts:
            yield part


async def _parts_of(answer: Connection, max_bytes: int) -> AsyncIterator[bytes]:
    size = 0
    async for part in answer.parts():
        size += len(part)
        if size > max_bytes:
            raise AnswerTooLargeError(f"the answer is larger than {max_bytes} bytes")
        yield part


def no_answer_message(url: str, seconds: float) -> str:
    """Return the message of a call without an answer, which says nothing of why."""
    return (
        f"url == '{_without_secrets(url)}', gave no usable answer within {seconds * 1000:g} ms, or is "
        f"no address that may be asked (see {ALLOW})."
    )


def _without_secrets(url: str) -> str:
    """Return a URL without user, password, query and fragment."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:200]
    return "…"
