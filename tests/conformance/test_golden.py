"""Reference cases: those that are kept here, and every way in which a case can be missed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.golden.cases import run_file
from tests.conformance.golden.methods import METHODS

CASES = Path(__file__).parent / "cases.json"


def test_every_case_is_met():
    report = run_file(CASES)
    assert report["misses"] == []
    assert report["passed"] == report["total"] == 16


def test_the_command_prints_one_object_and_fails_on_a_miss(tmp_path):
    data = json.loads(CASES.read_text())
    data["cases"]["srm"]["outputs"]["scipy"]["p"] += 0.1
    data["cases"]["means"]["method"] = "unheard_of"
    data["cases"]["n_means"]["inputs"] = {}
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(data))
    done = subprocess.run(
        [sys.executable, "-m", "tests.conformance.golden", str(path), "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert (report["passed"], report["total"]) == (13, 16)
    assert {miss["case"] for miss in report["misses"]} == {"srm", "means", "n_means"}


@pytest.mark.parametrize(
    ("method", "inputs", "expected"),
    [
        # Beta(3, 5) against Beta(5, 3), by the closed sum
        ("bayes_beta_binomial", {"x_control": 2, "n_control": 6, "x_treatment": 4, "n_treatment": 6},
         {"p_b_gt_a_closed": 0.8569347319, "post_mean_control": 0.375, "post_mean_treatment": 0.625}),
        ("epoch_stratified_difference", {"strata_nt_nc_xt_xc": [[1000, 9000, 110, 900], [5000, 5000, 700, 650]]},
         {"naive_pooled_diff": 0.0242857143, "mantel_haenszel_weighted_diff": 0.01, "mh_se": 0.0057279289}),
        # statsmodels.stats.multitest.multipletests
        ("p_value_adjustment", {"p_values": [0.01, 0.04, 0.03, 0.005]},
         {"bonferroni": [0.04, 0.16, 0.12, 0.02], "holm": [0.03, 0.06, 0.06, 0.02],
          "benjamini_hochberg": [0.02, 0.04, 0.04, 0.02]}),
        # (−.01 + .03) / √(.1 · .9 / 2000 + .09 · .91 / 2000)
        ("non_inferiority_proportion",
         {"x_control": 200, "n_control": 2000, "x_treatment": 180, "n_treatment": 2000, "margin": 0.03},
         {"diff": -0.01, "z": 2.1572826723, "p": 0.0154918231, "lower_bound": -0.0252493101}),
        # scipy.stats.betabinom.logpmf(60, 100, 50, 50) − binom.logpmf(60, 100, .5)
        ("anytime_success_split", {"x_control": 60, "x_treatment": 40, "share": 0.5, "concentration": 100},
         {"log_e": 0.6588918180}),
        # SciPy: the p-value of binomtest, and its interval by Wilson
        ("interleaving_preference", {"wins_treatment": 60, "wins_control": 40, "ties": 7},
         {"p_sign": 0.0568879341, "ci_wilson": (0.5020026, 0.6905987), "share": 0.6}),
    ],
)  # fmt: skip
def test_a_method_gives_known_figures(method, inputs, expected):
    actual = METHODS[method](inputs, {})
    for name, value in expected.items():
        assert actual[name] == pytest.approx(value, rel=1e-6), name
