"""How long a start takes until it is ready: `bakeoff up`, first and second; web alone, beside other servers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from benchmarks.results import Row, median_of, write_result
from benchmarks.servers import servers
from benchmarks.stage import free_port, serving_web


def _start(home: str) -> float:
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "bakeoff", "up", "--port", str(free_port())],
        env={**os.environ, "BAKEOFF_HOME": home}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in process.stdout:
        if "is ready" in line:
            break
    spent = time.monotonic() - began
    process.send_signal(signal.SIGINT)
    process.communicate()
    return spent


def _starts_of_web(home: str, repeats: int) -> list[float]:
    """Start web as a pod or a second machine does: PostgreSQL, with all migrations, and Valkey are there."""
    from bakeoff.environment import read_environment

    spent = []
    with servers(home):
        for _ in range(repeats):
            began = time.monotonic()
            with serving_web(read_environment()):
                spent.append(time.monotonic() - began)
    return spent


def run(size: str, home: str) -> None:
    repeats = 5 if size == "full" else 2
    firsts, seconds = [], []
    for n in range(repeats):
        firsts.append(_start(f"{home}/{n}"))
        seconds.append(_start(f"{home}/{n}"))
    (first, first_spread), (second, second_spread) = median_of(firsts), median_of(seconds)
    web, web_spread = median_of(_starts_of_web(f"{home}/0", repeats))
    rows = [
        Row("first `bakeoff up` until ready", first, "s", None, None, "ours <= 10", higher_is_better=False, spread=first_spread),
        Row("second `bakeoff up` until ready", second, "s", None, None, "ours <= 3", higher_is_better=False, spread=second_spread),
        Row("web of a pod until ready", web, "s", None, None, "ours <= 5", higher_is_better=False, spread=web_spread),
    ]  # fmt: skip
    notes = (
        "Packages installed; PostgreSQL, Valkey, migrations on the first start, web answering /readyz. A pod's web finds "
        "migrated servers elsewhere, here in the home of the second start; fetching the image is not in it. Steps of a newcomer: "
        "ours is one command after the install. Peers publish: GrowthBook, PostHog, Flagsmith, Gorse a Docker Compose file "
        "(Docker, clone or download, configure, up), Metarank a JVM, a configuration file and a training step; they were "
        "counted, not run."
    )
    write_result("start", size, rows, notes)
