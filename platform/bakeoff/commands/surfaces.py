"""`bakeoff surfaces` and `bakeoff metrics`: what a project has, and what it no longer needs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.lists import json_option, show_rows
from bakeoff.commands.names import metric_argument, surface_argument
from bakeoff.commands.project import find_metric, find_project, find_surface, project_option
from bakeoff.commands.terminal import echo, fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from experiments.reports.surface_history import DiffLine


@click.group()
def surfaces() -> None:
    """List, archive and delete the project's surfaces; `bakeoff config` makes and changes them."""


archived_option = click.option("--archived", is_flag=True, help="The archived ones alone.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")


@surfaces.command("list")
@archived_option
@json_option
@project_option
def list_surfaces(*, archived: bool, as_json: bool, slug: str | None) -> None:
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
        for surface in project.surfaces.filter(archived_at__isnull=not archived).order_by("key")
    ]
    empty = "No surface is archived." if archived else "No surfaces yet: see docs/quickstart.md."
    show_rows(rows, as_json=as_json, empty=empty)


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


@surfaces.command("archive")
@surface_argument
@yes_option
@project_option
def archive_one_surface(surface: str, *, yes: bool, slug: str | None) -> None:
    """Archive SURFACE: it is served, trained and listed no more, and keeps its history."""
    target = find_surface(find_project(slug), surface)
    from experiments.actions.archive_surface import archive_surface

    if not yes:
        click.confirm(f"Archive '{surface}'? Requests for it are refused from then on.", abort=True)
    _carry_out(lambda: archive_surface(surface=target, by=OPERATOR))
    echo(f"Surface '{surface}' archived. `bakeoff surfaces restore {surface}` takes it back.")


@surfaces.command("restore")
@surface_argument
@project_option
def restore_one_surface(surface: str, *, slug: str | None) -> None:
    """Restore SURFACE: its champion serves, schedule and autopilot go on."""
    target = find_surface(find_project(slug), surface)
    from experiments.actions.archive_surface import restore_surface

    _carry_out(lambda: restore_surface(surface=target, by=OPERATOR))
    echo(f"Surface '{surface}' restored.")


@surfaces.command("delete")
@surface_argument
@yes_option
@project_option
def delete_one_surface(surface: str, *, yes: bool, slug: str | None) -> None:
    """Delete SURFACE for good: archived, and never used."""
    target = find_surface(find_project(slug), surface)
    from experiments.actions.archive_surface import delete_surface

    if not yes:
        click.confirm(f"Delete '{surface}' for good?", abort=True)
    _carry_out(lambda: delete_surface(surface=target, by=OPERATOR))
    echo(f"Surface '{surface}' deleted.")


def _carry_out(act: Callable[[], object]) -> None:
    from experiments.actions.archive_surface import CannotArchiveError

    try:
        act()
    except CannotArchiveError as error:
        raise fail(str(error)) from error


@click.group()
def metrics() -> None:
    """List, archive and delete the project's metrics; `bakeoff config` makes and changes them."""


@metrics.command("archive")
@metric_argument
@yes_option
@project_option
def archive_one_metric(metric: str, *, yes: bool, slug: str | None) -> None:
    """Archive METRIC: no new experiment has it; reports show it as before."""
    target = find_metric(find_project(slug), metric)
    from experiments.actions.archive_metric import archive_metric

    if not yes:
        click.confirm(f"Archive '{metric}'? No new experiment has it from then on.", abort=True)
    _carry_out(lambda: archive_metric(metric=target, by=OPERATOR))
    echo(f"Metric '{metric}' archived. `bakeoff metrics restore {metric}` takes it back.")


@metrics.command("restore")
@metric_argument
@project_option
def restore_one_metric(metric: str, *, slug: str | None) -> None:
    """Restore METRIC: experiments can have it again."""
    target = find_metric(find_project(slug), metric)
    from experiments.actions.archive_metric import restore_metric

    _carry_out(lambda: restore_metric(metric=target, by=OPERATOR))
    echo(f"Metric '{metric}' restored.")


@metrics.command("delete")
@metric_argument
@yes_option
@project_option
def delete_one_metric(metric: str, *, yes: bool, slug: str | None) -> None:
    """Delete METRIC for good, where no experiment has had it."""
    target = find_metric(find_project(slug), metric)
    from experiments.actions.archive_metric import delete_metric

    if not yes:
        click.confirm(f"Delete '{metric}' for good?", abort=True)
    _carry_out(lambda: delete_metric(metric=target, by=OPERATOR))
    echo(f"Metric '{metric}' deleted.")


@metrics.command("list")
@archived_option
@json_option
@project_option
def list_metrics(*, archived: bool, as_json: bool, slug: str | None) -> None:
    """List metrics: what each counts, which change is good, whose it is, and how much it is used."""
    project = find_project(slug)
    from experiments.reports.metric_library import usage_of

    metrics = list(project.metrics.filter(archived_at__isnull=not archived).order_by("key"))
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
    none = "No metrics yet: a surface brings those of its serving."
    show_rows(rows, as_json=as_json, empty="No metric is archived." if archived else none)
