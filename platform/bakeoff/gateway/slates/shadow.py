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
    from collections.abc import Coroutine

    from bakeoff.gateway.slates.choose_version import ChosenVersion
    from bakeoff.gateway.slates.visitors import Visitor
    from experiments.ingest.rows import SlateRow

logger = logging.getLogger(__name__)


class Shadows:
    """The sampler; one in a process."""

    def __init__(self, cache: redis.asyncio.Redis) -> None:
        """Remember where to push."""
        self._cache = cache
        self._random = random.Random()  # noqa: S311  a sample, no secret
        self._sending: set[asyncio.Task[None]] = set()

    def wants(self, visitor: Visitor, chosen: ChosenVersion) -> bool:
        """Draw whether a request is passed on; none is whose visitor refuses training."""
        share = visitor.surface.shadow_share
        return (
            share > 0
            and chosen.version is not None
            and visitor.consent.training
            and self._random.random() < share
        )

    def send(
        self, visitor: Visitor, chosen: ChosenVersion, slate: SlateRow, question: dict[str, Any]
    ) -> None:
        """Pass a question on, with the answer that was served; does not wait."""
        body = orjson.dumps(
            {
                "recommendation_id": slate.recommendation_id,
                "version_id": chosen.version.version_id if chosen.version else None,
                "served_by": chosen.version.label if chosen.version else "",
                "unit_id": slate.unit_id,
                "experiment_id": slate.experiment_id,
                "served": [(slot[0], slot[1]) for slot in slate.slots],
                "question": question,
            }
        )
        self.later(self._push(visitor.surface.surface_id, body))

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what is left to do for a shadow beside the answer, which does not wait for it."""
        task = asyncio.create_task(work)
        # The loop holds tasks weakly: without this one may be collected before it has run.
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _push(self, surface_id: int, body: bytes) -> None:
        try:
            pipe = self._cache.pipeline(transaction=False)
            pipe.rpush(shadow_key(surface_id), body)
            # A shadow that is slower than its traffic misses some of it, and holds nothing up.
            pipe.ltrim(shadow_key(surface_id), -MAX_SHADOWED, -1)
            await pipe.execute()
        except (redis.exceptions.RedisError, OSError) as error:
            logger.debug("a request is not shadowed: %s", error)
