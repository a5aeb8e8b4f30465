"""A linear head by DP-SGD (Abadi et al. 2016), by Opacus: what it learns of any one user is bounded.

A sample is a user with all of its examples: the gradient of its mean loss is clipped, and noise of the
clip's size is added to the sum of a step. Users are drawn by Poisson sampling, as the accountant
assumes. (ε, δ) then holds for the weights between data sets that differ by one user.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inference.options import FitOptions
    from inference.serving.artifact import Floats


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

    epsilon: float = 3.0
    delta: float = 0.0
    clip: float = 1.0
    epochs: int = 30
    batch: int = 256
    rate: float = 2.0
    user_examples: int = 20


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
    samples = _by_user(rows, truth, users, params.user_examples, seed=options.seed)
    count = len(samples)
    delta = params.delta or 0.1 / count
    _check(params, delta, count)
    torch.manual_seed(options.seed)
    module: Any = nn.Linear(rows.shape[1], labels)
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    optimiser: Any = torch.optim.SGD(module.parameters(), lr=params.rate, momentum=0.9)
    loader: Any = DataLoader(samples, batch_size=min(params.batch, count))
    with warnings.catch_warnings():
        # That it is a pseudo-random generator, and that hooks see a module's inputs.
        warnings.simplefilter("ignore")
        engine = _engine()
        module, optimiser, loader = engine.make_private_with_epsilon(
            module=module,
            optimizer=optimiser,
            data_loader=loader,
            target_epsilon=params.epsilon,
            target_delta=delta,
            epochs=params.epochs,
            max_grad_norm=params.clip,
        )
        steps = _train(module, optimiser, loader, params, options)
        spent = float(engine.get_epsilon(delta))
    linear = module._module  # noqa: SLF001  Opacus's wrapper has no other way to what it wraps
    return PrivateHead(
        weights=linear.weight.detach().T.contiguous().numpy().copy(),
        offset=linear.bias.detach().numpy().copy(),
        epsilon=spent,
        delta=delta,
        noise=float(optimiser.noise_multiplier),
        users=count,
        steps=steps,
    )


def _engine() -> Any:
    try:
        from opacus import PrivacyEngine  # noqa: PLC0415  an extra
    except ImportError as error:
        raise ValueError(
            "private-head needs Opacus, which is not installed: pip install 'bakeoff[privacy]'."
        ) from error
    return PrivacyEngine(accountant="rdp")


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
) -> TensorDataset:
    """Return a sample per user: its rows (m, width), their labels (m,), and what each weighs (m,)."""
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
    return TensorDataset(
        torch.from_numpy(rows[places].astype(np.float32)),
        torch.from_numpy(truth[places]),
        torch.from_numpy(weights),
    )


def _train(module: Any, optimiser: Any, loader: Any, params: PrivateParams, options: FitOptions) -> int:
    steps, last = 0, params.epochs * max(len(loader), 1)
    options.steps(last)
    for epoch in range(params.epochs):
        total = 0.0
        for batch in loader:
            # Where nobody was drawn the step is noise alone, and counts: a sample that weighs nothing.
            texts, truth, weights = batch if len(batch[0]) else _nobody(batch[0])
            for group in optimiser.param_groups:
                group["lr"] = params.rate * (1 - steps / last)
            steps += 1
            optimiser.zero_grad()
            losses = functional.cross_entropy(module(texts).transpose(1, 2), truth, reduction="none")
            loss: Any = (losses * weights).sum(1).mean()  # torch does not annotate `backward`
            loss.backward()
            optimiser.step()
            total += loss.item()
        mean = total / max(len(loader), 1)
        options.curve(steps, mean)
        options.report((epoch + 1) / params.epochs, f"epoch {epoch + 1}: loss {mean:.3f}")
    return steps


def _nobody(texts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a sample of one user that weighs nothing."""
    one = torch.zeros((1, *texts.shape[1:]))
    return one, torch.zeros(one.shape[:2], dtype=torch.int64), torch.zeros(one.shape[:2])
