"""Pages with 1,000 experiments and 200 looks each: weight and time to render, in process.

And the embed's size beside what others ask a page to load, from npm in the same run.
"""

from __future__ import annotations

import gzip
import re
import shutil
import statistics
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.results import Row, write_result
from benchmarks.stage import staged

if TYPE_CHECKING:
    from django.test import Client

LOOKS = 200
PEERS = {
    "Algolia's insights": ("search-insights", "dist/search-insights.min.js"),
    "GrowthBook's SDK": ("@growthbook/growthbook", "dist/bundles/index.min.js"),
    "PostHog's": ("posthog-js", "dist/array.js"),
    "Segment's": ("@segment/analytics-next", "dist/umd/index.js"),
}


def run(size: str, home: str) -> None:
    experiments = 1000 if size == "full" else 50
    rows = []
    with staged(home, peer=False) as stage:
        from benchmarks.past_experiments import client_of_administrator, fill_project, pages_of

        experiment = fill_project(stage.project_id, experiments, LOOKS)
        client = client_of_administrator()
        for name, address in pages_of(experiment).items():
            rows += _measure_page(client, name, address)
    ours = _packed(max((Path(__file__).parent.parent / "clients/js/sdk").glob("*/bakeoff.js")))
    for name, (package, file) in PEERS.items():
        peer = _peer(Path(home), package, file)
        rows.append(
            Row(f"the embed, packed (peer: {name})", ours, "kB", peer, None,
                "ours <= 4.096", higher_is_better=False)
        )  # fmt: skip
    notes = (
        f"{experiments} experiments with {LOOKS} looks each in one project; Django in process, debug off, one thread; "
        "medians of 7. Peers: what their package says a page should load, gzip -9."
    )
    write_result("pages", size, rows, notes)


def _measure_page(client: Client, name: str, address: str) -> list[Row]:
    times = []
    for _ in range(7):
        start = time.perf_counter()
        answer = client.get(address)
        times.append((time.perf_counter() - start) * 1000)
        if answer.status_code != 200:
            raise RuntimeError(f"{address}: {answer.status_code}")
    weight = len(answer.content) / 1000
    return [
        Row(f"{name}: rendered", statistics.median(times), "ms", None, None,
            "ours <= 300", higher_is_better=False, spread=f"{min(times):.0f} to {max(times):.0f}"),
        Row(f"{name}: weight, not packed", weight, "kB", None, None,
            "ours <= 150", higher_is_better=False),
        Row(f"{name}: first visit with styles and scripts, not packed", weight + _assets(answer.content),
            "kB", None, None, "ours <= 200", higher_is_better=False),
    ]  # fmt: skip


def _assets(page: bytes) -> float:
    """Return what a page's own styles and scripts weigh, in kB: a browser's cache is empty."""
    from django.conf import settings
    from django.contrib.staticfiles.finders import find

    names = re.findall(rb'(?:href|src)="([^"]+\.(?:css|js))"', page)
    files = [find(name.decode().removeprefix(settings.STATIC_URL)) for name in names]
    return sum(Path(file).stat().st_size for file in files) / 1000


def _packed(file: Path) -> float:
    return len(gzip.compress(file.read_bytes(), 9)) / 1000


def _peer(home: Path, package: str, file: str) -> float | None:
    if not shutil.which("npm"):
        return None
    folder = home / "peers"
    folder.mkdir(exist_ok=True)
    (folder / "package.json").write_text('{"private": true}')
    subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "--no-save", package],
        cwd=folder,
        check=True,
    )
    return _packed(folder / "node_modules" / package / file)
