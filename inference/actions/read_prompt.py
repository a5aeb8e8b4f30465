"""Read what a version that generates asks, from its artifact."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.serving.artifact import ArtifactError
from inference.serving.models import open_model
from inference.serving.prompts import PromptError

if TYPE_CHECKING:
    from pathlib import Path

    from inference.models import ModelVersion
    from inference.serving.prompts import Prompt


class NoPromptError(ValueError):
    """A version without a prompt; the message says why."""


def read_prompt(artifacts: Path, version: ModelVersion) -> Prompt:
    """Return a version's prompt.

    Raises:
        NoPromptError: it is of another form, or its artifact is missing or damaged.
    """
    try:
        model = open_model(artifacts, version.artifact_sha256)
    except (ArtifactError, OSError, PromptError) as error:
        raise NoPromptError(f"{version.label}: {error}") from error
    if model.prompt is None:
        raise NoPromptError(f"{version.label} ranks or labels, must be a version that generates.")
    return model.prompt
