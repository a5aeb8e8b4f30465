"""Rules of slates: the filter alone, a request with rules beside a plain one, and a change of the catalogue."""

from __future__ import annotations

import itertools
import statistics
import time

import httpx2
import numpy as np

from benchmarks.load import measure, request_bytes
from benchmarks.results import Row, median_of, write_result
from benchmarks.stage import UNITS, Stage, body, staged

ITEMS = 10_000
RULES = {
    "filter": {"price": {"$lte": 150}, "labels": "shoes"},
    "boost": [{"filter": {"labels": "sale"}, "by": 2}],
    "caps": {"brand": 2},
    "diversity": {"by": "labels", "strength": 0.3},
}


def run(size: str, home: str) -> None:
    repeats, seconds, flips = (7, 4.0, 100) if size == "full" else (2, 0.5, 10)
    rows = _filter_alone(200 if size == "full" else 20)
    with staged(home, peer=False) as stage:
        secret = _describe_items(stage)
        time.sleep(3)  # the web process has read the catalogue
        rows += _beside_plain(stage, repeats, seconds)
        rows += _changes(stage, secret, flips)
    notes = (
        f"The filter has another price at each request, as the context of a request has, over {ITEMS:,} items in memory; "
        "the bare mask compares two arrays that lie ready. Requests go to one web process at one connection, 10 slots of "
        "200 precomputed candidates, slate and exposure committed before the answer; kinds of requests take turns of "
        f"{seconds:g} s, {repeats} times. A change is PATCH /v1/items with `available`; seconds count at the client from its "
        "answer until an answer of /v1/recommend shows or hides the item. Everything shares two cores."
    )
    write_result("slate_rules", size, rows, notes)


def _filter_alone(repeats: int) -> list[Row]:
    from experiments.slate_rules.filters import Filters
    from inference.serving.catalogue import Catalogue
    from inference.serving.catalogue_row import CatalogueRow

    catalogue = Catalogue()
    drawn = np.random.default_rng(0).integers(1, 200, ITEMS).astype(float)
    labels = [("shoes", "sale") if n % 3 else ("hats",) for n in range(ITEMS)]
    fields = (
        {"price": price, "labels": label} for price, label in zip(drawn.tolist(), labels, strict=True)
    )
    catalogue.apply((CatalogueRow(f"i{n}", fields=one) for n, one in enumerate(fields)), 1)
    filters, shoes = Filters(catalogue), np.array(["shoes" in label for label in labels])

    def milliseconds(work) -> float:
        times = []
        for n in range(repeats):
            start = time.perf_counter()
            work(100 + n / repeats)
            times.append((time.perf_counter() - start) * 1000)
        return statistics.median(times)

    filters.mask({"price": {"$lte": 1}, "labels": "shoes"}, {})  # columns are made once
    ours = milliseconds(lambda price: filters.mask({"price": {"$lte": price}, "labels": "shoes"}, {}))
    bare = milliseconds(lambda price: (drawn <= price) & shoes)
    again = milliseconds(lambda _: filters.mask({"price": {"$lte": 100}, "labels": "shoes"}, {}))
    return [
        Row(f"a filter of two parts over {ITEMS:,} items, a new price each time (limit: numpy's bare mask)", ours, "ms",
            None, bare, "ours <= 0.3", higher_is_better=False),
        Row("the same filter again", again, "ms", higher_is_better=False),
    ]  # fmt: skip


def _describe_items(stage: Stage) -> str:
    """Give the shop's items brands, prices and labels; return a secret key."""
    from bakeoff.accounts.models import ApiKey, Project
    from experiments.actions.load_catalogue import write_items
    from inference.actions.load_items import ItemDraft
    from inference.models import Item

    project = Project.objects.get(pk=stage.project_id)
    names = Item.objects.filter(project=project).values_list("item_id", flat=True)
    drafts = [
        ItemDraft(
            name,
            f"Title of {name}",
            price=float(1 + n * 7919 % 199),
            labels=["shoes", "sale", f"kind-{n % 20}"] if n % 3 else ["hats", f"kind-{n % 20}"],
            properties={"brand": f"brand-{n * 31 % 100}"},
        )
        for n, name in enumerate(names)
    ]
    for start in range(0, len(drafts), 1000):
        write_items(project_id=project.pk, items=drafts[start : start + 1000])
    return ApiKey.make(project, "sk", name="bench")[1]


def _beside_plain(stage: Stage, repeats: int, seconds: float) -> list[Row]:
    kinds = {"plain": {}, "filter": {"filter": RULES["filter"]}, "all": RULES}
    numbers = itertools.count()
    asks = {
        kind: [
            request_bytes(
                "POST",
                "/v1/recommend",
                body({"surface": stage.plain_surface, "unit_id": f"user-{n}", "k": 10, **rules}),
                stage.public,
            )
            for n in range(UNITS)
        ]
        for kind, rules in kinds.items()
    }
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(repeats):
        for kind, ready in asks.items():
            measured = measure(
                stage.port,
                lambda ready=ready: ready[next(numbers) % UNITS],
                connections=1,
                seconds=seconds,
            )
            if measured.errors:
                raise RuntimeError(f"{measured.errors} requests failed: {measured.first_error!r}")
            times[kind].append(measured.p50_ms)
    medians = {kind: median_of(values) for kind, values in times.items()}
    plain = medians["plain"][0]
    rows = [
        Row("a plain recommend, p50", plain, "ms", higher_is_better=False, spread=medians["plain"][1])
    ]
    for kind, what in (("filter", "with a filter"), ("all", "with filter, boost, cap and diversity")):
        ours, spread = medians[kind]
        rows.append(
            Row(f"{what}, p50 (peer: plain)", ours, "ms", plain, None, "ratio_to_peer >= 0.833",
                higher_is_better=False, spread=spread)
        )  # fmt: skip
    return rows


def _changes(stage: Stage, secret: str, flips: int) -> list[Row]:
    seconds = []
    ask = {
        "surface": stage.plain_surface,
        "unit_id": "watcher",
        "candidates": ["item-7", "item-8"],
        "k": 2,
    }
    with httpx2.Client(base_url=f"http://127.0.0.1:{stage.port}", timeout=30) as client:
        for n in range(flips):
            shown = bool(n % 2)
            client.patch(
                "/v1/items/item-7",
                json={"available": shown},
                headers={"Authorization": f"Bearer {secret}"},
            ).raise_for_status()
            start = time.perf_counter()
            while time.perf_counter() - start < 30:
                answer = client.post(
                    "/v1/recommend", json=ask, headers={"Authorization": f"Bearer {stage.public}"}
                )
                names = [item["item_id"] for item in answer.raise_for_status().json()["items"]]
                if ("item-7" in names) == shown:
                    break
            seconds.append(time.perf_counter() - start)
    return [
        Row("a change of the catalogue until it is served, median", statistics.median(seconds), "s", higher_is_better=False),
        Row("the same, p95", float(np.quantile(seconds, 0.95)), "s", None, None, "ours <= 2", higher_is_better=False),
    ]  # fmt: skip
