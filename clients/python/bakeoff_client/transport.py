"""HTTP over connections that are reused: the standard library only."""

from __future__ import annotations

import json
import threading
import time
from base64 import b64encode
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

if TYPE_CHECKING:
    from collections.abc import Iterator

# Shorter than servers and balancers keep an idle connection, so that nobody sends into a closed one.
IDLE_SECONDS = 4.0
MAX_IDLE = 32

# Nobody is made to wait longer: a month's quota that is used up says to come back in days.
MAX_WAIT_SECONDS = 60.0
QUOTA = "quota_used_up"  # until the next month begins, or the operator raises it


class BakeoffError(Exception):
    """A refusal, or no answer.

    Attributes:
        status: HTTP status, or 0 when nobody answered.
        code: machine-readable name.
        retry_after: seconds to wait, when the platform says so.
        field: of the request that breaks a rule, where the platform names one.
    """

    def __init__(
        self, status: int, code: str, message: str, retry_after: float = 0.0, field: str | None = None
    ) -> None:
        """Keep the parts."""
        super().__init__(message)
        self.status, self.code, self.retry_after, self.field = status, code, retry_after, field


class Transport:
    """Sends requests to one platform; safe to share between threads."""

    def __init__(self, url: str, key: str, *, timeout_seconds: float) -> None:
        """Remember where and as whom; nothing is opened yet."""
        self._url, self._timeout = url.rstrip("/"), timeout_seconds
        parts = urlsplit(self._url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"url == '{url}', must be like https://bakeoff.example.")
        self._parts, self._headers = parts, {"Authorization": f"Bearer {key}"}
        proxy = None if proxy_bypass(parts.hostname) else getproxies().get(parts.scheme)
        self._proxy = urlsplit(proxy) if proxy else None
        self._idle: list[tuple[float, HTTPConnection]] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close what is idle; a later request opens a connection again."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        *,
        again: bool = True,
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request; return status, headers by their lower-case names, and body.

        Args:
            method: GET, POST and so on.
            path: with its query.
            body: as bytes.
            headers: beside the key's.
            again: whether it may be sent twice, where a reused connection turns out closed.

        Raises:
            BakeoffError: nobody answered.
        """
        reused = self._take()
        connection = reused or self._open()
        sent = self._headers | (headers or {})
        try:
            connection.request(method, self._prefix + path, body, sent)
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, HTTPException) as error:
            connection.close()
            if reused is not None and again and not isinstance(error, TimeoutError):
                self.close()
                return self.request(method, path, body, headers, again=False)
            raise BakeoffError(0, "no_answer", f"{self._url} does not answer: {error!r}.") from error
        if answer.will_close:
            connection.close()
        else:
            self._put_back(connection)
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, data

    def lines(self, path: str, body: bytes, headers: dict[str, str]) -> Iterator[bytes]:
        """Send a body and yield the lines of the answer as they come, without their ends.

        The connection is of this answer alone: a reader that stops closes it, and nothing more is
        sent.

        Raises:
            BakeoffError: it was refused, or nobody answers any more.
        """
        connection = self._open()
        try:
            connection.request("POST", self._prefix + path, body, self._headers | headers)
            answer = connection.getresponse()
            if not 200 <= answer.status < 300:
                about = {name.lower(): value for name, value in answer.getheaders()}
                raise refusal_of(answer.status, about, answer.read())
            while line := answer.readline():
                yield line.rstrip(b"\r\n")
        except (OSError, HTTPException) as error:
            raise BakeoffError(0, "no_answer", f"{self._url} does not answer: {error!r}.") from error
        finally:
            connection.close()

    @property
    def _prefix(self) -> str:
        # A proxy of plain HTTP is told the whole address.
        return self._url if self._proxy and self._parts.scheme == "http" else self._parts.path

    def _open(self) -> HTTPConnection:
        secure = self._parts.scheme == "https"
        via = self._proxy or self._parts
        kind = HTTPSConnection if secure else HTTPConnection
        default = 443 if secure and not self._proxy else 80
        connection = kind(via.hostname or "", via.port or default, timeout=self._timeout)
        if self._proxy and secure:
            login = f"{unquote(via.username or '')}:{unquote(via.password or '')}"
            token = {"Proxy-Authorization": f"Basic {b64encode(login.encode()).decode()}"}
            connection.set_tunnel(
                self._parts.hostname or "", self._parts.port or 443, token if via.username else {}
            )
        return connection

    def _take(self) -> HTTPConnection | None:
        """Return the connection that was used last, unless it was idle for long."""
        fresh_since = time.monotonic() - IDLE_SECONDS
        with self._lock:
            stale = [one for since, one in self._idle if since < fresh_since]
            self._idle = [(since, one) for since, one in self._idle if since >= fresh_since]
            taken = self._idle.pop()[1] if self._idle else None
        for connection in stale:
            connection.close()
        return taken

    def _put_back(self, connection: HTTPConnection) -> None:
        with self._lock:
            if len(self._idle) < MAX_IDLE:
                self._idle.append((time.monotonic(), connection))
                return
        connection.close()


def pack(body: Any) -> bytes:
    """Return a body as JSON; half of an emoji, which nothing can store, becomes U+FFFD."""
    packed = json.dumps(body, ensure_ascii=False)
    return packed.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def refusal_of(status: int, headers: dict[str, str], data: bytes) -> BakeoffError:
    """Read what the platform, or OFREP, or somebody on the way says."""
    try:
        body = json.loads(data)
    except ValueError:
        body = {}
    body = body if isinstance(body, dict) else {}
    about = body.get("error") or {"code": body.get("errorCode"), "message": body.get("errorDetails")}
    try:
        wait = float(headers.get("retry-after") or 0)
    except ValueError:  # a date
        wait = 1.0
    message = about.get("message") or f"HTTP {status}"
    return BakeoffError(status, about.get("code") or "refused", message, wait, about.get("field"))


class Connected:
    """A client of one platform: it has its connections, and closes them at the end of a `with`."""

    def __init__(self, url: str, key: str, *, timeout_seconds: float) -> None:
        """Remember where and as whom.

        Raises:
            ValueError: the URL is none.
        """
        self._transport = Transport(url, key, timeout_seconds=timeout_seconds)

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its connections."""
        self.close()

    def close(self) -> None:
        """Close idle connections."""
        self._transport.close()
