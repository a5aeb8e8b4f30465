"""`bakeoff analyze`: a scorecard from a file of rows or totals, without a server."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bakeoff.commands.metric_options import parse_metrics, parse_shares, read_number, split_pair
from bakeoff.commands.old_options import CommandWithOldOptions
from bakeoff.commands.policy_option import read_policy
from bakeoff.commands.scorecard_view import draw, finite, show
from bakeoff.commands.terminal import Refusal
from bakeoff.commands.unit_options import read_cluster, require_rows
from experiments.kinds import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from experiments.scorecards.scorecard import Question
    from experiments.scorecards.unit_file import (
        ClusterColumn,
        FileTotals,
        MetricColumn,
        TextFormat,
    )
    from experiments.stats.policy import Policy

DAY_FIRST, MONTH_FIRST = "day-first", "month-first"


@click.command(cls=CommandWithOldOptions, old_options={"--method": "--rule"})
@click.argument("file", default="-")
@click.option("--unit", help="Column of the unit: several rows of one are summed to it.")
@click.option(
    "--cluster",
    metavar="COLUMN",
    help="What was randomised above the unit, such as an account or a store.",
)
@click.option(
    "--switchback",
    metavar="COLUMN",
    help="Time of a row, where variants were switched by blocks of time: the blocks are the clusters.",
)
@click.option("--block-seconds", type=float, help="With --switchback: length of a block.")
@click.option(
    "--carry-over-seconds",
    type=float,
    default=0.0,
    help="With --switchback: how long the block before still acts; left out of each block.",
)
@click.option("--variant", default="variant", show_default=True, help="Column of the variant.")
@click.option("--control", help="Which variant is the control; `control` if there is one.")
@click.option(
    "--exclude",
    "excluded",
    multiple=True,
    metavar="VARIANT",
    help="A variant to leave out of the comparison, such as a holdout.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME:KIND[:COLUMN[/COLUMN]]",
    help="proportion, mean, ratio, quantile, p95, median, retention, funnel; the first one decides.",
)
@click.option(
    "--covariate",
    "covariates",
    multiple=True,
    metavar="[NAME=]COLUMN[/COLUMN]",
    help="Measured before exposure, one value per unit; reduces variance (CUPED).",
)
@click.option(
    "--predict",
    "features",
    multiple=True,
    metavar="[NAME=]COLUMN[,COLUMN…]",
    help="Known before exposure: the value is predicted from them to reduce variance (CUPAC).",
)
@click.option(
    "--guardrail",
    "guardrails",
    multiple=True,
    metavar="NAME[=MARGIN]",
    help="A metric that must not get worse by more than a share (0.05).",
)
@click.option(
    "--lower-is-better", multiple=True, metavar="NAME", help="A metric whose goal is a decrease."
)
@click.option(
    "--cap", "caps", multiple=True, metavar="NAME=VALUE", help="Larger values per unit count as this."
)
@click.option(
    "--segment",
    "segments",
    multiple=True,
    metavar="COLUMN",
    help="Break the primary metric down by it.",
)
@click.option(
    "--look", help="Column that says at which look a row came in: the rule is applied in order."
)
@click.option(
    "--dates",
    type=click.Choice([DAY_FIRST, MONTH_FIRST]),
    help="How to read look dates such as 01/02/2026.",
)
@click.option(
    "--decimal", type=click.Choice([".", ","]), default=".", show_default=True, help="The decimal mark."
)
@click.option(
    "--thousands",
    type=click.Choice([",", ".", " ", "'"]),
    help="The mark between groups of three digits.",
)
@click.option(
    "--encoding",
    help="Encoding of a text file, such as latin-1; default: by its byte order mark, else UTF-8.",
)
@click.option(
    "--totals", is_flag=True, help="The file holds totals: variant, metric, n, sum, sum_squares, …"
)
@click.option(
    "--cumulative", is_flag=True, help="With --totals and --look: each look's totals hold all before."
)
@click.option(
    "--expected", metavar="50/50", help="Planned shares: control first, then by name; or NAME=SHARE,…"
)
@click.option("--alpha", type=float, default=0.05, show_default=True)
@click.option("--rule", type=click.Choice(RULES), default="fixed", show_default=True)
@click.option(
    "--planned", type=int, help="Planned units over all variants; those of the file if left out."
)
@click.option("--policy", default="{}", help="Other fields of the decision policy, as JSON.")
@click.option(
    "--events", help="Parquet of events: FILE is then one of exposures (unit_id, variant, exposed_at)."
)
@click.option("--slates", help="With --events: Parquet of served answers.")
@click.option("--metrics-file", help="With --events: JSON list of metric definitions.")
@click.option(
    "--warehouse",
    metavar="URL",
    envvar="BAKEOFF_WAREHOUSE",
    help="FILE, --events and --slates are tables of it: clickhouse://, pyspark://, bigquery://, snowflake://.",
)
@click.option(
    "--records",
    is_flag=True,
    help="FILE is an experiment of --project: its rows are counted anew, archived ones too.",
)
@click.option(
    "--project", "slug", envvar="BAKEOFF_PROJECT", help="With --records: slug of the project."
)
@click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.svg",
    help="Plot the effects, and the effect over the looks.",
)
def analyze(file: str, form: str, plot: Path | None, **options: Any) -> None:  # fmt: skip
    """Judge an experiment from FILE: CSV or Parquet, a row per unit or totals; - reads standard input.

    \b
    bakeoff analyze units.csv --control old --metric signed_up:proportion --expected 50/50
    bakeoff analyze days.parquet --unit user --metric ctr:ratio:clicks/views --covariate ctr=pre
    bakeoff analyze looks.csv --look day --rule group_sequential --metric bought:proportion
    """  # noqa: D301  click reads the control character
    from experiments.metrics.spec import MetricError
    from experiments.scorecards.scorecard import judge
    from experiments.scorecards.scorecard_json import scorecard_to_json
    from experiments.scorecards.unit_file import FileError
    from experiments.stats.policy import PolicyError
    from experiments.stats.totals import StatisticsError

    path = None
    try:
        with _opened(file, options) as path:
            cluster = read_cluster(options)
            if options["records"]:
                totals, metrics = _read_records(file, options)
            elif options["warehouse"]:
                totals, metrics = _read_warehouse(file, options)
            elif options["events"]:
                totals, metrics = _read_warehouse(str(path), options)
            elif options["totals"]:
                totals, metrics = _read_totals(path, options)
            else:
                totals, metrics = _read_rows(path, options, cluster)
        card = judge(totals, _question(totals, metrics, options, cluster))
        if plot is not None:
            plot.write_text(draw(card))
        if form == "json":
            click.echo(json.dumps(finite(scorecard_to_json(card)), indent=1, allow_nan=False))
        else:
            show(card)
    except (FileError, MetricError, PolicyError, StatisticsError) as error:
        # A copy of standard input, or in UTF-8, has a name that nobody knows.
        raise Refusal(str(error).replace(str(path), file)) from error


@contextmanager
def _opened(file: str, options: dict[str, Any]) -> Iterator[Path]:
    """Yield a file that can be read as UTF-8; of a warehouse nothing is opened here."""
    from experiments.scorecards.text_file import as_utf8

    if options["warehouse"] or options["records"]:
        yield Path(file)
        return
    with _local(file) as local, as_utf8(local, options["encoding"]) as path:
        yield path


@contextmanager
def _local(file: str) -> Iterator[Path]:
    """Yield a path; standard input is copied to a temporary file, because readers seek."""
    if file != "-":
        yield Path(file)
        return
    if sys.stdin.isatty():
        raise click.UsageError("file == '-', must be named, or come through standard input.")
    with tempfile.NamedTemporaryFile(prefix="bakeoff-stdin-") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        yield Path(copy.name)


def _read_rows(
    path: Path, options: dict[str, Any], cluster: ClusterColumn | None
) -> tuple[FileTotals, list[MetricColumn]]:
    from experiments.scorecards.unit_file import FileError, UnitFile
    from experiments.scorecards.unit_reader import read_units

    metrics = parse_metrics(options)
    if not metrics:
        raise FileError("metrics == 0, must be at least one: --metric NAME:KIND[:COLUMN[/COLUMN]].")
    opened = UnitFile(
        path,
        options["variant"],
        metrics,
        unit=options["unit"],
        look=options["look"],
        segments=options["segments"],
        excluded=options["excluded"],
        form=_text_format(options),
        cluster=cluster,
    )
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status(f"Reading {path.name}"):
            return read_units(opened), metrics
    return read_units(opened), metrics


def _read_totals(path: Path, options: dict[str, Any]) -> tuple[FileTotals, list[MetricColumn]]:
    from experiments.scorecards.totals_file import kinds_in, read_totals

    require_rows(options, "--totals")
    form = _text_format(options)
    metrics = parse_metrics(options) or kinds_in(path, form)
    totals = read_totals(
        path,
        metrics,
        variant=options["variant"],
        look=options["look"],
        cumulative=options["cumulative"],
        excluded=options["excluded"],
        form=form,
    )
    return totals, metrics


def _text_format(options: dict[str, Any]) -> TextFormat:
    from experiments.scorecards.unit_file import TextFormat

    return TextFormat(options["decimal"], options["thousands"] or "", options["dates"])


def _read_records(key: str, options: dict[str, Any]) -> tuple[FileTotals, list[MetricColumn]]:
    from bakeoff.commands.analyze_records import read_records
    from experiments.scorecards.unit_file import FileError

    require_rows(options, "--records")
    named = [name for name in ("metrics", "events", "warehouse", "totals") if options[name]]
    if named:
        raise FileError(
            f"{named[0].removesuffix('s')} with --records, must be left out: metrics are the "
            "experiment's own, over its own rows."
        )
    return read_records(key, options["slug"], options)


def _read_warehouse(exposures: str, options: dict[str, Any]) -> tuple[FileTotals, list[MetricColumn]]:
    from experiments.scorecards.unit_file import FileError
    from experiments.scorecards.warehouse_totals import read_warehouse

    require_rows(options, "--events")
    if not options["metrics_file"]:
        raise FileError("metrics_file is missing, must name a JSON list of metric definitions.")
    if not options["events"]:
        raise FileError("events is missing, must name the warehouse's table of events.")
    return read_warehouse(
        url=options["warehouse"] or "",
        exposures=exposures,
        events=options["events"],
        slates=options["slates"],
        metrics_file=Path(options["metrics_file"]),
    )


def _question(
    totals: FileTotals,
    metrics: list[MetricColumn],
    options: dict[str, Any],
    cluster: ClusterColumn | None,
) -> Question:
    from experiments.scorecards.scorecard import Question
    from experiments.scorecards.unit_file import FileError

    variants = sorted(totals.looks[-1].units)
    if not variants:
        raise FileError(
            f"units in two variants == {totals.crossover_units}, that is every one of the file."
        )
    control = options["control"] or ("control" if "control" in variants else None)
    if control is None:
        raise FileError(f"control is not named, must be one of {variants}: --control NAME.")
    if control not in variants:
        raise FileError(f"control == '{control}', not found; the variants are {variants}.")
    margins = {
        name: read_number(value or "0.05", f"margin of '{name}'")
        for name, value in map(split_pair, options["guardrails"])
    }
    if wrong := [name for name, margin in margins.items() if margin < 0]:
        raise FileError(f"margin of '{wrong[0]}' == {margins[wrong[0]]:g}, must not be negative.")
    return Question(
        policy=_policy(options),
        control=control,
        metrics=metrics,
        guardrails=margins,
        lower_is_better=frozenset(options["lower_is_better"]),
        expected=parse_shares(options["expected"], [control, *(v for v in variants if v != control)]),
        planned_units=options["planned"],
        cluster=cluster,
    )


def _policy(options: dict[str, Any]) -> Policy:
    planned = {} if options["planned"] is None else {"planned_units": options["planned"]}
    # A file has no clock, and has a reader: neither the minimum run nor the Twyman limit waits.
    return read_policy(
        options["policy"],
        rule=options["rule"],
        alpha=options["alpha"],
        minimum_run_seconds=0.0,
        twyman_limit=0.0,
        **planned,
    )
