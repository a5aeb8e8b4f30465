"""A shop in use: stock flips, visitors look, hide and buy, and every answer is judged.

Each rule is checked from the outside, by what the client knows: an item is out of stock for certain when
the change to that was acknowledged some seconds before the request was sent, and no change back
had been sent when its answer came.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import httpx2

SURFACE = "shelf"
GRACE_SECONDS = 2.0  # that the platform promises on a machine of its own
BRANDS, LABELS = 40, 25
CAPS = {"brand": 2}
K = 12


def catalogue(count: int) -> list[dict]:
    """Items with a brand, a label and a price each."""
    return [
        {
            "item_id": f"i{n}",
            "title": f"Article {n}",
            "labels": [f"aisle {n % LABELS}"],
            "price": 1 + n % 90,
            "properties": {"brand": f"brand {n % BRANDS}"},
        }
        for n in range(count)
    ]


@dataclass
class Stock:
    """What a client knows of an item's stock: when each change was sent and acknowledged."""

    available: bool = True
    sent: float = 0.0
    acknowledged: float = 0.0


@dataclass
class Findings:
    """What the judge saw."""

    answers: int = 0
    flips: int = 0
    stale: list[str] = field(default_factory=list)
    broken_caps: list[str] = field(default_factory=list)
    missing_pins: list[str] = field(default_factory=list)
    shown_again: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    sold_out: int = 0  # items that were so for certain, over all answers
    pins: int = 0
    acts: int = 0

    @property
    def wrong(self) -> dict[str, list[str]]:
        kinds = {
            "stale": self.stale,
            "broken caps": self.broken_caps,
            "missing pins": self.missing_pins,
            "shown again": self.shown_again,
        }
        return {name: some[:5] for name, some in kinds.items() if some}


class Storefront:
    """Traffic of one shop, until a number of answers was judged."""

    def __init__(
        self,
        url: str,
        public: str,
        secret: str,
        *,
        items: int,
        visitors: int,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self.url, self.public, self.secret = url, public, secret
        self.brands = {f"i{n}": f"brand {n % BRANDS}" for n in range(items)}
        self.stock = {item: Stock() for item in self.brands}
        self.visitors, self.grace = visitors, grace
        self.gone: dict[str, set[str]] = defaultdict(set)
        self.findings = Findings()
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._until, self._latest = 0.0, math.inf

    def run(
        self, answers: int, *, threads: int, seconds: float = 0.0, limit: float = math.inf
    ) -> Findings:
        """Let visitors come while stock flips, for so many answers and so long; return what was seen.

        Args:
            answers: to be judged.
            threads: that ask.
            seconds: at least.
            limit: seconds after which nobody asks any more, however few answers there are.
        """
        self._until = time.monotonic() + seconds
        self._latest = time.monotonic() + limit
        flipping = threading.Thread(target=self._flip)
        coming = [
            threading.Thread(target=self._visit, args=(seed, threads, answers))
            for seed in range(threads)
        ]
        for thread in (flipping, *coming):
            thread.start()
        for thread in coming:
            thread.join()
        self._done.set()
        flipping.join()
        return self.findings

    def _client(self, key: str) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=30)

    def _flip(self) -> None:
        """Take items out of stock and bring them back, the best ones most often."""
        draw = random.Random(0)
        names = list(self.stock)
        with self._client(self.secret) as client:
            while not self._done.is_set():
                name = names[int(len(names) * draw.random() ** 3)]
                stock = self.stock[name]
                target = not stock.available
                stock.sent = time.monotonic()
                answer = client.patch(f"/v1/items/{name}", json={"available": target})
                if answer.status_code != 200:
                    self.findings.refused[f"flip {answer.status_code}"] += 1
                    continue
                stock.available, stock.acknowledged = target, time.monotonic()
                self.findings.flips += 1
                self._done.wait(0.02)

    def _visit(self, seed: int, threads: int, answers: int) -> None:
        draw = random.Random(seed)
        # A visitor is one thread's: what they did is known before they come again.
        mine = [f"u{n}" for n in range(seed, self.visitors, threads)]
        with self._client(self.public) as client:
            while time.monotonic() < self._latest and (
                self.findings.answers < answers or time.monotonic() < self._until
            ):
                self._ask(client, draw, draw.choice(mine))

    def _ask(self, client: httpx2.Client, draw: random.Random, unit: str) -> None:
        pin = draw.choice(list(self.stock)[:200])
        body = {
            "surface": SURFACE, "unit_id": unit, "k": K, "caps": CAPS, "diversity": {"by": "labels"},
            "pin": [{"item_id": pin, "position": 2}],
        }  # fmt: skip
        if draw.random() < 0.3:
            body["filter"] = {"price": {"$lte": 60}}
        before = {name: (one.available, one.acknowledged) for name, one in self.stock.items()}
        sent_at = time.monotonic()
        answer = client.post("/v1/recommend", json=body)
        if answer.status_code != 200:
            with self._lock:
                self.findings.refused[f"{answer.status_code} {answer.text[:80]}"] += 1
            return
        items = [item["item_id"] for item in answer.json()["items"]]
        self._judge(unit, items, before, sent_at, pin="" if "filter" in body else pin)
        if items and draw.random() < 0.2:
            self._act(client, draw, unit, items)

    def _judge(
        self,
        unit: str,
        items: list[str],
        before: dict[str, tuple[bool, float]],
        sent_at: float,
        *,
        pin: str,
    ) -> None:
        brands = Counter(self.brands[item] for item in items)

        def certain(name: str, *, available: bool) -> bool:
            was, since = before[name]
            changed = self.stock[name].sent > since
            return was == available and since < sent_at - self.grace and not changed

        with self._lock:
            findings = self.findings
            findings.answers += 1
            sold_out = {name for name in self.stock if certain(name, available=False)}
            findings.sold_out += len(sold_out)
            findings.stale += [f"{item} to {unit}" for item in items if item in sold_out]
            findings.broken_caps += [
                f"{brand}: {n}" for brand, n in brands.items() if n > CAPS["brand"]
            ]
            findings.shown_again += [f"{item} to {unit}" for item in items if item in self.gone[unit]]
            if pin and pin not in self.gone[unit] and certain(pin, available=True):
                findings.pins += 1
                if items[1:2] != [pin]:
                    findings.missing_pins.append(f"{pin} in {items[:3]}")

    def _act(self, client: httpx2.Client, draw: random.Random, unit: str, items: list[str]) -> None:
        item, name = draw.choice(items), draw.choice(["hide", "purchase"])
        answer = client.post("/v1/events", json={"name": name, "unit_id": unit, "item_id": item})
        if answer.status_code == 202 and answer.json()["durability"] == "committed":
            with self._lock:
                self.gone[unit].add(item)
                self.findings.acts += 1


def unequal_chances(slates: list[tuple[list, float]]) -> list[list]:
    """Return the slots whose logged chance does not follow from their rank and what was allowed."""
    from inference.serving.rule_draw import propensity_of

    unequal = []
    for slots, temperature in slates:
        for _item, _score, rank, propensity, _explored, allowed, *chance in slots:
            again = propensity_of(rank, allowed, K, *chance, temperature=temperature)
            if abs(again - propensity) > 1e-9 * max(again, 1e-9):
                unequal.append([rank, allowed, propensity, again])
    return unequal
