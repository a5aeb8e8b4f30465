"""`python -m tests.conformance.golden FILE [--json]`: run reference cases through the engine.

A file holds `cases`: name → method, inputs, the outputs of one or more independent libraries, the one
that is canonical, and a tolerance; `shared` holds sufficient statistics that cases refer to. A case
passes when every number of its canonical output is met.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import bdtr, betaln, chdtrc

from experiments.stats import confidence_sequence as sequences
from experiments.stats import lifts, power
from experiments.stats.bayes import compare_proportions
from experiments.stats.effect import Effect
from experiments.stats.effects import compare, critical_value, newcombe_interval, stratify
from experiments.stats.exact import Batch, ExactState, add_batches, block_log_e_values, log_e_value
from experiments.stats.group_sequential import SPENDING, bounds_at, classic_constant
from experiments.stats.guardrails import judge_noninferiority
from experiments.stats.multiplicity import benjamini_hochberg, bonferroni, holm
from experiments.stats.preference import wilson, win_rate
from experiments.stats.srm import chi_square, log_bayes_factor
from experiments.stats.totals import Moments, Totals
from inference.evaluation.off_policy import doubly_robust_value, weighted_value

Inputs = Mapping[str, Any]
Output = dict[str, Any]
ROUNDING = 1e-12  # of numbers that are zero but for rounding


def _normal_p(z: float) -> float:
    return math.erfc(abs(z) / math.sqrt(2))


def _two_proportions(inputs: Inputs, _: Inputs) -> Output:
    control, treatment = (
        Totals.of_proportion(inputs[f"x_{side}"], inputs[f"n_{side}"])
        for side in ("control", "treatment")
    )
    z = critical_value(inputs["alpha"])
    effect = compare("proportion", control, treatment)
    return {
        "p_control": effect.control,
        "p_treatment": effect.treatment,
        "diff": effect.estimate,
        "se_pooled": effect.estimate / effect.statistic if effect.statistic else effect.se,
        "z_pooled": effect.statistic,
        "p_pooled": effect.p_value,
        "se_unpooled": effect.se,
        "z_unpooled": effect.estimate / effect.se,
        "p_unpooled": _normal_p(effect.estimate / effect.se),
        "ci_wald": (effect.estimate - z * effect.se, effect.estimate + z * effect.se),
        "ci_newcombe": newcombe_interval(control, treatment, z),
        "lift": effect.lift,
        "lift_ci_logratio": effect.log_interval(z),
    }


def _describe(effect: Effect, alpha: float) -> Output:
    """The fields of a mean or a ratio: Student's t, the normal, and three lifts."""
    z, t = critical_value(alpha), critical_value(alpha, effect.df)
    output: Output = {
        "diff": effect.estimate,
        "se": effect.se,
        "df": effect.df,
        "t": effect.statistic,
        "p": effect.p_value,
        "ci": effect.interval(t),
        "p_z": _normal_p(effect.statistic),
        "ci_z": effect.interval(z),
    }
    if effect.control > 0 and effect.treatment > 0:
        output["lift"] = {
            "lift": effect.lift,
            "se_delta": lifts.linear_se(effect),
            "ci_delta": lifts.linear_interval(effect, z),
            "se_log": effect.log_se,
            "ci_log": effect.log_interval(z),
            "ci_fieller": lifts.fieller_interval(effect, z),
            "p_delta": lifts.linear_p_value(effect),
        }
    return output


def _welch_summary(inputs: Inputs, _: Inputs) -> Output:
    sides = [
        Moments(n, n, inputs[f"mean_{side}"], yy=inputs[f"sd_{side}"] ** 2 * (n - 1))
        for side in ("control", "treatment")
        if (n := inputs[f"n_{side}"])
    ]
    return _describe(compare("mean", *sides), inputs["alpha"])


def _totals(stats: Inputs, **columns: str) -> Totals:
    """Totals from sums named sum_A, sumsq_A and sumprod_A_B; columns are y, d, x and w."""
    n = stats["n"]

    def product(a: str, b: str) -> float:
        p, q = columns.get(a), columns.get(b)
        if p is None or q is None:
            only = p or q
            return stats[f"sum_{only}"] if only else float(n)
        if p == q:
            return stats[f"sumsq_{p}"]
        name = f"sumprod_{p}_{q}"
        return stats[name if name in stats else f"sumprod_{q}_{p}"]

    names = {
        a + b: product(a, b) for a, b in ("yy", "dd", "xx", "ww", "yd", "yx", "yw", "dx", "dw", "xw")
    }
    sums = {a: stats[f"sum_{columns[a]}"] if a in columns else float(n) for a in "ydxw"}
    if "x" not in columns:
        sums["x"] = names["xx"] = names["yx"] = names["dx"] = names["xw"] = 0.0
    return Totals(
        n=n, nonzero=n,
        **{f"sum_{name}": value for name, value in (names | sums).items()},
    )  # fmt: skip


def _sides(inputs: Inputs, shared: Inputs, **columns: str) -> list[Totals]:
    data = shared[inputs["ref"].removeprefix("shared.")]
    stats = data["sufficient_statistics"]
    return [_totals(stats[side], **columns) for side in ("control", "treatment")]


def _alpha(inputs: Inputs, shared: Inputs) -> float:
    return inputs.get("alpha") or shared[inputs["ref"].removeprefix("shared.")].get("alpha", 0.05)


def _welch_raw(inputs: Inputs, shared: Inputs) -> Output:
    (column,) = inputs["columns"]
    return _describe(compare("mean", *_sides(inputs, shared, y=column)), _alpha(inputs, shared))


def _cuped(inputs: Inputs, shared: Inputs) -> Output:
    control, treatment = _sides(inputs, shared, y=inputs["y"], x=inputs["x"])
    effect = compare("mean", control, treatment)
    c, t, both = control.moments(), treatment.moments(), (control + treatment).moments()
    output = _describe(effect, _alpha(inputs, shared))
    del output["lift"]
    return output | {
        "theta_pooled": both.yx / both.xx,
        "theta_within_group": (c.yx + t.yx) / (c.xx + t.xx),
        "adj_mean_control": effect.control,
        "adj_mean_treatment": effect.treatment,
        "var_adj_control": effect.control_se**2 * c.n,
        "var_adj_treatment": effect.treatment_se**2 * t.n,
        "variance_reduction": effect.variance_reduction,
        "lift_adj_over_adj": effect.lift,
        "lift_adjdiff_over_raw_control": effect.estimate / c.y,
    }


def _ratio(inputs: Inputs, shared: Inputs) -> Output:
    sides = _sides(inputs, shared, y=inputs["num"], d=inputs["den"])
    effect = compare("ratio", *sides)
    return _describe(effect, _alpha(inputs, shared)) | {
        "ratio_control": effect.control,
        "ratio_treatment": effect.treatment,
        "var_control": effect.control_se**2 * effect.control_n,
        "var_treatment": effect.treatment_se**2 * effect.treatment_n,
    }


def _cuped_ratio(inputs: Inputs, shared: Inputs) -> Output:
    sides = _sides(
        inputs, shared, y=inputs["num"], d=inputs["den"], x=inputs["num_pre"], w=inputs["den_pre"]
    )
    from experiments.stats.effects import _linearise

    effect = compare("ratio", *sides)
    c, t = (_linearise("ratio", side) for side in sides)
    per_unit = [
        (side.products / (side.n - 1), side.covariate_squares / (side.n - 1)) for side in (c, t)
    ]
    return {
        "theta_sum_of_arms": sum(p for p, _ in per_unit) / sum(q for _, q in per_unit),
        "theta_within_pooled": (c.products + t.products) / (c.covariate_squares + t.covariate_squares),
        "diff": effect.estimate,
        "se": effect.se,
        "z": effect.statistic,
    }


def _srm(inputs: Inputs, _: Inputs) -> Output:
    statistic, p_value = chi_square(inputs["observed"], inputs["weights"])
    used = [(n, w) for n, w in zip(inputs["observed"], inputs["weights"], strict=True) if w > 0]
    total, mass = sum(n for n, _ in used), sum(w for _, w in used)
    g = 2 * sum(n * math.log(n / (total * w / mass)) for n, w in used if n)
    return {"chi2": statistic, "p": p_value, "g_stat": g, "p_g": float(chdtrc(len(used) - 1, g))}


def _sequential_srm(inputs: Inputs, _: Inputs) -> Output:
    counts, min_p, path = np.zeros(len(inputs["weights"])), 1.0, []
    for day in inputs["daily_counts"]:
        counts += day
        log_e = log_bayes_factor(counts, inputs["weights"], concentration=inputs["concentration"])
        min_p = min(min_p, math.exp(-log_e))
        path.append(min(min_p, 1.0))
    return {"p": path}


def _level(inputs: Inputs) -> float:
    return inputs["alpha"] * (2 if inputs.get("sides", 2) == 1 else 1)


def _n_proportions(inputs: Inputs, _: Inputs) -> Output:
    def units(*, pooled: bool) -> float:
        return power.units_for_proportions(
            inputs["p1"], inputs["p2"], alpha=_level(inputs), power=inputs["power"],
            ratio=inputs.get("ratio", 1), pooled=pooled,
        )  # fmt: skip

    return {"n_per_arm_pooled": units(pooled=True), "n_per_arm_unpooled": units(pooled=False)}


def _n_means(inputs: Inputs, _: Inputs) -> Output:
    n = power.units_for_means(
        inputs["delta"],
        inputs["sd"],
        alpha=_level(inputs),
        power=inputs["power"],
        ratio=inputs.get("ratio", 1),
    )
    return {"n_per_arm_z": n}


def _mde(inputs: Inputs, _: Inputs) -> Output:
    return {
        "mde": power.detectable_mean(
            inputs["n_per_arm"], inputs["sd"], alpha=inputs["alpha"], power=inputs["power"]
        )
    }


def _cuped_n(inputs: Inputs, _: Inputs) -> Output:
    factor = power.cuped_factor(inputs["rho"])
    n = power.units_for_means(
        inputs["delta"], inputs["sd"], alpha=inputs["alpha"], power=inputs["power"]
    )
    return {"rho": inputs["rho"], "n_factor": factor, "n_per_arm": n * factor}


def _bounds(inputs: Inputs, _: Inputs) -> Output:
    spending = SPENDING[inputs["spending"]]
    z = bounds_at(inputs["information"], alpha=_level(inputs), spending=spending)
    return {
        "t": inputs["information"],
        "z": z,
        "cumulative_alpha": [spending(_level(inputs), t) for t in inputs["information"]],
        "nominal_p": [_normal_p(bound) for bound in z],
    }


def _classic(inputs: Inputs, _: Inputs) -> Output:
    looks = inputs["K"]
    obf = classic_constant(looks, alpha=_level(inputs), shape="obf")
    return {
        "obf_constant": obf,
        "obf_z": [obf * math.sqrt(looks / k) for k in range(1, looks + 1)],
        "pocock_constant": classic_constant(looks, alpha=_level(inputs), shape="pocock"),
    }


def _inflation(inputs: Inputs, _: Inputs) -> Output:
    looks = inputs.get("K") or int(inputs["canonical"].removeprefix("K"))
    plan = power.design(
        "group_sequential", alpha=inputs["alpha"], power=inputs["power"], looks=looks,
        spending=inputs["spending"],
    )  # fmt: skip
    return {"inflation": plan.inflation, "drift": plan.drift, "last_z": plan.final_bound}


def _sequence(inputs: Inputs, _: Inputs) -> Output:
    control, treatment = (
        Totals.of_proportion(inputs[f"x_{side}"], inputs[f"n_{side}"])
        for side in ("control", "treatment")
    )
    effect, n = compare("proportion", control, treatment), inputs["n_control"] + inputs["n_treatment"]
    tuned = {"alpha": inputs["alpha"], "planned_n": inputs["tuning_n"]}
    width, z = sequences.half_width_in_se(n, **tuned), effect.estimate / effect.se
    one_sided = sequences.half_width_in_se_one_sided(n, **tuned)
    return {
        "rho": sequences.mixture_scale(inputs["alpha"], inputs["tuning_n"]),
        "rho_exact_lambertw": sequences.exact_mixture_scale(inputs["alpha"], inputs["tuning_n"]),
        "halfwidth": width * effect.se,
        "halfwidth_in_se": width,
        "ci": (effect.estimate - width * effect.se, effect.estimate + width * effect.se),
        "log_e": sequences.log_e_value(z, n, **tuned),
        "p": sequences.sequential_p_value(z, n, **tuned),
        "halfwidth_one_sided": one_sided * effect.se,
    }


def _bayes(inputs: Inputs, _: Inputs) -> Output:
    posterior = compare_proportions(
        (inputs["x_control"], inputs["n_control"]),
        (inputs["x_treatment"], inputs["n_treatment"]),
        tuple(inputs.get("prior", (1, 1))),
    )
    return {
        "p_b_gt_a_closed": posterior.probability_better,
        "p_b_gt_a_quad": posterior.probability_better,
        "loss_choose_control": posterior.loss_of_control,
        "loss_choose_treatment": posterior.loss_of_treatment,
        "post_mean_control": posterior.control_mean,
        "post_mean_treatment": posterior.treatment_mean,
    }


def _off_policy(inputs: Inputs, _: Inputs) -> Output:
    if "generator" in inputs:
        namespace: dict[str, Any] = {"np": np}
        exec(inputs["generator"], namespace)
        arrays = namespace["pl"], namespace["pe"], namespace["r"]
    else:
        arrays = tuple(np.asarray(inputs[name], float) for name in ("p_log", "p_eval", "reward"))
    value = weighted_value(*arrays)
    return {
        "ips": value.ips, "ips_se": value.ips_se, "snips": value.snips,
        "snips_se_linearised": value.snips_se, "clipped_ips_10": value.clipped_ips,
        "ess": value.effective_size, "max_weight": value.largest_weight,
        "mean_weight": value.mean_weight,
    }  # fmt: skip


def _doubly_robust(inputs: Inputs, _: Inputs) -> Output:
    logged, reward, wanted, predicted = (
        np.asarray(inputs[name], float) for name in ("pscore", "reward", "action_dist", "q_hat")
    )
    action = np.asarray(inputs["action"])
    value = doubly_robust_value(logged, action, reward, wanted, predicted)
    weighted = weighted_value(logged, wanted[np.arange(len(action)), action], reward)
    return {"ips": weighted.ips, "snips": weighted.snips, **value._asdict()}


def _batches(inputs: Inputs) -> list[Batch]:
    return [Batch(*row) for row in inputs["batches_nt_xt_nc_xc"]]


def _exact(inputs: Inputs, _: Inputs) -> Output:
    state, log_e, p = ExactState(), [], []
    for batch in _batches(inputs):
        state = add_batches(state, [batch], spread=inputs["tau_log_odds"])
        log_e.append(log_e_value(state, spread=inputs["tau_log_odds"]))
        p.append(state.p_value)
    return {"log_e": log_e, "p": p}


def _grow(inputs: Inputs, _: Inputs) -> Output:
    return {"log_e": block_log_e_values(_batches(inputs))}


def _stratified(inputs: Inputs, _: Inputs) -> Output:
    strata = inputs["strata_nt_nc_xt_xc"]
    effects = [
        compare("proportion", Totals.of_proportion(x_c, n_c), Totals.of_proportion(x_t, n_t))
        for n_t, n_c, x_t, x_c in strata
    ]
    n_t, n_c, x_t, x_c = (sum(column) for column in zip(*strata, strict=True))
    units = [e.control_n + e.treatment_n for e in effects]
    shares = [n / sum(units) for n in units]
    combined = stratify(effects)
    return {
        "naive_pooled_diff": x_t / n_t - x_c / n_c,
        "poststrat_diff": sum(s * e.estimate for s, e in zip(shares, effects, strict=True)),
        "poststrat_se": math.sqrt(sum((s * e.se) ** 2 for s, e in zip(shares, effects, strict=True))),
        "mantel_haenszel_weighted_diff": combined.estimate,
        "mh_se": combined.se,
    }


def _first(inputs: Inputs, *names: str, default: Any = None) -> Any:
    """Return the first of several names that the inputs use."""
    return next((inputs[name] for name in names if name in inputs), default)


def _adjusted(inputs: Inputs, _: Inputs) -> Output:
    """p-values by each procedure; which one a case means stands in its canonical output."""
    p_values = _first(inputs, "p_values", "p", "pvalues", "raw")
    output: Output = {
        "bonferroni": bonferroni(p_values),
        "holm": holm(p_values),
        "benjamini_hochberg": benjamini_hochberg(p_values),
    }
    output |= {"fdr_bh": output["benjamini_hochberg"], "bh": output["benjamini_hochberg"]}
    procedure = str(_first(inputs, "procedure", "method", "adjustment", default="")).lower()
    chosen = {"b": "bonferroni", "h": "holm", "f": "fdr_bh"}.get(procedure[:1], "")
    if "hochberg" in procedure or procedure == "bh":
        chosen = "fdr_bh"
    if chosen:
        output |= dict.fromkeys(("adjusted", "p_adjusted", "adjusted_p", "p"), output[chosen])
    alpha = inputs.get("alpha")
    if chosen and alpha is not None:
        output["reject"] = [p <= alpha for p in output[chosen]]
    return output


def _noninferiority(inputs: Inputs, _: Inputs) -> Output:
    """A proportion that may lose up to a margin: one-sided, variances not pooled."""
    control, treatment = (
        Totals.of_proportion(inputs[f"x_{side}"], inputs[f"n_{side}"])
        for side in ("control", "treatment")
    )
    effect = compare("proportion", control, treatment)
    margin = _first(inputs, "margin", "absolute_margin")
    if margin is None:
        margin = inputs["relative_margin"] * effect.control
    up = bool(_first(inputs, "increase_is_good", "higher_is_better", default=True))
    alpha = _first(inputs, "alpha", default=0.05)
    one_sided = critical_value(2 * alpha) if inputs.get("sides", 1) == 1 else critical_value(alpha)
    good = effect.estimate if up else -effect.estimate
    z, bound = (good + margin) / effect.se, good - one_sided * effect.se
    judged = judge_noninferiority(
        effect,
        relative_margin=margin / effect.control,
        direction="increase" if up else "decrease",
        critical=one_sided,
    )
    p = 0.5 * math.erfc(z / math.sqrt(2))
    return {
        "diff": effect.estimate, "se": effect.se, "margin": margin, "z": z, "statistic": z, "p": p,
        "p_value": p, "bound": bound, "lower": bound, "lower_bound": bound, "ci_lower": bound,
        "score_bound": judged.bound, "non_inferior": bound > -margin, "holds": judged.holds,
    }  # fmt: skip


def _success_split(inputs: Inputs, _: Inputs) -> Output:
    """How successes fall on the variants against the planned shares, after each batch."""
    shares = _first(inputs, "weights", "shares", "p0")
    if shares is None:
        share = _first(inputs, "share", "treatment_share", default=0.5)
        shares = [1 - share, share]
    rows = _first(inputs, "daily_successes", "successes", "daily_counts", "counts", "batches")
    if rows is None:
        rows = [[inputs["x_control"], inputs["x_treatment"]]]
    if not isinstance(rows[0], list):
        rows = [rows]
    concentration = _first(inputs, "concentration", "prior_concentration", default=sum(shares) * 100)
    total, log_e, p, min_p = np.zeros(len(shares)), [], [], 1.0
    for row in rows:
        total += row
        log_e.append(log_bayes_factor(total, shares, concentration=concentration))
        min_p = min(min_p, math.exp(-max(log_e[-1], 0.0)))
        p.append(min_p)
    if len(rows) == 1:
        return {"log_e": log_e[0], "log_bayes_factor": log_e[0], "e": math.exp(log_e[0]), "p": p[0]}
    return {"log_e": log_e, "log_bayes_factor": log_e, "p": p}


def _interleaving(inputs: Inputs, _: Inputs) -> Output:
    """Wins of one ranking over another, a unit each: sign test, Wilson, and a beta-mixture e-process."""
    wins = int(_first(inputs, "wins_treatment", "wins_b", "wins"))
    losses = int(_first(inputs, "wins_control", "wins_a", "losses"))
    ties = int(_first(inputs, "ties", default=0))
    n, alpha = wins + losses, _first(inputs, "alpha", default=0.05)
    prior = float(_first(inputs, "prior", "concentration", default=1.0))
    tail = float(bdtr(min(wins, losses), n, 0.5))
    log_e = float(betaln(prior + wins, prior + losses) - betaln(prior, prior)) + n * math.log(2)
    p = min(2 * tail, 1.0)
    preferred = win_rate([1.0] * wins + [0.0] * losses + [0.5] * ties, alpha=alpha)
    z = (wins - losses) / math.sqrt(n)
    return {
        "n": n, "share": wins / n, "win_rate": preferred.rate, "preference": (wins + 0.5 * ties) / (n + ties),
        "delta_ab": (wins + 0.5 * ties) / (n + ties) - 0.5, "p": p, "p_value": p, "p_sign": p,
        "p_exact": p, "z": z, "p_z": _normal_p(z), "log_e": log_e, "e": math.exp(min(log_e, 700.0)),
        "p_anytime": math.exp(-max(log_e, 0.0)), "ci_wilson": wilson(wins / n, n, alpha=alpha),
        "ci": wilson(wins / n, n, alpha=alpha),
    }  # fmt: skip


METHODS: dict[str, Callable[[Inputs, Inputs], Output]] = {
    "two_proportion_z": _two_proportions,
    "welch_t_from_summary": _welch_summary,
    "welch_t_and_relative_lift": _welch_raw,
    "cuped_proportion": _cuped,
    "cuped_mean": _cuped,
    "ratio_delta": _ratio,
    "cuped_ratio_delta": _cuped_ratio,
    "srm_chi_square": _srm,
    "srm_sequential_dirichlet_multinomial": _sequential_srm,
    "sample_size_two_proportions": _n_proportions,
    "sample_size_two_means": _n_means,
    "mde_mean": _mde,
    "cuped_sample_size": _cuped_n,
    "group_sequential_bounds": _bounds,
    "group_sequential_bounds_irregular": _bounds,
    "group_sequential_classic_constants": _classic,
    "group_sequential_inflation_factor": _inflation,
    "asymptotic_confidence_sequence_and_msprt": _sequence,
    "bayes_beta_binomial": _bayes,
    "off_policy_ips_snips": _off_policy,
    "off_policy_dr": _doubly_robust,
    "anytime_exact_conditional_binomial": _exact,
    "anytime_grow_batched": _grow,
    "epoch_stratified_difference": _stratified,
    "p_value_adjustment": _adjusted,
    "non_inferiority_proportion": _noninferiority,
    "anytime_success_split": _success_split,
    "interleaving_preference": _interleaving,
}


def _differences(expected: Any, actual: Any, tolerance: float, field: str) -> list[Output]:
    """Compare every number of the expected output; texts are remarks."""
    if isinstance(expected, Mapping):
        return [
            miss
            for name, value in expected.items()
            for miss in _differences(
                value,
                actual.get(name) if isinstance(actual, Mapping) else None,
                tolerance,
                f"{field}.{name}" if field else name,
            )
        ]
    if isinstance(expected, list):
        values = list(actual) if isinstance(actual, list | tuple) else [None] * len(expected)
        values += [None] * (len(expected) - len(values))
        return [
            miss
            for n, value in enumerate(expected)
            for miss in _differences(value, values[n], tolerance, f"{field}[{n}]")
        ]
    if not isinstance(expected, int | float) or isinstance(expected, bool):
        return []
    close = (
        isinstance(actual, int | float)
        and math.isfinite(actual)
        and abs(actual - expected) <= max(tolerance * abs(expected), ROUNDING)
    )
    return [] if close else [{"field": field, "expected": expected, "actual": actual}]


def run_case(case: Inputs, shared: Inputs) -> list[Output]:
    """Return what differs from the case's canonical output."""
    method = METHODS.get(case["method"])
    if method is None:
        return [{"field": "method", "expected": case["method"], "actual": None}]
    canonical = case["outputs"][case["canonical"]]
    inputs = dict(case["inputs"]) | {"canonical": case["canonical"]}
    if "see" in inputs:  # the inputs stand among the outputs
        inputs |= canonical
    actual = method(inputs, shared)
    expected = {name: value for name, value in canonical.items() if name not in inputs}
    return _differences(expected, actual, case.get("rel_tol", 1e-6), "")


def run_file(path: Path) -> Output:
    """Run every case of a file."""
    data = json.loads(path.read_text())
    passed: Counter[str] = Counter()
    total: Counter[str] = Counter()
    misses = []
    for name, case in data["cases"].items():
        total[case["method"]] += 1
        try:
            different = run_case(case, data.get("shared", {}))
        except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
            # A case that cannot be read is a miss of its own; the others are still run.
            different = [{"field": "", "expected": None, "actual": f"{type(error).__name__}: {error}"}]
        if different:
            misses += [{"case": name, "method": case["method"], **miss} for miss in different]
        else:
            passed[case["method"]] += 1
    return {
        "passed": sum(passed.values()),
        "total": sum(total.values()),
        "misses": misses,
        "methods": {m: {"passed": passed[m], "total": n} for m, n in sorted(total.items())},
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.conformance.golden", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    report = run_file(arguments.file)
    if arguments.json:
        print(json.dumps(report))  # noqa: T201
    else:
        for method, row in report["methods"].items():
            print(f"{row['passed']}/{row['total']}  {method}")  # noqa: T201
        for miss in report["misses"]:
            print(f"miss: {miss}")  # noqa: T201
        print(f"{report['passed']} of {report['total']} passed")  # noqa: T201
    sys.exit(0 if report["passed"] == report["total"] else 1)


if __name__ == "__main__":
    main()
