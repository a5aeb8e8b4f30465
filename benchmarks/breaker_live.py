"""The breaker on a running platform: from a model's first failure to the read-back of its end."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import orjson

from benchmarks.load import Measured, measure_at_rate, request_bytes
from benchmarks.results import Row, median_of, write_result
from benchmarks.stage import body, free_port

if TYPE_CHECKING:
    from experiments.models import Experiment
    from tests.support.builders import Shop

WEB, RATE, MAX_SECONDS = 2, 100.0, 180.0
FAILURES = {"timeout", "model_error", "breaker_open", "model_unavailable"}
WAVE = 2_000  # users who come between two commits of the healthy test


@contextlib.contextmanager
def running(home: str) -> Iterator[int]:
    """Start `bakeoff up` with its own settings, and Django in this process; yield the port."""
    os.environ["BAKEOFF_HOME"] = home
    os.environ["DJANGO_SETTINGS_MODULE"] = "bakeoff.settings"
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "bakeoff", "up", "--port", str(port), "--web", str(WEB)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        if not any("is ready" in line for line in process.stdout):
            raise RuntimeError("bakeoff up ended before it was ready")
        import django

        django.setup()
        yield port
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()


def run(size: str, home: str) -> None:
    repeats, units, turns, seconds = (3, 100_000, 8, 20.0) if size == "full" else (1, 4_000, 2, 10.0)
    with running(home) as port:
        rows: list[Row] = []
        for share in (0.5, 0.01):
            trips = [_time_trip(port, share) for _ in range(repeats)]
            rows += _trip_rows(share, trips)
        shop, experiment = _start_healthy_test()
        rows += _healthy_rows(shop, experiment, units)
        rows += _latency_rows(port, shop, experiment, Turns(turns, seconds))
    notes = (
        f"`bakeoff up --web {WEB}` with default settings, {RATE:.0f} requests/s of new users. The treatment is an "
        "endpoint that answers while its experiment starts and then fails every request; the experiment is the "
        "automatic one, with its default guardrails. Seconds count at the client, from the first answer that the "
        "failing version did not give itself, until the decision holds the confirmation of every web process. "
        "The healthy test: both sides fail 1 %, convert 30 %, and answer equally fast; users come in waves of "
        f"{WAVE:,} as fast as they are stored, watched by the platform's own workers. Then {RATE:.0f} requests/s of new "
        f"users of that test, {turns} times {seconds:.0f} s with its breaker and without in turn, latency from when a "
        "request was due; ours is with the breaker, the limit without; target: twice the limit at most. "
        f"Trips were repeated {repeats} times; the spread is their range."
    )
    write_result("breaker_live", size, rows, notes)


@dataclass(frozen=True)
class Turns:
    """How often `seconds` of load are sent with the breaker, and as often without it."""

    count: int
    seconds: float


@dataclass
class Trip:
    """One failing version, as the client saw it: times of its failures, and of the confirmation."""

    failures: list[float] = field(default_factory=list)
    confirmed: float = 0.0
    processes: int = 0
    units: int = 0

    def answered(self, content: bytes) -> None:
        if orjson.loads(content).get("fallback") in FAILURES:
            self.failures.append(time.perf_counter())


def _time_trip(port: int, share: float) -> Trip:
    from tests.support.endpoint import Endpoint

    endpoint, trip = Endpoint(), Trip()
    try:
        shop, experiment = _start_test(share, endpoint.url)
        endpoint.behave = lambda _request: {"scores": []}
        watcher = threading.Thread(target=_await_confirmation, args=(experiment, trip))
        watcher.start()
        numbers = itertools.count()

        def ask() -> bytes:
            question = body({"surface": "home-feed", "unit_id": f"visitor-{next(numbers)}"})
            return request_bytes("POST", "/v1/recommend", question, shop.public)

        measure_at_rate(
            port, ask, rate=RATE, seconds=MAX_SECONDS, answered=trip.answered,
            is_over=lambda: not watcher.is_alive(),
        )  # fmt: skip
        watcher.join()
    finally:
        endpoint.stop()
    if not trip.confirmed:
        raise RuntimeError(f"not switched off within {MAX_SECONDS:.0f} s at a share of {share}")
    return trip


def _start_test(share: float, url: str) -> tuple[Shop, Experiment]:
    """Let the platform start the experiment of an endpoint at its first step of a ramp."""
    from django.conf import settings

    from experiments.actions.advance_challenger import advance_challenger
    from inference.models import ModelVersion
    from inference.serving.artifact import ArtifactDraft, save_artifact
    from tests.support import builders

    shop = builders.make_shop()
    ramp = [{"share": share, "minimum_seconds": 3600}]
    builders.set_programme(shop, ramp=ramp)
    artifact = ArtifactDraft(
        form="endpoint",
        arrays={"default_order": np.arange(10, dtype=np.int32)},
        item_ids=shop.items,
        about={"url": url, "protocol": "json", "deadline_ms": 300},
    )
    ModelVersion.objects.create(
        surface=shop.surface, algorithm="endpoint", number=1, alias="challenger",
        artifact_sha256=save_artifact(settings.BAKEOFF.artifacts, artifact), gate={"passed": True},
    )  # fmt: skip
    experiment = advance_challenger(surface=shop.surface) or shop.surface.experiments.get()
    return shop, experiment


def _await_confirmation(experiment: Experiment, trip: Trip) -> None:
    from django.db import connection

    from experiments.models import Decision

    deadline = time.perf_counter() + MAX_SECONDS
    try:
        while time.perf_counter() < deadline:
            decision = Decision.objects.filter(experiment=experiment).first()
            if decision is not None and decision.confirmed:
                trip.confirmed, trip.processes = time.perf_counter(), len(decision.read_back)
                tests = decision.evidence["breaker"]["tests"]
                errors = next(t for t in tests if t["metric"] == "serving-errors")
                trip.units = sum(one["treatment"] for one in errors["events"])
                return
            time.sleep(0.05)
    finally:
        connection.close()


def _trip_rows(share: float, trips: list[Trip]) -> list[Row]:
    confirmed, spread = median_of([trip.confirmed - trip.failures[0] for trip in trips])
    last, last_spread = median_of([trip.failures[-1] - trip.failures[0] for trip in trips])
    units, units_spread = median_of([float(trip.units) for trip in trips])
    processes = min(trip.processes for trip in trips)
    at = f"at a share of {share:.0%}"
    return [
        Row(f"first failure until confirmed by all {processes} web processes, {at}", confirmed, "s", None, None,
            "ours <= 60", higher_is_better=False, spread=spread),
        Row(f"first until last failed answer, {at}", last, "s", higher_is_better=False, spread=last_spread),
        Row(f"users whose requests failed when it tripped, {at}", units, "users", higher_is_better=False, spread=units_spread),
    ]  # fmt: skip


def _start_healthy_test() -> tuple[Shop, Experiment]:
    """Start the automatic experiment of two equal versions."""
    from experiments.actions.advance_challenger import advance_challenger
    from tests.support import builders

    shop = builders.make_shop()
    builders.set_programme(shop)
    builders.make_version(shop.surface, list(range(1, 11)), algorithm="ease")
    return shop, advance_challenger(surface=shop.surface) or shop.surface.experiments.get()


def _healthy_rows(shop: Shop, experiment: Experiment, units: int) -> list[Row]:
    """Let users come into it, watched by the platform."""
    from experiments.actions.watch_experiment import watch_experiment
    from experiments.looks.breaker_counts import read_tests
    from experiments.models import Decision
    from tests.support import builders
    from tests.support.waiting import wait_until

    rng = np.random.default_rng(16)
    for start in range(0, units, WAVE):
        _visit(shop, experiment, range(start, start + WAVE), rng)
    written = builders.now()

    def is_watched() -> bool:
        experiment.refresh_from_db()
        return experiment.state != "running" or (experiment.watched_at or written) > written

    wait_until(is_watched, "the last users to be watched", seconds=600)
    strongest = max(test.log_e / test.bound for test in read_tests(experiment))
    trips = Decision.objects.filter(experiment=experiment, evidence__has_key="breaker").count()
    ticks = []
    for turn in range(5):
        _visit(shop, experiment, range(units + 500 * turn, units + 500 * (turn + 1)), rng)
        start_time = time.perf_counter()
        watch_experiment(experiment=experiment, pause=timedelta(0))
        ticks.append(time.perf_counter() - start_time)
    tick, spread = median_of(ticks)
    return [
        Row(f"trips of a healthy test of {units:,} users", trips, "trips", None, None, "ours <= 0", higher_is_better=False),
        Row("its evidence of harm at the end, log E as a share of the limit", strongest, "", higher_is_better=False),
        Row("one turn of the breaker with 500 new users of it", tick, "s", None, None, "ours <= 5", higher_is_better=False, spread=spread),
    ]  # fmt: skip


def _latency_rows(port: int, shop: Shop, experiment: Experiment, turns: Turns) -> list[Row]:
    """What visitors of an experiment wait for, with its breaker and without."""
    numbers = itertools.count()

    def ask() -> bytes:
        question = body({"surface": "home-feed", "unit_id": f"caller-{next(numbers)}"})
        return request_bytes("POST", "/v1/recommend", question, shop.public)

    measured: dict[bool, list[Measured]] = {True: [], False: []}
    measure_at_rate(port, ask, rate=RATE, seconds=turns.seconds / 2)  # connections and caches are there
    for turn in range(2 * turns.count):
        # Which of a pair comes first changes, so that nothing that grows with time sides with one.
        watched = turn % 4 in {0, 3}
        _set_breaker(experiment, alpha=0.001 if watched else 0.0)
        measured[watched].append(measure_at_rate(port, ask, rate=RATE, seconds=turns.seconds))
    for one in itertools.chain(*measured.values()):
        if one.errors:
            raise RuntimeError(f"{one.errors} errors, the first: {one.first_error!r}")
    rows = []
    for name in ("p50_ms", "p95_ms"):
        ours, spread = median_of([getattr(one, name) for one in measured[True]])
        without, _ = median_of([getattr(one, name) for one in measured[False]])
        rows.append(
            Row(f"{name[:3]} of /v1/recommend, watched by the breaker", ours, "ms", None, without,
                "share_of_limit >= 0.5", higher_is_better=False, spread=spread)
        )  # fmt: skip
    return rows


def _set_breaker(experiment: Experiment, *, alpha: float) -> None:
    """Switch the breaker of a running experiment on or off, as no person can; on, wait for its first turn."""
    from experiments.models import Experiment
    from tests.support import builders
    from tests.support.waiting import wait_until

    row = Experiment.objects.filter(pk=experiment.pk)
    row.update(breaker_alpha=alpha)
    since = builders.now()
    if alpha:
        wait_until(
            lambda: row.filter(watched_at__gt=since).exists(),
            "the first turn of the breaker",
            seconds=600,
        )


def _visit(shop: Shop, experiment: Experiment, numbers: range, rng: np.random.Generator) -> None:
    """Commit the first slates of users of both sides, with the same rates of everything."""
    from experiments.ingest.rows import Rows
    from tests.support import builders

    rows, at = Rows(), builders.now().isoformat()
    sides = list(experiment.variants.all())
    for number in numbers:
        unit, side = f"u{number}", sides[int(rng.integers(2))]
        failure = "timeout" if rng.random() < 0.01 else None
        rows.slates.append(
            builders.slate(
                shop, unit, experiment_id=experiment.pk, variant_id=side.pk, fallback=failure,
                model_version_id=side.model_version_id, latency_ms=float(rng.exponential(5.0)), served_at=at,
            )
        )  # fmt: skip
        rows.exposures.append(builders.exposure(side, unit=unit, at=at))
        if rng.random() < 0.3:
            rows.events.append(
                builders.event(shop.project, unit=unit, event_id=unit, item_id="i1", at=at)
            )
    builders.write(rows)
