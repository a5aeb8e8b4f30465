"""Asks and tells over HTTP: the standard library only."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

# With pauses that double: some three seconds in all, as long as a restart takes.
TRIES = 5


class BakeoffError(Exception):
    """A refusal, or no answer.

    Attributes:
        status: HTTP status, or 0 when nobody answered.
        code: machine-readable name.
        retry_after: seconds to wait, when the platform says so.
    """

    def __init__(self, status: int, code: str, message: str, retry_after: float = 0.0) -> None:
        """Keep the parts."""
        super().__init__(message)
        self.status, self.code, self.retry_after = status, code, retry_after


class Client:
    """Asks and tells. Events carry an id of their own, so trying again is harmless."""

    def __init__(self, url: str, key: str, *, timeout_seconds: float = 5.0) -> None:
        """Remember where and as whom."""
        self._url, self._key, self._timeout = url.rstrip("/"), key, timeout_seconds

    def recommend(self, surface: str, *, unit_id: str, **fields: Any) -> dict[str, Any]:
        """Ask for a slate.

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        return self.post("/v1/recommend", {"surface": surface, "unit_id": unit_id, **fields})

    def similar(self, surface: str, item_id: str, *, unit_id: str, **fields: Any) -> dict[str, Any]:
        """Ask for a slate of items that are like one item.

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        body = {"surface": surface, "item_id": item_id, "unit_id": unit_id, **fields}
        return self.post("/v1/similar", body)

    def popular(self, surface: str, *, unit_id: str, **fields: Any) -> dict[str, Any]:
        """Ask for what is liked most, on a surface of that order.

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        return self.post("/v1/popular", {"surface": surface, "unit_id": unit_id, **fields})

    def trending(self, surface: str, *, unit_id: str, **fields: Any) -> dict[str, Any]:
        """Ask for what is liked most lately, on a surface of that order.

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        return self.post("/v1/trending", {"surface": surface, "unit_id": unit_id, **fields})

    def latest(self, surface: str, *, unit_id: str, **fields: Any) -> dict[str, Any]:
        """Ask for the newest items, on a surface of that order.

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        return self.post("/v1/latest", {"surface": surface, "unit_id": unit_id, **fields})

    def search(self, surface: str, q: str, *, unit_id: str, **fields: Any) -> dict[str, Any]:
        """Ask for items that a question finds, on a surface of that order.

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        return self.post("/v1/search", {"surface": surface, "q": q, "unit_id": unit_id, **fields})

    def compare(self, surface: str, *, unit_id: str, **fields: Any) -> dict[str, Any]:
        """Ask for the slates of control and treatment, on sides that the server draws.

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        return self.post("/v1/compare", {"surface": surface, "unit_id": unit_id, **fields})

    def track(self, name: str, *, unit_id: str, **fields: Any) -> dict[str, Any]:
        """Tell what a unit did; tried again while the platform is busy or away.

        Raises:
            BakeoffError: it was refused, or stayed away.
        """
        event = {"event_id": str(uuid.uuid4()), "name": name, "unit_id": unit_id, **fields}
        return self._insist("/v1/events", event)

    def feedback(self, recommendation_id: str, *, unit_id: str, kind: str, value: Any = None, **fields: Any) -> dict[str, Any]:  # fmt: skip
        """Tell what a unit said about a slate.

        Raises:
            BakeoffError: it was refused, or stayed away.
        """
        subject = {"recommendation_id": recommendation_id, "unit_id": unit_id, "kind": kind}
        return self._insist(
            "/v1/feedback", {"feedback_id": str(uuid.uuid4()), **subject, "value": value, **fields}
        )

    def _insist(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        for tried in range(1, TRIES + 1):
            try:
                return self.post(path, body)
            except BakeoffError as error:
                # Other refusals are about the request: it would be refused again.
                if tried == TRIES or error.status not in {0, 429, 503}:
                    raise
                time.sleep(max(error.retry_after, 0.1 * 2**tried))
        raise AssertionError("unreachable: the last try returns or raises")

    def get(self, path: str, *, etag: str = "") -> tuple[int, str, Any]:
        """Read a path; return the status, its ETag, and the body, which is None with a 304.

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        headers = {"Authorization": f"Bearer {self._key}"} | ({"If-None-Match": etag} if etag else {})
        request = Request(self._url + path, headers=headers)  # noqa: S310
        try:
            with urlopen(request, timeout=self._timeout) as answer:  # noqa: S310  the caller's URL
                return answer.status, answer.headers.get("ETag", ""), json.load(answer)
        except HTTPError as error:
            if error.code == 304:
                return 304, etag, None
            raise _refusal(error) from error
        except (URLError, TimeoutError, OSError) as error:
            raise BakeoffError(0, "no_answer", f"{self._url} does not answer: {error}.") from error

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a body; return the answer's.

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        request = Request(self._url + path, pack(body), headers)  # noqa: S310
        try:
            with urlopen(request, timeout=self._timeout) as answer:  # noqa: S310  the caller's URL
                data: dict[str, Any] = json.load(answer)
                return data
        except HTTPError as error:
            raise _refusal(error) from error
        except (URLError, TimeoutError, OSError) as error:
            raise BakeoffError(0, "no_answer", f"{self._url} does not answer: {error}.") from error


def pack(body: dict[str, Any]) -> bytes:
    """Return a body as JSON; half of an emoji, which nothing can store, becomes U+FFFD."""
    packed = json.dumps(body, ensure_ascii=False)
    return packed.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _refusal(error: HTTPError) -> BakeoffError:
    """Read what the platform, or OFREP, or somebody on the way says."""
    wait = float(error.headers.get("Retry-After") or 0)
    try:
        body = json.load(error)
    except ValueError:
        body = {}
    refusal = body.get("error") or {"code": body.get("errorCode"), "message": body.get("errorDetails")}
    return BakeoffError(
        error.code, refusal["code"] or "refused", refusal["message"] or f"HTTP {error.code}", wait
    )
