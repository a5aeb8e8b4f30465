"""What a queued run waits for: workers train one run after another, projects in turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.models import TrainingRun
from inference.training.turns import in_turn

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a run is not taken up yet.

    Attributes:
        behind: the run that works for longest; None where none works: a worker takes the next one up.
        ahead: queued runs that come before it.
    """

    behind: TrainingRun | None
    ahead: int

    @property
    def since(self) -> datetime | None:
        """Since when the run that works does."""
        return self.behind.started_at if self.behind is not None else None

    @property
    def sentence(self) -> str:
        """Say it to who runs the platform, of any project."""
        queue = f", and {self.ahead} queued before it" if self.ahead else ""
        if self.behind is None:
            return f"waits for a worker{queue}: is one running?"
        since = f", since {self.since:%Y-%m-%d %H:%M} UTC" if self.since is not None else ""
        return f"waits behind run {self.behind.pk} (surface '{self.behind.surface.key}'{since}){queue}."


def waiting_of(run: TrainingRun) -> Waiting | None:
    """Return what a run waits for; None unless it is queued."""
    if run.state != TrainingRun.State.QUEUED:
        return None
    works = TrainingRun.objects.filter(state=TrainingRun.State.RUNNING).select_related("surface")
    turns = list(in_turn().values_list("pk", flat=True))
    # It may have been taken up since it was read.
    return Waiting(
        works.order_by("started_at", "pk").first(), turns.index(run.pk) if run.pk in turns else 0
    )
