"""OFREP's bulk evaluation of 20 flags, beside Unleash's frontend API with 20 toggles on the same PostgreSQL.

And the cost of routing a recommend among 1, 20 and 200 running experiments, in process.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import httpx2
import psycopg

from benchmarks.load import measure, request_bytes
from benchmarks.results import Row, median_of, write_result
from benchmarks.stage import UNITS, body, free_port, staged

FLAGS = 20
UNLEASH = "unleash-server@8.2.0"
ADMIN, FRONTEND = "*:*.admin", "default:development.frontend"


def run(size: str, home: str) -> None:
    seconds, repeats = (5.0, 5) if size == "full" else (1.0, 2)
    with staged(home, peer=False) as stage:
        _define_flags(stage.project_id)
        with _unleash(stage, Path(home)) as unleash_port:
            numbers = itertools.count()
            order = list(range(UNITS))
            random.Random(0).shuffle(order)
            ours = [
                request_bytes(
                    "POST",
                    "/ofrep/v1/evaluate/flags",
                    body({"context": {"targetingKey": f"user-{n}", "country": "DE"}}),
                    stage.public,
                )
                for n in order
            ]
            theirs = [
                b"GET /api/frontend?userId=user-%d&country=DE HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
                b"Authorization: %s\r\n\r\n" % (n, FRONTEND.encode())
                for n in order
            ]
            empty = request_bytes("GET", "/healthz")
            rates, peers, limits = [], [], []
            for _ in range(repeats):
                for port, ready, keep_alive in (
                    (stage.port, ours, rates),
                    (unleash_port, theirs, peers),
                    (stage.port, [empty], limits),
                ):
                    if port == 0:
                        continue
                    measured = measure(
                        port,
                        lambda ready=ready: ready[next(numbers) % len(ready)],
                        connections=64,
                        seconds=seconds,
                    )
                    if measured.errors:
                        raise RuntimeError(f"{measured.errors} failed: {measured.first_error!r}")
                    keep_alive.append(measured.requests_per_second)
    rate, spread = median_of(rates)
    beside = median_of(peers)[0] if peers else None
    rows = [
        Row(f"OFREP bulk of {FLAGS} flags (peer: Unleash's frontend API)", rate, "requests/s", beside,
            median_of(limits)[0], "ratio_to_peer >= 5" if beside else "", spread=spread),
        *[_routing(count) for count in (1, 20, 200)],
    ]  # fmt: skip
    notes = (
        "64 connections, another unit each time; one web process each, the load generator and PostgreSQL on the "
        "same cores. Each flag has two variants; ours have a targeting condition besides. Routing: the time to find "
        "a unit's variant among so many experiments of one surface, in ranges of one layer."
    )
    write_result("ofrep", size, rows, notes)


def _define_flags(project_id: int) -> None:
    from bakeoff.accounts.models import Project
    from experiments.actions.define_experiment import (
        ExperimentDraft,
        ExperimentMetricDraft,
        VariantDraft,
        define_experiment,
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


@contextlib.contextmanager
def _unleash(stage, home: Path):
    """Install and start Unleash; port 0 where npm is not at hand."""
    if not shutil.which("npm"):
        yield 0
        return
    folder = home / "unleash"
    folder.mkdir()
    (folder / "package.json").write_text('{"private": true}')
    subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", UNLEASH],
        cwd=folder,
        check=True,
    )
    parts = psycopg.conninfo.conninfo_to_dict(stage.database_url)
    with psycopg.connect(stage.database_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE unleash")
    port = free_port()
    script = Path(__file__).parent / "peers" / "unleash.mjs"
    process = subprocess.Popen(
        [
            "node",
            str(script),
            str(folder),
            str(parts["host"]),
            "unleash",
            str(parts["user"]),
            str(port),
        ],
        env={
            **os.environ,
            "NODE_ENV": "production",
            "CHECK_VERSION": "false",
            "SDK_API_RATE_LIMIT_PER_MINUTE": "100000000",
            "TOKEN_AUTHENTICATION_RATE_LIMIT_PER_MINUTE": "100000000",
        },
    )
    try:
        client = httpx2.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": ADMIN}, timeout=30
        )
        for _ in range(600):
            with contextlib.suppress(httpx2.HTTPError):
                if client.get("/health").status_code == 200:
                    break
            time.sleep(0.2)
        for n in range(FLAGS):
            place = "/api/admin/projects/default/features"
            client.post(place, json={"name": f"flag-{n}", "type": "experiment"}).raise_for_status()
            at = f"{place}/flag-{n}/environments/development"
            variants = [
                {"name": name, "weight": 500, "weightType": "variable", "stickiness": "userId"}
                for name in ("control", "treatment")
            ]
            client.post(
                f"{at}/strategies",
                json={
                    "name": "flexibleRollout",
                    "parameters": {"rollout": "100", "stickiness": "userId", "groupId": f"flag-{n}"},
                    "variants": variants,
                },
            ).raise_for_status()
            client.post(f"{at}/on").raise_for_status()
        for _ in range(100):  # its frontend API reads changes now and then
            answer = client.get("/api/frontend?userId=1", headers={"Authorization": FRONTEND}).json()
            if len(answer.get("toggles", [])) == FLAGS:
                break
            time.sleep(0.3)
        else:
            raise RuntimeError(f"Unleash answers {answer}")
        yield port
    finally:
        process.terminate()
        process.wait(20)


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
