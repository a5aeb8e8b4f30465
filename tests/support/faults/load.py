"""Visitors that never stop, and a ledger of what they were promised."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from uuid_utils import uuid7

ITEMS = [f"i{n}" for n in range(20)]
TRIES = 3


@dataclass
class Ledger:
    """Ids by what became of them.

    Attributes:
        sent: ids of events, slates and feedback that were tried, by kind.
        acknowledged: those that were promised.
        refused: answers other than a promise, by status; 0 stands for no answer.
        without_retry: those of status 503 that do not say when to come back.
        recommends: when each recommendation was requested, in seconds of this process's clock, and
            whether it was answered.
    """

    sent: dict[str, set[str]] = field(default_factory=lambda: {k: set() for k in KINDS})
    acknowledged: dict[str, set[str]] = field(default_factory=lambda: {k: set() for k in KINDS})
    refused: dict[int, int] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)
    spilled: int = 0
    without_retry: int = 0
    recommends: list[tuple[float, bool]] = field(default_factory=list)

    def refuse(self, status: int, text: str = "") -> None:
        self.refused[status] = self.refused.get(status, 0) + 1
        if status not in {0, 429, 503}:
            self.unexpected.append(f"{status} {text[:200]}")


KINDS = ("events", "slates", "feedback")


class Load:
    """Clients in a thread of their own, each sending one request after another.

    Attributes:
        think_seconds: what each waits between two requests; 0 keeps a core busy.
        socket: file over which the URL is reached; None: as it says.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        clients: int = 8,
        seed: int = 1,
        think_seconds: float = 0.0,
        socket: Path | None = None,
    ) -> None:
        self.url, self.key, self.clients, self.think_seconds = url, key, clients, think_seconds
        self.socket = socket
        self.ledger = Ledger()
        self._stop = threading.Event()
        self._random = random.Random(seed)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> Ledger:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.ledger

    async def _run(self) -> None:
        headers = {"Authorization": f"Bearer {self.key}"}
        transport = httpx2.AsyncHTTPTransport(uds=str(self.socket)) if self.socket else None
        async with httpx2.AsyncClient(
            base_url=self.url, headers=headers, timeout=15, transport=transport
        ) as client:
            await asyncio.gather(*(self._visit(client, n) for n in range(self.clients)))

    async def _visit(self, client: httpx2.AsyncClient, number: int) -> None:
        turn = 0
        while not self._stop.is_set():
            turn += 1
            if self.think_seconds:
                await asyncio.sleep(self.think_seconds)
            unit = f"u{number}-{turn % 50}"
            chance = self._random.random()
            if chance < 0.25:
                await self._ask(client, unit)
            elif chance < 0.35:
                await self._tell(client, [self._event(unit) for _ in range(20)])
            else:
                await self._tell(client, [self._event(unit)])

    def _event(self, unit: str) -> dict:
        return {
            "event_id": str(uuid7()),
            "name": "click",
            "unit_id": unit,
            "item_id": self._random.choice(ITEMS),
        }

    async def _tell(self, client: httpx2.AsyncClient, events: list[dict]) -> None:
        ids = {event["event_id"] for event in events}
        self.ledger.sent["events"] |= ids
        body = {"events": events}
        for _ in range(TRIES):
            answer = await self._post(client, "/v1/events", body)
            if answer is None:
                continue
            self.ledger.acknowledged["events"] |= ids
            if self._random.random() < 0.95:
                break  # else the acknowledgement is lost on its way, and it is sent again

    async def _ask(self, client: httpx2.AsyncClient, unit: str) -> None:
        begun = time.monotonic()
        slate = await self._post(client, "/v1/recommend", {"surface": "feed", "unit_id": unit, "k": 3})
        self.ledger.recommends.append((begun, slate is not None))
        if slate is None or slate.get("recorded") is False:
            return
        recommendation = slate["recommendation_id"]
        for known in (self.ledger.sent, self.ledger.acknowledged):
            known["slates"].add(recommendation)
        name = str(uuid7())
        self.ledger.sent["feedback"].add(name)
        body = {
            "feedback_id": name,
            "recommendation_id": recommendation,
            "unit_id": unit,
            "kind": "thumb",
            "value": 1,
        }
        for _ in range(TRIES):
            if await self._post(client, "/v1/feedback", body) is not None:
                self.ledger.acknowledged["feedback"].add(name)
                return

    async def _post(self, client: httpx2.AsyncClient, path: str, body: dict) -> dict | None:
        """Return the answer, or None for anything but a promise."""
        try:
            answer = await client.post(path, json=body)
        except httpx2.HTTPError:
            self.ledger.refuse(0)
            await asyncio.sleep(0.2)
            return None
        if answer.status_code in {200, 202}:
            data = answer.json()
            self.ledger.spilled += data.get("durability") == "spilled"
            return data
        self.ledger.refuse(answer.status_code, answer.text)
        if answer.status_code == 503 and "retry-after" not in answer.headers:
            self.ledger.without_retry += 1
        await asyncio.sleep(0.2)
        return None
