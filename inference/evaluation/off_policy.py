"""What another policy would have earned, from the log of the policy that served.

Assumptions: each logged answer's propensity is right and positive wherever the other policy would act
(support), and rewards depend on the answer alone (no interference). Weights are w = π(a) / π₀(a).

References:
    Horvitz & Thompson (1952). Swaminathan & Joachims (2015), The self-normalized estimator, NeurIPS.
    Dudík, Langford, Li (2011), Doubly robust policy evaluation, ICML. Kish (1965) (effective sample).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLIP = 10.0  # weights above it are a handful of answers that decide alone
IMAGINED = 2  # decisions at each end, as Agresti and Coull (1998) add to a proportion
# A policy that changes fewer choices needs no support: whatever they earn, it is little.
FEW_CHANGES = 0.02
MIN_COVERED = 0.5  # of the changes that the log holds too: less is no accident of its draws


class OffPolicyError(ValueError):
    """The log cannot answer; the message names the value and the rule."""


class WeightedValue(NamedTuple):
    """Estimates by weights alone.

    Attributes:
        ips: mean of w r, unbiased.
        ips_se: its standard error.
        snips: Σ w r / Σ w: biased a little, far less variable.
        snips_se: its standard error, linearised.
        clipped_ips: with weights above `CLIP` cut: what clipping hides is the difference to `ips`.
        effective_size: (Σ w)² / Σ w²: as many answers of the other policy's own tell as much.
        largest_weight: the largest w.
        mean_weight: 1 in expectation; far from it, propensities are wrong.
    """

    ips: float
    ips_se: float
    snips: float
    snips_se: float
    clipped_ips: float
    effective_size: float
    largest_weight: float
    mean_weight: float


class DoublyRobustValue(NamedTuple):
    """Estimates that use a model of the reward too.

    Attributes:
        dm: the model's mean alone (direct method).
        dr: the model corrected by weighted residuals.
        dr_se: its standard error.
        sndr: with self-normalised weights.
    """

    dm: float
    dr: float
    dr_se: float
    sndr: float


def _weights(logged: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    if not len(logged):
        raise OffPolicyError("answers == 0, must be at least 1.")
    if not (np.isfinite(logged).all() and (logged > 0).all() and (logged <= 1).all()):
        raise OffPolicyError("a logged propensity lies outside (0, 1] or is missing.")
    return np.asarray(wanted / logged)


def weighted_value(
    logged: NDArray[np.float64], wanted: NDArray[np.float64], reward: NDArray[np.float64]
) -> WeightedValue:
    """Estimate a policy's value by weighting the log.

    Args:
        logged: propensity of each logged answer under the policy that served, shape (n,).
        wanted: its probability under the other policy, shape (n,).
        reward: what it earned, shape (n,).

    Raises:
        OffPolicyError: no answers, or a propensity that is missing or out of range.
    """
    w = _weights(logged, wanted)
    n, earned = len(w), w * reward
    if w.sum() <= 0:
        raise OffPolicyError("sum of weights == 0: the other policy would never have acted so.")
    snips = float(earned.sum() / w.sum())
    return WeightedValue(
        ips=float(earned.mean()),
        ips_se=float(earned.std(ddof=1) / np.sqrt(n)) if n > 1 else float("inf"),
        snips=snips,
        snips_se=float((w * (reward - snips)).std(ddof=1) / np.sqrt(n) / w.mean())
        if n > 1
        else float("inf"),
        clipped_ips=float((np.minimum(w, CLIP) * reward).mean()),
        effective_size=float(w.sum() ** 2 / (w**2).sum()),
        largest_weight=float(w.max()),
        mean_weight=float(w.mean()),
    )


def doubly_robust_value(
    logged: NDArray[np.float64],
    action: NDArray[np.int64],
    reward: NDArray[np.float64],
    wanted: NDArray[np.float64],
    predicted: NDArray[np.float64],
) -> DoublyRobustValue:
    """Estimate a policy's value by a reward model and the weighted residuals of the log.

    Args:
        logged: propensity of each logged action, shape (n,).
        action: which action was taken, shape (n,).
        reward: what it earned, shape (n,).
        wanted: the other policy's probability of every action, shape (n, actions).
        predicted: the model's reward of every action, fitted on other rows, shape (n, actions).

    Raises:
        OffPolicyError: no answers, or a propensity that is missing or out of range.
    """
    rows = np.arange(len(action))
    w = _weights(logged, wanted[rows, action])
    model = (wanted * predicted).sum(axis=1)
    residual = w * (reward - predicted[rows, action])
    each = _each(w, model, predicted[rows, action], reward)
    return DoublyRobustValue(
        dm=float(model.mean()),
        dr=float(each.mean()),
        dr_se=float(each.std(ddof=1) / np.sqrt(len(w))) if len(w) > 1 else float("inf"),
        sndr=float(model.mean() + residual.sum() / w.sum()),
    )


def _each(
    weights: NDArray[np.float64],
    model: NDArray[np.float64],
    predicted: NDArray[np.float64],
    reward: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the doubly robust value of each decision, (n,)."""
    return model + weights * (reward - predicted)


class Changes(NamedTuple):
    """What another policy would choose otherwise than the log's.

    Attributes:
        share: of its choices, in the mean (the total variation between both).
        effective_size: as many such choices of its own would tell as much; 0 where the log holds too
            little of them.
    """

    share: float
    effective_size: float


def changes_of(weights: NDArray[np.float64], counts: NDArray[np.float64]) -> Changes:
    """Return how much a policy changes, and how much the log tells of that.

    What it does less often than the log (w < 1) says how much it changes, also to what the log never
    did; what it does more often (w > 1) is all that the log tells of what it would do instead.

    Args:
        weights: the other policy's chance of what was taken over the logged one, shape (n,).
        counts: for how many decisions each stands, shape (n,).
    """
    share = float((counts * np.maximum(1 - weights, 0.0)).sum() / counts.sum())
    more = counts * np.maximum(weights - 1, 0.0)
    if more.sum() <= MIN_COVERED * share * counts.sum():
        return Changes(share, 0.0)
    return Changes(share, float(more.sum() ** 2 / (more**2).sum()))


class DoublyRobustDifference(NamedTuple):
    """What another policy would have earned beside what was served.

    Attributes:
        estimate: what it would have earned, per decision.
        earned: what was served, per decision.
        interval: 95 % of their difference.
    """

    estimate: float
    earned: float
    interval: tuple[float, float]


def doubly_robust_difference(
    weights: NDArray[np.float64],
    model: NDArray[np.float64],
    predicted: NDArray[np.float64],
    reward: NDArray[np.float64],
    counts: NDArray[np.float64] | None = None,
) -> DoublyRobustDifference:
    """Compare a policy's doubly robust value with what was earned, decision by decision.

    The interval is Student's with as many degrees of freedom as the effective size has, and as if
    `IMAGINED` more decisions of the largest weight had earned 1 (0 at its lower end): where the few
    decisions that count have all earned nothing, their variance says nothing. Where the policy
    changes few choices, they may have earned anything.

    Args:
        weights: the other policy's chance of what was taken over the logged one, shape (n,), n > 1.
        model: what the reward model expects of the other policy, shape (n,).
        predicted: what it expects of the action that was taken, in [0, 1], shape (n,).
        reward: what that earned, in [0, 1], shape (n,).
        counts: for how many decisions each stands, shape (n,); None for one.
    """
    from scipy.special import stdtrit  # noqa: PLC0415  at the first use: loading it takes long

    n, share = len(reward), np.ones(len(reward)) if counts is None else counts / counts.mean()
    changes, w = changes_of(weights, share), share * weights
    size, unknown = changes.effective_size, 0.0
    if changes.share <= FEW_CHANGES:
        size, unknown = w.sum() ** 2 / (w**2).sum(), changes.share
    each = _each(weights, model, predicted, reward) - reward
    difference, earned = float((share * each).mean()), float((share * reward).mean())
    error = (share * (each - difference)).std(ddof=1) / np.sqrt(n)
    half = float(stdtrit(max(size - 1, 1.0), 0.975) * error) + unknown
    imagined, mean = IMAGINED * float(w.max()) / (n + IMAGINED), float((share * predicted).mean())
    low, high = difference - half - imagined * mean, difference + half + imagined * (1 - mean)
    return DoublyRobustDifference(earned + difference, earned, (low, high))


MIN_EFFECTIVE_SIZE = 100.0  # a standard error of a tenth of a standard deviation


def refuse_without_support(effective_size: float, *, minimum: float = MIN_EFFECTIVE_SIZE) -> None:
    """Refuse an estimate that a handful of answers would decide.

    Args:
        effective_size: of `weighted_value`, or of `changes_of`.
        minimum: the effective size that is needed.

    Raises:
        OffPolicyError: the log holds too little of what the other policy would do.
    """
    if effective_size < minimum:
        raise OffPolicyError(
            f"effective sample size == {effective_size:.1f}, must be at least "
            f"{minimum:g}: the log holds too few answers that the other policy would give."
        )


def value_by_position(
    position: NDArray[np.int64],
    logged: NDArray[np.float64],
    wanted: NDArray[np.float64],
    reward: NDArray[np.float64],
) -> dict[int, WeightedValue]:
    """Estimate a policy's value at each position of a slate, each as if it were alone.

    Assumption: what is rewarded at a position depends on the item there alone.

    Args:
        position: of each logged item, shape (n,).
        logged: its propensity at that position, shape (n,).
        wanted: its probability there under the other policy, shape (n,).
        reward: what it earned, shape (n,).

    Raises:
        OffPolicyError: a propensity that is missing or out of range.
    """
    return {
        int(place): weighted_value(
            logged[position == place], wanted[position == place], reward[position == place]
        )
        for place in np.unique(position)
    }
