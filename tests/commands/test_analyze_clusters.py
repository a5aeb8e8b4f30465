"""`bakeoff analyze --cluster` and `--switchback`: what was randomised counts, against the sandwich."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from experiments.stats.effects import compare
from experiments.stats.totals import Totals
from tests.support.commands import run_analyze
from tests.support.files import write_columns as write

USUAL = ("--control", "control", "--format", "json")


def shops(seed: int, clusters: int = 60, lift: float = 0.0) -> dict[str, list]:
    """Customers of shops: shops differ in what they sell, and in how many customers they have."""
    rng = np.random.default_rng(seed)
    sizes = 5 + rng.poisson(25, clusters)
    treated = rng.permutation(clusters) < clusters // 2
    shop = np.repeat(np.arange(clusters), sizes)
    level = rng.normal(10, 2, clusters)[shop]
    before = level + rng.normal(0, 3, len(shop))
    spend = level + lift * treated[shop] + rng.normal(0, 3, len(shop))
    return {"customer": [f"c{n}" for n in range(len(shop))], "shop": [f"s{n}" for n in shop],
            "variant": np.where(treated[shop], "new", "control").tolist(), "spend": spend.tolist(),
            "before": before.tolist(), "bought": (spend > 10).astype(int).tolist()}  # fmt: skip


def ask(path, *arguments) -> dict:
    done = run_analyze(path, *USUAL, *arguments)
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def refuse(path, *arguments) -> str:
    done = run_analyze(path, "--control", "control", *arguments)
    assert done.exit_code == 2, done.output
    (line,) = done.output.strip().splitlines()
    return line


def test_the_error_is_the_cluster_robust_one(tmp_path):
    """Least squares of the value on the variant, its sandwich over clusters (Liang and Zeger 1986)."""
    columns = shops(1)
    path = write(tmp_path / "shops.csv", columns)
    card = ask(path, "--metric", "spend:mean", "--cluster", "shop", "--unit", "customer")
    row = card["metrics"][0]["variants"][0]
    y = np.array(columns["spend"])
    d = np.array([v == "new" for v in columns["variant"]], float)
    x = np.column_stack([np.ones(len(y)), d])
    bread = np.linalg.inv(x.T @ x)
    beta = bread @ x.T @ y
    scores: dict[str, np.ndarray] = {}
    for one, u, shop in zip(x, y - x @ beta, columns["shop"], strict=True):
        scores[shop] = scores.get(shop, np.zeros(2)) + one * u
    meat = sum(np.outer(s, s) for s in scores.values())
    robust = np.sqrt((bread @ meat @ bread)[1, 1])
    assert row["absolute"]["estimate"] == pytest.approx(beta[1])
    # The sandwich divides by clusters, the delta method by clusters − 1 of each side.
    assert row["absolute"]["se"] == pytest.approx(robust * np.sqrt(30 / 29), rel=1e-6)
    assert card["units"] == {"control": 30, "new": 30}
    assert sum(card["units_in_clusters"].values()) == len(y)
    assert any(
        "Counted by clusters, which were randomised: control 30, new 30" in one for one in card["notes"]
    )
    naive = ask(path, "--metric", "spend:mean", "--unit", "customer")["metrics"][0]["variants"][0]
    assert row["absolute"]["se"] > 2 * naive["absolute"]["se"]
    adjusted = ask(path, "--metric", "spend:mean", "--cluster", "shop", "--covariate", "before")
    assert adjusted["metrics"][0]["variants"][0]["variance_reduction"] > 0.5


def test_shares_and_ratios_count_clusters_and_a_verdict_comes_of_it(tmp_path):
    path = write(tmp_path / "shops.csv", shops(2, lift=4.0))
    card = ask(
        path, "--metric", "bought:proportion", "--metric", "r:ratio:spend/before", "--cluster", "shop"
    )
    assert card["decision"]["action"] == "ship"
    assert [one["kind"] for one in card["metrics"]] == ["proportion", "ratio"]
    assert card["metrics"][0]["variants"][0]["n"] == 30


def test_a_cluster_in_two_variants_is_left_out_and_told(tmp_path):
    columns = shops(3, clusters=60)
    first = columns["shop"].index("s0")
    columns["variant"][first] = "new" if columns["variant"][first] == "control" else "control"
    card = ask(write(tmp_path / "shops.csv", columns), "--metric", "spend:mean", "--cluster", "shop")
    assert sum(card["units"].values()) == 59
    assert "1 clusters in two variants are left out." in card["notes"]


def test_a_cluster_that_changed_halfway_is_split_though_its_regulars_are_left_out(tmp_path):
    """Regulars stand in both variants and are crossovers; who came once would pass for pure control."""
    columns = shops(8)
    control = columns["variant"].index("control")
    shop = columns["shop"][control]
    inside = [n for n, name in enumerate(columns["shop"]) if name == shop]
    for n in inside[:-1]:  # all but one come again, under the other variant
        for values in columns.values():
            values.append(values[n])
        columns["variant"][-1] = "new"
    path = write(tmp_path / "shops.csv", columns)
    card = ask(path, "--metric", "spend:mean", "--unit", "customer", "--cluster", "shop")
    assert card["units"] == {"control": 29, "new": 30}
    assert "1 clusters in two variants are left out." in card["notes"]


def test_a_cluster_partly_of_a_variant_that_is_left_out_is_split(tmp_path):
    columns = shops(9)
    inside = [n for n, name in enumerate(columns["shop"]) if name == "s0"]
    for n in inside[: len(inside) // 2]:
        columns["variant"][n] = "holdout"
    path = write(tmp_path / "shops.csv", columns)
    arguments = ("--metric", "spend:mean", "--cluster", "shop", "--exclude", "holdout")
    for unit in ((), ("--unit", "customer")):
        card = ask(path, *arguments, *unit)
        assert sum(card["units"].values()) == 59
        assert "1 clusters in two variants are left out." in card["notes"]


def test_a_row_that_was_not_assigned_needs_no_cluster(tmp_path):
    columns = shops(10)
    columns["variant"][0], columns["shop"][0] = "", ""
    card = ask(write(tmp_path / "shops.csv", columns), "--metric", "spend:mean", "--cluster", "shop")
    assert sum(card["units"].values()) == 60


def blocks(seed: int, hours: int = 24 * 20, spill: float = 0.0) -> dict[str, list]:
    """Orders by the minute: each block of 2 hours has a level of its own, and a variant by chance."""
    rng = np.random.default_rng(seed)
    count = hours // 2
    variant = rng.permutation(count) < count // 2
    level = rng.normal(10, 2, count)
    seconds = np.sort(rng.uniform(0, hours * 3600, hours * 8))
    block = (seconds // 7200).astype(int)
    early = (seconds % 7200 < 1200) & (block > 0)
    value = level[block] + rng.normal(0, 2, len(seconds))
    value += spill * early * variant[np.maximum(block - 1, 0)]
    at = np.datetime64("2026-01-05T00:00:00") + seconds.astype("timedelta64[s]")
    return {"at": [str(one) for one in at], "variant": np.where(variant[block], "new", "control").tolist(),
            "value": value.tolist()}  # fmt: skip


SWITCHED = ("--metric", "value:mean", "--switchback", "at", "--block-seconds", "7200")


def test_a_switchback_counts_blocks_and_leaves_carry_over_out(tmp_path):
    columns = blocks(4, spill=30.0)
    path = write(tmp_path / "orders.csv", columns)
    card = ask(path, *SWITCHED, "--carry-over-seconds", "1200")
    row = card["metrics"][0]["variants"][0]
    assert sum(card["units"].values()) == 240
    late = [
        n
        for n, at in enumerate(columns["at"])
        if int(np.datetime64(at).astype("datetime64[s]").astype(int)) % 7200 >= 1200
    ]
    assert sum(card["units_in_clusters"].values()) == len(late)
    assert row["absolute"]["ci"][0] < 0 < row["absolute"]["ci"][1]
    assert any("Counted by blocks" in note for note in card["notes"])
    with_spill = ask(path, *SWITCHED)["metrics"][0]["variants"][0]
    assert with_spill["absolute"]["se"] > row["absolute"]["se"]  # the spill is noise in every block


def test_a_switchback_may_have_one_row_per_block(tmp_path):
    rng = np.random.default_rng(7)
    at = np.datetime64("2026-01-05T00:00:00") + np.arange(120) * np.timedelta64(7200, "s")
    columns = {"at": [str(one) for one in at], "value": rng.normal(10, 2, 120).tolist(),
               "variant": rng.permutation(["control", "new"] * 60).tolist()}  # fmt: skip
    path = write(tmp_path / "orders.csv", columns)
    card = ask(path, *SWITCHED)
    assert card["units"] == card["units_in_clusters"] == {"control": 60, "new": 60}
    few = write(tmp_path / "few.csv", {name: values[:30] for name, values in columns.items()})
    assert "blocks of 'control' == " in refuse(few, *SWITCHED)
    columns = {name: values * 2 for name, values in columns.items()}
    columns["variant"] = ["control"] * 120 + ["new"] * 120
    both = write(tmp_path / "both.csv", columns)
    assert "blocks in two variants == 120, that is every one of the file." in refuse(both, *SWITCHED)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--metric", "spend:mean", "--cluster", "customer"], "units per cluster == 1 in all"),
        (["--metric", "spend:mean", "--cluster", "store"], "column == 'store', not found"),
        (["--metric", "spend:median", "--cluster", "shop"], "metric 'spend' with --cluster, must be no quantile"),
        (["--metric", "bought:proportion", "--cluster", "shop", "--rule", "exact"], "rule == 'exact' with --cluster"),
        (["--metric", "spend:mean", "--cluster", "shop", "--segment", "variant"], "--segment with --cluster, must be left out"),
        (["--metric", "spend:mean", "--cluster", "shop", "--look", "shop"], "--look with --cluster, must be left out"),
        (["--metric", "spend:mean", "--cluster", "shop", "--totals"], "cluster with --totals, must be rows of units"),
        (["--metric", "spend:mean", "--block-seconds", "60"], "without --switchback COLUMN"),
        (["--metric", "spend:mean", "--switchback", "spend"], "block_seconds is missing"),
        (["--metric", "spend:mean", "--switchback", "shop", "--block-seconds", "60"], "rows without a value that can be read, must be a time"),
        (["--metric", "spend:mean", "--switchback", "shop", "--block-seconds", "60", "--unit", "customer"], "--unit with --switchback, must be left out"),
        (["--metric", "spend:mean", "--switchback", "shop", "--block-seconds", "0"], "block_seconds == 0, must be positive"),
        (["--metric", "spend:mean", "--switchback", "shop", "--block-seconds", "60", "--carry-over-seconds", "60"],
         "carry_over_seconds == 60, must be at least 0 and less than block_seconds == 60"),
    ],
)  # fmt: skip
def test_what_cannot_be_counted_by_clusters_is_refused(tmp_path, arguments, sentence):
    assert sentence in refuse(write(tmp_path / "shops.csv", shops(5)), *arguments)


def test_few_clusters_are_refused(tmp_path):
    path = write(tmp_path / "shops.csv", shops(6, clusters=38))
    assert "clusters of 'control' == 19, must be at least 20 in each variant" in refuse(
        path, "--metric", "spend:mean", "--cluster", "shop"
    )


def wrong_calls(values, variant, cluster) -> tuple[bool, bool]:
    """Whether an A/A is called a difference: by clusters, and as if each row stood for itself."""
    sides, rows = [], []
    for name in ("control", "new"):
        inside = variant == name
        _, place = np.unique(cluster[inside], return_inverse=True)
        sides.append(Totals.of(np.bincount(place, values[inside]), np.bincount(place).astype(float)))
        rows.append(Totals.of(values[inside]))
    return compare("ratio", *sides).p_value < 0.05, compare("mean", *rows).p_value < 0.05


def by_shops(seed: int):
    columns = shops(seed, clusters=40)
    return columns["spend"], columns["variant"], columns["shop"]


def by_blocks(seed: int):
    columns = blocks(seed, hours=96)
    at = np.array(columns["at"], dtype="datetime64[s]").astype(int)
    return columns["value"], columns["variant"], at // 7200


@pytest.mark.parametrize("draw", [by_shops, by_blocks])
def test_no_effect_keeps_its_level_where_rows_alone_would_not(draw):
    """The estimate that the tests above find in files; the full size: make bench ONLY=variance."""
    calls = np.array([wrong_calls(*map(np.array, draw(seed))) for seed in range(200)])
    ours, naive = calls.sum(axis=0)
    assert stats.binomtest(int(ours), 200, 0.05).pvalue > 0.01
    assert naive / 200 >= 0.15
