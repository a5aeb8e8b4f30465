"""New items on a running platform: from the answer to the write until a list of recommendations holds the item."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx2
import numpy as np

from benchmarks.breaker_live import WEB, running
from benchmarks.results import Row, median_of, write_result

if TYPE_CHECKING:
    from tests.support.builders import Shop

MAX_SECONDS = 120.0
WORDS = (
    "gardens", "chess", "storms", "jazz", "maps", "bread", "whales", "bridges", "clocks", "poetry",
    "volcanoes", "trains", "bees", "glass", "deserts", "sailing", "painting", "wolves", "rivers", "cinema",
    "castles", "fungi", "comets", "pottery", "horses", "markets", "islands", "opera", "ice", "roses",
    "pirates", "silk",
)  # fmt: skip
PER_TOPIC = 10  # as many as place a new item: those of its topic stand next to each other


def run(size: str, home: str) -> None:
    items, arrivals = (10_000, 60) if size == "full" else (500, 10)
    with running(home) as port:
        seconds = _time_arrivals(port, _open_shop(items), arrivals)
    middle, spread = median_of(seconds)
    rows = [
        Row("write to first appearance, median", middle, "s", higher_is_better=False, spread=spread),
        Row(
            "write to first appearance, p95", float(np.quantile(seconds, 0.95)), "s",
            higher_is_better=False,
        ),
    ]  # fmt: skip
    notes = (
        f"`bakeoff up --web {WEB}` with default settings and its default encoder; {items:,} items, "
        f"{PER_TOPIC} of a topic, `popularity` as champion, no exploration. {arrivals} items come one after the other by "
        "PUT /v1/items, each with a text of its own that resembles the most popular items. Seconds count at the client, from the "
        "acknowledgement of the write until a personal list of 100 holds the item; the first arrival loads the "
        "encoder in the worker."
    )
    write_result("new_items", size, rows, notes)


def _open_shop(count: int) -> Shop:
    """Make a shop with texts and their vectors, whose champion ranks its first items first."""
    from experiments.actions.load_catalogue import write_items
    from inference.actions.load_items import ItemDraft
    from inference.models import Item
    from tests.support import builders

    shop = builders.make_shop(items=10)
    shop.items = [f"i{n}" for n in range(count)]
    for start in range(0, count, 1000):
        drafts = [
            ItemDraft(item_id, _title(n), labels=[f"topic {n // PER_TOPIC}"])
            for n, item_id in enumerate(shop.items[start : start + 1000], start)
        ]
        write_items(project_id=shop.project.pk, items=drafts)
    shop.surface.versions.champions().update(alias="retired")
    builders.make_version(shop.surface, list(range(count, 0, -1)), alias="champion")
    while Item.objects.filter(project=shop.project, vector_due_at__isnull=False).exists():
        time.sleep(1)
    return shop


def _time_arrivals(port: int, shop: Shop, arrivals: int) -> list[float]:
    from inference.cache import cache_client
    from inference.serving.changes import announce_change

    announce_change(cache_client())
    seconds = []
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        for n in range(arrivals):
            item = {"item_id": f"new-{n}", "title": f"{_title(0)}, edition {n}", "labels": ["topic 0"]}
            headers = {"Authorization": f"Bearer {shop.secret}"}
            client.put("/v1/items", json={"items": [item]}, headers=headers).raise_for_status()
            seconds.append(_until_shown(client, shop, item["item_id"]))
    return seconds


def _until_shown(client: httpx2.Client, shop: Shop, item_id: str) -> float:
    started = time.perf_counter()
    body = {"surface": shop.surface.key, "unit_id": "a-visitor", "k": 100}
    headers = {"Authorization": f"Bearer {shop.public}"}
    while time.perf_counter() - started < MAX_SECONDS:
        answer = client.post("/v1/recommend", json=body, headers=headers).raise_for_status()
        if any(item["item_id"] == item_id for item in answer.json()["items"]):
            return time.perf_counter() - started
        time.sleep(0.02)
    raise RuntimeError(f"item '{item_id}' did not appear within {MAX_SECONDS:.0f} s")


def _title(n: int) -> str:
    words = [WORDS[n // PER_TOPIC // base % len(WORDS)] for base in (1, len(WORDS))]
    return f"{words[0]} and {words[1]}, volume {n % PER_TOPIC}"
