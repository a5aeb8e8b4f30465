"""Smaller vectors: project both towers onto their leading directions.

V Cᵀ is what scores are made of. Its best approximation of rank r is its truncated singular value
decomposition (Eckart-Young), which is found from the two factors without forming the product.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from inference.serving.artifact import Draft


def project_vectors(draft: Draft, width: int) -> Draft:
    """Return a draft whose vectors have `width` dimensions.

    The attention, which reads context vectors, is carried over exactly only within the kept space.

    Raises:
        ValueError: the width is not smaller than the draft's.
    """
    full = draft.item_vectors.shape[1]
    if not 1 <= width < full:
        raise ValueError(f"width == {width}, must be in [1, {full}).")
    q_items, r_items = np.linalg.qr(draft.item_vectors.astype(np.float64))
    q_context, r_context = np.linalg.qr(draft.context_vectors.astype(np.float64))
    left, values, right = np.linalg.svd(r_items @ r_context.T)
    root = np.sqrt(values[:width])
    context = (q_context @ right[:width].T) * root
    # The attention logits C q, as nearly as the smaller context vectors can say them.
    attention, *_ = np.linalg.lstsq(context, draft.context_vectors @ draft.attention, rcond=None)
    return replace(
        draft,
        item_vectors=((q_items @ left[:, :width]) * root).astype(np.float32),
        context_vectors=context.astype(np.float32),
        attention=attention.astype(np.float32),
        about={**draft.about, "projected_from": full},
    )
