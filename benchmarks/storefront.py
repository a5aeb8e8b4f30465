"""A shop in use on a running platform: stock flips while visitors look, hide and buy."""

from __future__ import annotations

import time

from benchmarks.breaker_live import WEB, running
from benchmarks.results import Row, write_result

LIMIT_SECONDS = 1200.0  # of asking: a machine that does other work as well has a figure by then


def run(size: str, home: str) -> None:
    items, visitors, answers = (2_000, 500, 100_000) if size == "full" else (500, 60, 2_000)
    with running(home) as port:
        from experiments.actions.load_catalogue import write_items
        from experiments.models import Slate
        from inference.actions.load_items import ItemDraft
        from inference.models import Surface
        from tests.support import builders
        from tests.support.storefront import SURFACE, Storefront, catalogue, unequal_chances

        shop = builders.make_shop(items=10)
        rows = catalogue(items)
        for start in range(0, items, 1000):
            some = [ItemDraft(**row) for row in rows[start : start + 1000]]
            write_items(project_id=shop.project.pk, items=some)
        surface = Surface.objects.create(project=shop.project, key=SURFACE, exploration=0.5)
        builders.make_version(surface, list(range(items, 0, -1)), alias="champion")
        time.sleep(5)  # every web process has read the new surface
        url = f"http://127.0.0.1:{port}"
        front = Storefront(url, shop.public, shop.secret, items=items, visitors=visitors)
        start_at = time.perf_counter()
        findings = front.run(answers, threads=8, limit=LIMIT_SECONDS)
        seconds = time.perf_counter() - start_at
        slates = Slate.objects.filter(project=shop.project, surface=surface)
        logged = slates.values_list("slots", "exploration").iterator(chunk_size=2000)
        unequal = unequal_chances(logged)
    zero = "ours <= 0"
    lines = [
        Row("answers judged", findings.answers, "answers", target=f"ours >= {answers}"),
        Row("answers a minute", 60 * findings.answers / seconds, "answers"),
        Row("changes of stock meanwhile", findings.flips, "changes"),
        Row("items hidden or bought meanwhile", findings.acts, "items"),
        Row("items shown > 2 s after they were sold out", len(findings.stale), "items", target=zero),
        Row("caps broken", len(findings.broken_caps), "caps", target=zero),
        Row(f"pins missing of {findings.pins:,}", len(findings.missing_pins), "pins", target=zero),
        Row("hidden or bought items shown again", len(findings.shown_again), "items", target=zero),
        Row("logged chances that do not follow again", len(unequal), "slots", target=zero),
        Row("requests refused", sum(findings.refused.values()), "requests", target=zero),
    ]
    notes = (
        f"`bakeoff up --web {WEB}` with default settings; {items:,} items, {visitors} visitors, 8 clients. Every "
        "request has a cap by brand, a pin and diversity by labels, a third also a filter by price; one answer in "
        "five is followed by `hide` or `purchase` of one of its items. An item counts as sold out from 2 s after "
        "the acknowledged change until a change back is sent. The chances of all slates are recomputed from their "
        "ranks. No new request is sent after twenty minutes."
    )
    write_result("storefront", size, lines, notes)
