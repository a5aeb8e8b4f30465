"""OFREP's bulk evaluation of 20 flags, beside Unleash's frontend API with 20 toggles on the same PostgreSQL.

And the cost of routing a recommend among 1, 20 and 200 running experiments, in process.
"""

from __future__ import annotations

import itertools
import random
import time
from pathlib import Path

from benchmarks.load import measure, request_bytes
from benchmarks.results import Row, median_of, write_result
from benchmarks.stage import UNITS, body, staged
from benchmarks.unleash import frontend_request, unleash

FLAGS = 20


def run(size: str, home: str) -> None:
    seconds, repeats = (5.0, 5) if size == "full" else (1.0, 2)
    order = list(range(UNITS))
    random.Random(0).shuffle(order)
    with staged(home, peer=False) as stage:
        _define_flags(stage.project_id)
        with unleash(stage.database_url, Path(home), flags=FLAGS) as unleash_port:
            targets = {
                "ours": (stage.port, _our_requests(order, stage.public)),
                "peer": (unleash_port, [frontend_request(n) for n in order]),
                "limit": (stage.port, [request_bytes("GET", "/healthz")]),
            }
            if not unleash_port:
                del targets["peer"]
            rates = _interleave(targets, seconds, repeats)
    rate, spread = median_of(rates["ours"])
    beside = median_of(rates["peer"])[0] if "peer" in rates else None
    rows = [
        Row(f"OFREP bulk of {FLAGS} flags (peer: Unleash's frontend API)", rate, "requests/s", beside,
            median_of(rates["limit"])[0], "ratio_to_peer >= 5" if beside else "", spread=spread),
        *[_routing(count) for count in (1, 20, 200)],
    ]  # fmt: skip
    notes = (
        "64 connections, another unit each time; one web process each, the load generator and PostgreSQL on the "
        "same cores. Each flag has two variants; ours have a targeting condition besides. Routing: the time to find "
        "a unit's variant among so many experiments of one surface, in ranges of one layer."
    )
    write_result("ofrep", size, rows, notes)


def _our_requests(order: list[int], key: str) -> list[bytes]:
    return [
        request_bytes(
            "POST",
            "/ofrep/v1/evaluate/flags",
            body({"context": {"targetingKey": f"user-{n}", "country": "DE"}}),
            key,
        )
        for n in order
    ]


def _interleave(
    targets: dict[str, tuple[int, list[bytes]]], seconds: float, repeats: int
) -> dict[str, list[float]]:
    """Measure each target in turn; return its requests per second, one of each round."""
    numbers = itertools.count()
    rates: dict[str, list[float]] = {name: [] for name in targets}
    for _ in range(repeats):
        for name, (port, ready) in targets.items():
            measured = measure(
                port,
                lambda ready=ready: ready[next(numbers) % len(ready)],
                connections=64,
                seconds=seconds,
            )
            if measured.errors:
                raise RuntimeError(f"{measured.errors} failed: {measured.first_error!r}")
            rates[name].append(measured.requests_per_second)
    return rates


def _define_flags(project_id: int) -> None:
    from bakeoff.accounts.models import Project
    from experiments.actions.define_experiment import define_experiment
    from experiments.actions.experiment_draft import (
        ExperimentDraft,
        ExperimentMetricDraft,
        VariantDraft,
    )
    from experiments.actions.start_experiment import start_experiment
    from experiments.models import Metric
    from inference.models import Surface

    surface = Surface.objects.create(project=Project.objects.get(pk=project_id), key="f", kind="flag")
    metrics = [ExperimentMetricDraft(Metric.objects.get(project=project_id))]
    for n in range(FLAGS):
        variants = [
            VariantDraft("control", None, 0.5, is_control=True),
            VariantDraft("treatment", None, 0.5),
        ]
        draft = ExperimentDraft(
            surface, f"flag-{n}", variants, metrics, condition={"country": {"$in": ["DE", "FR"]}}
        )
        start_experiment(experiment=define_experiment(draft), by="bench")
    # The bench's other experiment is no flag of the page.
    surface.project.experiments.filter(key="bench").update(state="ended", ended_at="2026-01-01T00:00Z")
    time.sleep(3)


def _routing(count: int) -> Row:
    from bakeoff.gateway.config.serving_config import KeyConfig, ServingConfig, SurfaceConfig
    from bakeoff.gateway.http.caller import FULL_CONSENT
    from bakeoff.gateway.slates.choose_version import choose_version
    from bakeoff.gateway.slates.visitors import Visitor
    from experiments.assignment import (
        UNKNOWN_UNIT,
        ExperimentRule,
        HashRange,
        RunningExperiment,
        RunningVariant,
        VariantRule,
    )  # fmt: skip
    from experiments.assignment.flags import ProjectFlags

    experiments = []
    for n in range(count):
        rule = ExperimentRule(
            f"e{n}", f"salt-{n}", 1.0, (VariantRule("control", 0.5), VariantRule("treatment", 0.5)),
            checks=(HashRange("layer", "layer-salt", n / count, (n + 1) / count),) if count > 1 else (),
        )  # fmt: skip
        variants = {key: RunningVariant(1, key, 0.5, None) for key in ("control", "treatment")}
        experiments.append(RunningExperiment(n, f"e{n}", "home", 1, rule, variants))
    surface = SurfaceConfig(1, "home", "recommend", (), 200, 0.0, (), None, tuple(experiments))
    rules = {e.key: e.rule for e in experiments}
    config = ServingConfig(flags={1: ProjectFlags({}, rules, {}, {}, "")})
    key = KeyConfig(1, "shop", "pk", ())
    visitors = [Visitor(key, surface, f"user-{n}", {}, False, True, FULL_CONSENT) for n in range(2000)]
    times = []
    for _ in range(5):
        start = time.perf_counter()
        for visitor in visitors:
            choose_version(config, visitor, {}, UNKNOWN_UNIT)
        times.append((time.perf_counter() - start) / len(visitors) * 1000)
    middle, spread = median_of(times)
    return Row(f"routing among {count} running experiments", middle, "ms", None, None, "ours <= 0.1",
               higher_is_better=False, spread=spread)  # fmt: skip
