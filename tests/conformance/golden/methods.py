"""Every method by the name that cases use."""

from __future__ import annotations

from collections.abc import Callable

from tests.conformance.golden.effects import (
    cuped,
    cuped_ratio,
    noninferiority,
    ratio,
    stratified,
    two_proportions,
    welch_raw,
    welch_summary,
)
from tests.conformance.golden.inputs import Inputs, Output
from tests.conformance.golden.judgements import adjusted, bayes, doubly_robust, interleaving, off_policy
from tests.conformance.golden.planning import cuped_n, inflation, mde, n_means, n_proportions
from tests.conformance.golden.sequential import bounds, classic, exact, grow, sequence
from tests.conformance.golden.shares import sequential_srm, srm, success_split

METHODS: dict[str, Callable[[Inputs, Inputs], Output]] = {
    "two_proportion_z": two_proportions,
    "welch_t_from_summary": welch_summary,
    "welch_t_and_relative_lift": welch_raw,
    "cuped_proportion": cuped,
    "cuped_mean": cuped,
    "ratio_delta": ratio,
    "cuped_ratio_delta": cuped_ratio,
    "srm_chi_square": srm,
    "srm_sequential_dirichlet_multinomial": sequential_srm,
    "sample_size_two_proportions": n_proportions,
    "sample_size_two_means": n_means,
    "mde_mean": mde,
    "cuped_sample_size": cuped_n,
    "group_sequential_bounds": bounds,
    "group_sequential_bounds_irregular": bounds,
    "group_sequential_classic_constants": classic,
    "group_sequential_inflation_factor": inflation,
    "asymptotic_confidence_sequence_and_msprt": sequence,
    "bayes_beta_binomial": bayes,
    "off_policy_ips_snips": off_policy,
    "off_policy_dr": doubly_robust,
    "anytime_exact_conditional_binomial": exact,
    "anytime_grow_batched": grow,
    "epoch_stratified_difference": stratified,
    "p_value_adjustment": adjusted,
    "non_inferiority_proportion": noninferiority,
    "anytime_success_split": success_split,
    "interleaving_preference": interleaving,
}
