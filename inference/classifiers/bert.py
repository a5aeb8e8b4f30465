"""A transformer with a linear head over labels, cross-entropy, Adam: the seed design's classifier.

The head starts as the logistic regression over the frozen encoder: a random one would first spoil the
encoder's features (Kumar et al. 2022, Fine-tuning can distort pretrained features, ICLR).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from inference.classifiers.protocol import CLASS_WEIGHTS, HeadOptions, about_labels, fit_head
from inference.options import FitOptions, Span, bounded, read_params
from inference.serving.artifact import ArtifactDraft
from inference.serving.features import FeatureTable
from inference.serving.text_classifiers import ENCODER
from inference.training.adapt_params import METHODS

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from inference.classifiers.protocol import Head
    from inference.encoders.text_encoder import TextEncoder
    from inference.serving.artifact import Floats
    from inference.training.data import LabelledData


@dataclass(frozen=True)
class BertParams:
    """Hyper-parameters.

    Attributes:
        method: full, lora or adalora.
        epochs: passes over the examples.
        most_steps: passes are cut short of this many steps.
        batch: examples a step.
        rate: peak learning rate of the encoder; of adapters ten times as much.
        head_rate: of the head.
        rank: of adapters.
        inverse_l2: C of the regression that the head starts as.
        class_weight: `none` or `balanced`.
    """

    method: str = bounded("full", choices=METHODS)
    epochs: float = bounded(2.0, above=0, high=100_000, drawn=Span(1, 6))
    most_steps: int = bounded(2000, low=1, high=1_000_000)
    batch: int = bounded(32, low=1, high=65_536)
    rate: float = bounded(5e-5, above=0, high=1, drawn=Span(1e-5, 2e-4))
    head_rate: float = bounded(1e-3, above=0, high=1, drawn=Span(1e-4, 1e-2))
    rank: int = bounded(8, low=1, high=1024)
    inverse_l2: float = bounded(30.0, above=0, high=1e6)
    class_weight: str = bounded("none", choices=CLASS_WEIGHTS)


class Bert:
    """Fine-tuned on the labels; what was judged is what is exported, because a second fit is dear."""

    name = "bert"
    params = BertParams
    reads_encoder = True
    seeds = 1
    refits = False
    parallel = True
    probe_params: ClassVar = {"most_steps": 20}

    def fit(self, data: LabelledData, options: FitOptions) -> ArtifactDraft:
        """Fit the head, then the encoder and the head together."""
        # torch enters the training subprocess alone, when it gets here.
        import torch  # noqa: PLC0415

        from inference.encoders.device import pick_device  # noqa: PLC0415
        from inference.encoders.frozen_encoder import frozen_encoder  # noqa: PLC0415
        from inference.encoders.text_encoder import TextEncoder  # noqa: PLC0415
        from inference.training.tune import Schedule, add_adapters, merge_adapters, tune  # noqa: PLC0415

        params = read_params(BertParams, options.params)
        torch.manual_seed(options.seed)
        encoder = TextEncoder(options.encoder, pick_device(options.device))
        table = FeatureTable.learn(data.features)
        features = table.transform(data.features)
        options.report(0.0, f"encoding {len(data.texts)} texts")
        vectors = frozen_encoder(options.encoder, options.device).encode(data.texts)
        start = _fit_start(vectors, features, data, params)
        head = _as_module(start).to(encoder.device)
        schedule = Schedule(
            params.method,
            min(params.most_steps, int(params.epochs * len(data.texts) / params.batch) + 1),
            params.rate,
            params.head_rate,
            rank=params.rank,
        )
        add_adapters(encoder, schedule)
        loss_of = _loss(encoder, head, features, data, params)
        tune(encoder, head, schedule, loss_of, options)
        ranks = merge_adapters(encoder, schedule)
        about = about_labels(self.name, asdict(params), data, table, options.seed)
        return ArtifactDraft(
            form=ENCODER,
            arrays={
                "weights": head.weight.detach().cpu().numpy().T.copy(),
                "offset": head.bias.detach().cpu().numpy().copy(),
            },
            about={**about, "ranks": ranks} if ranks else about,
            files=encoder.files(),
        )


def _fit_start(vectors: Floats, features: Floats, data: LabelledData, params: BertParams) -> Head:
    """Fit the regression over the frozen encoder's vectors and the features."""
    return fit_head(
        np.concatenate([vectors, features], axis=1),
        data.truth,
        len(data.labels),
        HeadOptions(params.inverse_l2, params.class_weight),
    )


def _as_module(start: Head) -> torch.nn.Linear:
    """Return a fitted head as a layer to be trained on."""
    import torch  # noqa: PLC0415  likewise

    head = torch.nn.Linear(*start.weights.shape)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(start.weights.T))
        head.bias.copy_(torch.from_numpy(start.offset))
    return head


def _loss(
    encoder: TextEncoder,
    head: torch.nn.Module,
    features: Floats,
    data: LabelledData,
    params: BertParams,
) -> Callable[[np.random.Generator], torch.Tensor]:
    """Return what draws a batch of examples and returns its cross-entropy."""
    import torch  # noqa: PLC0415  likewise

    weights = _label_weights(data, params.class_weight)
    label_weights = None if weights is None else torch.from_numpy(weights).to(encoder.device)
    tokens = encoder.tokens(data.texts)
    truth = torch.from_numpy(data.truth).to(encoder.device)
    beside = torch.from_numpy(features).to(encoder.device)

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        chosen = rng.choice(len(tokens), min(params.batch, len(tokens)), replace=False)
        vectors = encoder.forward([tokens[i] for i in chosen])
        logits = head(torch.cat([vectors, beside[chosen]], dim=1))
        return torch.nn.functional.cross_entropy(logits, truth[chosen], weight=label_weights)

    return loss_of


def _label_weights(data: LabelledData, class_weight: str) -> np.ndarray | None:
    """Return weights of labels that make each count alike, (labels,); None when they count by rows."""
    if class_weight != "balanced":
        return None
    counts = np.bincount(data.truth, minlength=len(data.labels))
    weights: np.ndarray = (len(data.truth) / (np.maximum(counts, 1) * len(counts))).astype(np.float32)
    return weights
