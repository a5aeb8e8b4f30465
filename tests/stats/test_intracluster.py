"""The correlation within clusters against an analysis of variance by hand, and plans against simulated trials."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from experiments.scorecards.plan import PlanQuestion, plan
from experiments.stats.intracluster import (
    ClusterSums,
    clustered_users,
    design_effect,
    intracluster_correlation,
    size_imbalance,
)
from experiments.stats.totals import StatisticsError


def sums_of(clusters):
    return [
        ClusterSums(len(one), float(np.sum(one)), float(np.sum(np.square(one)))) for one in clusters
    ]


def draw(rng, sizes, correlation):
    """Values of variance 1, of which `correlation` is the clusters'."""
    effects = rng.normal(0, np.sqrt(correlation), len(sizes))
    own = np.sqrt(1 - correlation)
    return [e + rng.normal(0, own, n) for e, n in zip(effects, sizes, strict=True)]


def test_it_is_that_of_scipys_analysis_of_variance():
    rng = np.random.default_rng(5)
    clusters = draw(rng, [6] * 30, 0.3)
    # F is the ratio of the mean squares, and all sizes are one: ρ = (F − 1) / (F + m − 1).
    f = stats.f_oneway(*clusters).statistic
    assert intracluster_correlation(sums_of(clusters)) == pytest.approx((f - 1) / (f + 5))


def test_it_finds_the_correlation_of_unequal_clusters():
    rng = np.random.default_rng(6)
    sizes = rng.integers(1, 40, 400)
    for truth in (0.02, 0.2, 0.6):
        estimates = [intracluster_correlation(sums_of(draw(rng, sizes, truth))) for _ in range(20)]
        assert np.mean(estimates) == pytest.approx(truth, rel=0.1)


def test_its_ends_are_none_and_all():
    assert intracluster_correlation([ClusterSums(2, 1, 1), ClusterSums(2, 1, 1)]) == 0.0
    assert intracluster_correlation([ClusterSums(3, 0, 0), ClusterSums(3, 3, 3)]) == 1.0


@pytest.mark.parametrize("clusters", [[], [ClusterSums(5, 1, 1)], [ClusterSums(1, 1, 1)] * 5])
def test_it_is_refused_where_it_cannot_be_known(clusters):
    with pytest.raises(StatisticsError, match=r"must be at least two, some with several users"):
        intracluster_correlation(clusters)


def test_a_plan_is_that_of_the_design_effect_and_has_an_end():
    users = clustered_users(1000, 100, 0.05, 1.0)
    assert users == pytest.approx(1000 * design_effect(users, 100, 0.05, 1.0), rel=1e-3)
    assert clustered_users(1000, 100, 0.0, 1.0) == 1000
    assert clustered_users(1000, 50, 0.05, 1.0) is None  # 1 000 × 0.05 clusters at the least
    assert clustered_users(1000, 60, 0.05, 1.3) is None  # unequal ones tell less
    assert size_imbalance([ClusterSums(4, 0, 0)] * 9) == 1.0
    assert size_imbalance([ClusterSums(1, 0, 0), ClusterSums(3, 0, 0)]) == pytest.approx(1.25)


def test_a_trial_of_the_planned_size_finds_the_change_as_often_as_planned():
    """Welch's test of clusters' means, 1,500 simulated trials: power .8 within what chance leaves."""
    rng, correlation, clusters, change = np.random.default_rng(7), 0.1, 120, 0.2
    question = PlanQuestion(
        kind="mean", baseline=1.0, sd=1.0, mde=change, shares=[0.5, 0.5], rule="fixed"
    )
    users = clustered_users(plan(question).units, clusters, correlation, 1.0)
    spread = np.sqrt(correlation + (1 - correlation) / round(users / clusters))  # of a cluster's mean
    assert users > 2 * plan(question).units

    def p_value(lift):
        means = [rng.normal(mean, spread, clusters // 2) for mean in (1.0, 1.0 + lift)]
        return stats.ttest_ind(*means, equal_var=False).pvalue

    found = np.mean([p_value(change) < 0.05 for _ in range(1500)])
    assert found == pytest.approx(0.8, abs=0.04)
    false = np.mean([p_value(0.0) < 0.05 for _ in range(1500)])
    assert false == pytest.approx(0.05, abs=0.02)
