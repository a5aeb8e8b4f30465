"""How much feedback of each kind came, and its mean, by experiment and variant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Avg, Count

from experiments.models import Experiment, Feedback

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.accounts.models import Project

MAX_ROWS = 100
# Answers of surveys have scales of their own, corrections are labels: one mean of all says nothing.
WITH_MEAN = frozenset({Feedback.Kind.RATING, Feedback.Kind.THUMB})


@dataclass(frozen=True, slots=True)
class FeedbackCell:
    """Feedback of one kind: how many entries, and the mean of a rating or a thumb."""

    count: int
    mean: float | None


@dataclass(frozen=True, slots=True)
class FeedbackRow:
    """A variant, or what came outside of experiments: one entry a kind, None where there is none."""

    experiment: Experiment | None
    variant: str
    said: Sequence[FeedbackCell | None]


@dataclass(frozen=True, slots=True)
class FeedbackCounts:
    """A table: kinds as columns, variants as rows, the newest experiments first."""

    kinds: Sequence[str]
    rows: Sequence[FeedbackRow]


def count_feedback(project: Project) -> FeedbackCounts:
    """Count the feedback of a project that counts, in two queries."""
    found = (
        Feedback.objects.counted()
        .filter(project=project)
        .values_list("variant__experiment", "variant__key", "kind")
        .annotate(count=Count("id"), mean=Avg("value"))
        .order_by()
    )
    said: dict[tuple[int, str], dict[str, FeedbackCell]] = {}
    for experiment, variant, kind, count, mean in found:
        cell = FeedbackCell(count, mean if kind in WITH_MEAN else None)
        said.setdefault((experiment or 0, variant or ""), {})[kind] = cell
    # What came outside of experiments stands last; of one, the control first.
    order = sorted(said, key=lambda key: (-key[0], key[1]))[:MAX_ROWS]
    experiments = Experiment.objects.select_related("project").in_bulk([one for one, _key in order])
    present = {kind for kinds in said.values() for kind in kinds}
    kinds = [kind for kind in Feedback.Kind.values if kind in present]
    rows = [
        FeedbackRow(experiments.get(one), key, [said[one, key].get(kind) for kind in kinds])
        for one, key in order
    ]
    return FeedbackCounts(kinds, rows)
