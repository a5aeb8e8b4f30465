"""A linear head by DP-SGD (Abadi et al. 2016): what it learns of any one user is bounded.

A sample is a user with all of its examples: the gradient of its mean loss is clipped, and noise of the
clip's size is added to the sum of a step. Users are drawn by Poisson sampling, as Opacus's accountant
assumes. (ε, δ) then holds for the weights between data sets that differ by one user.

The gradient of a linear head is Σ δᵢxᵢᵀ over a user's rows, so its norm follows from the products of
the rows and of the residuals, (δᵢ·δⱼ)(xᵢ·xⱼ): no user's gradient is written out (Goodfellow 2015).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inference.options import bounded
from inference.serving.text_classifiers import softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inference.options import FitOptions
    from inference.serving.artifact import Floats


MOMENTUM = 0.9


@dataclass(frozen=True)
class PrivateParams:
    """Hyper-parameters.

    Attributes:
        epsilon: ε that may be spent.
        delta: δ; 0 for a tenth of one over the number of users.
        clip: largest norm of a user's gradient.
        epochs: passes over the users.
        batch: users a step, on average.
        rate: of SGD with momentum, down on a line.
        user_examples: of a user that are read, at random; more cost memory.
    """

    epsilon: float = bounded(3.0, above=0, high=1e6)
    delta: float = bounded(0.0, low=0, high=1)
    clip: float = bounded(1.0, above=0, high=1e6)
    epochs: int = bounded(30, low=1, high=100_000)
    batch: int = bounded(256, low=1, high=1_000_000)
    rate: float = bounded(2.0, above=0, high=1000)
    user_examples: int = bounded(20, low=1, high=100_000)


@dataclass(frozen=True, slots=True)
class PrivateHead:
    """What was learnt, and what it may tell.

    Attributes:
        weights: (width, labels).
        offset: (labels,).
        epsilon: ε that was spent.
        delta: δ of it.
        noise: standard deviation of the noise, as a multiple of the clip.
        users: that it has learnt from.
        steps: of SGD.
    """

    weights: Floats
    offset: Floats
    epsilon: float
    delta: float
    noise: float
    users: int
    steps: int


@dataclass(frozen=True, slots=True)
class UserRows:
    """A sample per user.

    Attributes:
        rows: with a 1 for the offset at their end, float32 (users, m, width).
        truth: indices of their labels, (users, m).
        weights: what each row weighs in its user's loss, 0 where a user has fewer, (users, m).
    """

    rows: Floats
    truth: NDArray[np.int64]
    weights: Floats

    def of(self, chosen: NDArray[np.int64]) -> UserRows:
        """Return some users' samples."""
        return UserRows(self.rows[chosen], self.truth[chosen], self.weights[chosen])


def fit_private_head(
    rows: Floats,
    truth: NDArray[np.int64],
    labels: int,
    users: NDArray[np.int64],
    *,
    params: PrivateParams,
    options: FitOptions,
) -> PrivateHead:
    """Fit a softmax regression under differential privacy.

    Args:
        rows: (n, width), each of a norm that does not depend on the other rows.
        truth: index of each row's label, (n,).
        labels: how many labels there are.
        users: index of each row's user, (n,).
        params: hyper-parameters.
        options: seed and progress.

    Raises:
        ValueError: Opacus is not installed, or a parameter cannot be kept.
    """
    users_of = _by_user(rows, truth, users, params.user_examples, seed=options.seed)
    count = len(users_of.rows)
    delta = params.delta or 0.1 / count
    _check(params, delta, count)
    an_epoch = math.ceil(count / min(params.batch, count))
    steps, chance = params.epochs * an_epoch, 1 / an_epoch
    noise = _noise_of(params.epsilon, delta, steps=steps, chance=chance)
    weights = _train(users_of, labels, params, options, noise=noise, steps=steps, chance=chance)
    return PrivateHead(
        weights=weights[:-1],
        offset=weights[-1],
        epsilon=_spent(noise, delta, steps=steps, chance=chance),
        delta=delta,
        noise=noise,
        users=count,
        steps=steps,
    )


def _noise_of(epsilon: float, delta: float, *, steps: int, chance: float) -> float:
    """Return the least noise, as a multiple of the clip, with which so many steps stay within ε."""
    try:
        from opacus.accountants.utils import get_noise_multiplier  # noqa: PLC0415  an extra
    except ImportError as error:
        raise ValueError(
            "private-head needs Opacus, which is not installed: pip install 'bakeoff[privacy]'."
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that more orders would say a little less than it has spent
        return float(
            get_noise_multiplier(
                target_epsilon=epsilon,
                target_delta=delta,
                sample_rate=chance,
                steps=steps,
                accountant="rdp",
            )
        )


def _spent(noise: float, delta: float, *, steps: int, chance: float) -> float:
    """Return the ε that so many steps spend."""
    from opacus.accountants import RDPAccountant  # noqa: PLC0415  an extra

    accountant = RDPAccountant()
    accountant.history = [(noise, chance, steps)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        return float(accountant.get_epsilon(delta))


def _check(params: PrivateParams, delta: float, users: int) -> None:
    for name in ("epsilon", "clip", "rate"):
        if not getattr(params, name) > 0:  # true of NaN too
            raise ValueError(f"{name} == {getattr(params, name):g}, must be above 0.")
    for name in ("epochs", "batch", "user_examples"):
        if getattr(params, name) < 1:
            raise ValueError(f"{name} == {getattr(params, name)}, must be at least 1.")
    # With a chance of δ a user may be given away altogether: of one in n, one is.
    if not 0 < delta < 1 / users:
        raise ValueError(f"delta == {delta:g}, must be in (0, 1 / {users}), one over the users.")


def _by_user(
    rows: Floats, truth: NDArray[np.int64], users: NDArray[np.int64], limit: int, *, seed: int
) -> UserRows:
    """Return at most `limit` rows of each user, drawn at random."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(users))
    _, first, counts = np.unique(users[order], return_index=True, return_counts=True)
    by_user = order[np.argsort(users[order], kind="stable")]
    width = min(limit, int(counts.max()))
    places = np.zeros((len(first), width), dtype=np.int64)
    weights = np.zeros(places.shape, dtype=np.float32)
    for user, mine in enumerate(np.split(by_user, np.cumsum(counts)[:-1])):
        some = mine[:width]
        places[user, : len(some)], weights[user, : len(some)] = some, 1 / len(some)
    return UserRows(
        _with_one(rows[places].astype(np.float32)), truth[places], weights.astype(np.float32)
    )


def _with_one(rows: Floats) -> Floats:
    """Return rows with a 1 at their end, which the offset is multiplied by."""
    ones = np.ones((*rows.shape[:-1], 1), dtype=np.float32)
    return np.concatenate([rows, ones], axis=-1)


def _train(
    users: UserRows,
    labels: int,
    params: PrivateParams,
    options: FitOptions,
    *,
    noise: float,
    steps: int,
    chance: float,
) -> Floats:
    """Return the weights with the offset as their last row, float32 (width + 1, labels)."""
    rng = np.random.default_rng(options.seed)
    shape = (users.rows.shape[-1], labels)
    weights, speed = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    expected = len(users.rows) * chance
    options.steps(steps)
    an_epoch, loss = steps // params.epochs, 0.0
    for step in range(steps):
        # Each user by a chance of its own: what the accountant assumes. Where nobody was drawn the step
        # is noise alone, and counts.
        drawn = np.flatnonzero(rng.random(len(users.rows)) < chance)
        total, mean_loss = clipped_sum(users.of(drawn), weights, clip=params.clip)
        total += noise * params.clip * rng.standard_normal(shape, dtype=np.float32)
        speed = MOMENTUM * speed + total / np.float32(expected)
        weights -= np.float32(params.rate * (1 - step / steps)) * speed
        loss += mean_loss / an_epoch
        if (step + 1) % an_epoch == 0:
            epoch = (step + 1) // an_epoch
            options.curve(step + 1, loss)
            options.report(epoch / params.epochs, f"epoch {epoch}: loss {loss:.3f}")
            loss = 0.0
    return weights


def clipped_sum(users: UserRows, weights: Floats, *, clip: float) -> tuple[Floats, float]:
    """Return the sum of users' clipped gradients, (width, labels), and their mean loss.

    Args:
        users: of a step; there may be none.
        weights: (width, labels).
        clip: largest norm of a user's gradient.
    """
    n, m, width = users.rows.shape
    if not n:
        return np.zeros_like(weights), 0.0
    flat = users.rows.reshape(-1, width)
    stated = softmax(flat @ weights)
    of_truth = stated[np.arange(n * m), users.truth.ravel()]
    loss = -(np.log(np.maximum(of_truth, 1e-12)) * users.weights.ravel()).sum() / n
    stated[np.arange(n * m), users.truth.ravel()] -= 1  # the residuals, in place
    residuals = stated.reshape(n, m, -1) * users.weights[:, :, None]
    # Of a user: ‖Σ xᵢδᵢᵀ‖² = Σᵢⱼ (xᵢ·xⱼ)(δᵢ·δⱼ).
    of_rows = users.rows @ users.rows.transpose(0, 2, 1)
    of_residuals = residuals @ residuals.transpose(0, 2, 1)
    norms = np.sqrt(np.maximum((of_rows * of_residuals).sum((1, 2)), 0.0))
    scale = np.minimum(1.0, clip / np.maximum(norms, 1e-12)).astype(np.float32)
    clipped = (residuals * scale[:, None, None]).reshape(n * m, -1)
    return flat.T @ clipped, float(loss)
