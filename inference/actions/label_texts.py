"""Label texts in a worker by a version that classifies, outside of any request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference.serving.models import open_model
from inference.worker_threads import answer_questions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from inference.models import ModelVersion


def label_texts(*, version: ModelVersion, texts: Sequence[str], artifacts: Path) -> list[str]:
    """Return the most probable label of each text, without features.

    Args:
        version: of a surface that classifies.
        texts: in any language; the version answers as it would a request.
        artifacts: folder of artifacts.

    Raises:
        ArtifactError: its artifact is missing or damaged.
        ValueError: it does not label.
    """
    model = open_model(artifacts, version.artifact_sha256)
    if model.labels is None:
        raise ValueError(f"{version.label} does not label.")
    if not texts:
        return []
    if model.labels.classifier is not None:
        scores = model.labels.classifier.probabilities(list(texts), [{} for _ in texts])
    else:
        questions = [{"text": text, "features": {}} for text in texts]
        scores = np.asarray(answer_questions(version.artifact_sha256, questions))
    return [model.labels.labels[n] for n in np.argmax(scores, axis=1)]
