"""The version that refits of a surface are compared with: the last one that won a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef

from experiments.models import Decision, Experiment
from inference.models import AliasMove, ModelVersion

if TYPE_CHECKING:
    from inference.models import Surface


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
    moves = AliasMove.objects.filter(version__surface=surface, after=ModelVersion.Alias.CHAMPION)
    first = moves.select_related("version__snapshot").first()
    return first.version if first is not None else surface.versions.champions().first()
