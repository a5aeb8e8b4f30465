"""The platform over HTTP, as a key may use it: its refusals are the agent's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx2

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_SECONDS = 30.0  # a start waits until every web process serves it


class PlatformError(Exception):
    """A refusal, in the platform's own sentence, or no answer."""


class Platform:
    """Asks one platform with one key; what the key may not do, the platform refuses."""

    def __init__(self, url: str, key: str) -> None:
        """Remember where and as whom."""
        self._url = url.rstrip("/")
        self._client = httpx2.AsyncClient(
            base_url=self._url, headers={"Authorization": f"Bearer {key}"}, timeout=TIMEOUT_SECONDS
        )

    async def get(self, path: str, **query: Any) -> Any:
        """Read a path.

        Raises:
            PlatformError: it was refused, or nobody answered.
        """
        named = {name: value for name, value in query.items() if value is not None}
        return await self._ask("GET", path, params=named)

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send a body.

        Raises:
            PlatformError: it was refused, or nobody answered.
        """
        return await self._ask("POST", path, json=dict(body or {}))

    async def _ask(self, method: str, path: str, **options: Any) -> Any:
        try:
            answer = await self._client.request(method, path, **options)
        except httpx2.HTTPError as error:
            raise PlatformError(f"{self._url} does not answer: {type(error).__name__}.") from error
        if answer.is_success:
            return answer.json()
        try:
            about = answer.json()["error"]
            sentence = f"{about['code']}: {about['message']}"
        except (ValueError, KeyError, TypeError):
            sentence = f"HTTP {answer.status_code}"
        raise PlatformError(sentence)


def segment(key: str) -> str:
    """Return a name as a part of a path: what an agent writes leads to no other path."""
    return quote(key, safe="")
