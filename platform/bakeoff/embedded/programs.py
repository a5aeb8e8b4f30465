"""What runs beside the servers, as command lines; docker-compose.yml starts the same ones."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from bakeoff.embedded.processes import Child

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bakeoff.environment import Environment

# One thread a process: two OpenMP threads beside other work are many times slower than one.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
LOCAL_LLM = "local-llm"  # the embedded model, which beats as a web process does
# Queues of each worker. A look may take a minute, and nobody's refresh, ramp or drain waits for it.
WORKERS = {
    "worker-loop": "default,refresh",
    "worker-analysis": "analysis",
    "worker-embed": "embed",
    "worker-answer": "answers",
    "worker-train": "train",
}


def programs_of(environment: Environment, host: str, port: int, web_processes: int) -> list[Child]:
    """Return web, the workers, beat and the embedded model, in the order in which they start."""
    variables = {**os.environ, **ONE_THREAD, "BAKEOFF_HOME": str(environment.home)}

    def child(name: str, *arguments: str) -> Child:
        command = [sys.executable, "-m", *arguments]
        return Child(name, command, environment.logs / f"{name}.log", variables)

    if web_processes > 1:  # one alone keeps its counts in memory, which is faster
        variables |= {"PROMETHEUS_MULTIPROC_DIR": str(metrics_folder(environment))}
    web = child(
        "web", "uvicorn", "bakeoff.asgi:application", "--host", host, "--port", str(port),
        "--workers", str(web_processes), "--no-access-log", "--log-level", "warning",
        "--timeout-graceful-shutdown", "10", "--no-server-header", "--no-proxy-headers",
        "--http", "bakeoff.gateway.http.connection:Connection",
        # A start-up that fails ends the process, which is started again, instead of answering 503.
        "--lifespan", "on",
    )  # fmt: skip
    workers = [
        child(
            name, "celery", "-A", "bakeoff.celery", "worker", "--queues", queues, "--pool", "solo",
            "--loglevel", "WARNING", "--hostname", f"{name}@%h", "--without-gossip", "--without-mingle",
        )
        for name, queues in WORKERS.items()
    ]  # fmt: skip
    beat = child(
        "beat", "celery", "-A", "bakeoff.celery", "beat", "--loglevel", "WARNING", "--pidfile", ""
    )
    # Only where an address is set: most platforms call models elsewhere, or none.
    local = [child(LOCAL_LLM, "bakeoff", LOCAL_LLM)] if environment.local_models.port else []
    return [web, *workers, beat, *local]


def metrics_folder(environment: Environment) -> Path:
    """Return where several web processes keep what they count, so that each can answer for all."""
    return environment.run_folder / "metrics"


def empty_metrics(environment: Environment) -> None:
    """Begin to count anew: no web process lives, and process ids are used again."""
    folder = metrics_folder(environment)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def started(child: Child, *, is_cancelled: Callable[[], bool]) -> Child:
    """Start a program, unless everything is being stopped; return it."""
    if not is_cancelled():
        child.start()
    return child
