"""Quality of answers as looks store it: read back, shown again, and followed over time."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from experiments.models import judge_plan_of
from experiments.reports.effect_chart import EffectPoint
from experiments.reports.judged_quality import (
    JudgedQuality,
    QualityEstimate,
    QualityRow,
    count_answers,
    judge_name,
    judged_quality_of,
    quality_sentence,
)
from experiments.reports.shadow_quality import ShadowQuality, shadow_quality_of
from experiments.stats.agreement import ScaleAgreement
from inference.models import Surface

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from experiments.models import Experiment, Look

COMBINED, PEOPLE = "combined", "people"


@dataclass(frozen=True, slots=True)
class QualityPoint:
    """An estimate of a treatment's effect on quality, at a look.

    Attributes:
        look: its number; taken_at: when it was taken.
        variant: key of the treatment; source: judge, people or combined.
        control, treatment: means in [0, 1]; difference: treatment − control.
        low, high: valid at any time.
        users: on whose answers it rests.
    """

    look: int
    taken_at: datetime
    variant: str
    source: str
    control: float
    treatment: float
    difference: float
    low: float
    high: float
    users: int


def quality_for_look(experiment: Experiment) -> dict[str, Any]:
    """Return the quality of an experiment's answers as a look stores it; empty where there is none."""
    if experiment.surface.kind != Surface.Kind.GENERATE:
        return {}
    quality = judged_quality_of(experiment)
    if quality is None:
        return {}
    stored = quality.as_json()
    for row in stored["rows"]:
        del row["sentence"]  # made again in the reader's language
    plain: dict[str, Any] = _plain(stored)
    return plain


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold: no infinity, and no number that is none."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def read_quality(stored: dict[str, Any]) -> JudgedQuality:
    """Read what a look stored."""
    points = stored["points"]
    rows = []
    for row in stored["rows"]:
        estimates = tuple(_read_estimate(one) for one in row["estimates"])
        rows.append(QualityRow(row["variant"], estimates, quality_sentence(estimates, points), points))
    read = {
        "agreement": ScaleAgreement(**stored["agreement"]),
        "between_people": ScaleAgreement(**stored["between_people"]),
        "rows": rows,
        "shadows": [ShadowQuality(**one) for one in stored["shadows"]],
    }
    return JudgedQuality(**{**stored, **read})


def _read_estimate(stored: dict[str, Any]) -> QualityEstimate:
    ends = {name: _ends(stored[name]) for name in ("ci", "ci_of_one_look")}
    return QualityEstimate(**{**stored, **ends})


def _ends(interval: list[float | None] | None) -> tuple[float, float] | None:
    low, high = interval or (None, None)
    return None if low is None or high is None else (low, high)


def current_quality(experiment: Experiment, looks: Sequence[Look]) -> JudgedQuality | None:
    """Return the last look's quality; estimated anew where answers were judged or rated since."""
    last = next((look for look in reversed(looks) if look.quality), None)
    if last is not None:
        plan = judge_plan_of(experiment.surface)
        stored = read_quality(last.quality)
        now = asdict(count_answers(experiment, plan))
        same = all(
            getattr(stored, name) == now[name] for name in ("judged", "failed", "rated", "waiting")
        )
        if same and (stored.judge, stored.points) == (judge_name(plan), plan.points):
            return replace(stored, shadows=shadow_quality_of(experiment, plan))
    return judged_quality_of(experiment)


def quality_over_time(looks: Sequence[Look]) -> list[QualityPoint]:
    """Return every estimate that a look stored, in the order of time."""
    points = []
    for look in looks:
        for row in read_quality(look.quality).rows if look.quality else ():
            for one in row.estimates:
                if one.ci is None or one.control is None or one.treatment is None:
                    continue
                difference = one.treatment - one.control
                points.append(
                    QualityPoint(
                        look.number, look.taken_at, row.variant, one.source, one.control,
                        one.treatment, difference, *one.ci, one.users,
                    )
                )  # fmt: skip
    return points


def quality_path(points: Sequence[QualityPoint]) -> list[EffectPoint]:
    """Return the first treatment's path, of both combined or else of people alone, for a chart."""
    for source in (COMBINED, PEOPLE):
        chosen = [one for one in points if one.source == source]
        path = [
            EffectPoint(one.taken_at, one.users, one.difference, one.low, one.high)
            for one in chosen
            if one.variant == chosen[0].variant
        ]
        if len(path) > 1:
            return path
    return []


def best_estimate(row: QualityRow) -> QualityEstimate | None:
    """Return the estimate that counts: both combined, else people alone; None without an interval."""
    _judge, people, combined = row.estimates
    return next((one for one in (combined, people) if one.ci is not None), None)
