"""`bakeoff runs`: training runs from a shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.lists import json_option, show_rows
from bakeoff.commands.models import show_ablation, show_candidates, show_gate
from bakeoff.commands.names import surface_argument
from bakeoff.commands.project import find_project, find_surface, project_option
from bakeoff.commands.terminal import echo, fail

if TYPE_CHECKING:
    from inference.models import TrainingRun


@click.group()
def runs() -> None:
    """Look at training runs and their logs, and cancel one."""


def _find_run(run_id: int, slug: str | None) -> TrainingRun:
    project = find_project(slug)  # sets Django up: its models are imported after it
    from inference.models import TrainingRun

    run = TrainingRun.objects.filter(surface__project=project, pk=run_id).first()
    if run is None:
        raise click.UsageError(f"run == {run_id}, not found in project '{project.slug}'.")
    return run


@runs.command("list")
@surface_argument
@json_option
@project_option
def list_runs(surface: str, *, as_json: bool, slug: str | None) -> None:
    """List the last runs of SURFACE, newest first."""
    target = find_surface(find_project(slug), surface)
    rows = [
        {
            "run": run.pk,
            "algorithm": run.algorithm,
            "version": run.version.label if run.version is not None else None,
            "trigger": run.trigger,
            "state": run.state,
            "progress": round(run.progress, 4),
            "message": run.message,
        }
        for run in target.training_runs.select_related("version")[:20]
    ]
    empty = f"No training runs yet: `bakeoff train {surface}` starts the first."
    show_rows(rows, as_json=as_json, empty=empty)


@runs.command()
@click.argument("run_id", type=int)
@project_option
def show(run_id: int, slug: str | None) -> None:
    """Show the run RUN_ID: what it tried, with figures, its gate, and what images add."""
    run = _find_run(run_id, slug)
    from inference.training.waiting import waiting_of

    echo(f"Run {run.pk}: {run.algorithm} for '{run.surface}', {run.state}, {run.progress:.0%}.")
    if (waiting := waiting_of(run)) is not None:
        echo(f"It {waiting.sentence}")
    if (stage := run.current_stage) is not None:
        left = f"; about {stage.seconds_left:.0f} s left" if stage.seconds_left is not None else ""
        echo(f"{stage.line}{left}.")
    if run.version is not None:
        show_candidates(run.version)
        show_gate(run.version)
        show_ablation(run.version)
    for note in run.notes:
        echo(f"Note: {note}")
    if run.message:
        echo(run.message)


@runs.command()
@click.argument("run_id", type=int)
@click.option("--lines", type=click.IntRange(min=1), help="Only the last so many.")
@json_option
@project_option
def log(run_id: int, *, lines: int | None, as_json: bool, slug: str | None) -> None:
    """Show the last lines that the run RUN_ID logged, oldest first; secrets are hidden in them."""
    run = _find_run(run_id, slug)
    from inference.models.run_log import MAX_LINES

    newest = run.log_lines.order_by("-pk")[: min(lines or MAX_LINES, MAX_LINES)]
    rows = [
        {"at": one.at, "attempt": one.attempt, "level": one.level, "text": one.text}
        for one in reversed(newest)
    ]
    if as_json:
        show_rows(rows, as_json=True)
        return
    for row in rows:
        echo(f"{row['at']:%Y-%m-%d %H:%M:%S} {row['level']} {row['text']}")
    if not rows:
        echo("Nothing logged yet.")


@runs.command()
@click.argument("run_id", type=int)
@project_option
def cancel(run_id: int, slug: str | None) -> None:
    """Cancel the run RUN_ID, which waits or works."""
    run = _find_run(run_id, slug)
    from inference.actions.cancel_training import CannotCancelError, cancel_training

    try:
        cancel_training(run=run, by=OPERATOR)
    except CannotCancelError as error:
        raise fail(str(error)) from error
    echo(f"Run {run_id} cancelled.")
