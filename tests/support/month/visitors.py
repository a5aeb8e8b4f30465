"""Users who come again and again and click what they like, and the ledger of what was acknowledged."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.support.month.world import World

SURFACE = "feed"
CLICKS = 0.3  # share of what a user likes and sees that is clicked


@dataclass
class Ledger:
    """What was acknowledged, and what came back instead of an answer."""

    slates: int = 0
    events: set[str] = field(default_factory=set)
    refused: dict[int, int] = field(default_factory=dict)


class Visitors:
    """Users who come again and again, in a thread of their own, until they are stopped."""

    def __init__(self, url: str, key: str, world: World, *, clients: int = 4, seed: int = 1) -> None:
        """Prepare."""
        self._url, self._key, self._world = url, key, world
        self._clients, self._random = clients, random.Random(seed)
        self.ledger = Ledger()
        self._stop, self._away = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._come()), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def pause(self) -> None:
        """Stay away; a visit that has begun ends."""
        self._away.set()

    def resume(self) -> None:
        self._away.clear()

    def stop(self) -> Ledger:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.ledger

    async def _come(self) -> None:
        headers = {"Authorization": f"Bearer {self._key}"}
        async with httpx2.AsyncClient(base_url=self._url, headers=headers, timeout=15) as client:
            await asyncio.gather(*(self._one_after_another(client) for _ in range(self._clients)))

    async def _one_after_another(self, client: httpx2.AsyncClient) -> None:
        units = list(self._world.likes)
        while not self._stop.is_set():
            if self._away.is_set():
                await asyncio.sleep(0.05)
            else:
                await self._visit(client, self._random.choice(units))

    async def _visit(self, client: httpx2.AsyncClient, unit: str) -> None:
        ask = {"surface": SURFACE, "unit_id": unit, "k": 5}
        slate = await self._post(client, "/v1/recommend", ask)
        if slate is None:
            return
        self.ledger.slates += 1
        recommendation = slate["recommendation_id"]
        liked = [i["item_id"] for i in slate["items"] if i["item_id"] in self._world.likes[unit]]
        clicked = [item for item in liked if self._random.random() < CLICKS]
        if not clicked:
            return
        events = [
            {
                "event_id": f"{recommendation}:{item}",
                "name": "click",
                "unit_id": unit,
                "item_id": item,
                "recommendation_id": recommendation,
            }
            for item in clicked
        ]
        if await self._post(client, "/v1/events", {"events": events}) is not None:
            self.ledger.events.update(str(event["event_id"]) for event in events)

    async def _post(self, client: httpx2.AsyncClient, path: str, body: Mapping[str, Any]) -> Any:
        """Return the answer, or None where the platform is away for a moment."""
        try:
            answer = await client.post(path, json=body)
        except httpx2.TransportError:
            await self._refuse(0)
            return None
        if answer.status_code >= 300:
            await self._refuse(answer.status_code)
            return None
        return answer.json()

    async def _refuse(self, status: int) -> None:
        self.ledger.refused[status] = self.ledger.refused.get(status, 0) + 1
        await asyncio.sleep(0.2)
