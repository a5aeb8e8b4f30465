"""`bakeoff experiments`: list, define, start and stop experiments from a shell."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.lists import json_option, show_rows
from bakeoff.commands.names import complete_experiments
from bakeoff.commands.project import (
    find_experiment,
    find_metric,
    find_project,
    find_surface,
    find_version,
    project_option,
)
from bakeoff.commands.terminal import echo, fail
from experiments.kinds import MODES

if TYPE_CHECKING:
    from bakeoff.accounts.models import Project
    from experiments.actions.experiment_draft import ExperimentDraft


@click.group()
def experiments() -> None:
    """List, define, start and stop experiments."""


@experiments.command(name="list")
@json_option
@project_option
def list_experiments(*, as_json: bool, slug: str | None) -> None:
    """List the project's experiments with their verdicts."""
    project = find_project(slug)
    from experiments.reports.read_together import read_together
    from experiments.reports.verdict import summarise_verdict

    rows = []
    for experiment in read_together(project.experiments.select_related("surface")):
        verdict = summarise_verdict(experiment)
        rows.append(
            {
                "experiment": experiment.key,
                "name": experiment.name,
                "surface": experiment.surface.key,
                "purpose": experiment.purpose,
                "state": experiment.state,
                "verdict": verdict.sentence,
                "action": verdict.action,
                "effect": verdict.effect,
                "ci": verdict.interval,
                "units": verdict.units,
            }
        )
    show_rows(
        rows,
        as_json=as_json,
        hidden=("surface", "action", "effect", "ci", "units"),
        empty="No experiments yet: a version that passes its gate starts one by itself.",
    )


@experiments.command()
@click.argument("key")
@click.option("--surface", required=True)
@click.option("--name", default="", help="What people call it; empty: pages show the key.")
@click.option("--control", required=True, help="Version such as popularity@1.")
@click.option("--treatment", required=True, help="Version such as two-tower@1.")
@click.option("--metric", required=True, help="Key of the primary metric.")
@click.option("--weight", default=0.5, show_default=True, help="The treatment's share of traffic.")
@click.option("--policy", default="{}", help="Fields that differ from the defaults, as JSON.")
@click.option(
    "--breaker-alpha",
    type=float,
    help="Chance that the breaker ends it without harm, at most 0.05; 0: no breaker.  [default: 0.001]",
)
@click.option(
    "--mode",
    type=click.Choice(MODES),
    default="split",
    show_default=True,
    help="interleave: each user gets lists of both versions; bandit: the better one gets more users; "
    "cluster: each store, team, … gets one variant, see cluster_by of the policy; switchback: all "
    "users get one, drawn for each block of time, see block_seconds of the policy.",
)
@click.option("--against-gate", is_flag=True, help="Allow a version that its gate rejected.")
@project_option
def define(key: str, slug: str | None, breaker_alpha: float | None, **options: str) -> None:
    """Define an experiment; it takes no traffic before it is started."""
    project = find_project(slug)
    from experiments.actions.define_experiment import CannotDefineError, define_experiment

    try:
        draft = _draft(project, key, options)
        if breaker_alpha is not None:
            draft = replace(draft, breaker_alpha=breaker_alpha)
        experiment = define_experiment(draft)
    except CannotDefineError as error:
        raise click.UsageError(str(error)) from error
    echo(f"Draft {experiment} created; start it with `bakeoff experiments start {key}`.")


def _draft(project: Project, key: str, options: dict[str, str]) -> ExperimentDraft:
    """Return the draft of two variants that the options name.

    Raises:
        click.UsageError: the project has no such surface, version or metric, or the policy is no JSON.
    """
    from experiments.actions.experiment_draft import (
        ExperimentDraft,
        ExperimentMetricDraft,
        VariantDraft,
    )

    surface = find_surface(project, options["surface"])
    metric = find_metric(project, options["metric"])
    try:
        policy = json.loads(options["policy"])
    except json.JSONDecodeError as error:
        raise click.UsageError(f"policy == '{options['policy']}', must be a JSON object.") from error
    control, treatment = (find_version(surface, options[name]) for name in ("control", "treatment"))
    weight = float(options["weight"])
    return ExperimentDraft(
        surface=surface,
        key=key,
        name=options["name"],
        owner=OPERATOR,
        variants=[
            VariantDraft("control", control, 1 - weight, is_control=True),
            VariantDraft("treatment", treatment, weight),
        ],
        metrics=[ExperimentMetricDraft(metric)],
        policy=policy,
        against_gate=bool(options["against_gate"]),
        mode=options["mode"],
    )


@experiments.command()
@click.argument("key", shell_complete=complete_experiments)
@project_option
def start(key: str, slug: str | None) -> None:
    """Start an experiment: the rule is fixed, traffic is split."""
    project = find_project(slug)
    from experiments.actions.start_experiment import (
        CannotStartError,
        start_experiment,
    )
    from experiments.models.experiment import WrongStateError

    experiment = find_experiment(project, key)
    try:
        start_experiment(experiment=experiment, by=OPERATOR)
    except (CannotStartError, WrongStateError) as error:
        raise fail(f"{error}.") from error
    from inference.cache import cache_client
    from inference.serving.changes import wait_until_read

    late = wait_until_read(cache_client())
    echo(f"{key} runs{f', but {late} did not confirm in time' if late else ''}.")


@experiments.command()
@click.argument("key", shell_complete=complete_experiments)
@click.option(
    "--reason", default="stopped from a shell", show_default=True, help="Reason, for the audit log."
)
@project_option
def stop(key: str, reason: str, slug: str | None) -> None:
    """Stop an experiment without a verdict; the champion stays."""
    project = find_project(slug)
    from experiments.actions.stop_experiment import stop_experiment
    from experiments.models.experiment import WrongStateError

    experiment = find_experiment(project, key)
    try:
        stop_experiment(experiment=experiment, by=OPERATOR, reason=reason)
    except WrongStateError as error:
        raise fail(f"{error}.") from error
    echo(f"{key} stopped.")
