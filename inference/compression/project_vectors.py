"""Smaller vectors: project both towers onto their leading directions.

V Cᵀ is what scores are made of. Its best approximation of rank r is its truncated singular value
decomposition (Eckart-Young), which is found from the two factors without forming the product.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from inference.serving.scorers import VECTORS

if TYPE_CHECKING:
    from inference.serving.artifact import ArtifactDraft


def project_vectors(draft: ArtifactDraft, width: int) -> ArtifactDraft:
    """Return a draft whose vectors have `width` dimensions.

    The attention, which reads context vectors, is carried over exactly only within the kept space.

    Raises:
        ValueError: the draft has no vectors, or the width is not smaller than theirs.
    """
    if draft.form != VECTORS:
        raise ValueError(f"form == '{draft.form}', must be '{VECTORS}' to project its vectors.")
    arrays = dict(draft.arrays)
    full = arrays["item_vectors"].shape[1]
    if not 1 <= width < full:
        raise ValueError(f"width == {width}, must be in [1, {full}).")
    q_items, r_items = np.linalg.qr(arrays["item_vectors"].astype(np.float64))
    q_context, r_context = np.linalg.qr(arrays["context_vectors"].astype(np.float64))
    left, values, right = np.linalg.svd(r_items @ r_context.T)
    root = np.sqrt(values[:width])
    context = (q_context @ right[:width].T) * root
    # The attention logits C q, as nearly as the smaller context vectors can say them.
    wanted = arrays["context_vectors"] @ arrays["attention"]
    attention, *_ = np.linalg.lstsq(context, wanted, rcond=None)
    arrays |= {
        "item_vectors": ((q_items @ left[:, :width]) * root).astype(np.float32),
        "context_vectors": context.astype(np.float32),
        "attention": attention.astype(np.float32),
    }
    return replace(draft, arrays=arrays, about={**draft.about, "projected_from": full})
