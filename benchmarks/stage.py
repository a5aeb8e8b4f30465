"""A platform to measure: servers, web, a shop with data; and the plain Django peer beside it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx2

ITEMS, CANDIDATES, UNITS, WIDTH = 5_000, 200, 2_000, 64


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Stage:
    """Where to send requests."""

    port: int
    peer_port: int
    public: str
    project_id: int
    database_url: str
    web_pid: int
    plain_surface: str = "plain"
    surface: str = "home-feed"


@contextlib.contextmanager
def staged(home: str, *, peer: bool = True) -> Iterator[Stage]:
    """Start servers and web, fill them, and start the peer."""
    os.environ["BAKEOFF_HOME"] = home
    os.environ["DJANGO_SETTINGS_MODULE"] = "bakeoff.settings"
    from bakeoff.embedded.supervisor import ONE_THREAD, Platform
    from bakeoff.environment import read_environment

    platform = Platform(read_environment(), port=free_port())
    platform.start_servers()
    processes: list[subprocess.Popen] = []
    try:
        import django

        django.setup()
        public, project_id = _fill()
        variables = {**os.environ, **ONE_THREAD}
        port, peer_port = free_port(), free_port()

        def serve(application: str, at: int, **more: str) -> int:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "uvicorn",
                    application,
                    "--port",
                    str(at),
                    "--no-access-log",
                    "--log-level",
                    "error",
                ],
                env={**variables, **more},
            )
            processes.append(process)
            return process.pid

        web_pid = serve("bakeoff.asgi:application", port)
        if peer:
            serve(
                "benchmarks.peer:application",
                peer_port,
                DJANGO_SETTINGS_MODULE="benchmarks.peer_settings",
            )
        _wait(f"http://127.0.0.1:{port}/readyz")
        if peer:
            _wait(f"http://127.0.0.1:{peer_port}/ready")
        yield Stage(port, peer_port, public, project_id, read_environment().database_url, web_pid)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(20)
        platform.stop()


def _wait(url: str) -> None:
    for _ in range(400):
        with contextlib.suppress(httpx2.HTTPError):
            if httpx2.get(url, timeout=2).status_code == 200:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{url} did not answer")


def _fill() -> tuple[str, int]:
    """Make a shop: a catalogue, a two-tower-shaped model, an experiment, candidates of every unit."""
    import numpy as np
    from django.conf import settings

    from bakeoff.accounts.models import ApiKey, Project
    from experiments.actions.define_experiment import (
        ExperimentDraft,
        ExperimentMetricDraft,
        VariantDraft,
        define_experiment,
    )
    from experiments.actions.start_experiment import start_experiment
    from experiments.models import Metric
    from inference.actions.load_items import ItemDraft, load_items
    from inference.cache import cache_client
    from inference.models import ModelVersion, Surface
    from inference.serving.artifact import save_artifact
    from inference.serving.ranker import Ranker
    from inference.serving.refresh import History, refresh_units
    from inference.serving.scorers import draft_vectors

    project = Project.objects.create(slug="bench", name="Bench")
    _, public = ApiKey.make(project, "pk", name="bench")
    ids = [f"item-{n}" for n in range(ITEMS)]
    load_items(project_id=project.pk, items=(ItemDraft(i, f"Title of {i}") for i in ids))
    rng = np.random.default_rng(0)

    def version(surface: Surface, number: int, alias: str) -> ModelVersion:
        vectors = rng.normal(size=(ITEMS, WIDTH)).astype(np.float32)
        draft = draft_vectors(
            item_ids=ids,
            item_vectors=vectors,
            context_vectors=vectors,
            bias=np.zeros(ITEMS, np.float32),
            default_order=np.arange(1000, dtype=np.int32),
            about={"algorithm": "bench", "number": number},
        )
        digest = save_artifact(settings.BAKEOFF.artifacts, draft)
        return ModelVersion.objects.create(
            surface=surface,
            algorithm="bench",
            number=number,
            alias=alias,
            artifact_sha256=digest,
            gate={"passed": True},
        )

    histories = {
        f"user-{n}": History([ids[i] for i in rng.integers(ITEMS, size=20)], []) for n in range(UNITS)
    }
    metric = Metric.objects.create(project=project, key="clicks", kind="mean", event="click")
    for key in ("home-feed", "plain"):
        surface = Surface.objects.create(project=project, key=key, candidates=CANDIDATES)
        versions = [version(surface, 1, "champion"), version(surface, 2, "challenger")]
        rankers = {v.pk: Ranker(settings.BAKEOFF.artifacts, v.artifact_sha256) for v in versions}
        refresh_units(cache_client(), surface.pk, rankers, histories, candidates=CANDIDATES)
        if key == "home-feed":
            variants = [
                VariantDraft("control", versions[0], 0.5, is_control=True),
                VariantDraft("treatment", versions[1], 0.5),
            ]
            draft = ExperimentDraft(surface, "bench", variants, [ExperimentMetricDraft(metric)])
            start_experiment(experiment=define_experiment(draft), by="bench")
    return public, project.pk


def body(value: object) -> bytes:
    return json.dumps(value).encode()
