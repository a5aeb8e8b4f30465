"""Find the encoder that a recipe names: a version that was adapted to a project's own texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.algorithms import PRETRAIN
from inference.models import ModelVersion

if TYPE_CHECKING:
    from inference.models import Surface


def encoders_of(project_id: int) -> list[str]:
    """Return the names of a project's adapted encoders, each with its surface, the newest first."""
    versions = ModelVersion.objects.filter(surface__project=project_id, algorithm=PRETRAIN)
    passed = versions.exclude(alias=ModelVersion.Alias.REJECTED).select_related("surface")
    return [f"{one.surface.key}/{one.label}" for one in passed.order_by("-id")]


def find_encoder(surface: Surface, name: str) -> ModelVersion:
    """Return the version of a name: `pretrain@2`, of another surface `home-feed/pretrain@2`.

    Raises:
        ValueError: the project has no such encoder, or its gate refused it.
    """
    key, _, label = name.rpartition("/")
    algorithm, _, number = label.partition("@")
    if algorithm == PRETRAIN and number.isdecimal():
        versions = ModelVersion.objects.filter(
            surface__project=surface.project_id,
            surface__key=key or surface.key,
            algorithm=algorithm,
            number=int(number),
        ).exclude(alias=ModelVersion.Alias.REJECTED)
        if (version := versions.first()) is not None:
            return version
    raise ValueError(
        f"encoder == '{name}', must be a version that `bakeoff pretrain` made and its gate let pass, "
        "such as 'pretrain@1', or of another surface 'home-feed/pretrain@1'."
    )
