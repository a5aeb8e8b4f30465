"""What promotions brought, as the page, the API and the file show it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from experiments.models import Experiment
    from experiments.stats.cumulative_gain import Lift, Prior


@dataclass(frozen=True, slots=True)
class PromotionImpact:
    """One promotion.

    Attributes:
        at: when.
        promoted: label of the version.
        replaced: label of the one before.
        experiment: the test that shipped it; None of a promotion by hand, or a refit.
        measured: what its test found, as it was; None where nothing tested it by the metric.
        adjusted: drawn to the project's prior, with what its holdback found; None likewise.
        in_effect: whether the present champion still has it: one that was taken back counts no more.
    """

    at: datetime
    promoted: str
    replaced: str
    experiment: Experiment | None
    measured: Lift | None
    adjusted: Lift | None
    in_effect: bool

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        data = {name: getattr(self, name) for name in ("at", "promoted", "replaced", "in_effect")}
        key = self.experiment.key if self.experiment is not None else None
        return data | {
            "experiment": key,
            "measured": _lift(self.measured),
            "adjusted": _lift(self.adjusted),
        }


@dataclass(frozen=True, slots=True)
class MonthImpact:
    """A month of a surface, in UTC.

    Attributes:
        month: its first day.
        promotions: tested ones in it.
        gain: what they bring, less what was taken back.
        total: of all promotions up to its end.
    """

    month: date
    promotions: int
    gain: Lift
    total: Lift

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "month": f"{self.month:%Y-%m}",
            "promotions": self.promotions,
            "gain": _lift(self.gain),
            "total": _lift(self.total),
        }


@dataclass(frozen=True, slots=True)
class HoldoutCheck:
    """What the standing holdout measures, beside what promotions of its time add up to.

    Attributes:
        experiment: that measures.
        measured: everybody against the holdout.
        expected: of the promotions since its version was champion, each by the share of the time in
            which it served; None where the holdout gets the static list.
        agrees: whether they differ by at most what their errors allow; None likewise.
    """

    experiment: Experiment
    measured: Lift
    expected: Lift | None
    agrees: bool | None

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "experiment": self.experiment.key,
            "measured": _lift(self.measured),
            "expected": _lift(self.expected),
            "agrees": self.agrees,
        }


@dataclass(frozen=True, slots=True)
class SurfaceImpact:
    """What promotions brought on one surface, in one metric.

    Attributes:
        surface: its key.
        metric: key of the metric.
        total: of all promotions that are in effect.
        promotions: newest first.
        months: oldest first, from the first tested promotion on.
        holdout: the last check against the standing holdout, or None.
        chart: the months as SVG.
    """

    surface: str
    metric: str
    total: Lift
    promotions: Sequence[PromotionImpact]
    months: Sequence[MonthImpact]
    holdout: HoldoutCheck | None
    chart: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "surface": self.surface,
            "metric": self.metric,
            "total": _lift(self.total),
            "months": [month.as_json() for month in self.months],
            "promotions": [promotion.as_json() for promotion in self.promotions],
            "holdout": self.holdout.as_json() if self.holdout is not None else None,
        }


@dataclass(frozen=True, slots=True)
class ProjectImpact:
    """What promotions brought in a project.

    Attributes:
        surfaces: that have a tested promotion, or a measured holdout.
        prior: how true effects of the project's tests are distributed.
        has_holdout: whether users are held out.
    """

    surfaces: Sequence[SurfaceImpact]
    prior: Prior
    has_holdout: bool

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "surfaces": [surface.as_json() for surface in self.surfaces],
            "prior": asdict(self.prior),
        }


def _lift(lift: Lift | None) -> dict[str, Any] | None:
    if lift is None:
        return None
    return {"lift": lift.estimate, "ci": [lift.low, lift.high]}
