"""Visitors over HTTP: each asks for a slate, looks, clicks what it really went on to like."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import httpx2

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence

# Two cores answer no faster with more.
CONNECTIONS = 8
# A server that restarts is back within them.
RETRIES = 20
# What tells the id of a purchase from that of the click on the same item.
SUFFIXES = {"purchase": ":purchase"}
# Few visitors rate what they click.
RATES_ONE_IN = 3


@dataclass(frozen=True, slots=True)
class Remarks:
    """What a visitor says of one slate: bodies of /v1/feedback, and of events, each with its id."""

    feedback: Sequence[Mapping[str, Any]] = ()
    events: Sequence[Mapping[str, Any]] = ()


class Voice(Protocol):
    """A visitor who says something of slates."""

    def speak(self, slate: Mapping[str, Any], clicked: Sequence[str]) -> Remarks:
        """Return what is said of an answer of /v1/recommend of which some items were clicked."""


@dataclass(frozen=True, slots=True)
class SimulatedVisitor:
    """A unit and what it will click, with the ratings it gave, what of that it buys, and says."""

    unit_id: str
    likes: Mapping[str, float | None]
    buys: Container[str] = ()
    voice: Voice | None = None


@dataclass(slots=True)
class Ledger:
    """What the platform has acknowledged, by id, to be held against its tables."""

    slates: set[str] = field(default_factory=set)
    exposures: set[tuple[str, str]] = field(default_factory=set)
    events: set[str] = field(default_factory=set)
    feedback: set[str] = field(default_factory=set)
    clicks: int = 0
    fallbacks: int = 0


@dataclass(frozen=True, slots=True)
class Traffic:
    """How the visitors behave.

    Attributes:
        url: of the platform.
        key: a public key.
        surface: where they ask.
        visits: slates a visitor looks at, one after another.
        k: slots of a slate.
        salt: keeps the ids of one replay apart from another's.
    """

    url: str
    key: str
    surface: str
    visits: int
    k: int
    salt: str


async def send_visitors(
    traffic: Traffic,
    visitors: Iterable[SimulatedVisitor],
    ledger: Ledger,
    progress: Callable[[int], None],
) -> None:
    """Let the visitors come in their order, a few at a time.

    Raises:
        httpx2.HTTPError: the platform refused a request, or stayed away.
    """
    queue = iter(visitors)
    headers = {"Authorization": f"Bearer {traffic.key}"}
    async with httpx2.AsyncClient(base_url=traffic.url, headers=headers, timeout=30) as client:

        async def come() -> None:
            for visitor in queue:
                await visit(client, traffic, visitor, ledger)
                progress(1)

        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(come())


async def visit(
    client: httpx2.AsyncClient, traffic: Traffic, visitor: SimulatedVisitor, ledger: Ledger
) -> None:
    """Let one visitor come: look at some slates, one after another, and click.

    Raises:
        httpx2.HTTPError: the platform refused a request, or stayed away.
    """
    shown: list[str] = []
    for _ in range(traffic.visits):
        ask = {
            "surface": traffic.surface,
            "unit_id": visitor.unit_id,
            "k": traffic.k,
            "exclude": shown[-1000:],
        }
        slate = await _post(client, "/v1/recommend", ask)
        recommendation = slate["recommendation_id"]
        if slate.get("recorded", True):
            ledger.slates.add(recommendation)
            if slate["experiment"]:
                ledger.exposures.add((slate["experiment"], visitor.unit_id))
        ledger.fallbacks += slate["fallback"] is not None
        items = [item["item_id"] for item in slate["items"]]
        shown += items
        clicked = [item for item in items if item in visitor.likes]
        await _tell(client, traffic, visitor, recommendation, clicked, ledger)
        if visitor.voice is not None:
            await _send_remarks(client, visitor.voice.speak(slate, clicked), ledger)


async def _tell(
    client: httpx2.AsyncClient,
    traffic: Traffic,
    visitor: SimulatedVisitor,
    recommendation: str,
    clicked: Sequence[str],
    ledger: Ledger,
) -> None:
    """Send the view, the clicks and the purchases of one slate, and now and then a rating."""
    acts = [("view", None), *(("click", item) for item in clicked)]
    acts += [("purchase", item) for item in clicked if item in visitor.buys]
    events = [
        {
            "event_id": f"{traffic.salt}:{recommendation}:{item or 'view'}{SUFFIXES.get(name, '')}",
            "name": name,
            "unit_id": visitor.unit_id,
            "item_id": item,
            "recommendation_id": recommendation,
        }
        for name, item in acts
    ]
    await _send_events(client, events, ledger)
    ledger.clicks += len(clicked)
    for item in clicked:
        rating = visitor.likes[item]
        name = f"{traffic.salt}:{recommendation}:{item}:rating"
        if rating in {1, 2, 3, 4, 5} and _one_in(RATES_ONE_IN, name):
            body = {
                "feedback_id": name,
                "recommendation_id": recommendation,
                "item_id": item,
                "unit_id": visitor.unit_id,
                "kind": "rating",
                "value": rating,
            }
            await _post(client, "/v1/feedback", body)
            ledger.feedback.add(name)


async def _send_remarks(client: httpx2.AsyncClient, remarks: Remarks, ledger: Ledger) -> None:
    """Send what a visitor says of one slate."""
    for body in remarks.feedback:
        await _post(client, "/v1/feedback", body)
        ledger.feedback.add(str(body["feedback_id"]))
    if remarks.events:
        await _send_events(client, remarks.events, ledger)


async def _send_events(
    client: httpx2.AsyncClient, events: Sequence[Mapping[str, Any]], ledger: Ledger
) -> None:
    answer = await _post(client, "/v1/events", {"events": events})
    if answer["rejected"]:
        raise httpx2.HTTPError(f"events were rejected: {answer['rejected'][0]['message']}")
    ledger.events.update(str(event["event_id"]) for event in events)


def _one_in(count: int, name: str) -> bool:
    """Decide by a hash, so that a repeated replay decides alike."""
    return hashlib.sha256(name.encode()).digest()[0] % count == 0


async def _post(client: httpx2.AsyncClient, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Post, and try again while the platform says that it is busy or away."""
    for attempt in range(RETRIES):
        try:
            answer = await client.post(path, json=body)
        except httpx2.TransportError:
            if attempt == RETRIES - 1:
                raise
            await asyncio.sleep(0.25)
            continue
        if answer.status_code not in {429, 503}:
            answer.raise_for_status()
            data: dict[str, Any] = answer.json()
            return data
        await asyncio.sleep(float(answer.headers.get("retry-after", "1")))
    raise httpx2.HTTPError(f"{path} stayed busy for {RETRIES} tries.")
