"""Methods on effects: proportions, means and ratios, with and without covariates, over strata."""

from __future__ import annotations

import math

from experiments.stats import lifts
from experiments.stats.effect import Effect
from experiments.stats.effects import compare, critical_value, newcombe_interval, stratify
from experiments.stats.guardrails import judge_noninferiority
from experiments.stats.totals import Moments, Totals
from tests.conformance.golden.inputs import Inputs, Output, first, normal_p


def two_proportions(inputs: Inputs, _: Inputs) -> Output:
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
        "p_unpooled": normal_p(effect.estimate / effect.se),
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
        "p_z": normal_p(effect.statistic),
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


def welch_summary(inputs: Inputs, _: Inputs) -> Output:
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


def welch_raw(inputs: Inputs, shared: Inputs) -> Output:
    (column,) = inputs["columns"]
    return _describe(compare("mean", *_sides(inputs, shared, y=column)), _alpha(inputs, shared))


def cuped(inputs: Inputs, shared: Inputs) -> Output:
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


def ratio(inputs: Inputs, shared: Inputs) -> Output:
    sides = _sides(inputs, shared, y=inputs["num"], d=inputs["den"])
    effect = compare("ratio", *sides)
    return _describe(effect, _alpha(inputs, shared)) | {
        "ratio_control": effect.control,
        "ratio_treatment": effect.treatment,
        "var_control": effect.control_se**2 * effect.control_n,
        "var_treatment": effect.treatment_se**2 * effect.treatment_n,
    }


def cuped_ratio(inputs: Inputs, shared: Inputs) -> Output:
    sides = _sides(
        inputs, shared, y=inputs["num"], d=inputs["den"], x=inputs["num_pre"], w=inputs["den_pre"]
    )
    from experiments.stats.effects import linearise

    effect = compare("ratio", *sides)
    c, t = (linearise("ratio", side) for side in sides)
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


def stratified(inputs: Inputs, _: Inputs) -> Output:
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


def noninferiority(inputs: Inputs, _: Inputs) -> Output:
    """A proportion that may lose up to a margin: one-sided, variances not pooled."""
    control, treatment = (
        Totals.of_proportion(inputs[f"x_{side}"], inputs[f"n_{side}"])
        for side in ("control", "treatment")
    )
    effect = compare("proportion", control, treatment)
    margin = first(inputs, "margin", "absolute_margin")
    if margin is None:
        margin = inputs["relative_margin"] * effect.control
    up = bool(first(inputs, "increase_is_good", "higher_is_better", default=True))
    alpha = first(inputs, "alpha", default=0.05)
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
