"""`bakeoff simulate --programme`, through the console script."""

from __future__ import annotations

import json

import pytest

PROGRAMME = ("simulate", "--programme", "--runs", "2", "--weeks", "6")
FIGURES = {
    "final_lift", "share_of_oracle", "promotions", "harmful_promotions", "clearly_harmful_promotions",
    "broken_promotions", "broken_user_days", "worse_user_days", "tests",
    "screened",
}  # fmt: skip


def test_a_programme_is_simulated(console):
    done = console(*PROGRAMME)
    for words in ("6 weeks, 2 runs", "publish", "peek", "fixed", "significant", "valuable", "oracle"):
        assert words in done.stdout
    assert done.stdout.count("  screening") == 2
    assert "Simulating years: 16 of 16" in done.stderr


def test_it_is_json_for_programs(console):
    data = json.loads(console(*PROGRAMME, "--json").stdout)
    assert data["settings"]["weeks"] == 6
    assert (data["runs"], data["seed"]) == (2, 1)
    assert [(row["rule"], row["interleaving"]) for row in data["rows"]] == [
        ("publish", None), ("peek", None), ("fixed", None), ("significant", None), ("significant", 1.0),
        ("valuable", None), ("valuable", 1.0), ("oracle", None),
    ]  # fmt: skip
    for row in data["rows"]:
        assert set(row) == FIGURES | {"rule", "interleaving"}
        assert all(set(row[name]) == {"value", "error"} for name in FIGURES)
    few = ("--release-rule", "valuable", "--interleaving", "0", "--format", "json")
    rows = json.loads(console(*PROGRAMME, *few).stdout)["rows"]
    assert [row["rule"] for row in rows] == ["valuable", "oracle"]
    assert rows[0] == data["rows"][5]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--runs", "1"], "runs == 1, must be in [2, 100000]."),
        (["--seed", "-1"], "seed == -1, must be at least 0."),
        (["--weeks", "0"], "weeks == 0, must be in [1, 520]."),
        (["--users-per-week", "10"], "users_per_week == 10, must be in [100, 10000000]."),
        (["--baseline", "1"], "baseline == 1, must be in (0, 1)."),
        (["--prior-mean", "2"], "prior_mean == 2, must be in [-1, 1]."),
        (["--prior-sd", "0"], "prior_sd == 0, must be in (0, 1]."),
        (["--prior-sd", "nan"], "prior_sd == nan, must be in (0, 1]."),
        (["--share-broken", "1.5"], "share_broken == 1.5, must be in [0, 1]."),
        (["--ageing", "-0.1"], "ageing == -0.1, must be in [0, 1]."),
        (["--challengers-per-week", "0"], "challengers_per_week == 0, must be in (0, 7]."),
        (["--interleaving", "-1"], "interleaving == -1, must be in [0.01, 100]."),
        (["--interleaving", "101"], "interleaving == 101, must be in [0.01, 100]."),
        (["--valuable-weeks", "9", "--weeks", "8"], "valuable_weeks == 9, must be in (0, weeks == 8]."),
        (["--significant-weeks", "0"], "significant_weeks == 0, must be in (0, weeks == 52]."),
        (["--units", "500"], "--units must not be used with --programme."),
    ],
)  # fmt: skip
def test_a_programme_that_cannot_be_is_refused(console, arguments, sentence):
    assert sentence in console("simulate", "--programme", *arguments, status=2).stderr


def test_its_options_need_it(console):
    assert "--weeks needs --programme." in console("simulate", "--weeks", "8", status=2).stderr
