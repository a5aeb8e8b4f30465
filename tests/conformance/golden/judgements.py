"""Methods on p-values, posteriors, logged answers and interleaved rankings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from experiments.stats.bayes import compare_proportions
from experiments.stats.multiplicity import benjamini_hochberg, bonferroni, holm
from experiments.stats.preference import log_e_sign, wilson, win_rate
from inference.evaluation.off_policy import doubly_robust_value, weighted_value
from tests.conformance.golden.inputs import Inputs, Output, first, normal_p


def adjusted(inputs: Inputs, _: Inputs) -> Output:
    """p-values by each procedure; which one a case means stands in its canonical output."""
    p_values = first(inputs, "p_values", "p", "pvalues", "raw")
    output: Output = {
        "bonferroni": bonferroni(p_values),
        "holm": holm(p_values),
        "benjamini_hochberg": benjamini_hochberg(p_values),
    }
    output |= {"fdr_bh": output["benjamini_hochberg"], "bh": output["benjamini_hochberg"]}
    procedure = str(first(inputs, "procedure", "method", "adjustment", default="")).lower()
    chosen = {"b": "bonferroni", "h": "holm", "f": "fdr_bh"}.get(procedure[:1], "")
    if "hochberg" in procedure or procedure == "bh":
        chosen = "fdr_bh"
    if chosen:
        output |= dict.fromkeys(("adjusted", "p_adjusted", "adjusted_p", "p"), output[chosen])
    alpha = inputs.get("alpha")
    if chosen and alpha is not None:
        output["reject"] = [p <= alpha for p in output[chosen]]
    return output


def bayes(inputs: Inputs, _: Inputs) -> Output:
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


def off_policy(inputs: Inputs, _: Inputs) -> Output:
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


def doubly_robust(inputs: Inputs, _: Inputs) -> Output:
    logged, reward, wanted, predicted = (
        np.asarray(inputs[name], float) for name in ("pscore", "reward", "action_dist", "q_hat")
    )
    action = np.asarray(inputs["action"])
    value = doubly_robust_value(logged, action, reward, wanted, predicted)
    weighted = weighted_value(logged, wanted[np.arange(len(action)), action], reward)
    return {"ips": weighted.ips, "snips": weighted.snips, **value._asdict()}


def interleaving(inputs: Inputs, _: Inputs) -> Output:
    """Wins of one ranking over another, a unit each: sign test, Wilson, and a beta-mixture e-process."""
    wins = int(first(inputs, "wins_treatment", "wins_b", "wins"))
    losses = int(first(inputs, "wins_control", "wins_a", "losses"))
    ties = int(first(inputs, "ties", default=0))
    n, alpha = wins + losses, first(inputs, "alpha", default=0.05)
    prior = float(first(inputs, "prior", "concentration", default=1.0))
    log_e = log_e_sign(wins, losses, concentration=prior)
    preferred = win_rate([1.0] * wins + [0.0] * losses + [0.5] * ties, alpha=alpha)
    p = preferred.p_value
    z = (wins - losses) / math.sqrt(n)
    return {
        "n": n, "share": wins / n, "win_rate": preferred.rate, "preference": (wins + 0.5 * ties) / (n + ties),
        "delta_ab": (wins + 0.5 * ties) / (n + ties) - 0.5, "p": p, "p_value": p, "p_sign": p,
        "p_exact": p, "z": z, "p_z": normal_p(z), "log_e": log_e, "e": math.exp(min(log_e, 700.0)),
        "p_anytime": math.exp(-max(log_e, 0.0)), "ci_wilson": wilson(wins / n, n, alpha=alpha),
        "ci": wilson(wins / n, n, alpha=alpha), "ci_exact": preferred.interval,
    }  # fmt: skip
