"""An encoder adapted to the project's own texts, and items near a unit's by it.

What it is for is the encoder: other recipes name it by their parameter `encoder`. As a recommender it
is `frozen-text` over it, which is how the gate compares it with the encoder as it was.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, ClassVar

from inference.options import read_params
from inference.recommenders.frozen_text import FrozenText
from inference.training.adapt_params import AdaptParams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference.options import FitOptions
    from inference.serving.artifact import ArtifactDraft, Floats
    from inference.training.data import TrainingData


class Pretrained:
    """Adapts, embeds the catalogue, exports vectors and the encoder."""

    name = "pretrain"
    params = AdaptParams
    parallel = True
    reads = frozenset({"vectors", "texts"})
    seeds = 1
    probe_params: ClassVar = {"steps": 10}

    def __init__(self) -> None:
        """Remember nothing yet."""
        # Likes teach an encoder nothing here, so the fits of a run, on parts of the likes, are one.
        self._last: tuple[str, Floats, Mapping[str, bytes]] | None = None

    def fit(self, data: TrainingData, options: FitOptions) -> ArtifactDraft:
        """Adapt the encoder to the items' texts and the others.

        Raises:
            ValueError: there are too few texts.
        """
        params = read_params(AdaptParams, options.params)
        vectors, files = self._adapt(list(data.item_texts or []), data.other_texts, params, options)
        draft = FrozenText().fit(replace(data, item_vectors=vectors), replace(options, params={}))
        about = {"algorithm": self.name, "params": asdict(params), "seed": options.seed}
        return replace(draft, about=about, files=files)

    def _adapt(
        self, items: list[str], others: Sequence[str], params: AdaptParams, options: FitOptions
    ) -> tuple[Floats, Mapping[str, bytes]]:
        from inference.training.adapt import adapt_encoder  # noqa: PLC0415  torch

        content = repr((options.encoder, options.device, options.seed, params, items, [*others]))
        key = hashlib.sha256(content.encode()).hexdigest()
        if self._last is None or self._last[0] != key:
            encoder = adapt_encoder([*items, *others], params, options)
            self._last = (key, encoder.encode(items), encoder.files())
        return self._last[1:]
