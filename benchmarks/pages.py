"""Pages with 1,000 experiments and 200 looks each: weight and time to render, in process.

And the embed's size beside what others ask a page to load, from npm in the same run.
"""

from __future__ import annotations

import gzip
import shutil
import statistics
import subprocess
import time
from pathlib import Path

from benchmarks.results import Row, write_result
from benchmarks.stage import staged

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
        client, pages = _fill(stage.project_id, experiments)
        for name, address in pages.items():
            times = []
            for _ in range(7):
                start = time.perf_counter()
                answer = client.get(address)
                times.append((time.perf_counter() - start) * 1000)
                if answer.status_code != 200:
                    raise RuntimeError(f"{address}: {answer.status_code}")
            weight = len(answer.content) / 1000
            rows += [
                Row(f"{name}: rendered", statistics.median(times), "ms", None, None,
                    "ours <= 300", higher_is_better=False, spread=f"{min(times):.0f} to {max(times):.0f}"),
                Row(f"{name}: weight, not packed", weight, "kB", None, None,
                    "ours <= 150", higher_is_better=False),
            ]  # fmt: skip
    ours = _packed(Path(__file__).parent.parent / "clients" / "js" / "bakeoff.js")
    for name, (package, file) in PEERS.items():
        peer = _peer(Path(home), package, file)
        rows.append(
            Row(f"the embed, packed (peer: {name})", ours, "kB", peer, None,
                "ours <= 4", higher_is_better=False)
        )  # fmt: skip
    notes = (
        f"{experiments} experiments with {LOOKS} looks each in one project; Django in process, debug off, one thread; "
        "medians of 7. Peers: what their package says a page should load, gzip -9."
    )
    write_result("pages", size, rows, notes)


def _fill(project_id: int, count: int):
    """Fill the project; return a client of an administrator and the addresses."""
    from datetime import timedelta

    from django.contrib.auth.models import User
    from django.test import Client
    from django.utils import timezone

    from bakeoff.accounts.models import Project
    from experiments.actions.look_at_experiment import look_at_experiment
    from experiments.ingest.rows import EventRow, ExposureRow, Rows
    from experiments.models import Experiment, ExperimentMetric, Look, Metric, Variant
    from inference.models import Surface
    from tests.support.builders import write

    project = Project.objects.get(pk=project_id)
    surface = Surface.objects.get(project=project, key="home-feed")
    first = Experiment.objects.get(project=project)
    first.policy = {"window_seconds": 60.0, "promote": False, "planned_units": 4000}
    first.segments = ["country"]
    first.save()
    at = (timezone.now() - timedelta(minutes=5)).isoformat()
    rows = Rows()
    for variant in first.variants.all():
        for n in range(400):
            unit = f"{variant.key}-{n}"
            rows.exposures.append(ExposureRow(project.pk, first.pk, variant.pk, 1, unit, "unit", at))
            for click in range(n % 3 + 1):
                event = f"{unit}-{click}"
                rows.events.append(
                    EventRow(project.pk, event, "click", unit, "item-1", None, None, at, at, {}, "live")
                )
    write(rows)
    look = look_at_experiment(experiment_id=first.pk)
    assert look is not None
    metric = Metric.objects.get(project=project)
    version = first.control.model_version
    experiments = Experiment.objects.bulk_create(
        Experiment(
            project=project,
            surface=surface,
            key=f"past-{n}",
            state="ended",
            salt=str(n),
            policy=first.policy,
            started_at=timezone.now(),
            ended_at=timezone.now(),
        )
        for n in range(count)
    )
    Variant.objects.bulk_create(
        Variant(experiment=e, key=key, is_control=key == "control", model_version=version)
        for e in experiments
        for key in ("control", "treatment")
    )
    ExperimentMetric.objects.bulk_create(
        ExperimentMetric(experiment=e, metric=metric, role="primary") for e in experiments
    )
    fields = {f.attname: getattr(look, f.attname) for f in Look._meta.fields if f.attname != "id"}
    for start in range(0, len(experiments), 20):
        Look.objects.bulk_create(
            Look(**{**fields, "experiment_id": e.pk, "number": n})
            for e in [*experiments[start : start + 20], *([first] if start == 0 else [])]
            for n in range(2 if e is first else 1, LOOKS + 1)
        )
    person = User.objects.create_superuser("bench")
    client = Client(headers={"host": "localhost"})
    client.force_login(person)
    slug = project.slug
    return client, {
        "home": "/",
        "experiments": f"/p/{slug}/experiments/",
        "report": f"/experiments/{slug}/{first.key}/",
        "report of an ended one": f"/experiments/{slug}/past-1/",
        "new experiment": f"/p/{slug}/experiments/new/",
        "models": f"/p/{slug}/models/",
        "surface": f"/p/{slug}/surfaces/home-feed/",
        "unit": f"/p/{slug}/units/?unit=control-1",
        "feedback": f"/p/{slug}/feedback/",
        "team": f"/p/{slug}/team/",
        "health": "/health/",
    }


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
