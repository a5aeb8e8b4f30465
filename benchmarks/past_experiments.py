"""A project with many ended experiments, for pages to show; imported once Django is set up."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from experiments.actions.look_at_experiment import look_at_experiment
from experiments.ingest.rows import EventRow, ExposureRow, Rows
from experiments.models import Experiment, ExperimentMetric, Look, Metric, Variant
from tests.support.builders import write


def fill_project(project_id: int, count: int, looks: int) -> Experiment:
    """Add ended experiments to the shop of a stage; each has these looks.

    Returns:
        the running experiment, with as many.
    """
    running = Experiment.objects.running().tests().filter(project=project_id).earliest("pk")
    running.policy = {"window_seconds": 60.0, "promote": False, "planned_units": 4000}
    running.segments = ["country"]
    running.save()
    _write_clicks(running)
    look = look_at_experiment(experiment_id=running.pk)
    assert look is not None
    ended = _add_ended(running, count)
    _repeat_look(look, [running], range(2, looks + 1))
    # A few at a time: a row of a look is large.
    for start in range(0, len(ended), 20):
        _repeat_look(look, ended[start : start + 20], range(1, looks + 1))
    return running


def _write_clicks(experiment: Experiment) -> None:
    """Four hundred units per variant, with one to three clicks each."""
    project_id = experiment.project_id
    at = (timezone.now() - timedelta(minutes=5)).isoformat()
    rows = Rows()
    for variant in experiment.variants.all():
        for n in range(400):
            unit = f"{variant.key}-{n}"
            rows.exposures.append(
                ExposureRow(project_id, experiment.pk, variant.pk, 1, unit, "unit", at)
            )
            rows.events += [
                EventRow(project_id, f"{unit}-{click}", "click", unit, "item-1", None, None, at, at, {}, "live")
                for click in range(n % 3 + 1)
            ]  # fmt: skip
    write(rows)


def _add_ended(like: Experiment, count: int) -> list[Experiment]:
    """Add experiments that have ended, each with two variants and a primary metric."""
    metric, version = Metric.objects.get(project=like.project), like.control.model_version
    experiments = Experiment.objects.bulk_create(
        Experiment(
            project=like.project,
            surface=like.surface,
            key=f"past-{n}",
            state="ended",
            salt=str(n),
            policy=like.policy,
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
    return experiments


def _repeat_look(look: Look, experiments: list[Experiment], numbers: range) -> None:
    fields = {f.attname: getattr(look, f.attname) for f in Look._meta.fields if f.attname != "id"}
    Look.objects.bulk_create(
        Look(**{**fields, "experiment_id": e.pk, "number": n}) for e in experiments for n in numbers
    )


def client_of_administrator() -> Client:
    """Return a client that is signed in and may see everything."""
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("bench"))
    return client


def pages_of(experiment: Experiment) -> dict[str, str]:
    """Return the addresses of the pages, by what they show."""
    slug = experiment.project.slug
    return {
        "home": "/",
        "experiments": f"/p/{slug}/experiments/",
        "report": f"/experiments/{slug}/{experiment.key}/",
        "report of an ended one": f"/experiments/{slug}/past-1/",
        "new experiment": f"/p/{slug}/experiments/new/",
        "models": f"/p/{slug}/models/",
        "surface": f"/p/{slug}/surfaces/home-feed/",
        "unit": f"/p/{slug}/units/?unit=control-1",
        "feedback": f"/p/{slug}/feedback/",
        "team": f"/p/{slug}/team/",
        "health": "/health/",
    }
