"""`bakeoff simulate`: how often a policy is right under repeated looks, or what a programme brings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from rich.table import Table

from bakeoff.commands.policy_option import read_policy
from bakeoff.commands.project import project_option
from bakeoff.commands.simulate_programme import NAMES, programme_options, simulate_programme
from bakeoff.commands.terminal import Refusal, console, echo, error_console, progress
from experiments.kinds import RULES

if TYPE_CHECKING:
    from experiments.stats.policy import Policy
    from experiments.stats.simulate import Outcomes

KINDS = ("proportion", "mean", "revenue", "ratio", "covariate", "median")
REAL_LIMITS = {"minimum_run_seconds": 0.0, "twyman_limit": 0.0, "minimum_nonzero": 25}


@click.command()
@click.option(
    "--rule",
    "rules",
    type=click.Choice([*RULES, "all"]),
    multiple=True,
    help="One or more rules, or all.",
)
@click.option("--kind", type=click.Choice(KINDS), default="proportion", show_default=True)
@click.option("--baseline", type=float, default=0.1, show_default=True, help="The control's level.")
@click.option(
    "--sd", type=float, default=1.0, show_default=True, help="Of a mean's or a median's values."
)
@click.option(
    "--lift",
    type=float,
    help="Relative effect to detect; by default the smallest that the units can show.",
)
@click.option(
    "--units", type=int, default=10_000, show_default=True, help="Planned units over both variants."
)
@click.option(
    "--looks", type=int, default=100, show_default=True, help="Looks up to the planned units."
)
@click.option(
    "--overrun",
    type=float,
    default=1.0,
    show_default=True,
    help="Continue up to this multiple of the plan.",
)
@click.option("--alpha", type=float, default=0.05, show_default=True)
@click.option("--policy", default="{}", help="Other fields of the decision policy, as JSON.")
@click.option(
    "--replications", type=int, default=2000, show_default=True, help="Simulated experiments."
)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--from-events",
    "metric",
    metavar="METRIC",
    help="A/A mode: split the project's own past units at random, on one of its metrics.",
)
@click.option(
    "--days", type=float, default=28.0, show_default=True, help="With --from-events: how far back."
)
@click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.svg",
    help="Draw false positives against the number of looks.",
)
@click.option(
    "--programme",
    is_flag=True,
    help="Simulate a year of challengers under several release rules; the options below are its own.",
)
@programme_options
@project_option
def simulate(
    form: str, *, as_json: bool, programme: bool, plot: Path | None, **options: Any
) -> None:  # fmt: skip
    """False positives, power and length of a policy, looked at again and again.

    With --programme: what a year of challengers brings under this platform's life cycle and its rivals.

    \b
    bakeoff simulate --baseline 0.1 --units 20000
    bakeoff simulate --rule all --kind mean --baseline 10 --sd 4 --lift 0.02
    bakeoff simulate --from-events clicks --rule group_sequential
    bakeoff simulate --programme --users-per-week 50000 --runs 50
    """  # noqa: D301  click reads the control character
    as_json = as_json or form == "json"
    _refuse_options_of_the_other(programme=programme)
    of_programme = {name: options.pop(name) for name in NAMES}
    if programme:
        baseline, seed = options["baseline"], options["seed"]
        simulate_programme(of_programme, baseline=baseline, seed=seed, as_json=as_json)
    else:
        _simulate_policy(options, plot=plot, as_json=as_json)


def _refuse_options_of_the_other(*, programme: bool) -> None:
    """Refuse options that would have no effect."""
    context = click.get_current_context()
    shared = {"baseline", "seed", "form", "as_json", "programme"}
    for option in context.command.params:
        name = str(option.name)
        belongs = name in shared or (name in NAMES) == programme
        if not belongs and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            rule = "must not be used with --programme" if programme else "needs --programme"
            raise Refusal(f"{option.opts[0]} {rule}.")


def _simulate_policy(options: dict[str, Any], *, plot: Path | None, as_json: bool) -> None:
    from experiments.stats.policy import PolicyError
    from experiments.stats.totals import StatisticsError

    options["progress_to"] = error_console if as_json else console
    rules = options.pop("rules") or ("group_sequential",)
    rules = RULES if "all" in rules else rules
    try:
        _check(options)
        rows = _on_events(rules, options) if options["metric"] else _on_draws(rules, options)
    except (StatisticsError, PolicyError) as error:
        raise Refusal(str(error)) from error
    if plot is not None:
        from experiments.reports.rate_chart import draw_rates

        plot.write_text(
            draw_rates({row["rule"]: row["false_positives_by_look"] for row in rows}, options["alpha"])
        )
    if as_json:
        click.echo(
            json.dumps(
                {"replications": options["replications"], "rows": rows}, indent=1, allow_nan=False
            )
        )
    else:
        _show(rows, options)


def _check(options: dict[str, Any]) -> None:
    from experiments.stats.totals import StatisticsError

    for name, minimum in (("replications", 100), ("looks", 1), ("units", 4)):
        if options[name] < minimum:
            raise StatisticsError(f"{name} == {options[name]}, must be at least {minimum}.")
    if options["baseline"] == 0 and options["metric"] is None:  # a lift is relative to it
        raise StatisticsError("baseline == 0, must not be zero: the lift is a share of it.")
    if options["overrun"] < 1:
        raise StatisticsError(f"overrun == {options['overrun']:g}, must be at least 1.")


def _policy(rule: str, options: dict[str, Any], planned: int) -> Policy:
    return read_policy(
        options["policy"],
        rule=rule,
        alpha=options["alpha"],
        planned_units=planned,
        overrun=options["overrun"],
        **REAL_LIMITS,
    )


def _on_draws(rules: tuple[str, ...], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Simulate A/A, the effect, and half of it under each rule."""
    from experiments.scorecards.plan import PlanQuestion, plan

    lift = options["lift"]
    if lift is None:
        kind, level = options["kind"], options["baseline"]
        question = PlanQuestion(
            kind="proportion" if kind == "proportion" else "mean",
            baseline=_level_of(kind, level),
            sd=_spread_of(kind, level, options["sd"]),
            units=options["units"],
            shares=[0.5, 0.5],
            alpha=options["alpha"],
            rule="fixed",
        )
        lift = plan(question).mde_relative
    usable = [rule for rule in rules if rule != "exact" or options["kind"] == "proportion"]
    if not usable:
        from experiments.stats.totals import StatisticsError

        raise StatisticsError(f"rule == 'exact', kind is {options['kind']}: must be a proportion.")
    rows = []
    total = 3 * options["replications"] * len(usable)
    with progress("Simulating experiments", total, to=options["progress_to"]) as advance:
        for rule in usable:
            policy = _policy(rule, options, options["units"])
            policy.require_attainable(options["kind"], 0.5)
            outcomes = {}
            for name, factor in (("none", 0.0), ("effect", 1.0), ("half", 0.5)):
                outcomes[name] = _simulate(policy, options, lift * factor, advance)
            rows.append(_row(rule, policy, outcomes, lift))
    return rows


def _level_of(kind: str, level: float) -> float:
    return level * 1.6487 if kind == "revenue" else level  # the mean of a log-normal value of sd 1


def _spread_of(kind: str, level: float, sd: float) -> float:
    """Standard deviation of a unit's value, for the effect that is looked for by default."""
    if kind == "revenue":
        return float((level * 7.389 - (level * 1.6487) ** 2) ** 0.5)
    if kind == "ratio":
        return float((level * (1 - level) * (1 / 9 + 1 / 5)) ** 0.5)
    if kind == "median":
        return level * sd * 1.2533
    return sd * (0.714 if kind == "covariate" else 1.0)


def _simulate(policy: Policy, options: dict[str, Any], lift: float, advance: Any) -> Outcomes:
    import numpy as np

    from experiments.stats.scenario import Scenario
    from experiments.stats.scenarios import draw_paths
    from experiments.stats.simulate import apply_rule, merge_outcomes

    per_look = max(round(options["units"] / options["looks"]), 4)
    parts = []
    for paths in draw_paths(
        Scenario(options["kind"], level=options["baseline"], lift=lift, sd=options["sd"]),
        looks=max(round(options["looks"] * options["overrun"]), 1),
        units_per_look=per_look,
        experiments=options["replications"],
        policy=policy,
        rng=np.random.default_rng(options["seed"]),
    ):
        parts.append(apply_rule(policy, paths, act_on_futility=policy.futility and lift != 0))
        advance(len(parts[-1].stop))
    return merge_outcomes(parts)


def _row(
    rule: str, policy: Policy, outcomes: dict[str, Outcomes], lift: float | None
) -> dict[str, Any]:
    share, error = outcomes["none"].rate()
    row: dict[str, Any] = {
        "rule": rule,
        "false_positives": share,
        "false_positives_error": error,
        "false_positives_by_look": [
            outcomes["none"].rate_by(look) for look in range(len(outcomes["none"].units))
        ],
        "planned_units": policy.planned_units,
    }
    if "effect" in outcomes:
        gain, gain_error = outcomes["effect"].rate(1)
        stop, stop_error = outcomes["effect"].mean_stop(policy.planned_units)
        row |= {
            "lift": lift,
            "power": gain,
            "power_error": gain_error,
            "wrong_direction": outcomes["effect"].rate(-1)[0],
            "power_at_half": outcomes["half"].rate(1)[0],
            "mean_stop": stop,
            "mean_stop_error": stop_error,
            "expected_units": stop * policy.planned_units,
        }
    return row


def _on_events(rules: tuple[str, ...], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Split past units at random under each rule."""
    from bakeoff.commands.project import find_project

    project = find_project(options["slug"])
    import numpy as np

    from experiments.metrics.past_units import read_past_units
    from experiments.stats.scenarios import permuted_paths
    from experiments.stats.simulate import apply_rule, merge_outcomes
    from experiments.stats.totals import StatisticsError

    metric = project.metrics.filter(key=options["metric"]).first()
    if metric is None:
        known = sorted(project.metrics.values_list("key", flat=True))
        raise StatisticsError(f"metric == '{options['metric']}', must be one of {known}.")
    past = read_past_units(metric, days=options["days"])
    rows = []
    total = options["replications"] * len(rules)
    with progress("Splitting past units", total, to=options["progress_to"]) as advance:
        for rule in rules:
            policy = _policy(rule, options, max(len(past.y), 2))
            parts = []
            for paths in permuted_paths(
                past.y, past.d, looks=options["looks"], experiments=options["replications"],
                policy=policy, kind=metric.kind, rng=np.random.default_rng(options["seed"]),
            ):  # fmt: skip
                parts.append(apply_rule(policy, paths, act_on_futility=False))
                advance(len(parts[-1].stop))
            rows.append(_row(rule, policy, {"none": merge_outcomes(parts)}, None))
    return rows


def _show(rows: list[dict[str, Any]], options: dict[str, Any]) -> None:
    table = Table(
        "rule",
        "false positives",
        title=f"{options['replications']} experiments, {options['looks']} looks",
    )
    has_power = "power" in rows[0]
    if has_power:
        for column in (f"power at {rows[0]['lift']:+.2%}", "wrong way", "at half of it", "mean stop"):
            table.add_column(column)
    for row in rows:
        cells = [row["rule"], f"{row['false_positives']:.3f} ± {row['false_positives_error']:.3f}"]
        if has_power:
            cells += [
                f"{row['power']:.3f} ± {row['power_error']:.3f}",
                f"{row['wrong_direction']:.4f}",
                f"{row['power_at_half']:.3f}",
                f"{row['mean_stop']:.2f} of the plan",
            ]
        table.add_row(*cells)
    console.print(table)
    echo(f"alpha {options['alpha']:g}; ± is one Monte-Carlo standard error.")
    echo("Futility stops are off in the no-effect runs: they could only lower the first column.")
