"""Train the heads of the two-tower model. In reading order: parameters, data, model, loop.

Each step takes some units, hides a random part of what each liked, and asks for the hidden part from
the rest: a softmax over the catalogue, sampled where that is large. Every epoch draws from a generator
seeded by (seed, epoch), so a run that resumes from a checkpoint ends as if it had not stopped.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from inference.encoders.device import pick_device
from inference.training.checkpoint import Checkpoint, save_checkpoint
from inference.training.cooccurrence import cooccurrence_vectors, start_scale
from inference.training.lazy_adamw import LazyAdamW
from inference.training.sampled import CandidateSampler, settle_cold_biases
from inference.training.tune import CHECKPOINT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inference.options import FitOptions
    from inference.serving.artifact import Floats
    from inference.training.context_words import ContextWords
    from inference.training.data import TrainingData
    from inference.training.head_params import HeadParams


QUIET = 0.1  # of a text head's first say: at full strength it would drown what co-occurrence says
EXPORTED_AT_ONCE = 16_384  # items: a head's hidden layer of a million would take gigabytes


@dataclass(frozen=True, slots=True)
class Towers:
    """The trained heads applied to every item: the arrays of the serving form."""

    item_vectors: Floats
    context_vectors: Floats
    bias: Floats
    attention: Floats
    recency: Floats
    features: Floats


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's input, as tensors.

    Attributes:
        history: rows of `read`, newest first, (b, h).
        known: which of them are real, (b, h).
        read: items whose context vectors are needed, (r,); None: all.
        candidates: items that are scored, (c,); None: all.
        log_chance: how likely each of these was drawn, (c,).
        targets: weights of what is asked for, (b, c).
        barred: what may not be answered, (b, c).
        refused: what each unit refused, (b, c).
        context: rows of the words' vectors in each unit's context, 0 for none, (b, f).
    """

    history: torch.Tensor
    known: torch.Tensor
    read: torch.Tensor | None
    candidates: torch.Tensor | None
    log_chance: torch.Tensor
    targets: torch.Tensor
    barred: torch.Tensor
    refused: torch.Tensor
    context: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """Return it on a device."""
        parts = (getattr(self, field.name) for field in fields(self))
        moved: list[Any] = [part if part is None else part.to(device) for part in parts]
        return Batch(*moved)


class Heads(nn.Module):
    """The learnt part of the model."""

    text: torch.Tensor
    warm: torch.Tensor

    def __init__(
        self, text: torch.Tensor, liked: torch.Tensor, params: HeadParams, *, words: int = 0
    ) -> None:
        """Make the heads.

        Args:
            text: the encoders' vectors, (n, e).
            liked: how often each item was liked, (n,).
            params: hyper-parameters.
            words: of contexts, whose vectors are learnt beside.
        """
        super().__init__()
        n, e = text.shape

        def head() -> nn.Sequential:
            return nn.Sequential(
                nn.Linear(e, params.hidden), nn.GELU(), nn.Linear(params.hidden, params.width)
            )

        self.item_head, self.context_head = head(), head()
        self.item_own = nn.Parameter(torch.randn(n, params.width) * params.own)
        self.context_own = nn.Parameter(torch.randn(n, params.width) * params.own)
        self.attention = nn.Parameter(torch.zeros(params.width))
        self.recency = nn.Parameter(torch.zeros(params.history), requires_grad=params.recency)
        self.bias = nn.Parameter(torch.log1p(liked)[:, None])
        self.features = nn.Parameter(torch.zeros(words, params.width), requires_grad=words > 0)
        self.dropout = nn.Dropout(params.dropout)
        self.register_buffer("text", text, persistent=False)
        self.register_buffer("warm", (liked > 0).float()[:, None], persistent=False)

    def start_from(self, vectors: torch.Tensor) -> None:
        """Let items' own vectors start here, (n, d), and what texts say near nothing."""
        with torch.no_grad():
            self.item_own.add_(vectors)
            self.context_own.add_(vectors)
            for head in (self.item_head, self.context_head):
                for parameter in head[-1].parameters():
                    parameter.mul_(QUIET)

    def items(self, chosen: torch.Tensor | None = None) -> torch.Tensor:
        """Return V of some items, (m, d), or of all."""
        if chosen is None:
            return self.item_head(self.dropout(self.text)) + self.item_own * self.warm
        own = functional.embedding(chosen, self.item_own, sparse=True) * self.warm[chosen]
        return self.item_head(self.dropout(self.text[chosen])) + own

    def context(self, chosen: torch.Tensor | None = None) -> torch.Tensor:
        """Return C of some items, (m, d), or of all."""
        if chosen is None:
            return self.context_head(self.dropout(self.text)) + self.context_own * self.warm
        own = functional.embedding(chosen, self.context_own, sparse=True) * self.warm[chosen]
        return self.context_head(self.dropout(self.text[chosen])) + own

    def biases(self, chosen: torch.Tensor | None = None) -> torch.Tensor:
        """Return b of some items, (m,), or of all."""
        if chosen is None:
            return self.bias[:, 0]
        return functional.embedding(chosen, self.bias, sparse=True)[:, 0]

    def scores(self, batch: Batch) -> torch.Tensor:
        """Return the scores (b, c) of a step's candidates for its units."""
        weights_of = self.context(batch.read)[batch.history]
        weights = (weights_of @ self.attention + self.recency).masked_fill(~batch.known, -1e9)
        unit = (weights.softmax(1)[..., None] * weights_of).sum(1)
        if len(self.features):
            # Row 0 stands for a word that was not learnt: it says nothing.
            padded = torch.cat([torch.zeros_like(self.features[:1]), self.features])
            unit = unit + functional.embedding(batch.context, padded).sum(1)
        return unit @ self.items(batch.candidates).T + self.biases(batch.candidates)


@dataclass(frozen=True, slots=True)
class UnitSignals:
    """What one unit liked, in order of time, what each like weighs, and what it refused.

    `context` has the rows of the words in each like's context, (likes, features).
    """

    liked: np.ndarray
    weights: np.ndarray
    refused: np.ndarray
    context: np.ndarray

    @classmethod
    def of(
        cls, data: TrainingData, *, use_refused: bool, contexts: Sequence[np.ndarray] | None = None
    ) -> list[UnitSignals]:
        """Return the units that liked at least two items."""
        ends = np.cumsum([len(liked) for liked in data.liked])[:-1]
        nothing = [np.zeros(0, np.int64)] * len(data.liked)
        refused = data.disliked if use_refused and data.disliked is not None else nothing
        if contexts is None:
            contexts = [np.zeros((len(liked), 0), np.int64) for liked in data.liked]
        every = map(cls, data.liked, np.split(data.weights, ends), refused, contexts)
        return [unit for unit in every if len(np.unique(unit.liked)) >= 2]


def train_heads(
    data: TrainingData, params: HeadParams, options: FitOptions, words: ContextWords
) -> Towers:
    """Train and return the towers.

    Args:
        data: what is learnt from.
        params: hyper-parameters.
        options: how to fit.
        words: of contexts, whose vectors are learnt.

    Raises:
        ValueError: no unit liked two items.
    """
    units = UnitSignals.of(data, use_refused=params.dislike > 0, contexts=words.rows)
    if not units:
        raise ValueError("units with two liked items == 0, must be at least 1.")
    torch.manual_seed(options.seed)
    device = pick_device(options.device)
    read = np.concatenate(data.sides, axis=1)  # side by side: the heads fuse them
    text = torch.from_numpy(read).to(device)
    liked = torch.from_numpy(data.popularity.astype(np.float32)).to(device)
    model = Heads(text, liked, params, words=len(words.names)).to(device)
    if params.cooccurrence:
        model.start_from(torch.from_numpy(_start(data, params.width)).to(device))
    optimiser = LazyAdamW(
        [p for p in model.parameters() if p.requires_grad],
        lr=params.rate,
        weight_decay=params.decay,
    )
    sampler = CandidateSampler(data.popularity, params.candidates)
    epochs = params.epochs_for(len(units))
    checkpoint = Checkpoint.find(options.checkpoint, model.state_dict())
    if checkpoint is not None:
        model.load_state_dict(checkpoint.part("model"))
        checkpoint.restore(optimiser)
    first = checkpoint.step if checkpoint is not None else 0
    options.steps(epochs)
    saved_at = time.monotonic()
    for epoch in range(first, epochs):
        rate = params.rate * 0.5 * (1 + math.cos(math.pi * epoch / epochs))
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = _train_epoch(model, optimiser, units, params, (options.seed, epoch), sampler)
        # By the clock: a checkpoint of a large catalogue takes as long as many steps of a small one.
        if time.monotonic() - saved_at > CHECKPOINT_SECONDS or epoch + 1 == epochs:
            save_checkpoint(options.checkpoint, epoch + 1, model.state_dict(), optimiser)
            saved_at = time.monotonic()
        options.curve(epoch + 1, loss)
        options.report((epoch + 1) / epochs, f"epoch {epoch + 1}: loss {loss:.3f}")
    optimiser.settle()
    return _export(model, data.popularity)


def _start(data: TrainingData, width: int) -> Floats:
    """Return vectors from co-occurrence, with scores of a standard deviation of 1 over the items."""
    vectors = cooccurrence_vectors(data, width)
    return vectors * start_scale(data, vectors, vectors) ** np.float32(0.5)


def _train_epoch(
    model: Heads,
    optimiser: torch.optim.Optimizer,
    units: list[UnitSignals],
    params: HeadParams,
    seed: tuple[int, int],
    sampler: CandidateSampler,
) -> float:
    """Pass once over the units; return the mean loss."""
    rng = np.random.default_rng(seed)
    # For the dropout. The factor, a prime, keeps the epochs of two seeds apart.
    torch.manual_seed(seed[0] * 100_003 + seed[1])
    device = model.bias.device
    model.train()
    order, losses = rng.permutation(len(units)), []
    for start in range(0, len(order), params.batch):
        chosen = order[start : start + params.batch]
        batch = _hide([units[unit] for unit in chosen], params, sampler, rng).to(device)
        scores = (model.scores(batch) - batch.log_chance).masked_fill(batch.barred, -1e9)
        log_p = functional.log_softmax(scores, dim=1)
        loss = -(log_p * batch.targets).sum() / batch.targets.sum()
        if batch.refused.any():
            loss = loss + params.dislike * _refused_loss(scores, batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


def _refused_loss(scores: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return how far what units refused is from standing below what they liked, mean over refusals.

    Pairwise, as in BPR (Rendle et al. 2009): a softmax leaves an item alone once it is improbable.
    """
    weights = batch.targets / batch.targets.sum(1, keepdim=True)
    wanted = (scores * weights).masked_fill(batch.targets == 0, 0.0).sum(1, keepdim=True)
    return functional.softplus(scores - wanted)[batch.refused].mean()


def _hide(
    units: list[UnitSignals],
    params: HeadParams,
    sampler: CandidateSampler,
    rng: np.random.Generator,
) -> Batch:
    """Split each unit's items at random into a history, newest first, and targets."""
    history = np.zeros((len(units), params.history), dtype=np.int64)
    known = np.zeros(history.shape, dtype=bool)
    context = np.zeros((len(units), units[0].context.shape[1]), dtype=np.int64)
    wanted = []
    for row, unit in enumerate(units):
        liked, weights = unit.liked, unit.weights
        # Between few and nearly all: units in traffic have histories of any length.
        keep = rng.random(len(liked)) < rng.uniform(0.3, 0.95)
        keep[rng.integers(len(liked))] = True
        hidden = rng.integers(len(liked))
        keep[hidden] = False
        shown = liked[keep][-params.history :][::-1] if keep.any() else liked[:1]
        history[row, : len(shown)] = shown
        known[row, : len(shown)] = True
        # A like where few look says more than one where all look.
        of_item = dict(zip(liked.tolist(), weights.tolist(), strict=True))
        if context.shape[1] and rng.random() >= params.context_dropout:
            # One request has one context: what was liked in another is no answer to it.
            context[row] = unit.context[hidden]
            keep |= (unit.context != unit.context[hidden]).any(1)
        items = np.setdiff1d(liked[~keep], shown)
        wanted.append((items, np.array([of_item[item] for item in items.tolist()])))
    refused = [unit.refused for unit in units]
    batch = _batch(history, known, wanted, refused, sampler=sampler, rng=rng)
    return replace(batch, context=torch.from_numpy(context))


def _batch(
    history: np.ndarray,
    known: np.ndarray,
    wanted: list[tuple[np.ndarray, np.ndarray]],
    refused: list[np.ndarray],
    *,
    sampler: CandidateSampler,
    rng: np.random.Generator,
) -> Batch:
    """Return the tensors of a step."""
    candidates = sampler.draw(rng, np.concatenate([*(items for items, _ in wanted), *refused]))
    shape = (len(history), len(candidates.items))
    targets = np.zeros(shape, dtype=np.float32)
    below = np.zeros(shape, dtype=bool)
    barred = np.broadcast_to(~candidates.drawn, shape).copy()
    for row, (items, weights) in enumerate(wanted):
        places = candidates.places(items)
        targets[row, places] = weights
        barred[row, places] = False
        # A unit of many targets counts more than one of few, by the square root.
        targets[row] /= max(math.sqrt(targets[row].sum()), 1.0)
        # An item that is refused is a candidate like another, and must stand below what is liked.
        places = candidates.places(np.setdiff1d(refused[row], items))
        below[row, places], barred[row, places] = True, False
        # What is in the history is no target, and may not be answered either.
        shown = history[row, known[row]]
        barred[row, candidates.places(shown[np.isin(shown, candidates.items)])] = True
    read, places = np.unique(history, return_inverse=True)
    return Batch(
        # Of a catalogue that is taken whole every item is read anyway.
        history=torch.from_numpy(history if sampler.is_full else places.reshape(history.shape)),
        known=torch.from_numpy(known),
        read=None if sampler.is_full else torch.from_numpy(read),
        candidates=None if sampler.is_full else torch.from_numpy(candidates.items),
        log_chance=torch.from_numpy(candidates.log_chance),
        targets=torch.from_numpy(targets),
        barred=torch.from_numpy(barred),
        refused=torch.from_numpy(below),
        context=torch.zeros((len(history), 0), dtype=torch.int64),
    )


def _export(model: Heads, popularity: NDArray[np.int64]) -> Towers:
    model.eval()
    with torch.inference_mode():

        def array(tensor: torch.Tensor) -> Floats:
            return tensor.float().cpu().numpy().copy()

        bias = array(model.bias[:, 0])
        settle_cold_biases(bias, popularity)
        parts = torch.arange(len(model.bias), device=model.bias.device).split(EXPORTED_AT_ONCE)
        return Towers(
            item_vectors=np.concatenate([array(model.items(part)) for part in parts]),
            context_vectors=np.concatenate([array(model.context(part)) for part in parts]),
            bias=bias,
            attention=array(model.attention),
            recency=array(model.recency),
            features=array(model.features),
        )
