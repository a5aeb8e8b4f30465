"""`bakeoff analyze`: a scorecard from a file of rows or totals, without a server."""

from __future__ import annotations

import json
import math
import re
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bakeoff.commands.old_options import CommandWithOldOptions
from bakeoff.commands.policy_option import read_policy
from bakeoff.commands.scorecard_view import draw, finite, show
from bakeoff.commands.terminal import Refusal
from experiments.kinds import METRIC_KINDS, PROPORTIONS, RULES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from experiments.scorecards.scorecard import Question
    from experiments.scorecards.unit_file import FileTotals, MetricColumn, TextFormat
    from experiments.stats.policy import Policy

DAY_FIRST, MONTH_FIRST = "day-first", "month-first"
KINDS = {"median": ("quantile", 0.5)}


@click.command(cls=CommandWithOldOptions, old_options={"--method": "--rule"})
@click.argument("file", default="-")
@click.option("--unit", help="Column of the unit: several rows of one are summed to it.")
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
    from experiments.scorecards.text_file import as_utf8
    from experiments.scorecards.unit_file import FileError
    from experiments.stats.policy import PolicyError
    from experiments.stats.totals import StatisticsError

    path = None
    try:
        with _local(file) as local, as_utf8(local, options["encoding"]) as path:
            read = (
                _read_warehouse
                if options["events"]
                else _read_totals
                if options["totals"]
                else _read_rows
            )
            totals, metrics = read(path, options)
        card = judge(totals, _question(totals, metrics, options))
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


def _read_rows(path: Path, options: dict[str, Any]) -> tuple[FileTotals, list[MetricColumn]]:
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
    )
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status(f"Reading {path.name}"):
            return read_units(opened), metrics
    return read_units(opened), metrics


def _read_totals(path: Path, options: dict[str, Any]) -> tuple[FileTotals, list[MetricColumn]]:
    from experiments.scorecards.totals_file import kinds_in, read_totals

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


def _read_warehouse(path: Path, options: dict[str, Any]) -> tuple[FileTotals, list[MetricColumn]]:
    from experiments.scorecards.unit_file import FileError
    from experiments.scorecards.warehouse_totals import read_warehouse

    if not options["metrics_file"]:
        raise FileError("metrics_file is missing, must name a JSON list of metric definitions.")
    return read_warehouse(
        exposures=str(path),
        events=options["events"],
        slates=options["slates"],
        metrics_file=Path(options["metrics_file"]),
    )


def parse_metrics(options: dict[str, Any]) -> list[MetricColumn]:
    """Read --metric, --covariate and --cap.

    Raises:
        FileError: one of them is not of its form, or names a metric that is not there.
    """
    from experiments.scorecards.unit_file import FileError

    caps = {name: _number(value, f"cap of '{name}'") for name, value in map(_pair, options["caps"])}
    covariates = dict(_pair(one) if "=" in one else ("", one) for one in options["covariates"])
    metrics = [_metric(text, covariates, caps) for text in options["metrics"]]
    names = [metric.name for metric in metrics]
    if len(set(names)) < len(names):
        raise FileError(f"metrics == {names}, must have different names.")
    for option in ("caps", "covariates", "guardrails", "lower_is_better"):
        for one in options[option]:
            name = one.partition("=")[0]
            if (option != "covariates" or "=" in one) and name not in names:
                raise FileError(f"metric == '{name}', not among {names}.")
    if names and names[0] in {one.partition("=")[0] for one in options["guardrails"]}:
        raise FileError(f"guardrail == '{names[0]}', is the first metric: that one decides.")
    return metrics


def _metric(text: str, covariates: dict[str, str], caps: dict[str, float]) -> MetricColumn:
    from experiments.scorecards.unit_file import FileError, MetricColumn

    name, _, rest = text.partition(":")
    word, _, columns = rest.partition(":")
    kind, quantile = KINDS.get(word, (word, 0.5))
    if match := re.fullmatch(r"p(\d{1,2}(?:\.\d+)?)|quantile@(0?\.\d+)", word):
        kind, quantile = "quantile", float(match[1]) / 100 if match[1] else float(match[2])
    if not name or kind not in METRIC_KINDS or not 0 < quantile < 1:
        raise FileError(
            f"metric == '{text}', must be NAME:KIND[:COLUMN], KIND one of {[*METRIC_KINDS]}."
        )
    value, _, denominator = (columns or name).partition("/")
    if (kind == "ratio") != bool(denominator):
        raise FileError(
            f"metric == '{text}', must have two columns, A/B, if and only if it is a ratio."
        )
    covariate, _, below = covariates.get(name, covariates.get("", "")).partition("/")
    if kind == "quantile" or (below and kind != "ratio"):
        if name in covariates:
            raise FileError(
                f"covariate of '{name}', must fit its kind: a {kind} has no such covariate."
            )
        covariate = below = ""
    if name in caps and (kind in PROPORTIONS or caps[name] <= 0):
        raise FileError(f"cap of '{name}' == {caps[name]:g}, must be positive, and not of a {kind}.")
    if name in caps and kind == "ratio":
        raise FileError(
            f"cap of '{name}' == {caps[name]:g}, must not be of a ratio: it would hold for one of its "
            "two sides only. Cap a mean of one side instead."
        )
    return MetricColumn(
        name=name,
        kind=kind,
        value=value,
        denominator=denominator or None,
        covariate=covariate or None,
        covariate_denominator=below or None,
        quantile=quantile,
        cap=caps.get(name),
    )


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _number(text: str, what: str) -> float:
    from experiments.scorecards.unit_file import FileError

    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise FileError(f"{what} == '{text}', must be a number.")
    return number


def _question(totals: FileTotals, metrics: list[MetricColumn], options: dict[str, Any]) -> Question:
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
        name: _number(value or "0.05", f"margin of '{name}'")
        for name, value in map(_pair, options["guardrails"])
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


def parse_shares(text: str | None, variants: list[str]) -> dict[str, float] | None:
    """Read planned shares: `50/50` in the order of the variants, or `old=0.5,new=0.5`.

    Raises:
        FileError: they do not sum to 1 or 100, are not as many as the variants, or are no shares.
    """
    from experiments.scorecards.unit_file import FileError

    if text is None:
        return None
    if "=" in text:
        shares = {
            name: _number(value, f"share of '{name}'") for name, value in map(_pair, text.split(","))
        }
        order = list(shares)
    else:
        numbers = [_number(part, "expected share") for part in text.split("/")]
        if len(numbers) != len(variants):
            raise FileError(f"expected == '{text}', must have a share for each of {variants}.")
        order, shares = variants, dict(zip(variants, numbers, strict=True))
    total = sum(shares.values())
    if min(shares.values()) < 0 or not (math.isclose(total, 1) or math.isclose(total, 100)):
        raise FileError(
            f"expected == '{text}', sums to {total:g}, must sum to 1 or 100 and not be negative."
        )
    return {name: shares[name] / total for name in order}
