"""`bakeoff report`: the report of an experiment as text, or as the JSON of the API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
from rich.table import Table

from bakeoff.commands.project import find_experiment, find_project, project_option
from bakeoff.commands.ramp_table import show_ramp
from bakeoff.commands.terminal import console, echo

if TYPE_CHECKING:
    from experiments.reports.breaker_report import BreakerReport
    from experiments.reports.comparison_row import ComparisonRow
    from experiments.reports.experiment_report import ExperimentReport, VariantRow

SAFE = {True: "safe", False: "not shown to be safe", None: ""}


@click.command()
@click.argument("experiment")
@click.option("--json", "as_json", is_flag=True, help="Print the report.json of the API.")
@project_option
def report(experiment: str, slug: str | None, *, as_json: bool) -> None:
    """Show the report of EXPERIMENT: verdict, users, metrics, guardrails, ramp and breaker."""
    target = find_experiment(find_project(slug), experiment)
    from django.core.serializers.json import DjangoJSONEncoder
    from django.utils.translation import override

    from experiments.reports.experiment_report import report_for_programs, report_on

    if as_json:
        # As the API writes it, so that one program reads both.
        click.echo(json.dumps(report_for_programs(target), cls=DjangoJSONEncoder, indent=2))
        return
    with override("en"):
        _show(report_on(target))


def _show(report: ExperimentReport) -> None:
    from django.utils import timezone

    from experiments.programme.ramp import read_ramp
    from experiments.reports.next_step import describe_next_step

    experiment, verdict = report.experiment, report.verdict
    echo(f"{experiment.title} on {experiment.surface.key}: {experiment.state}.")
    if experiment.hypothesis:
        echo(f"Hypothesis: {experiment.hypothesis}")
    echo(verdict.sentence)
    echo(describe_next_step(report))
    if verdict.details:
        echo(f"Details: {verdict.details}")
    if report.gain is not None:
        echo(report.gain.sentence)
    if report.remaining:
        echo(report.remaining)
    for warning in report.warnings:
        echo(f"Note: {warning}")
    _show_variants(report.variants)
    _show_metrics(report.metrics)
    show_ramp(read_ramp(experiment, timezone.now()))
    if report.breaker is not None:
        _show_breaker(report.breaker)
    for decision in report.decisions:
        echo(
            f"Decision of {decision.created_at:%Y-%m-%d %H:%M} by {decision.created_by}: "
            f"{decision.action}. {decision.reason}"
        )


def _show_variants(variants: list[VariantRow]) -> None:
    table = Table("variant", "version", "users", "expected share", "share", title="Variants")
    for row in variants:
        shares = (f"{share:.1%}" for share in (row.expected_share, row.observed_share))
        table.add_row(row.key, row.model, f"{row.units:,}", *shares)
    console.print(table)


def _show_metrics(metrics: list[ComparisonRow]) -> None:
    if not metrics:
        return
    table = Table("metric", "role", "variant", "change", "margin", "guardrail", title="Metrics")
    for row in metrics:
        margin = "" if row.margin is None else f"{100 * row.margin:.3g}%"
        safe = SAFE[row.safe] if row.role == "guardrail" else ""
        table.add_row(row.metric_key, row.role, row.variant, row.described, margin, safe)
    console.print(table)


def _show_breaker(breaker: BreakerReport) -> None:
    title = f"Breaker, chance of a false trip {breaker.alpha:g}"
    # As the page has it: those users of both sides who could show this harm, not all of a variant.
    columns = ("variant", "metric", "about", "margin", "treatment", "control", "evidence")
    table = Table(*columns, title=title)
    for line in breaker.lines:
        users = (f"{line.treated:,}", f"{line.controlled:,}")
        margin = f"{100 * line.margin:.3g}%"
        table.add_row(line.variant, line.metric, line.about, margin, *users, f"{line.share:.0%}")
    console.print(table)
    for trip in breaker.trips:
        echo(f"{trip.sentence} {trip.confirmation}")
