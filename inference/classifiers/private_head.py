"""A frozen encoder with a linear head that was trained under differential privacy, user by user."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from inference.classifiers.protocol import about_labels
from inference.options import FitOptions, read_params
from inference.serving.artifact import ArtifactDraft
from inference.serving.features import FeatureTable
from inference.serving.text_classifiers import ENCODER
from inference.training.private_sgd import PrivateParams

if TYPE_CHECKING:
    from inference.training.data import LabelledData


class PrivateHead:
    """DP-SGD over the encoder's vectors; the encoder itself learns nothing of anybody.

    Attributes:
        is_private: nothing else may be fitted on the examples and go into the artifact.
    """

    name = "private-head"
    params = PrivateParams
    reads_encoder = True
    seeds = 1
    refits = True
    is_private = True
    probe_params: ClassVar = {"epochs": 2}

    def fit(self, data: LabelledData, options: FitOptions) -> ArtifactDraft:
        """Encode, then fit the head.

        Raises:
            ValueError: Opacus is not installed, examples have features, or a parameter is wrong.
        """
        # torch enters the training subprocess alone, when it gets here.
        from inference.encoders.frozen_encoder import frozen_encoder  # noqa: PLC0415
        from inference.training.private_sgd import fit_private_head  # noqa: PLC0415

        params = read_params(PrivateParams, options.params)
        table = FeatureTable.learn(data.features)
        if table.width:
            raise ValueError(
                f"features of the examples == {table.width}, must be none for 'private-head': their "
                "words and means would be learnt without noise. Load the examples with --no-features."
            )
        encoder = frozen_encoder(options.encoder, options.device)
        vectors = encoder.encode(data.texts)
        head = fit_private_head(
            vectors,
            data.truth,
            len(data.labels),
            data.users if data.users is not None else np.arange(len(data.texts)),
            params=params,
            options=options,
        )
        about = about_labels(self.name, asdict(params), data, table, options.seed)
        return ArtifactDraft(
            form=ENCODER,
            arrays={"weights": head.weights, "offset": head.offset},
            about={
                **about,
                # Not the labels' shares, which no noise covers.
                "prior": [round(1 / len(data.labels), 6)] * len(data.labels),
                "privacy": {
                    "epsilon": round(head.epsilon, 4),
                    "delta": head.delta,
                    "noise": round(head.noise, 4),
                    "clip": params.clip,
                    "users": head.users,
                },
            },
            files=encoder.files(),
        )
