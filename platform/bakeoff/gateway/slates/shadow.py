"""Send a sample of requests on to versions in shadow, after the visitor has been answered.

Never on the request's path: one push to the cache beside everything else, and if it fails, it fails.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Any

import orjson
import redis.asyncio
import redis.exceptions

from inference.serving.keys import MAX_SHADOWED, shadow_key

if TYPE_CHECKING:
    from bakeoff.gateway.slates.recorder import Route, Visitor
    from experiments.ingest.rows import SlateRow
    from inference.serving.ladder import SlateRequest

logger = logging.getLogger(__name__)


class Shadows:
    """The sampler; one in a process."""

    def __init__(self, cache: redis.asyncio.Redis) -> None:
        """Remember where to push."""
        self._cache = cache
        self._random = random.Random()  # noqa: S311  a sample, no secret
        self._sending: set[asyncio.Task[None]] = set()

    def shadow_ranking(
        self, visitor: Visitor, route: Route, slate: SlateRow, slate_request: SlateRequest
    ) -> None:
        """Pass a recommendation on: the same history, the same candidates."""
        if not self._chosen(visitor, route):
            return
        self._send(
            visitor,
            slate,
            route,
            {
                "unit_id": visitor.unit,
                "recent": list(slate_request.recent),
                "only": None if slate_request.only is None else list(slate_request.only),
                "exclude": list(slate_request.exclude),
                "precomputed": None
                if slate_request.precomputed is None
                else slate_request.precomputed.hex(),
                "context": visitor.context,
            },
        )

    def shadow_labels(self, visitor: Visitor, route: Route, slate: SlateRow, text: str) -> None:
        """Pass a text on."""
        if self._chosen(visitor, route):
            features = slate.context["features"]
            self._send(visitor, slate, route, {"text": text, "features": features})

    def _chosen(self, visitor: Visitor, route: Route) -> bool:
        return (
            route.version is not None
            and visitor.consent.training
            and self._random.random() < visitor.surface.shadow_share
        )

    def _send(self, visitor: Visitor, slate: SlateRow, route: Route, question: dict[str, Any]) -> None:
        body = orjson.dumps(
            {
                "recommendation_id": slate.recommendation_id,
                "version_id": route.version.version_id if route.version else None,
                "served_by": route.version.label if route.version else "",
                "served": [(slot[0], slot[1]) for slot in slate.slots],
                "question": question,
            }
        )
        task = asyncio.create_task(self._push(visitor.surface.surface_id, body))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _push(self, surface_id: int, body: bytes) -> None:
        try:
            pipe = self._cache.pipeline(transaction=False)
            pipe.rpush(shadow_key(surface_id), body)
            pipe.ltrim(shadow_key(surface_id), -MAX_SHADOWED, -1)
            await pipe.execute()
        except (redis.exceptions.RedisError, OSError) as error:
            logger.debug("a request is not shadowed: %s", error)
