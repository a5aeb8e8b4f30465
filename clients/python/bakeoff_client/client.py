"""Asks and tells: recommendations, classifications, chat, events, feedback."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from bakeoff_client.transport import MAX_WAIT_SECONDS, QUOTA, BakeoffError, Connected, pack, refusal_of

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

# With pauses that double: some three seconds in all, as long as a restart takes.
TRIES = 5
JSON = {"Content-Type": "application/json"}


def _ids(unit_id: str | None, anonymous_id: str | None) -> dict[str, str]:
    """Return the ids of a visitor; a visitor who did not sign in has an anonymous one alone."""
    if not unit_id and not anonymous_id:
        raise ValueError("unit_id and anonymous_id are missing: one of them must name the visitor.")
    named = {"unit_id": unit_id, "anonymous_id": anonymous_id}
    return {name: value for name, value in named.items() if value}


def _conversation(
    surface: str, messages: Sequence[Mapping[str, Any]], fields: dict[str, Any]
) -> dict[str, Any]:
    if "stream" in fields:
        rule = "must be left out: chat answers whole, chat_stream as it comes."
        raise ValueError(f"stream == {fields['stream']}, {rule}")
    return {"model": surface, "messages": list(messages), **fields}


class Client(Connected):
    """Asks and tells. Events carry an id of their own, so trying again is harmless.

    Safe to share between threads: connections are reused. `AsyncClient` is the same for
    asyncio.
    """

    def __init__(self, url: str, key: str, *, timeout_seconds: float = 5.0) -> None:
        """Remember where and as whom.

        Raises:
            ValueError: the URL is none.
        """
        super().__init__(url, key, timeout_seconds=timeout_seconds)

    def recommend(
        self,
        surface: str,
        *,
        unit_id: str | None = None,
        anonymous_id: str | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """Ask for a slate.

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        return self.post("/v1/recommend", {"surface": surface, **_ids(unit_id, anonymous_id), **fields})

    def similar(
        self,
        surface: str,
        item_id: str,
        *,
        unit_id: str | None = None,
        anonymous_id: str | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """Ask for a slate of items that are like one item.

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        body = {"surface": surface, "item_id": item_id, **_ids(unit_id, anonymous_id), **fields}
        return self.post("/v1/similar", body)

    def popular(
        self,
        surface: str,
        *,
        unit_id: str | None = None,
        anonymous_id: str | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """Ask for what is liked most, on a surface of that order.

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        return self.post("/v1/popular", {"surface": surface, **_ids(unit_id, anonymous_id), **fields})

    def trending(
        self,
        surface: str,
        *,
        unit_id: str | None = None,
        anonymous_id: str | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """Ask for what is liked most lately, on a surface of that order.

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        return self.post("/v1/trending", {"surface": surface, **_ids(unit_id, anonymous_id), **fields})

    def latest(
        self,
        surface: str,
        *,
        unit_id: str | None = None,
        anonymous_id: str | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """Ask for the newest items, on a surface of that order.

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        return self.post("/v1/latest", {"surface": surface, **_ids(unit_id, anonymous_id), **fields})

    def search(
        self,
        surface: str,
        q: str,
        *,
        unit_id: str | None = None,
        anonymous_id: str | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """Ask for items that a question finds, on a surface of that order.

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        return self.post(
            "/v1/search", {"surface": surface, "q": q, **_ids(unit_id, anonymous_id), **fields}
        )

    def classify(
        self,
        surface: str,
        text: str,
        *,
        unit_id: str | None = None,
        anonymous_id: str | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """Ask for the labels of a text, with their scores.

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        body = {"surface": surface, "text": text, **_ids(unit_id, anonymous_id), **fields}
        return self.post("/v1/classify", body)

    def rank(
        self,
        surface: str,
        actions: Sequence[Mapping[str, Any]],
        *,
        unit_id: str | None = None,
        anonymous_id: str | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """Ask which of some actions to take; each has an `id` and `features`.

        Args:
            surface: of kind `rank`.
            actions: what may be chosen.
            unit_id: the user's.
            anonymous_id: the visitor's.
            fields: `features` of the decision, `default`, `context`, …

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        body = {"surface": surface, "actions": list(actions), **_ids(unit_id, anonymous_id), **fields}
        return self.post("/v1/rank", body)

    def reward(
        self, recommendation_id: str, value: float, *, part: str | None = None, **fields: Any
    ) -> dict[str, Any]:
        """Say how good the action of a decision was; sent again, it changes nothing.

        Args:
            recommendation_id: of the decision.
            value: of the whole reward, or of a part of it.
            part: the name of a part, which adds to the other parts; None: it is the whole reward.
            fields: `consent`.

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        body = {"recommendation_id": recommendation_id, "value": value, **fields}
        return self.post("/v1/reward", body if part is None else body | {"part": part})

    def chat(
        self, surface: str, messages: Sequence[Mapping[str, Any]] = (), **fields: Any
    ) -> dict[str, Any]:
        """Ask for the next message of a conversation, in OpenAI's shapes; `user` names the visitor.

        Raises:
            BakeoffError: it was refused, or nobody answered.
            ValueError: `stream` is named.
        """
        return self.post("/v1/chat/completions", _conversation(surface, messages, fields))

    def chat_stream(
        self, surface: str, messages: Sequence[Mapping[str, Any]] = (), **fields: Any
    ) -> Generator[dict[str, Any], None, None]:
        """Yield the chunks of an answer as they come, in OpenAI's shapes.

        Raises:
            BakeoffError: it was refused, nobody answered, or the answer was cut off.
            ValueError: `stream` is named.
        """
        body = _conversation(surface, messages, fields) | {"stream": True}
        for line in self._transport.lines("/v1/chat/completions", pack(body), JSON):
            if line == b"data: [DONE]":
                return
            if line.startswith(b"data: "):
                chunk = json.loads(line[6:])
                if error := chunk.get("error"):
                    raise BakeoffError(0, error.get("code") or "refused", error["message"])
                yield chunk
        raise BakeoffError(0, "cut_off", "The answer was cut off.")

    def identify(self, unit_id: str, *, anonymous_id: str) -> dict[str, Any]:
        """Tell that a visitor signed in: both ids are one person from then on.

        Raises:
            BakeoffError: it was refused, or stayed away.
        """
        body = {"messageId": str(uuid.uuid4()), "userId": unit_id, "anonymousId": anonymous_id}
        return self._insist("/v1/identify", body)

    def compare(
        self,
        surface: str,
        *,
        unit_id: str | None = None,
        anonymous_id: str | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """Ask for the slates of control and treatment, on sides that the server draws.

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        return self.post("/v1/compare", {"surface": surface, **_ids(unit_id, anonymous_id), **fields})

    def track(
        self, name: str, *, unit_id: str | None = None, anonymous_id: str | None = None, **fields: Any
    ) -> dict[str, Any]:
        """Tell what a unit did; tried again while the platform is busy or away.

        Raises:
            BakeoffError: it was refused, or stayed away.
        """
        event = {"event_id": str(uuid.uuid4()), "name": name, **_ids(unit_id, anonymous_id), **fields}
        return self._insist("/v1/events", event)

    def feedback(self, recommendation_id: str, *, kind: str, unit_id: str | None = None, anonymous_id: str | None = None, value: Any = None, **fields: Any) -> dict[str, Any]:  # fmt: skip
        """Tell what a unit said about a slate.

        Raises:
            BakeoffError: it was refused, or stayed away.
        """
        subject = {"recommendation_id": recommendation_id, **_ids(unit_id, anonymous_id), "kind": kind}
        return self._insist(
            "/v1/feedback", {"feedback_id": str(uuid.uuid4()), **subject, "value": value, **fields}
        )

    def _insist(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        for tried in range(1, TRIES + 1):
            try:
                return self.post(path, body)
            except BakeoffError as error:
                # Other refusals are about the request: it would be refused again.
                lasting = error.code == QUOTA or error.retry_after > MAX_WAIT_SECONDS
                if tried == TRIES or lasting or error.status not in {0, 429, 503}:
                    raise
                time.sleep(max(error.retry_after, 0.1 * 2**tried))
        raise AssertionError("unreachable: the last try returns or raises")

    def get(self, path: str, *, etag: str = "") -> tuple[int, str, Any]:
        """Read a path; return the status, its ETag, and the body, which is None with a 304.

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        wanted = {"If-None-Match": etag} if etag else {}
        status, headers, data = self._transport.request("GET", path, headers=wanted)
        if status == 304:
            return 304, etag, None
        if not 200 <= status < 300:
            raise refusal_of(status, headers, data)
        return status, headers.get("etag", ""), json.loads(data)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a body; return the answer's.

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        status, headers, data = self._transport.request("POST", path, pack(body), JSON)
        if not 200 <= status < 300:
            raise refusal_of(status, headers, data)
        answer: dict[str, Any] = json.loads(data)
        return answer
