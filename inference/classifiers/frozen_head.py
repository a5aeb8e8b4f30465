"""A frozen encoder with a linear head: seconds of training, and hard to beat with few examples.

Where examples have images, their vectors stand beside the text's under the same head.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from inference.classifiers.protocol import CLASS_WEIGHTS, MAX_STEPS, HeadOptions, about_labels, fit_head
from inference.options import FitOptions, Span, bounded, read_params
from inference.serving.artifact import ArtifactDraft
from inference.serving.centred import mean_of
from inference.serving.example_images import (
    IMAGE_URL,
    centred_rows,
    image_rows,
    width_of,
)
from inference.serving.features import FeatureTable
from inference.serving.text_classifiers import ENCODER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from inference.serving.artifact import Floats
    from inference.training.data import LabelledData


@dataclass(frozen=True)
class FrozenHeadParams:
    """Hyper-parameters.

    Attributes:
        inverse_l2: C of the regression.
        class_weight: `none` or `balanced`.
        max_steps: of the regression's solver.
    """

    inverse_l2: float = bounded(30.0, above=0, high=1e6, drawn=Span(0.3, 1000))
    class_weight: str = bounded("none", choices=CLASS_WEIGHTS)
    max_steps: int = bounded(MAX_STEPS, low=1, high=1_000_000)


class FrozenHead:
    """Logistic regression over the encoder's vectors and the features."""

    name = "frozen-head"
    params = FrozenHeadParams
    reads_encoder = True
    reads = frozenset({"images"})
    seeds = 1
    refits = True
    probe_params: ClassVar = {"max_steps": 50}

    def fit(self, data: LabelledData, options: FitOptions) -> ArtifactDraft:
        """Encode, then fit the head."""
        # torch enters the training subprocess alone, when it gets here.
        from inference.encoders.frozen_encoder import frozen_encoder  # noqa: PLC0415

        params = read_params(FrozenHeadParams, options.params)
        encoder = frozen_encoder(options.encoder, options.device)
        done = 0

        def tell(count: int) -> None:
            nonlocal done
            done += count
            options.report(0.8 * done / len(data.texts), f"encoded {done} of {len(data.texts)} texts")

        vectors = encoder.encode(data.texts, progress=tell)
        mean = _mean_image(data)
        table = FeatureTable.learn(
            [_without_address(row) if len(mean) else row for row in data.features]
        )
        images = centred_rows(data.features, mean)
        rows = np.concatenate([vectors, images, table.transform(data.features)], axis=1)
        head = fit_head(
            rows,
            data.truth,
            len(data.labels),
            HeadOptions(params.inverse_l2, params.class_weight, params.max_steps),
        )
        options.report(1.0, "fitted")
        about = about_labels(self.name, asdict(params), data, table, options.seed, head)
        seen = {"images": {"encoder": data.image_encoder, "width": len(mean)}} if len(mean) else {}
        return ArtifactDraft(
            form=ENCODER,
            arrays={
                "weights": head.weights,
                "offset": head.offset,
                **({"image_mean": mean} if seen else {}),
            },
            about={**about, **seen},
            files=encoder.files(),
        )


def _mean_image(data: LabelledData) -> Floats:
    """Return the mean of the images' vectors, (width,); empty where there are none."""
    return mean_of(image_rows(data.features, width_of(data.features)))


def _without_address(features: Mapping[str, Any]) -> dict[str, Any]:
    """Return features without the image's address: the image says more than its name."""
    return {name: value for name, value in features.items() if name != IMAGE_URL}
