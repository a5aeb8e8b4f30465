"""`bakeoff train`, `models`, `promote`, `rollback`: the registry from a shell."""

from __future__ import annotations

import json
import time

import click
from rich.table import Table

from bakeoff.commands.project import find_project, find_surface, find_version, project_option
from bakeoff.commands.terminal import console, fail, progress, say

POLL_SECONDS = 0.3
OPERATOR = "operator"


@click.command()
@click.argument("surface")
@click.option("--recommender", default="two-tower", show_default=True, help="What is trained.")
@click.option("--params", default="{}", help="Hyper-parameters that differ from the defaults, as JSON.")
@project_option
def train(surface: str, recommender: str, params: str, slug: str | None) -> None:
    """Retrain SURFACE's model on what was recorded and put it through the gate."""
    found = find_surface(find_project(slug), surface)
    try:
        values = json.loads(params)
    except json.JSONDecodeError as error:
        raise click.UsageError(f"params == '{params}', must be a JSON object.") from error
    from experiments.actions.retrain_surface import retrain_surface
    from inference.actions.queue_training import CannotTrainError
    from inference.models import TrainingRun

    try:
        run = retrain_surface(surface=found, recommender=recommender, trigger=OPERATOR, params=values)
    except CannotTrainError as error:
        raise fail(str(error)) from error
    seen = 0
    with progress(f"Training {recommender} in a worker (%)", 100) as advance:
        while run.state in TrainingRun.ACTIVE:
            time.sleep(POLL_SECONDS)
            run.refresh_from_db()
            now = int(run.progress * 100)
            advance(max(now - seen, 0))
            seen = max(now, seen)
    say(run.message)
    if run.state != TrainingRun.State.PASSED:
        raise SystemExit(1)


@click.command()
@click.argument("surface")
@project_option
def models(surface: str, slug: str | None) -> None:
    """List the versions of SURFACE, newest first."""
    found = find_surface(find_project(slug), surface)
    table = Table("version", "alias", "gate", "artifact", "made at")
    for version in found.versions.all():
        gate = "passed" if version.passed_gate else "refused"
        made = f"{version.created_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(version.label, version.alias, gate, version.artifact_sha256[:12], made)
    if table.row_count:
        console.print(table)
    else:
        say(f"No version yet: `bakeoff train {surface} --recommender popularity` makes the first.")


@click.command()
@click.argument("surface")
@click.argument("version")
@click.option("--reason", default="promoted from a shell", show_default=True, help="For the record.")
@project_option
def promote(surface: str, version: str, reason: str, slug: str | None) -> None:
    """Make VERSION (such as two-tower@7) the champion of SURFACE."""
    _move(surface, version, reason, slug)


@click.command()
@click.argument("surface")
@click.argument("version")
@click.option("--reason", default="rolled back from a shell", show_default=True, help="For the record.")
@project_option
def rollback(surface: str, version: str, reason: str, slug: str | None) -> None:
    """Go back to VERSION of SURFACE; read back from serving before it says done."""
    _move(surface, version, reason, slug)


def _move(surface: str, version: str, reason: str, slug: str | None) -> None:
    found = find_version(find_surface(find_project(slug), surface), version)
    from experiments.actions.promote_version import promote_version
    from inference.actions.move_champion import CannotPromoteError

    try:
        decision = promote_version(version=found, by=OPERATOR, reason=reason)
    except CannotPromoteError as error:
        raise fail(str(error)) from error
    late = [process for process, seconds in decision.read_back.items() if seconds is None]
    if late:
        raise fail(f"{found} is champion, but {', '.join(late)} did not confirm it in time.")
    confirmed = ", ".join(f"{seconds} s" for seconds in decision.read_back.values())
    say(f"{found} is the champion of '{surface}' (serving confirmed: {confirmed or 'nobody serves'}).")
