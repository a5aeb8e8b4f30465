"""Off-policy estimators against a simulator whose true value is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from inference.evaluation.off_policy import (
    OffPolicyError,
    changes_of,
    doubly_robust_difference,
    doubly_robust_value,
    refuse_without_support,
    value_by_position,
    weighted_value,
)
from inference.runs.off_policy_view import Log, value_of_answers
from inference.runs.policy_and_judge import _gate, _Log
from inference.serving.choice import chances_of, only
from inference.serving.explore import draw_slate
from inference.serving.rank_settings import RankSettings
from inference.training.snapshot import Answers, Likes, read_snapshot, write_snapshot
from inference.training.split import split_by_time

ITEMS = 8
RATES = np.linspace(0.05, 0.4, ITEMS)
SERVED = np.full(ITEMS, 1 / ITEMS)
OTHER = np.arange(1, ITEMS + 1) / np.arange(1, ITEMS + 1).sum()
TRUTH = float(OTHER @ RATES)


def draw(rng, n=2000):
    action = rng.choice(ITEMS, n, p=SERVED)
    return action, (rng.random(n) < RATES[action]).astype(float)


def test_estimates_are_unbiased_and_intervals_cover():
    rng = np.random.default_rng(0)
    runs, estimates, covered = 400, [], {"ips": 0, "snips": 0, "dr": 0}
    predicted = np.tile(RATES * 0.7, (2000, 1))  # a model that is wrong
    for _ in range(runs):
        action, reward = draw(rng)
        value = weighted_value(SERVED[action], OTHER[action], reward)
        dr = doubly_robust_value(SERVED[action], action, reward, np.tile(OTHER, (2000, 1)), predicted)
        estimates.append((value.ips, value.snips, dr.dr))
        for name, estimate, error in (
            ("ips", value.ips, value.ips_se), ("snips", value.snips, value.snips_se), ("dr", dr.dr, dr.dr_se),
        ):  # fmt: skip
            covered[name] += abs(estimate - TRUTH) <= 1.96 * error
    means = np.mean(estimates, axis=0)
    errors = np.std(estimates, axis=0) / np.sqrt(runs)
    assert (np.abs(means - TRUTH) < 4 * errors).all()
    for name, count in covered.items():
        # 95 % less four Monte-Carlo errors of 1.1 %.
        assert count / runs > 0.905, name


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.5])
def test_a_policy_that_is_as_good_is_rarely_called_worse_by_few_decisions(rate):
    """Ten actions by the floors of a surface without a champion: few decisions count."""
    rng, served = np.random.default_rng(4), np.array([0.91, *[0.01] * 9])
    other = np.array([0.11, 0.81, *[0.01] * 8])
    worse = 0
    for _ in range(300):
        action = rng.choice(10, 3000, p=served)
        reward, model = (rng.random(3000) < rate).astype(float), np.full(3000, rate)
        value = doubly_robust_difference((other / served)[action], model, model, reward)
        worse += value.interval[1] < 0
    assert worse / 300 < 0.025 + 4 * 0.009  # with four Monte-Carlo errors


def judged(seed, n, actions, *, differs=1.0, gain=0.0, explore=0.1, stored=1.0):
    """The gate of a policy that takes action 1 where a surface without a champion takes action 0.

    Args:
        seed: of the draws.
        n: decisions.
        actions: of each.
        differs: share of the contexts in which the policy takes action 1.
        gain: what that earns there above .3, which all others earn; the model expects .3 more than that.
        explore: of the surface.
        stored: chance with which a decision in which the policy differs has all actions.
    """
    rng, settings = np.random.default_rng(seed), RankSettings(explore=explore)
    other = rng.random(n) < differs
    sampled = rng.random(n) < np.where(other, stored, 1.0)
    other = other[sampled]
    logged = chances_of(only(0, actions), 0, settings)
    wanted = np.where(other[:, None], chances_of(only(1, actions), 0, settings), logged)
    taken = rng.choice(actions, len(other), p=logged)
    means, rows = np.full((len(other), actions), 0.3), np.arange(len(other))
    means[other, 1] += gain
    reward = (rng.random(len(other)) < means[rows, taken]).astype(float)
    means[other, 1] = np.clip(means[other, 1] + 0.3, 0, 1)
    return _gate(
        _Log(
            logged[taken], wanted[rows, taken], (wanted * means).sum(1), means[rows, taken], reward,
            other.astype(float), np.where(other, 1 / stored, 1.0),
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("n", "actions", "case"),
    [
        (1000, 50, {"differs": 0.1}),
        (1000, 3, {"differs": 0.1}),
        (2500, 3, {"explore": 0.0}),
        (2500, 3, {"explore": 0.0, "gain": -0.3}),
    ],
)
def test_what_the_log_never_did_is_not_judged_by_what_the_model_expects(n, actions, case):
    for seed in range(10):
        gate = judged(seed, n, actions, **case)
        assert not gate.superior
        assert "must be at least 20" in gate.about["off_policy"]["refused"]


def test_actions_that_were_never_explored_are_not_judged_by_one_that_was():
    """Five contexts of six want an action that the log never takes, the sixth one that it does."""
    rng, weights = np.random.default_rng(0), np.full(3000, 0.2)
    weights[:500] = np.where(rng.random(500) < 0.1, 8.2, 0.2)
    assert changes_of(weights, np.ones(3000)) == (pytest.approx(0.8, abs=0.02), 0.0)


def test_a_policy_that_changes_next_to_nothing_is_judged_whatever_the_model_expects():
    gates = [judged(seed, 1000, 10, differs=0.01) for seed in range(20)]
    assert all("refused" not in gate.about["off_policy"] for gate in gates)
    assert not any(gate.superior or not gate.passed for gate in gates)


@pytest.mark.parametrize("stored", [1.0, 0.2])
def test_with_support_a_wrong_model_decides_nothing(stored):
    """Also where decisions in which the policy differs are stored with all actions more rarely."""
    n = 6000 if stored == 1 else 20_000
    for gain, differs in ((0.0, 0.5), (-0.28, 0.5)):
        gates = [judged(seed, n, 3, differs=differs, gain=gain, stored=stored) for seed in range(20)]
        truth, rows = 0.8 * gain * differs, [gate.rows["reward"] for gate in gates]
        error = 4 * np.std([row["difference"] for row in rows]) / np.sqrt(len(rows))
        assert np.mean([row["difference"] for row in rows]) == pytest.approx(truth, abs=error)
        assert sum(row["interval"][0] <= truth <= row["interval"][1] for row in rows) >= 16
        assert sum(gate.superior for gate in gates) <= 3
        if gain:
            assert not any(gate.passed for gate in gates)


def test_positions_are_estimated_apart():
    rng = np.random.default_rng(1)
    action, reward = draw(rng, 4000)
    position = np.arange(4000) % 2
    reward = reward * (1 - 0.5 * position)
    places = value_by_position(position, SERVED[action], OTHER[action], reward)
    assert set(places) == {0, 1}
    assert places[1].snips / places[0].snips == pytest.approx(0.5, abs=0.12)


def test_a_log_without_support_is_refused():
    rng = np.random.default_rng(2)
    action, reward = draw(rng, 200)
    only = np.zeros(ITEMS)
    only[3] = 1.0
    with pytest.raises(OffPolicyError, match=r"effective sample size == .*, must be at least 100"):
        refuse_without_support(weighted_value(SERVED[action], only[action], reward).effective_size)
    refuse_without_support(weighted_value(SERVED[action], OTHER[action], reward).effective_size)
    with pytest.raises(OffPolicyError, match="lies outside"):
        weighted_value(np.zeros(3), np.ones(3), np.ones(3))


def test_clipping_is_visible():
    logged, reward = np.array([0.001, 0.5, 0.5]), np.ones(3)
    value = weighted_value(logged, np.full(3, 0.5), reward)
    assert value.ips > value.clipped_ips
    assert value.largest_weight == 500


def _served(rng, ranker_order, count, temperature, rates):
    """Answers of a policy that ranks as given, to units that each have a past and something later."""
    slots = []
    for _ in range(count):
        drawn = draw_slate(len(ranker_order), 3, temperature=temperature, rng=rng)
        slots.append(
            [
                (ranker_order[rank], chance, bool(rng.random() < rates[ranker_order[rank]]))
                for rank, chance in drawn
            ]
        )
    return slots


class FixedRanker:
    """Ranks its items alike for every unit."""

    def __init__(self, order):
        self.item_ids = list(order)

    def candidates(self, _histories, seen, _limit, contexts=None):
        """Backwards where the request came from Chile."""
        places = np.arange(len(self.item_ids))
        contexts = contexts or [{}] * len(seen)
        return [places[::-1] if one.get("country") == "cl" else places for one in contexts]


def _story(slots):
    """As many units as answers: each liked four items before the answer and one after it."""
    names = ["p", "q", "r", "s", *"abcdefgh", "later"]
    units = [f"u{n}" for n in range(len(slots))]
    likes = Likes(
        [unit for unit in units for _ in range(5)],
        ["p", "q", "r", "s", "later"] * len(units),
        [float(t) for _ in units for t in (0, 1, 2, 3, 10)],
    )
    return split_by_time(likes, names), Answers(units, [5.0] * len(units), slots)


def test_a_challengers_value_is_what_it_then_earns():
    rng = np.random.default_rng(3)
    rates = dict(zip("abcdefgh", np.linspace(0.05, 0.6, 8), strict=True))
    split, answers = _story(_served(rng, "abcdefgh", 6000, 2.0, rates))
    view = value_of_answers(FixedRanker("hgfedcba"), split, Log(answers, 2.0), margin=0.1)
    ours, theirs = (
        np.mean([sum(liked for *_, liked in one) for one in _served(rng, order, 40_000, 2.0, rates)])
        for order in ("hgfedcba", "abcdefgh")
    )
    assert view["supported"] == 3
    low, high = view["interval"]
    # The interval is 95 %, the truth has an error of its own: twice as far must hold it.
    assert abs((low + high) / 2 - (ours - theirs)) < high - low
    assert 0 < low < high < 2 * (ours - theirs)
    assert not view["worse"]
    assert view["positions"][2]["largest_weight"] > 10 > view["positions"][2]["mean_weight"]


def test_a_challenger_that_would_earn_less_is_called_worse_and_one_without_support_is_refused():
    rng = np.random.default_rng(4)
    rates = dict(zip("abcdefgh", np.linspace(0.6, 0.05, 8), strict=True))
    split, answers = _story(_served(rng, "abcdefgh", 6000, 2.0, rates))
    assert value_of_answers(FixedRanker("hgfedcba"), split, Log(answers, 2.0), margin=0.1)["worse"]
    other = FixedRanker(f"new{n}" for n in range(60))
    view = value_of_answers(other, split, Log(answers, 2.0), margin=0.1)
    assert (view["supported"], view["positions"]) == (0, [])
    assert view["refused"]


def test_each_answer_is_weighed_by_what_would_have_been_served_in_its_context(tmp_path):
    rng = np.random.default_rng(6)
    rates = dict(zip("abcdefgh", np.linspace(0.6, 0.05, 8), strict=True))
    split, answers = _story(_served(rng, "abcdefgh", 2000, 2.0, rates))
    there = replace(answers, contexts=[{"country": "cl"}] * 2000)
    digest = write_snapshot(tmp_path, there)
    assert read_snapshot(tmp_path, digest, Answers).contexts == there.contexts
    ranker = FixedRanker("hgfedcba")
    same, other = (
        value_of_answers(ranker, split, Log(one, 2.0), margin=0.1) for one in (there, answers)
    )
    assert same["estimate"] == pytest.approx(same["earned"])  # what was served, in Chile
    assert other["estimate"] < 0.8 * other["earned"]


def test_answers_before_what_was_learnt_do_not_count():
    rng = np.random.default_rng(5)
    split, answers = _story(_served(rng, "abcdefgh", 50, 2.0, dict.fromkeys("abcdefgh", 0.5)))
    early = replace(answers, served_at=[-1.0] * 50)
    assert value_of_answers(FixedRanker("abcdefgh"), split, Log(early, 2.0), margin=0.1) is None
