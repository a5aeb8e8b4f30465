"""`bakeoff surfaces` and `bakeoff metrics`: what a project has."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bakeoff.commands.lists import json_option, show_rows
from bakeoff.commands.names import surface_argument
from bakeoff.commands.project import find_project, find_surface, project_option

if TYPE_CHECKING:
    from experiments.reports.surface_history import DiffLine


@click.group()
def surfaces() -> None:
    """List the project's surfaces and their changes; `bakeoff config` makes and changes them."""


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


@surfaces.command()
@surface_argument
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Newest changes."
)
@json_option
@project_option
def history(surface: str, *, limit: int, as_json: bool, slug: str | None) -> None:
    """Show who changed which settings of SURFACE, newest first: its own, autopilot and judging."""
    target = find_surface(find_project(slug), surface)
    from django.utils.translation import override

    from experiments.reports.surface_history import history_of, read_change

    changes = [read_change(entry) for entry in history_of(target)[:limit]]
    if as_json:  # as the API answers
        show_rows([asdict(one) for one in changes], as_json=True)
        return
    with override("en"):
        rows = [
            {
                "at": one.at,
                "by": one.by,
                "settings": one.part_name,
                "change": "Created" if one.is_creation else "; ".join(map(_in_words, one.lines())),
            }
            for one in changes
        ]
    show_rows(rows, as_json=False, empty="No changes recorded.")


def _in_words(line: DiffLine) -> str:
    """Write one value that differs on one line."""
    name = f"{line.name} ({line.path})" if line.path else line.name
    parts = [f"added {line.added}"] if line.added else []
    parts += [f"removed {line.removed}"] if line.removed else []
    return f"{name}: {', '.join(parts) or f'{line.before} → {line.after}'}"


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
