"""Methods on how units and successes fall on the variants."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import chdtrc

from experiments.stats.srm import chi_square, log_bayes_factor
from tests.conformance.golden.inputs import Inputs, Output, first


def srm(inputs: Inputs, _: Inputs) -> Output:
    statistic, p_value = chi_square(inputs["observed"], inputs["weights"])
    used = [(n, w) for n, w in zip(inputs["observed"], inputs["weights"], strict=True) if w > 0]
    total, mass = sum(n for n, _ in used), sum(w for _, w in used)
    g = 2 * sum(n * math.log(n / (total * w / mass)) for n, w in used if n)
    return {"chi2": statistic, "p": p_value, "g_stat": g, "p_g": float(chdtrc(len(used) - 1, g))}


def sequential_srm(inputs: Inputs, _: Inputs) -> Output:
    counts, min_p, path = np.zeros(len(inputs["weights"])), 1.0, []
    for day in inputs["daily_counts"]:
        counts += day
        log_e = log_bayes_factor(counts, inputs["weights"], concentration=inputs["concentration"])
        min_p = min(min_p, math.exp(-log_e))
        path.append(min(min_p, 1.0))
    return {"p": path}


def success_split(inputs: Inputs, _: Inputs) -> Output:
    """How successes fall on the variants against the planned shares, after each batch."""
    shares = first(inputs, "weights", "shares", "p0")
    if shares is None:
        share = first(inputs, "share", "treatment_share", default=0.5)
        shares = [1 - share, share]
    rows = first(inputs, "daily_successes", "successes", "daily_counts", "counts", "batches")
    if rows is None:
        rows = [[inputs["x_control"], inputs["x_treatment"]]]
    if not isinstance(rows[0], list):
        rows = [rows]
    concentration = first(inputs, "concentration", "prior_concentration", default=sum(shares) * 100)
    total, log_e, p, min_p = np.zeros(len(shares)), [], [], 1.0
    for row in rows:
        total += row
        log_e.append(log_bayes_factor(total, shares, concentration=concentration))
        min_p = min(min_p, math.exp(-max(log_e[-1], 0.0)))
        p.append(min_p)
    if len(rows) == 1:
        return {"log_e": log_e[0], "log_bayes_factor": log_e[0], "e": math.exp(log_e[0]), "p": p[0]}
    return {"log_e": log_e, "log_bayes_factor": log_e, "p": p}
