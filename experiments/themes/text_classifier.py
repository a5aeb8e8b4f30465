"""The version that labels what users write about a surface, as its sentiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.models import ModelVersion, Surface
from inference.serving.models import ENDPOINT

if TYPE_CHECKING:
    from django.db.models import QuerySet


def text_classifier_of(surface: Surface) -> ModelVersion | None:
    """Return the champion that labels a surface's texts; None where none does.

    An endpoint does not: it would be called once per text, and texts would leave the platform.
    """
    champions = _champions(surface).exclude(algorithm=ENDPOINT)
    return champions.select_related("surface").first()


def is_endpoint(surface: Surface) -> bool:
    """Whether the champion that a surface's `text_classifier` names is an endpoint."""
    return _champions(surface).filter(algorithm=ENDPOINT).exists()


def _champions(surface: Surface) -> QuerySet[ModelVersion]:
    """Return the champion of the surface that is named, or nothing."""
    # An empty name is no key of a surface.
    return ModelVersion.objects.champions().filter(
        surface__project=surface.project_id,
        surface__key=surface.text_classifier,
        surface__kind=Surface.Kind.CLASSIFY,
    )
