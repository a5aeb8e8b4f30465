"""Two training runs of a surface side by side: what was asked for, what came out, how the loss fell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bakeoff.dashboard.run_page import draw_curve, page_of
from experiments.reports.stored_text import show_stored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from experiments.reports.chart_frame import Chart
    from inference.models import TrainingRun

MAX_OTHERS = 50  # in the list that one chooses from


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """One line: its name and what each run has there; None where a run has nothing."""

    name: str
    first: Any
    second: Any

    @property
    def differs(self) -> bool:
        """Whether the two differ."""
        return bool(self.first != self.second)

    @property
    def difference(self) -> float | None:
        """The second less the first; None where one is missing."""
        if self.first is None or self.second is None:
            return None
        return float(self.second - self.first)


@dataclass(frozen=True, slots=True)
class RunComparison:
    """What the page shows.

    Attributes:
        runs: both, in their order.
        params: of their algorithms.
        window: rows, users and items that each learnt from.
        metrics: that each version reached on its own held-out rows.
        same_rows: whether both were evaluated on the same snapshot: only then do metrics compare.
        seconds: how long each took; None of one that has not ended.
        curve: both losses in one picture.
    """

    runs: tuple[TrainingRun, TrainingRun]
    params: Sequence[ComparedRow]
    window: Sequence[ComparedRow]
    metrics: Sequence[ComparedRow]
    same_rows: bool
    seconds: tuple[float | None, float | None]
    curve: Chart | None


def others_of(run: TrainingRun) -> Sequence[TrainingRun]:
    """Return runs that a run can be compared with, the newest first."""
    return list(run.surface.training_runs.exclude(pk=run.pk)[:MAX_OTHERS])


def compare_runs(first: TrainingRun, second: TrainingRun) -> RunComparison:
    """Compare two runs of one surface."""
    pages = page_of(first), page_of(second)
    metrics = [{row.metric: row.challenger for row in page.rows} for page in pages]
    runs = first, second
    return RunComparison(
        runs=runs,
        params=_rows(first.params, second.params),
        window=_rows(dict(pages[0].window), dict(pages[1].window)),
        metrics=_rows(*metrics),
        same_rows=first.snapshot_id is not None and first.snapshot_id == second.snapshot_id,
        seconds=(_seconds(first), _seconds(second)),
        curve=draw_curve(
            [
                [f"{run.pk} · {show_stored(str(fit))}", step, loss]
                for run in runs
                for fit, step, loss in run.curve
            ]
        ),
    )


def _rows(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[ComparedRow]:
    names = [*first, *(name for name in second if name not in first)]
    return [ComparedRow(name, first.get(name), second.get(name)) for name in names]


def _seconds(run: TrainingRun) -> float | None:
    if run.started_at is None or run.ended_at is None:
        return None
    taken: timedelta = run.ended_at - run.started_at
    return taken.total_seconds()
