"""Write a score of an answer where metrics count it: as an event at the time of the answer.

So a score has its unit's window, is counted late as any event is, and goes with its user on erasure and
with the project's retention. Its source is one that no client can name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.models import Event

if TYPE_CHECKING:
    from experiments.models import Slate


def record_score(*, slate: Slate, name: str, score: float) -> None:
    """Write a score, inside the caller's transaction; an answer has one of a name.

    The caller holds what makes it happen once at a time: a lock, or a unique row.

    Args:
        slate: the answer, of an experiment.
        name: `slate.rating` or `slate.judge_score`.
        score: in [0, 1].
    """
    # By unit and time, as the index goes. A judge that was changed reads answers of before again: their
    # first score stays, or a value would change with nothing that its user did.
    written = Event.objects.filter(
        project=slate.project_id,
        unit_id=slate.unit_id,
        occurred_at=slate.served_at,
        recommendation_id=slate.recommendation_id,
        source=Event.Source.RATED,
        name=name,
    )
    if written.exists():
        return
    Event.objects.create(
        project_id=slate.project_id,
        event_id=f"{name}:{slate.recommendation_id}",
        name=name,
        unit_id=slate.unit_id,
        recommendation_id=slate.recommendation_id,
        value=score,
        occurred_at=slate.served_at,
        properties={"experiment": slate.experiment_id},
        source=Event.Source.RATED,
        trainable=False,
        trusted=True,
    )
