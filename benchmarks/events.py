"""`POST /v1/events`: single events and batches of 500, committed before the 202."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import orjson
import psycopg

from benchmarks.load import Measured, measure, measure_at_rate, request_bytes
from benchmarks.results import Row, median_of, write_result
from benchmarks.stage import Stage, staged

BATCH = 500


class Requests:
    """Requests with events that were never sent before."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.numbers, self.mark = itertools.count(), uuid.uuid4().hex[:8]

    def event(self) -> dict:
        n = next(self.numbers)
        return {
            "event_id": f"{self.mark}-{n}",
            "name": "view",
            "unit_id": f"user-{n % 2000}",
            "item_id": f"item-{n % 5000}",
            "value": 1.0,
        }

    def single(self) -> bytes:
        return request_bytes("POST", "/v1/events", orjson.dumps(self.event()), self.key)

    def batch(self) -> bytes:
        events = [self.event() for _ in range(BATCH)]
        return request_bytes("POST", "/v1/events", orjson.dumps({"events": events}), self.key)


def run(size: str, home: str) -> None:
    seconds, repeats = (5.0, 5) if size == "full" else (1.0, 2)
    with staged(home) as stage:
        requests = Requests(stage.public)
        rates = _saturate(stage, requests, seconds, repeats)
        half = median_of(rates["ours"])[0] / 2

        def at_rate(rate: float) -> list[Measured]:
            return [
                measure_at_rate(stage.port, requests.single, rate=rate, seconds=seconds)
                for _ in range(repeats)
            ]

        steady, busy = at_rate(300), at_rate(half)
        stored = _bytes_per_event(stage)
    rows = [
        *_rate_rows(rates),
        *_latencies("300 single events/s", steady),
        *_latencies("half of saturation", busy, f" ({half:,.0f} single events/s)"),
        Row("an event on disk: row and indexes, no properties", stored["event"], "bytes", higher_is_better=False),
        Row("its id on disk: row and index", stored["id"], "bytes", higher_is_better=False),
    ]  # fmt: skip
    notes = (
        "COPY writes the same columns into the same two tables (events and their ids) with their indexes, 500 rows a transaction, from one "
        "connection in a process of its own, and does nothing else: no HTTP, no JSON, no check, no skipping of duplicates. "
        "The load generator makes the batches on the same cores."
    )
    write_result("events", size, rows, notes, ("djangorestframework",))


def _saturate(stage: Stage, requests: Requests, seconds: float, repeats: int) -> dict[str, list[float]]:
    """Requests or events per second of ours, the peer and the limits, in turn."""
    empty = request_bytes("GET", "/healthz")

    def rate(port: int, make: Callable[[], bytes], connections: int = 64) -> float:
        return _sound(measure(port, make, connections=connections, seconds=seconds))

    rates: dict[str, list[float]] = {
        name: [] for name in ("limit", "ours", "peer", "batches", "copies")
    }
    for _ in range(repeats):
        rates["limit"].append(rate(stage.port, lambda: empty))
        rates["ours"].append(rate(stage.port, requests.single))
        rates["peer"].append(rate(stage.peer_port, requests.single))
        rates["batches"].append(rate(stage.port, requests.batch, connections=4) * BATCH)
        rates["copies"].append(_copy(stage, requests.event, seconds))
    return rates


def _rate_rows(rates: dict[str, list[float]]) -> list[Row]:
    (rate, spread), (many, many_spread) = median_of(rates["ours"]), median_of(rates["batches"])
    limit, peer, copies = (median_of(rates[name])[0] for name in ("limit", "peer", "copies"))
    return [
        Row("single events at 64 connections (peer: Django REST framework and ORM; limit: empty route)", rate, "requests/s",
            peer, limit, "share_of_limit >= 0.4", spread=spread),
        Row("the same, against the peer", rate, "requests/s", peer, None, "ratio_to_peer >= 10", spread=spread),
        Row("batches of 500 (limit: COPY of the same rows into the same tables)", many, "events/s", None,
            copies, "share_of_limit >= 0.5", spread=many_spread),
    ]  # fmt: skip


def _latencies(what: str, runs: list[Measured], more: str = "") -> list[Row]:
    return [
        Row(
            f"from sent to committed at {what}, {name}{more}",
            *_median(getattr(m, f"{name}_ms") for m in runs),
        )
        for name in ("p50", "p99")
    ]


def _median(values) -> tuple:
    median, spread = median_of(list(values))
    return median, "ms", None, None, "", False, spread


def _bytes_per_event(stage) -> dict[str, float]:
    """What the tables take, with their indexes, for each of their rows."""
    with psycopg.connect(stage.database_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE experiments_event, experiments_eventid")
        sizes = connection.execute(
            """SELECT (SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits
                WHERE inhparent = 'experiments_event'::regclass) / (SELECT count(*) FROM experiments_event),
            pg_total_relation_size('experiments_eventid') / (SELECT count(*) FROM experiments_eventid)"""
        ).fetchone()
    return {"event": float(sizes[0]), "id": float(sizes[1])}


def _copy(stage, event, seconds: float) -> float:
    columns = "project_id, event_id, name, unit_id, item_id, item_known, value, occurred_at, properties, source"
    at = datetime.now(UTC)
    done, spent = 0, 0.0
    with psycopg.connect(stage.database_url) as connection:
        while spent < seconds:
            rows = [event() for _ in range(BATCH)]
            start = time.perf_counter()
            with connection.transaction(), connection.cursor() as cursor:
                with cursor.copy(
                    "COPY experiments_eventid (project_id, event_id, received_at) FROM STDIN"
                ) as copy:
                    for e in rows:
                        copy.write_row((stage.project_id, e["event_id"], at))
                with cursor.copy(f"COPY experiments_event ({columns}) FROM STDIN") as copy:
                    for e in rows:
                        copy.write_row(
                            (stage.project_id, e["event_id"], e["name"], e["unit_id"], e["item_id"], True, e["value"], at, "{}", "live")
                        )  # fmt: skip
            spent += time.perf_counter() - start
            done += BATCH
    return done / spent


def _sound(measured) -> float:
    if measured.errors:
        raise RuntimeError(f"{measured.errors} requests failed: {measured.first_error}")
    return measured.requests_per_second
