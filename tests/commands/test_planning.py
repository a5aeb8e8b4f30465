"""`bakeoff power` and `bakeoff simulate`."""

from __future__ import annotations

import json
from datetime import timedelta

import numpy as np
import pytest
from click.testing import CliRunner

from bakeoff.cli import main
from experiments.ingest.rows import Rows
from tests.support import builders


def run(*arguments: str):
    return CliRunner().invoke(main, [*map(str, arguments)])


def ask(*arguments: str) -> dict:
    done = run(*arguments, "--format", "json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout[done.stdout.index("{") :])


def test_power_of_one_look_is_the_textbooks():
    result = ask("power", "--baseline", "0.1", "--mde", "0.2", "--rule", "fixed")
    assert result["units_per_variant"] == [3841, 3841]
    assert result["inflation"] == pytest.approx(1)
    back = ask("power", "--baseline", "0.1", "--units", str(2 * 3841), "--rule", "fixed")
    assert back["mde_relative"] == pytest.approx(0.2, rel=1e-3)


def test_a_plan_pays_for_its_rule_its_guardrails_and_its_treatments():
    plain = ask("power", "--baseline", "0.1", "--mde", "0.2")
    assert 1.1 < plain["inflation"] < 1.16
    assert plain["units"] > 2 * 3841
    more = ask("power", "--baseline", "0.1", "--mde", "0.2", "--guardrails", "2", "--split", "40/30/30")
    assert more["units"] > plain["units"]
    assert more["power"] == pytest.approx(1 - 0.2 / 3)
    assert more["treatments"] == ["treatment 1", "treatment 2"]
    valid = ask("power", "--baseline", "0.1", "--mde", "0.2", "--rule", "always_valid", "--no-futility")
    assert 1.6 < valid["inflation"] < 1.7


def test_covariates_traffic_and_other_kinds():
    mean = [
        "power",
        "--kind",
        "mean",
        "--baseline",
        "20",
        "--sd",
        "35",
        "--mde",
        "1",
        "--absolute",
        "--rule",
        "fixed",
    ]
    assert ask(*mean, "--correlation", "0.6")["units"] == pytest.approx(
        0.64 * ask(*mean)["units"], abs=2
    )
    assert ask(*mean, "--traffic", "10000")["days"] == 5  # 38,462 units, and a day of window
    median = ask(
        "power",
        "--kind",
        "quantile",
        "--baseline",
        "5",
        "--density",
        "0.1",
        "--mde",
        "0.05",
        "--rule",
        "fixed",
    )
    assert median["units_per_variant"][0] == pytest.approx(
        2 * (2.8016 * 0.5 / 0.1 / 0.25) ** 2, rel=1e-3
    )
    table = run(*mean, "--traffic", "900,900,900,900,900,300,300").output
    for words in ("units, control", "days, window included", "in full weeks"):
        assert words in table


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--baseline", "0.1"], "exactly one of --mde and --units"),
        (["--baseline", "1.1", "--mde", "0.1"], "proportion == 1.1, must be in (0, 1)"),
        (["--baseline", "0", "--mde", "0.1"], "baseline == 0, must not be zero"),
        (["--baseline", "0.1", "--mde", "0"], "difference == 0, must not be zero"),
        (["--baseline", "0.1", "--mde", "0.1", "--split", "50/40"], "split sums to 90, must sum to 1 or 100"),
        (["--baseline", "0.1", "--mde", "0.1", "--split", "100"], "must be at least two positive shares"),
        (["--baseline", "0.1", "--mde", "0.1", "--split", "a/b"], "must be numbers"),
        (["--baseline", "0.1", "--mde", "0.1", "--power", "1"], "power == 1, must be in (0, 1)"),
        (["--baseline", "0.1", "--mde", "0.1", "--alpha", "0"], "alpha == 0, must be in (0, 1)"),
        (["--baseline", "0.1", "--mde", "0.1", "--reserve", "0.05"], "reserve == 0.05, must be in [0, alpha)"),
        (["--baseline", "0.1", "--mde", "0.1", "--correlation", "1"], "rho == 1, must be in (-1, 1)"),
        (["--baseline", "0.1", "--mde", "0.1", "--guardrails", "-1"], "guardrails == -1"),
        (["--baseline", "0.1", "--mde", "0.1", "--traffic", "1,2"], "must have 1 or 7"),
        (["--baseline", "0.1", "--units", "1"], "units == 1.0, must be at least 2"),
        (["--kind", "mean", "--baseline", "1", "--mde", "0.1"], "sd is missing, must be given for a mean"),
        (["--kind", "quantile", "--baseline", "1", "--mde", "0.1", "--density", "0"], "density == 0"),
    ],
)  # fmt: skip
def test_a_plan_that_cannot_be_is_refused(arguments, sentence):
    done = run("power", *arguments)
    assert done.exit_code == 2
    assert sentence in done.output


def test_simulation_tells_rules_apart(tmp_path):
    picture = tmp_path / "rates.svg"
    result = ask(
        "simulate", "--rule", "all", "--units", "4000", "--looks", "40", "--replications", "1000",
        "--baseline", "0.3", "--plot", picture,
    )  # fmt: skip
    rows = {row["rule"]: row for row in result["rows"]}
    assert set(rows) == {"group_sequential", "always_valid", "exact", "fixed"}
    assert rows["fixed"]["power"] == pytest.approx(0.8, abs=0.05)
    assert rows["always_valid"]["false_positives"] < 0.04
    assert rows["group_sequential"]["mean_stop"] < 0.85
    assert picture.read_text().count("<polyline") == 4
    table = run("simulate", "--replications", "200", "--units", "2000", "--looks", "10").output
    assert "Monte-Carlo" in table


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--replications", "5"], "replications == 5, must be at least 100"),
        (["--looks", "0"], "looks == 0, must be at least 1"),
        (["--overrun", "0.5"], "overrun == 0.5, must be at least 1"),
        (["--baseline", "1.5"], "must be in (0, 1)"),
        (["--alpha", "2"], "alpha == 2, must be in (0, 1)"),
        (["--rule", "exact", "--kind", "mean"], "rule == 'exact', kind is mean: must be a proportion"),
        (["--policy", "x"], "policy == 'x', must be a JSON object"),
        (["--units", "40", "--replications", "100"], "fewer than the gate of 25 conversions"),
    ],
)
def test_a_simulation_that_cannot_be_is_refused(arguments, sentence):
    done = run("simulate", *arguments)
    assert done.exit_code == 2
    assert sentence in done.output


def test_real_units_are_split_at_random(tables):
    shop = builders.make_shop(items=3)
    rng, start = np.random.default_rng(1), builders.now() - timedelta(days=10)
    rows = []
    for n in range(1500):
        at = (start + timedelta(seconds=n)).isoformat()
        names = ["view", *["click"] * rng.poisson(0.7)]
        rows += [
            builders.event(shop.project, unit=f"u{n}", name=name, at=at, event_id=f"e{n}-{k}")
            for k, name in enumerate(names)
        ]
    builders.write(Rows(events=rows))
    usual = ["simulate", "--project", shop.project.slug, "--looks", "20", "--replications", "300"]
    result = ask(
        *usual, "--from-events", "clicks", "--rule", "group_sequential", "--rule", "always_valid"
    )
    for row in result["rows"]:
        assert row["planned_units"] == 1500
        assert row["false_positives"] <= 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5
    assert "metric == 'nope', must be one of ['clicks']" in run(*usual, "--from-events", "nope").output
    assert "must be at least 4" in run(*usual, "--from-events", "clicks", "--days", "1").output
