"""Recommendations and events by 1, 2 and 4 web processes, beside the Django peer and a bare route.

The limit is `bare_route.py`: the reads and commits of our routes, and nothing else. All three serve in one
run, one after the other in each repetition. CPU is read from the system's counters of the processes.
"""

from __future__ import annotations

import itertools
import json
import re
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psutil

from benchmarks.bare_route import VARIABLE, describe
from benchmarks.events import Requests
from benchmarks.load import measure
from benchmarks.results import Row, median_of, write_result
from benchmarks.stage import (
    UNITS,
    Served,
    Stage,
    recommend_requests,
    serving_app,
    serving_peer,
    serving_web,
    staged,
)

PROCESSES = (1, 2, 4)
SIDES = ("ours", "limit", "peer")
PATHS = ("/v1/recommend", "/v1/events")
CONNECTIONS = 64


@dataclass
class Seen:
    """What repeated runs of one route on one server saw.

    Attributes:
        rates: requests a second.
        web_ms: CPU milliseconds of the web processes for a request.
        servers_ms: the same of PostgreSQL and Valkey.
    """

    rates: list[float] = field(default_factory=list)
    web_ms: list[float] = field(default_factory=list)
    servers_ms: list[float] = field(default_factory=list)


def run(size: str, home: str) -> None:
    seconds, repeats = (5.0, 5) if size == "full" else (1.0, 2)
    rows: list[Row] = []
    with staged(home, peer=False) as stage:
        makers = _requests(stage)
        about = Path(home) / "bare.json"
        about.write_text(json.dumps(_describe(stage, makers)))
        for processes in PROCESSES:
            rows += _with_processes(stage, about, processes, makers, (seconds, repeats))
    notes = (
        "Load generator, PostgreSQL, Valkey and all web processes share the machine's cores: more processes than "
        "cores gain nothing here, and show what they cost. Memory is each process's own pages and its part of "
        "shared ones (PSS), after the load. A commit is one statement for all requests that wait."
    )
    write_result("web", size, rows, notes, ("djangorestframework",))


def _requests(stage: Stage) -> dict:
    numbers = itertools.count()
    ready = recommend_requests(stage, stage.surface)
    return {
        "/v1/recommend": lambda: ready[next(numbers) % UNITS],
        "/v1/events": Requests(stage.public).single,
    }


def _describe(stage: Stage, makers: dict) -> dict:
    """Let ours answer once a route, and return what the bare one needs to do as much."""
    from dataclasses import fields

    from django.db import connection

    from experiments.actions.mark_units import history_of
    from experiments.ingest.rows import EventRow, SlateRow, columns_of
    from inference.models import Surface

    sizes = {}
    for path, make in makers.items():
        content = make().partition(b"\r\n\r\n")[2]
        answer = httpx2.post(
            f"http://127.0.0.1:{stage.port}{path}",
            content=content,
            headers={"authorization": f"Bearer {stage.public}", "content-type": "application/json"},
        )
        sizes[path] = len(answer.raise_for_status().content)
    surface = Surface.objects.get(key=stage.surface)
    rows = {}
    for kind, table in ((SlateRow, "experiments_slate"), (EventRow, "experiments_event")):
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT to_json(r) FROM (SELECT {', '.join(columns_of(kind))} FROM {table}) r LIMIT 1"
            )
            (row,) = cursor.fetchone()
        # As ours sends them: what the table adds is not sent.
        rows[kind] = kind(**{one.name: row.get(one.name, False) for one in fields(kind)})
    return describe(rows[SlateRow], rows[EventRow], history_of(surface), sizes)


def _with_processes(
    stage: Stage, about: Path, processes: int, makers: dict, how: tuple[float, int]
) -> list[Row]:
    """Measure with so many processes on each side."""
    from bakeoff.environment import read_environment

    seconds, repeats = how
    options = ("--http", "bakeoff.gateway.http.connection:Connection", "--lifespan", "on")
    with ExitStack() as stack:
        served = {
            "ours": stack.enter_context(serving_web(read_environment(), processes)),
            "limit": stack.enter_context(
                serving_app("benchmarks.bare_route:application", processes, {VARIABLE: str(about)}, *options)
            ),
            "peer": stack.enter_context(serving_peer(processes)),
        }  # fmt: skip
        seen = {(path, side): Seen() for path in PATHS for side in SIDES}
        for make in makers.values():  # what is met first is loaded, and exposed, once
            for one in served.values():
                measure(one.port, make, connections=CONNECTIONS, seconds=1.0)
        before = _commits(served["ours"])
        for _ in range(repeats):
            for path, make in makers.items():
                for side, one in served.items():
                    _measure(one, make, seconds, seen[path, side])
        commit_ms = _commit_ms(before, _commits(served["ours"]))
        memory = {side: _memory(one) for side, one in served.items()}
    return _rows(processes, seen, commit_ms, memory)


def _measure(one: Served, make, seconds: float, seen: Seen) -> None:
    web, servers = _family(one.pid), _servers()
    before = _cpu(web), _cpu(servers)
    measured = measure(one.port, make, connections=CONNECTIONS, seconds=seconds)
    if measured.errors:
        raise RuntimeError(f"{measured.errors} errors, first {measured.first_error!r}")
    requests = measured.requests_per_second * seconds
    seen.rates.append(measured.requests_per_second)
    seen.web_ms.append((_cpu(web) - before[0]) / requests * 1000)
    seen.servers_ms.append((_cpu(servers) - before[1]) / requests * 1000)


def _family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def _servers() -> list[psutil.Process]:
    """PostgreSQL's and Valkey's processes, which this process has started."""
    servers = []
    for one in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # a background worker of PostgreSQL that has ended
            if re.search("postgres|valkey", one.name()):
                servers.append(one)
    return servers


def _cpu(processes: list[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def _memory(one: Served) -> float:
    """MiB of one process that serves; a parent that only watches the others is left out."""
    family = _family(one.pid)
    serving = (
        family
        if len(family) == 1
        else [p for p in family[1:] if "resource" not in " ".join(p.cmdline())]
    )
    return max(process.memory_full_info().pss for process in serving) / 2**20


def _commits(one: Served) -> tuple[float, float]:
    """Seconds of all commits so far, and how many there were."""
    text = httpx2.get(f"http://127.0.0.1:{one.port}/metrics", timeout=10).text
    return tuple(
        sum(float(value) for value in re.findall(rf"^bakeoff_commit_seconds_{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))
        for name in ("sum", "count")
    )  # fmt: skip


def _commit_ms(before: tuple[float, float], after: tuple[float, float]) -> float:
    return (after[0] - before[0]) / (after[1] - before[1]) * 1000


def _rows(
    processes: int, seen: dict[tuple[str, str], Seen], commit_ms: float, memory: dict[str, float]
) -> list[Row]:
    title = f"{processes} process{'' if processes == 1 else 'es'}"
    rows = []
    for path in PATHS:
        ours, limit, peer = (seen[path, side] for side in SIDES)
        rate, spread = median_of(ours.rates)
        beside = {"peer": median_of(peer.rates)[0], "limit": median_of(limit.rates)[0]}
        target = "share_of_limit >= 0.65" if processes == 1 else ""
        rows.append(Row(f"{path}, {title} (peer: Django; limit: bare route)", rate, "requests/s", target=target, spread=spread, **beside))  # fmt: skip
        for what, name in (("web processes", "web_ms"), ("PostgreSQL and Valkey", "servers_ms")):
            cost, peers, limits = (median_of(getattr(one, name))[0] for one in (ours, peer, limit))
            rows.append(Row(f"{path}, {title}: CPU of {what} for a request", cost, "ms", peers, limits, higher_is_better=False))  # fmt: skip
    rows.append(
        Row(f"{title}: a commit under this load, mean", commit_ms, "ms", higher_is_better=False)
    )
    rows.append(
        Row(f"{title}: memory of one process after it", memory["ours"], "MiB", memory["peer"], memory["limit"], higher_is_better=False)
    )  # fmt: skip
    return rows
