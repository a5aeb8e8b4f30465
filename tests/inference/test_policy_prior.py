"""The prior of a linear policy that its decisions teach: an oracle, a group without effect, and regret."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from benchmarks.worlds import draw_world
from inference.options import FitOptions
from inference.policies import POLICIES
from inference.policies.prior import INTERCEPT_RIDGE, MAX_RIDGE, Sums, learn_ridge, solve
from inference.serving.action_features import Columns, FeatureSpace
from inference.serving.artifact import save_artifact
from inference.serving.linear_policy import LinearPolicy
from inference.training.decisions import Decisions
from tests.support.ranking import make_decisions

GROUPS = (slice(1, 6), slice(6, 12))


def draw_rows(rng, *, count=400, sizes=(0.5, 0.1)):
    """Rows of two groups of columns beside 1, whose weights have these deviations."""
    x = rng.normal(size=(count, 12))
    x[:, 0] = 1.0
    weights = np.concatenate([[0.0], rng.normal(size=5) * sizes[0], rng.normal(size=6) * sizes[1]])
    y = x @ weights + rng.normal(size=count)
    return x, y - y.mean()


def sums_of(x, y) -> Sums:
    return Sums(x.T @ x, x.T @ y, float(y @ y), len(y))


def evidence(x, y, ridge) -> float:
    """The log density of the rewards with the weights integrated out, σ² as `solve` has it."""
    noise = solve(sums_of(x, y), ridge).noise
    covariance = noise * (np.eye(len(y)) + (x / ridge) @ x.T)
    return float(stats.multivariate_normal(np.zeros(len(y)), covariance).logpdf(y))


@pytest.mark.parametrize("seed", range(3))
def test_the_prior_has_the_largest_evidence(seed):
    x, y = draw_rows(np.random.default_rng(seed))
    learnt = learn_ridge(sums_of(x, y), GROUPS)

    def loss(logs):
        ridge = np.concatenate(
            [[INTERCEPT_RIDGE], np.full(5, np.exp(logs[0])), np.full(6, np.exp(logs[1]))]
        )
        return -evidence(x, y, ridge)

    # The oracle: a simplex search over the density itself.
    best = optimize.minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 0.01})
    assert evidence(x, y, learnt) == pytest.approx(-best.fun, abs=0.1)
    assert learnt[0] == INTERCEPT_RIDGE


def test_a_group_that_says_nothing_is_drawn_to_0_and_the_other_is_not():
    x, y = draw_rows(np.random.default_rng(5), sizes=(0.5, 0.0), count=4000)
    ridge = learn_ridge(sums_of(x, y), GROUPS)
    assert ridge[6] > 100 * ridge[1]
    mean = solve(sums_of(x, y), ridge).mean
    assert np.abs(mean[6:]).max() < 0.02
    assert np.abs(mean[1:6]).max() > 0.1


def test_rewards_that_do_not_differ_have_a_prior_and_no_certainty():
    x, _ = draw_rows(np.random.default_rng(6))
    sums = sums_of(x, np.zeros(len(x)))
    ridge = learn_ridge(sums, GROUPS)
    assert ridge[1] == ridge[6] == MAX_RIDGE
    assert solve(sums, ridge).noise > 0


def test_each_group_of_columns_has_one_prior():
    rows = make_decisions(400)
    space = FeatureSpace(Columns.learn(rows.features), Columns.learn(rows.context))
    covered = [i for group in space.groups for i in range(group.start, group.stop)]
    assert covered == list(range(1, space.size))
    about = POLICIES["linucb"].fit(rows, FitOptions()).about
    assert len(about["ridge"]) == len(space.groups) == 3
    fixed = POLICIES["linucb"].fit(rows, FitOptions(params={"ridge": 2.0})).about
    assert fixed["ridge"] == [2.0, 2.0, 2.0]
    assert (about["width"], POLICIES["linear-thompson"].fit(rows, FitOptions()).about["width"]) == (
        1,
        0.5,
    )


def test_expected_rewards_are_nearer_the_truth_than_with_a_prior_of_one_row(tmp_path):
    """Of 20 features 5 matter: 40 of 160 products."""
    errors = {"learnt": [], "one row": []}
    for seed in range(4):
        rng = np.random.default_rng(seed)
        world = draw_world("few of many", rng, decisions=700)
        rows = []
        for n, actions in enumerate(world.decisions[:400]):
            index = int(rng.integers(10))
            won = float(world.rewards[n] < world.means[n, index])
            rows.append(("u", float(n), str(index), "0", 0.1, won, actions.features_of(index), actions.context, None))  # fmt: skip
        decisions = Decisions(*map(list, zip(*rows, strict=True)))
        for name, params in (("learnt", {}), ("one row", {"ridge": 1.0})):
            draft = POLICIES["linucb"].fit(decisions, FitOptions(params=params))
            policy = LinearPolicy.load(tmp_path, save_artifact(tmp_path, draft))
            expected = [policy.prefer(one, rng).rewards for one in world.decisions[400:]]
            errors[name].append(np.square(np.array(expected) - world.means[400:]).mean())
    # Mean squares over four worlds; it was about a third.
    assert np.mean(errors["learnt"]) < 0.6 * np.mean(errors["one row"])
