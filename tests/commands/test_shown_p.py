"""The p-value that is shown is the one that decides: in the table, the JSON and on the page of a report."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from bakeoff.cli import main

# Shipped, worse, and between a single look's 5 % and what the rule asks for; 30,000 units each.
CONVERSIONS = {"control": 3000, "better": 3400, "worse": 2600, "between": 3170}
RULES = ("fixed", "group_sequential", "always_valid")
SHOWN = re.compile(r"(?:< )?([\d.e-]+) ([≤>]) ([\d.e-]+)")


def analyze(file, rule, *more: str) -> str:
    arguments = [
        "analyze", str(file), "--totals", "--rule", rule, *more,
    ]  # fmt: skip
    planned = [] if rule == "fixed" else ["--planned", "160000"]
    done = CliRunner().invoke(main, [*arguments, *planned])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("rule", RULES)
def test_table_json_interval_and_verdict_say_the_same(tmp_path, rule):
    file = tmp_path / "totals.csv"
    lines = [f"{variant},30000,{sum_}" for variant, sum_ in CONVERSIONS.items()]
    file.write_text("\n".join(["variant,n,sum", *lines]) + "\n")
    card = json.loads(analyze(file, rule, "--metric", "m:proportion", "--format", "json"))
    table = analyze(file, rule, "--metric", "m:proportion")
    decided = {}
    for row in card["metrics"][0]["variants"]:
        name, absolute = row["variant"], row["absolute"]
        low, high = absolute["ci"]
        (line,) = [line for line in table.splitlines() if re.match(rf"\s*m\s+{name}\s", line)]
        p, sign, level = SHOWN.search(line).groups()
        decided[name] = low > 0 or high < 0
        assert decided[name] == (absolute["p_value"] <= absolute["level"]) == (sign == "≤"), name
        assert decided[name] == (row["adjusted_p_value"] <= card["alpha"]), name
        assert decided[name] == (row["relative"]["ci"][0] > 0 or row["relative"]["ci"][1] < 0), name
        assert float(p) == pytest.approx(absolute["p_value"], rel=0.01)
        assert float(level) == pytest.approx(absolute["level"], rel=0.01)
        assert absolute["p_value"] > 0
        assert absolute["p_value"] == row["valid_p_value"]
    assert decided == {"better": True, "worse": True, "between": rule == "fixed"}  # Holm's last step
    assert (card["decision"]["action"], card["decision"]["variant"]) == ("ship", "better")
    assert "worse" in card["decision"]["leaving"]
    # The trap: a single look at this variant alone calls it significant.
    (between,) = [r for r in card["metrics"][0]["variants"] if r["variant"] == "between"]
    assert between["absolute"]["p_value_of_one_look"] < 0.05


@pytest.mark.parametrize("rule", RULES)
def test_a_small_variant_without_a_whale_does_not_look_certain(tmp_path, rule):
    """90/10, and nearly all of the spread in the control: by Welch's error p were .016."""
    file = tmp_path / "totals.csv"
    file.write_text("variant,n,sum,sum_squares\ncontrol,90000,90000,9090000\nnew,10000,9200,8564\n")
    card = json.loads(
        analyze(file, rule, "--metric", "m:mean", "--expected", "90/10", "--format", "json")
    )
    absolute = card["metrics"][0]["variants"][0]["absolute"]
    assert absolute["p_value"] > 0.3
    assert absolute["ci"][0] < 0 < absolute["ci"][1]
    assert absolute["se"] == pytest.approx(0.1, rel=0.001)
    assert card["decision"]["action"] != "roll_back"
