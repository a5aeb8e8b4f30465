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
    from inference.serving.models import Labels


def open_labels(*, version: ModelVersion, artifacts: Path) -> Labels:
    """Return the labels of a version that classifies; it hashes every file of the artifact.

    Args:
        version: of a surface that classifies.
        artifacts: folder of artifacts.

    Raises:
        ArtifactError: its artifact is missing or damaged.
        ValueError: it does not label.
    """
    labels = open_model(artifacts, version.artifact_sha256).labels
    if labels is None:
        raise ValueError(f"{version.label} does not label.")
    return labels


def label_texts(*, version: ModelVersion, labels: Labels, texts: Sequence[str]) -> list[str]:
    """Return the most probable label of each text, without features.

    Costs of mistakes and abstention, which decide what a request is answered, do not apply.

    Args:
        version: of a surface that classifies.
        labels: of the version, opened once for many calls.
        texts: in any language.

    Raises:
        ArtifactError: its artifact is missing or damaged.
    """
    if not texts:
        return []
    if labels.classifier is not None:
        scores = labels.classifier.probabilities(list(texts), [{} for _ in texts])
    else:
        questions = [{"text": text, "features": {}} for text in texts]
        scores = np.asarray(answer_questions(version.artifact_sha256, questions))
    return [labels.labels[n] for n in np.argmax(scores, axis=1)]
