"""A transformer trained on behaviour: the text tower's upper rungs, and BERT over items as labels.

Both learn from pairs: some of a unit's liked items, and one that it liked after them. The unit is the
mean of its items' vectors. `tuned-two-tower` scores the item's own vector by an in-batch softmax,
corrected for how often an item is drawn (Yi et al. 2019), then trains the heads of `two-tower` over the
new vectors. `bert` has a linear head over items as labels, cross-entropy and Adam.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from inference.options import FitOptions, bounded, read_params
from inference.recommenders.protocol import default_order
from inference.recommenders.two_tower import TwoTower
from inference.serving.scorers import draft_vectors
from inference.training.adapt_params import METHODS
from inference.training.sampled import CandidateSampler

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from inference.encoders.text_encoder import TextEncoder
    from inference.serving.artifact import ArtifactDraft
    from inference.training.data import TrainingData

TEMPERATURE = 0.05  # cosines lie in [-1, 1]: without it the softmax is nearly flat


@dataclass(frozen=True)
class TunedParams:
    """Hyper-parameters.

    Attributes:
        method: full, lora or adalora.
        steps: of the optimiser.
        batch: pairs a step.
        history: items of a unit that are read in a step.
        rate: peak learning rate of the encoder; of adapters ten times as much.
        head_rate: of the head over items.
        rank: of adapters.
        head_epochs: passes of the two-tower's heads, which are trained after the encoder.
    """

    method: str = bounded("lora", choices=METHODS)
    steps: int = bounded(300, low=1, high=1_000_000)
    batch: int = bounded(32, low=1, high=65_536)
    history: int = bounded(4, low=1, high=1000)
    rate: float = bounded(5e-5, above=0, high=1)
    head_rate: float = bounded(1e-2, above=0, high=1)
    rank: int = bounded(8, low=1, high=1024)
    head_epochs: int = bounded(30, low=1, high=100_000)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Draws units' items and what they liked after them."""

    units: list[NDArray[np.int64]]
    params: TunedParams

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return histories (b, h), repeated where short, and targets (b,)."""
        chosen = rng.choice(len(self.units), self.params.batch)
        histories = np.empty((len(chosen), self.params.history), dtype=np.int64)
        targets = np.empty(len(chosen), dtype=np.int64)
        for row, unit in enumerate(chosen):
            liked = self.units[unit]
            cut = rng.integers(1, len(liked))
            targets[row] = liked[cut]
            histories[row] = rng.choice(liked[max(0, cut - 20) : cut], self.params.history)
        return histories, targets


class _Texts:
    """The items' tokens; each distinct item of a step is encoded once."""

    def __init__(self, encoder: TextEncoder, texts: list[str]) -> None:
        self._encoder, self._tokens = encoder, encoder.tokens(texts)

    def vectors(self, items: NDArray[np.int64]) -> Any:
        """Return vectors (..., width) of items, with gradients."""
        import torch  # noqa: PLC0415  the training subprocess alone comes here

        distinct, places = np.unique(items, return_inverse=True)
        vectors = self._encoder.forward([self._tokens[i] for i in distinct])
        return vectors[torch.from_numpy(places.reshape(items.shape)).to(vectors.device)]


def _prepare(data: TrainingData, options: FitOptions, name: str) -> tuple[Any, _Texts, TunedParams]:
    from inference.encoders.device import pick_device  # noqa: PLC0415
    from inference.encoders.text_encoder import TextEncoder  # noqa: PLC0415  torch

    if data.item_texts is None:
        raise ValueError(f"item_texts == None, must be given to '{name}'.")
    params = read_params(TunedParams, options.params)
    encoder = TextEncoder(options.encoder, pick_device(options.device))
    return encoder, _Texts(encoder, list(data.item_texts)), params


def _pairs(data: TrainingData, params: TunedParams) -> _Pairs:
    units = [liked for liked in data.liked if len(liked) >= 2]
    if not units:
        raise ValueError("units with two liked items == 0, must be at least 1.")
    return _Pairs(units, params)


def _about(
    name: str, params: TunedParams, options: FitOptions, ranks: Mapping[str, int]
) -> dict[str, Any]:
    about = {"algorithm": name, "params": asdict(params), "seed": options.seed}
    return {**about, "ranks": dict(ranks)} if ranks else about


class TunedTwoTower:
    """The encoder is trained on behaviour, then the heads over what it says."""

    name = "tuned-two-tower"
    params = TunedParams
    parallel = True
    reads = frozenset({"vectors", "texts", "images"})
    seeds = 1
    probe_params: ClassVar = {"steps": 20, "head_epochs": 3}

    def fit(self, data: TrainingData, options: FitOptions) -> ArtifactDraft:
        """Train the encoder, embed the catalogue, train the heads.

        Raises:
            ValueError: there are no texts, or no unit liked two items.
        """
        import torch  # noqa: PLC0415  the training subprocess alone comes here

        from inference.training.tune import Schedule, add_adapters, merge_adapters, tune  # noqa: PLC0415

        torch.manual_seed(options.seed)
        encoder, texts, params = _prepare(data, options, self.name)
        pairs = _pairs(data, params)
        schedule = Schedule(params.method, params.steps, params.rate, params.rate, rank=params.rank)
        add_adapters(encoder, schedule)
        often = torch.from_numpy(np.log1p(data.popularity).astype(np.float32)).to(encoder.device)

        def loss_of(rng: np.random.Generator) -> Any:
            histories, targets = pairs.draw(rng)
            units = torch.nn.functional.normalize(texts.vectors(histories).mean(1), dim=1)
            wanted = torch.from_numpy(targets).to(encoder.device)
            logits = units @ texts.vectors(targets).T / TEMPERATURE - often[wanted]
            # Another pair with the same target is no negative for this one.
            own = torch.eye(len(wanted), dtype=torch.bool, device=encoder.device)
            logits = logits.masked_fill((wanted[:, None] == wanted[None]) & ~own, -1e4)
            places = torch.arange(len(wanted), device=encoder.device)
            return torch.nn.functional.cross_entropy(logits, places)

        encoder_options = replace(options, report=lambda share, line: options.report(0.7 * share, line))
        tune(encoder, torch.nn.Identity(), schedule, loss_of, encoder_options)
        ranks = merge_adapters(encoder, schedule)
        vectors = encoder.encode(list(data.item_texts or []))
        folder = options.checkpoint / "heads" if options.checkpoint is not None else None
        heads = replace(
            options,
            params={"epochs": params.head_epochs},
            checkpoint=folder,
            report=lambda share, line: options.report(0.7 + 0.3 * share, line),
        )
        draft = TwoTower().fit(replace(data, item_vectors=vectors), heads)
        return replace(draft, about=_about(self.name, params, options, ranks))


class BertItems:
    """A transformer with a linear head over items: what does who liked these like next?"""

    name = "bert"
    params = TunedParams
    parallel = True
    reads = frozenset({"texts"})
    seeds = 1
    probe_params: ClassVar = {"steps": 20}

    def fit(self, data: TrainingData, options: FitOptions) -> ArtifactDraft:
        """Train encoder and head by cross-entropy.

        Raises:
            ValueError: there are no texts, or no unit liked two items.
        """
        import torch  # noqa: PLC0415  the training subprocess alone comes here

        from inference.training.tune import Schedule, add_adapters, merge_adapters, tune  # noqa: PLC0415

        torch.manual_seed(options.seed)
        encoder, texts, params = _prepare(data, options, self.name)
        pairs = _pairs(data, params)
        head = torch.nn.Linear(encoder.width, len(data.item_ids)).to(encoder.device)
        with torch.no_grad():  # the head starts as what is popular
            head.bias.copy_(torch.from_numpy(np.log1p(data.popularity).astype(np.float32)))
        schedule = Schedule(
            params.method, params.steps, params.rate, params.head_rate, rank=params.rank
        )
        add_adapters(encoder, schedule)
        sampler = CandidateSampler(data.popularity)

        def loss_of(rng: np.random.Generator) -> Any:
            histories, targets = pairs.draw(rng)
            units = texts.vectors(histories).mean(1)
            candidates = sampler.draw(rng, targets)
            rows, log_chance, wanted, barred = (
                torch.from_numpy(part).to(encoder.device)
                for part in (
                    candidates.items,
                    candidates.log_chance,
                    candidates.places(targets),
                    candidates.barred_but(targets),
                )
            )
            logits = units @ head.weight[rows].T + head.bias[rows] - log_chance
            return torch.nn.functional.cross_entropy(logits.masked_fill(barred, -1e4), wanted)

        tune(encoder, head, schedule, loss_of, options)
        ranks = merge_adapters(encoder, schedule)
        item_vectors = head.weight.detach().cpu().numpy().copy()
        item_vectors[data.popularity == 0] = 0.0  # as they were drawn: nothing was learnt of them
        return draft_vectors(
            item_ids=data.item_ids,
            item_vectors=item_vectors,
            context_vectors=encoder.encode(list(data.item_texts or [])),
            bias=head.bias.detach().cpu().numpy().copy(),
            default_order=default_order(data.popularity, limit=len(data.item_ids)),
            about=_about(self.name, params, options, ranks),
        )
