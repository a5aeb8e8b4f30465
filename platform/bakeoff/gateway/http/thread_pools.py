"""Django's threads in pools by path: who waits in one pool, waits for nobody of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.asgi_types import Asgi, Receive, Scope, Send


class Pools:
    """Hands each request to the application of its path."""

    def __init__(self, rest: Asgi, by_prefix: Mapping[tuple[str, ...], Asgi]) -> None:
        """Remember who answers.

        Args:
            rest: answers every path that no prefix fits.
            by_prefix: beginnings of paths, and who answers them; the first that fits.
        """
        self._rest, self._by_prefix = rest, dict(by_prefix)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        for prefixes, application in self._by_prefix.items():
            if path.startswith(prefixes):
                await application(scope, receive, send)
                return
        await self._rest(scope, receive, send)
