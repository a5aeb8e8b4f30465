"""Train a causal transformer over liked items. In reading order: parameters, model, loop, export.

SASRec (Kang & McAuley 2018) with the loss of gSASRec (Petrov & Macdonald 2023): binary cross-entropy
over each position's next item and some items drawn evenly, with the likelihood of the next item raised
to β, so that few negatives do not make the model overconfident. A step costs the same whatever the
catalogue holds. Each step draws from a generator seeded by (seed, step), so a run that resumes from a
checkpoint ends as if it had not stopped.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from inference.encoders.device import pick_device
from inference.serving.sequence import NAMES
from inference.training.checkpoint import Checkpoint, save_checkpoint
from inference.training.cooccurrence import cooccurrence_vectors, start_scale
from inference.training.heads import UnitSignals
from inference.training.lazy_adamw import LazyAdamW
from inference.training.sampled import settle_cold_biases
from inference.training.tune import CHECKPOINT_SECONDS, CURVE_POINTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inference.options import FitOptions
    from inference.training.data import TrainingData
    from inference.training.sasrec_params import SasrecParams


WARMUP = 50  # steps in which the rate rises
QUIET = 0.1  # of what starts at random: at full strength it would drown what co-occurrence says
MEAN_WEIGHT = 3.0  # of what the history says in common, beside the newest item
EXPORTED_AT_ONCE = 65_536  # items, whose texts are copied
MAX_REFUSED = 20  # of a unit's refused items that a step reads


class SequenceBlock(nn.Module):
    """Attention and a hidden layer, each on the normed states and added to them."""

    def __init__(self, params: SasrecParams) -> None:
        super().__init__()
        d = params.width
        self.heads = params.heads
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.inward, self.outward = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.wide, self.narrow = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)
        self.dropout = nn.Dropout(params.dropout)

    def forward(self, states: torch.Tensor, hidden_from: torch.Tensor) -> torch.Tensor:
        """Return the states after this block, (b, t, d).

        Args:
            states: (b, t, d).
            hidden_from: what no position may attend to, (b, 1, t, t).
        """
        b, t, d = states.shape
        mixed = self.inward(self.norm1(states)).view(b, t, 3, self.heads, d // self.heads)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        weights = query @ key.transpose(-1, -2) / math.sqrt(d // self.heads)
        weights = weights.masked_fill(hidden_from, -1e9).softmax(-1)
        read = (weights @ value).transpose(1, 2).reshape(b, t, d)
        states = states + self.dropout(self.outward(read))
        hidden = functional.relu(self.wide(self.norm2(states)))
        return states + self.dropout(self.narrow(hidden))


class SequenceModel(nn.Module):
    """The learnt part: items, positions, blocks."""

    text: torch.Tensor | None
    warm: torch.Tensor

    def __init__(self, text: torch.Tensor | None, warm: torch.Tensor, params: SasrecParams) -> None:
        """Make it.

        Args:
            text: vectors of the items' texts and images, (n, e), or None.
            warm: 1 for an item that anybody liked, else 0, (n,).
            params: hyper-parameters.
        """
        super().__init__()
        n = len(warm)
        self.own = nn.Parameter(torch.randn(n, params.width) * params.width**-0.5)
        self.projection = (
            nn.Linear(text.shape[1], params.width, bias=False) if text is not None else None
        )
        self.positions = nn.Parameter(torch.randn(params.history, params.width) * 0.02)
        self.bias = nn.Parameter(torch.zeros(n, 1))
        self.layers = [SequenceBlock(params) for _ in range(params.blocks)]
        self.blocks = nn.ModuleList(self.layers)  # so that torch knows their parameters
        self.norm = nn.LayerNorm(params.width)
        self.dropout = nn.Dropout(params.dropout)
        self.register_buffer("text", text, persistent=False)
        self.register_buffer("warm", warm[:, None], persistent=False)

    def items(self, chosen: torch.Tensor) -> torch.Tensor:
        """Return the vectors of items, (…, d): of a cold one, what its text says."""
        # `embedding`, not an index: its gradient is the same to the last bit however threads share it.
        vectors = functional.embedding(chosen, self.own, sparse=True) * self.warm[chosen]
        if self.projection is None or self.text is None:
            return vectors
        return vectors + self.projection(self.text[chosen])

    def biases(self, chosen: torch.Tensor) -> torch.Tensor:
        """Return the biases of items, (…)."""
        return functional.embedding(chosen, self.bias, sparse=True)[..., 0]

    def start_from(self, vectors: torch.Tensor, bias: torch.Tensor) -> None:
        """Start as the mean of the recent items' vectors, (n, d), and a bias, (n,).

        The first block's attention passes on what it reads as it is, nearly even over the items; text,
        hidden layers and later blocks start near nothing. From a random start it takes many times the
        steps to find what the closed form says at once.
        """
        d = vectors.shape[1]
        with torch.no_grad():
            self.own.copy_(vectors)
            self.bias.copy_(bias[:, None])
            if self.projection is not None:
                self.projection.weight.mul_(QUIET)
            for place, block in enumerate(self.layers):
                block.narrow.weight.mul_(QUIET)
                if place:
                    block.outward.weight.mul_(QUIET)
                else:
                    block.inward.weight[: 2 * d].mul_(QUIET)
                    block.inward.weight[2 * d :].copy_(torch.eye(d))
                    block.outward.weight.copy_(MEAN_WEIGHT * torch.eye(d))

    def states(self, sequences: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        """Return the states of every position, (b, t, d).

        Args:
            sequences: item indices, oldest first, the newest at the end, (b, t).
            known: which of them are real, (b, t).
        """
        t = sequences.shape[1]
        states = self.dropout(self.items(sequences) + self.positions[:t].flip(0))
        later = torch.ones(t, t, dtype=torch.bool, device=sequences.device).triu(1)
        # A row that may attend to nothing would be even over all: it is masked out of the loss.
        hidden_from = later[None, None] | ~known[:, None, None, :]
        for block in self.layers:
            states = block(states, hidden_from)
        return self.norm(states)


def train_sasrec(data: TrainingData, params: SasrecParams, options: FitOptions) -> SequenceModel:
    """Train and return the model, on the CPU.

    Raises:
        ValueError: no unit liked two items.
    """
    sequences = _Sequences.of(data, params)
    torch.manual_seed(options.seed)
    device = pick_device(options.device)
    model = _start(data, params).to(device)
    optimiser = LazyAdamW(model.parameters(), lr=params.rate, weight_decay=params.decay)
    checkpoint = Checkpoint.find(options.checkpoint, model.state_dict())
    if checkpoint is not None:
        model.load_state_dict(checkpoint.part("model"))
        checkpoint.restore(optimiser)
    steps, first = params.steps_for(len(sequences.units)), checkpoint.step if checkpoint else 0
    report_every, saved_at, losses = max(1, steps // CURVE_POINTS), time.monotonic(), []
    model.train()
    for step in range(first, steps):
        for group in optimiser.param_groups:
            group["lr"] = params.rate * min(1, (step + 1) / WARMUP) * _cosine(step / steps)
        # For the dropout. The factor, a prime, keeps the steps of two seeds apart.
        torch.manual_seed(options.seed * 1_000_003 + step)
        loss = _loss(model, sequences.draw(np.random.default_rng((options.seed, step))), params)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        done = step + 1
        if done % report_every == 0:
            mean, losses = sum(losses) / len(losses), []
            options.curve(done, mean)
            options.report(done / steps, f"step {done}: loss {mean:.3f}")
        # By the clock: a checkpoint of a large catalogue takes as long as many steps of a small one.
        if time.monotonic() - saved_at > CHECKPOINT_SECONDS or done == steps:
            save_checkpoint(options.checkpoint, done, model.state_dict(), optimiser)
            saved_at = time.monotonic()
    optimiser.settle()
    return model.cpu().eval()


def _cosine(share: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * share))


def _start(data: TrainingData, params: SasrecParams) -> SequenceModel:
    """Return a model that knows already what is liked, and what is liked together."""
    warm = torch.from_numpy((data.popularity > 0).astype(np.float32))
    text = None
    if data.sides:
        # Each of length 1, side by side: the projection fuses them.
        lengths = [np.linalg.norm(side, axis=1, keepdims=True) for side in data.sides]
        sides = [
            side / np.maximum(length, np.float32(1e-9))
            for side, length in zip(data.sides, lengths, strict=True)
        ]
        text = torch.from_numpy(np.concatenate(sides, axis=1).astype(np.float32))
    model = SequenceModel(text, warm, params)
    vectors = cooccurrence_vectors(data, params.width)
    normed = functional.layer_norm(torch.from_numpy(vectors), [params.width]).numpy()
    chances = (data.popularity + 0.5) / (data.popularity.sum() + 0.5 * len(data.popularity))
    share = params.negative_share(int(warm.sum()))
    # What even negatives leave of a chance: the loss is least there where nothing else is known.
    bias = np.log(chances) + math.log(params.power(share) / share)
    model.start_from(
        torch.from_numpy(vectors * start_scale(data, normed, vectors)),
        torch.from_numpy(bias.astype(np.float32)),
    )
    return model


@dataclass(frozen=True, slots=True)
class _Batch:
    """One step's input: items, the ones that follow them, what counts, negatives and of how many.

    `refused` has some items that each unit refused, (b, r), and `is_refused` which of them are real.
    """

    items: NDArray[np.int64]
    following: NDArray[np.int64]
    weights: NDArray[np.float32]
    negatives: NDArray[np.int64]
    choice: int
    refused: NDArray[np.int64]
    is_refused: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Sequences:
    """Draws windows of units' likes."""

    units: list[UnitSignals]
    warm: NDArray[np.int64]
    params: SasrecParams

    @classmethod
    def of(cls, data: TrainingData, params: SasrecParams) -> _Sequences:
        units = UnitSignals.of(data, use_refused=params.dislike > 0)
        if not units:
            raise ValueError("units with two liked items == 0, must be at least 1.")
        return cls(units, np.flatnonzero(data.popularity > 0), params)

    def draw(self, rng: np.random.Generator) -> _Batch:
        """Return windows of some units, each ending anywhere within its likes."""
        length = self.params.history
        chosen = rng.choice(len(self.units), min(self.params.batch, len(self.units)), replace=False)
        items = np.zeros((len(chosen), length), dtype=np.int64)
        following, weights = np.zeros_like(items), np.zeros(items.shape, dtype=np.float32)
        for row, unit in enumerate(chosen):
            liked, weight = self.units[unit].liked, self.units[unit].weights
            # The end is drawn: a request may come with a history of any length.
            end = (
                len(liked) if len(liked) <= 3 or rng.random() < 0.5 else rng.integers(3, len(liked) + 1)
            )
            start = max(0, end - length - 1)
            span = end - start - 1
            items[row, length - span :] = liked[start : end - 1]
            following[row, length - span :] = liked[start + 1 : end]
            weights[row, length - span :] = weight[start + 1 : end]
        count = min(self.params.negatives, max(1, len(self.warm) - 1))
        negatives = rng.choice(self.warm, count, replace=False)
        refused, is_refused = self._refused(chosen, rng)
        return _Batch(items, following, weights, negatives, len(self.warm), refused, is_refused)

    def _refused(
        self, chosen: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return some items that each of the units refused, (b, r), and which of them are real."""
        rows = [self.units[unit].refused for unit in chosen]
        count = min(max(map(len, rows)), MAX_REFUSED)
        refused = np.zeros((len(rows), count), dtype=np.int64)
        is_refused = np.zeros(refused.shape, dtype=bool)
        for place, row in enumerate(rows):
            some = rng.permutation(row)[:count] if len(row) > count else row
            refused[place, : len(some)], is_refused[place, : len(some)] = some, True
        return refused, is_refused


def _loss(model: SequenceModel, batch: _Batch, params: SasrecParams) -> torch.Tensor:
    """Return the gBCE over all positions."""
    device = model.bias.device
    items, following = (
        torch.from_numpy(batch.items).to(device),
        torch.from_numpy(batch.following).to(device),
    )
    weights, negatives = (
        torch.from_numpy(batch.weights).to(device),
        torch.from_numpy(batch.negatives).to(device),
    )
    known = weights > 0
    states = model.states(items, known)
    right = (states * model.items(following)).sum(-1) + model.biases(following)
    wrong = states @ model.items(negatives).T + model.biases(negatives)
    # What a unit liked is no negative for it, wherever it stands.
    own = torch.cat([items, following], 1)[:, None, :] == negatives[None, :, None]
    own = (own & torch.cat([known, known], 1)[:, None, :]).any(-1)
    wrong = functional.softplus(wrong).masked_fill(own[:, None, :], 0.0).sum(-1)
    power = params.power(params.negative_share(batch.choice))
    loss = power * functional.softplus(-right) + wrong
    mean = (loss * weights).sum() / weights.sum()
    return mean + params.dislike * _refused_loss(model, batch, states[:, -1])


def _refused_loss(model: SequenceModel, batch: _Batch, last: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of what units refused, at their last states (b, d), mean over units."""
    if not batch.is_refused.any():
        return last.new_zeros(())
    refused = torch.from_numpy(batch.refused).to(last.device)
    scores = (model.items(refused) @ last[..., None])[..., 0] + model.biases(refused)
    real = torch.from_numpy(batch.is_refused).to(last.device)
    return functional.softplus(scores).masked_fill(~real, 0.0).sum() / len(last)


def export_sasrec(model: SequenceModel, popularity: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return the arrays of the serving form."""

    def array(tensor: torch.Tensor) -> NDArray[Any]:
        return tensor.detach().float().cpu().numpy().copy()

    bias = array(model.bias[:, 0])
    settle_cold_biases(bias, popularity)
    parts = torch.arange(len(bias)).split(EXPORTED_AT_ONCE)
    arrays: dict[str, NDArray[Any]] = {
        "item_vectors": np.concatenate([array(model.items(part)) for part in parts]),
        "bias": bias,
        "positions": array(model.positions),
        "heads": np.array([model.layers[0].heads], dtype=np.int32),
        "blocks": np.array([len(model.layers)], dtype=np.int32),
        "norm_weight": array(model.norm.weight),
        "norm_bias": array(model.norm.bias),
    }
    for place, block in enumerate(model.layers):
        for name in NAMES:
            layer, part = name.split("_")
            arrays[f"block{place}.{name}"] = array(getattr(getattr(block, layer), part))
    return arrays
