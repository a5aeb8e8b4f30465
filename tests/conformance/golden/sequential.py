"""Methods that look more than once: bounds, confidence sequences and e-values."""

from __future__ import annotations

import math

from experiments.stats import confidence_sequence as sequences
from experiments.stats.effects import compare
from experiments.stats.exact import Batch, ExactState, add_batches, block_log_e_values, log_e_value
from experiments.stats.group_sequential import SPENDING, bounds_at, classic_constant
from experiments.stats.totals import Totals
from tests.conformance.golden.inputs import Inputs, Output, level, normal_p


def bounds(inputs: Inputs, _: Inputs) -> Output:
    spending = SPENDING[inputs["spending"]]
    z = bounds_at(inputs["information"], alpha=level(inputs), spending=spending)
    return {
        "t": inputs["information"],
        "z": z,
        "cumulative_alpha": [spending(level(inputs), t) for t in inputs["information"]],
        "nominal_p": [normal_p(bound) for bound in z],
    }


def classic(inputs: Inputs, _: Inputs) -> Output:
    looks = inputs["K"]
    obf = classic_constant(looks, alpha=level(inputs), shape="obf")
    return {
        "obf_constant": obf,
        "obf_z": [obf * math.sqrt(looks / k) for k in range(1, looks + 1)],
        "pocock_constant": classic_constant(looks, alpha=level(inputs), shape="pocock"),
    }


def sequence(inputs: Inputs, _: Inputs) -> Output:
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


def _batches(inputs: Inputs) -> list[Batch]:
    return [Batch(*row) for row in inputs["batches_nt_xt_nc_xc"]]


def exact(inputs: Inputs, _: Inputs) -> Output:
    state, log_e, p = ExactState(), [], []
    for batch in _batches(inputs):
        state = add_batches(state, [batch], spread=inputs["tau_log_odds"])
        log_e.append(log_e_value(state, spread=inputs["tau_log_odds"]))
        p.append(state.p_value)
    return {"log_e": log_e, "p": p}


def grow(inputs: Inputs, _: Inputs) -> Output:
    return {"log_e": block_log_e_values(_batches(inputs))}
