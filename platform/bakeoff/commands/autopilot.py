"""`bakeoff autopilot`: what the autopilot of a surface does, its settings, its queue and its ramp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import orjson
from rich.table import Table

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.autopilot_options import (
    read_guardrails,
    read_priority,
    read_share,
    read_steps,
)
from bakeoff.commands.names import surface_argument
from bakeoff.commands.project import (
    find_project,
    find_surface,
    find_version,
    must_be_one_of,
    project_option,
)
from bakeoff.commands.ramp_table import show_ramp
from bakeoff.commands.terminal import console, echo, fail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from experiments.reports.autopilot_report import AutopilotReport
    from inference.models import Surface

# Options that change a setting, by its name; the others of the command are acts.
SETTINGS = (
    "primary_metric", "guardrails", "ramp", "ship_when", "holdback_share", "holdback_days",
    "cooldown_days", "approval", "breaker_alpha", "interleave_first", "refresh", "paused",
)  # fmt: skip
STAGE_MARKS = {"done": "✓", "now": "▶", "held": "‖", "stopped": "✗", "skipped": "○", "none": "·"}


@click.command()
@surface_argument
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--primary-metric", metavar="KEY", help="What decides; '' for none: nothing starts.")
@click.option(
    "--guardrail",
    "guardrails",
    callback=read_guardrails,
    metavar="KEY=MARGIN,…",
    help="Metrics that must not become worse, and the accepted relative loss; '' for none.",
)
@click.option(
    "--ramp",
    callback=read_steps,
    metavar="SHARE:SECONDS[:USERS],…",
    help="Steps of the treatment's share, such as 1%:3600,10%:86400,50%:0; USERS must have come "
    "before a step is left, as many as show its class of harm unless you state them.",
)
@click.option("--ship-when", type=click.Choice(["", "significant", "valuable"]))
@click.option("--holdback-share", callback=read_share, help="Of all users, such as 3%.")
@click.option("--holdback-days", type=float)
@click.option("--cooldown-days", type=float, help="Between two tests.")
@click.option("--approval", type=click.Choice(["automatic", "propose", "two_persons"]))
@click.option("--breaker-alpha", type=float, help="Chance of a false trip; 0 for no breaker.")
@click.option(
    "--interleave-first", type=int, help="Challengers that interleaving screens before a test; 0: none."
)
@click.option("--refresh", type=click.Choice(["non_inferior", "superior", "always"]))
@click.option("--pause/--resume", "paused", default=None, help="Whether further experiments start.")
@click.option("--hold", metavar="VERSION", help="Let a challenger wait until it is released.")
@click.option("--release", metavar="VERSION")
@click.option("--drop", metavar="VERSION", help="Take a challenger out of the queue.")
@click.option("--priority", callback=read_priority, metavar="VERSION=N", help="Higher goes first.")
@click.option("--continue", "go_on", is_flag=True, help="Take the ramp's next step at once.")
@click.option("--stay", is_flag=True, help="Stay at the ramp's present share.")
@click.option("--roll-back", is_flag=True, help="End the experiment, its treatment rejected.")
@click.option("--approve", metavar="ID", type=int, help="Approve a proposal.")
@click.option("--decline", metavar="ID", type=int, help="Decline a proposal.")
@click.option("--reason", default="", help="Reason, for the audit log.")
@project_option
def autopilot(surface: str, slug: str | None, **options: Any) -> None:
    """Show what the autopilot of SURFACE does; with an option, change it first."""
    target = find_surface(find_project(slug), surface)
    _change(target, options)
    from django.utils import timezone

    from experiments.reports.autopilot_json import autopilot_as_json
    from experiments.reports.read_autopilot import read_autopilot

    report = read_autopilot(target, timezone.now())
    if options["as_json"]:
        click.echo(orjson.dumps(autopilot_as_json(report), option=orjson.OPT_INDENT_2).decode())
    else:
        _show(report)


def _change(surface: Surface, options: Mapping[str, Any]) -> None:
    """Carry out what the options name: settings together, or one act."""
    from bakeoff.accounts.refused import RefusedError
    from experiments.models.experiment import WrongStateError
    from inference.actions.move_champion import CannotPromoteError

    settings = {name: options[name] for name in SETTINGS if options[name] is not None}
    acts = [name for name in _ACTS if options[name] not in {None, False}]
    if len(acts) + bool(settings) > 1:
        names = [f"--{name.replace('_', '-')}" for name in acts]
        raise click.UsageError(f"one change per call: settings, or one of {names}.")
    try:
        if settings:
            _change_settings(surface, settings)
        for name in acts:
            _ACTS[name](surface, options[name], options["reason"])
    except RefusedError as error:
        raise click.UsageError(str(error)) from error
    except WrongStateError as error:
        raise fail(f"{error}.") from error
    except CannotPromoteError as error:
        raise fail(str(error)) from error


def _change_settings(surface: Surface, settings: Mapping[str, Any]) -> None:
    from experiments.actions.change_programme import change_programme

    change_programme(surface=surface, changes=settings, by=OPERATOR)


def _hold(surface: Surface, label: str, reason: str) -> None:
    from experiments.actions.change_queue import hold_challenger

    hold_challenger(version=find_version(surface, label), by=OPERATOR, reason=reason)


def _release(surface: Surface, label: str, reason: str) -> None:
    from experiments.actions.change_queue import release_challenger

    release_challenger(version=find_version(surface, label), by=OPERATOR, reason=reason)


def _drop(surface: Surface, label: str, reason: str) -> None:
    from experiments.actions.change_queue import drop_challenger

    drop_challenger(version=find_version(surface, label), by=OPERATOR, reason=reason)


def _prioritise(surface: Surface, place: tuple[str, int], reason: str) -> None:
    from experiments.actions.change_queue import prioritise_challenger

    label, priority = place
    version = find_version(surface, label)
    prioritise_challenger(version=version, priority=priority, by=OPERATOR, reason=reason)


def _on_test(act: str) -> Callable[[Surface, Any, str], None]:
    """Return an act on the surface's running experiment."""

    def run(surface: Surface, _: object, reason: str) -> None:
        from experiments.actions import step_ramp
        from experiments.models import Experiment

        test = Experiment.objects.running().tests().filter(surface=surface).first()
        if test is None:
            raise fail(f"surface '{surface.key}' has no running experiment.")
        getattr(step_ramp, act)(experiment=test, by=OPERATOR, reason=reason)

    return run


def _approve(surface: Surface, proposal_id: int, reason: str) -> None:
    from experiments.actions.decide_proposal import approve_proposal

    approve_proposal(proposal=_proposal(surface, proposal_id), by=OPERATOR, note=reason)


def _decline(surface: Surface, proposal_id: int, reason: str) -> None:
    from experiments.actions.decide_proposal import decline_proposal

    decline_proposal(proposal=_proposal(surface, proposal_id), by=OPERATOR, reason=reason)


def _proposal(surface: Surface, proposal_id: int) -> Any:
    proposal = surface.proposals.filter(pk=proposal_id).first()
    if proposal is None:
        known = list(surface.proposals.filter(state="open").values_list("pk", flat=True))
        rule = must_be_one_of(known, none="no proposal of this surface is open")
        raise click.UsageError(f"proposal == {proposal_id}, {rule}")
    return proposal


_ACTS: dict[str, Callable[[Any, Any, str], None]] = {
    "hold": _hold,
    "release": _release,
    "drop": _drop,
    "priority": _prioritise,
    "go_on": _on_test("continue_ramp"),
    "stay": _on_test("hold_ramp"),
    "roll_back": _on_test("roll_back_experiment"),
    "approve": _approve,
    "decline": _decline,
}


def _show(report: AutopilotReport) -> None:
    champion, year = report.champion, report.year
    echo(f"Now: {report.now.sentence}")
    if champion is not None:
        echo(f"Champion: {champion.version.label}, since {champion.since:%Y-%m-%d %H:%M}.")
    for warning in report.warnings:
        echo(f"Note: {warning}")
    for proposal in report.proposals:
        approvals = f"{proposal.approvals.count()} of {proposal.required_approvals} approvals"
        what = f"{proposal.kind} {proposal.target}"
        echo(f"Proposal {proposal.pk}: {what}, {approvals}. {proposal.reason}")
    show_ramp(report.ramp)
    _show_pipeline(report)
    _show_queue(report)
    _show_settings(report)
    echo(
        f"12 months: {year.shipped} of {year.tested} shipped, {year.screened} screened, "
        f"{year.rolled_back} rolled back, {year.breaker_trips} by the breaker, "
        f"{year.refreshed} refreshed."
    )


def _show_pipeline(report: AutopilotReport) -> None:
    stages = [stage.stage for stage in report.pipeline[0].stages] if report.pipeline else []
    table = Table("challenger", "state", *stages, title="Pipeline")
    for row in report.pipeline:
        cells = [f"{STAGE_MARKS[stage.state]} {stage.label}".rstrip() for stage in row.stages]
        table.add_row(row.version.label if row.version else row.name, row.state, *cells)
    if table.row_count:
        console.print(table)


def _show_queue(report: AutopilotReport) -> None:
    if not report.queue:
        return
    table = Table("place", "version", "priority", "expected change", "gate", "note", title="Queue")
    for row in report.queue:
        table.add_row(
            str(row.place) if not row.held else "held",
            row.version.label,
            "" if row.priority is None else str(row.priority),
            _percent(row.expected_change),
            _percent(row.gate_change),
            row.reason,
        )
    console.print(table)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:+.1%}"


def _show_settings(report: AutopilotReport) -> None:
    settings = report.settings
    ramp = ", ".join(map(_step_in_words, settings["ramp"]))
    guardrails = ", ".join(
        f"{one['metric']} within {100 * one['margin']:.3g}%" for one in settings["guardrails"]
    )
    table = Table("setting", "value", title="Settings")
    for name, value in {**settings, "ramp": ramp, "guardrails": guardrails}.items():
        table.add_row(name, "" if value is None else str(value))
    console.print(table)


def _step_in_words(step: Mapping[str, Any]) -> str:
    users = f" and {step['units']:,} users" if step.get("units") is not None else ""
    return f"{100 * step['share']:.3g}% for {step['minimum_seconds']:g} s{users}"
