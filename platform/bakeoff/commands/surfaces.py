"""`bakeoff surfaces` and `bakeoff metrics`: what a project has."""

from __future__ import annotations

import click

from bakeoff.commands.lists import json_option, show_rows
from bakeoff.commands.project import find_project, project_option


@click.group()
def surfaces() -> None:
    """List the project's surfaces; `bakeoff config` makes and changes them."""


@surfaces.command("list")
@json_option
@project_option
def list_surfaces(*, as_json: bool, slug: str | None) -> None:
    """List surfaces with their champions."""
    project = find_project(slug)
    from inference.models import ModelVersion

    champions = {
        version.surface_id: version.label
        for version in ModelVersion.objects.champions().filter(surface__project=project)
    }
    running = project.experiments.filter(state="running").values_list("surface_id", "key")
    rows = [
        {
            "surface": surface.key,
            "kind": surface.kind,
            "champion": champions.get(surface.pk),
            "running": sorted(key for surface_id, key in running if surface_id == surface.pk),
        }
        for surface in project.surfaces.order_by("key")
    ]
    show_rows(rows, as_json=as_json, empty="No surfaces yet: see docs/quickstart.md.")


@click.group()
def metrics() -> None:
    """List the project's metrics; `bakeoff config` makes and changes them."""


@metrics.command("list")
@json_option
@project_option
def list_metrics(*, as_json: bool, slug: str | None) -> None:
    """List metrics: what each counts, which change is good, whose it is, and how much it is used."""
    project = find_project(slug)
    from experiments.reports.metric_library import usage_of

    metrics = list(project.metrics.order_by("key"))
    usage = usage_of(metrics)
    rows = [
        {
            "metric": metric.key,
            "name": metric.name,
            "kind": metric.kind,
            "event": metric.event or " → ".join(metric.steps),
            "direction": metric.direction,
            "owner": metric.owner,
            "tags": metric.tags,
            "experiments": usage[metric.pk].experiments if metric.pk in usage else 0,
        }
        for metric in metrics
    ]
    show_rows(rows, as_json=as_json, empty="No metrics yet: a surface brings those of its serving.")
