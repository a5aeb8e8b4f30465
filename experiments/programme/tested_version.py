"""The version that refits of a surface are compared with: the last one that won a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef

from experiments.models import Decision, Experiment

if TYPE_CHECKING:
    from inference.models import ModelVersion, Surface


def last_tested_version(surface: Surface) -> ModelVersion | None:
    """Return the last version that won a test, else the first champion, or None where there is none.

    A win that was taken back, because the champion that it replaced was made champion again, is none.
    """
    undone = Decision.objects.filter(
        surface=surface,
        pk__gt=OuterRef("pk"),
        action=Decision.Action.PROMOTE,
        promoted=OuterRef("replaced"),
    )
    win = (
        Decision.objects.filter(
            ~Exists(undone),
            surface=surface,
            action=Decision.Action.SHIP,
            promoted__isnull=False,
            experiment__purpose=Experiment.Purpose.TEST,
        )
        .select_related("promoted__snapshot")
        .first()
    )
    if win is not None:
        return win.promoted
    moves = Decision.objects.filter(surface=surface, promoted__isnull=False)
    first = moves.select_related("promoted__snapshot", "replaced__snapshot").last()
    if first is None:
        return surface.versions.champions().first()
    return first.replaced or first.promoted
