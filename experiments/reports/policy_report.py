"""What a policy earns beside the default action: in all, of each version, and over time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from experiments.looks.policy_decisions import counted_since
from experiments.looks.policy_points import Counting, course_of, points_of, versions_of
from experiments.stats.policy_value import NO_TOTALS, PolicyTotals, PolicyValue, value_of
from inference.models import ModelVersion
from inference.serving.rank_settings import RankSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference.models import Surface

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class VersionValue:
    """What one version earned on its own decisions.

    Attributes:
        label: of the version; empty for decisions without one.
        value: beside the default action.
    """

    label: str
    value: PolicyValue


@dataclass(frozen=True, slots=True)
class ValuePoint:
    """The value as it stood at a time; all points hold together.

    Attributes:
        at: the last decision that counts, in UTC.
        value: of all decisions until then.
    """

    at: datetime
    value: PolicyValue


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """What a policy earns, in shares of the range of rewards.

    Attributes:
        value: of all decisions whose time for rewards is over.
        since: when the reward's settings last changed, from which on decisions count; None: all count.
        rewarded: decisions whose reward came in time.
        min_reward: of the range.
        max_reward: of the range.
        confidence: of the intervals.
        versions: by their first decision.
        course: over time.
        counting: how far a count of many decisions has come, which the value is without; None: it
            is up to date.
    """

    value: PolicyValue
    since: datetime | None
    rewarded: int
    min_reward: float
    max_reward: float
    confidence: float
    versions: Sequence[VersionValue]
    course: Sequence[ValuePoint]
    counting: Counting | None

    def as_json(self) -> dict[str, Any]:
        """Return every field; times in ISO 8601."""
        data = asdict(self)
        data["since"] = self.since.isoformat() if self.since is not None else None
        data["course"] = [{**one, "at": one["at"].isoformat()} for one in data["course"]]
        return data


def report_policy(surface: Surface) -> PolicyReport:
    """Return what a surface's decisions say, as far as a worker has counted them to an end.

    Args:
        surface: which chooses among actions.
    """
    (points, counting), settings = points_of(surface), RankSettings.parse(surface.rank)
    total = points[-1].total if points else NO_TOTALS
    return PolicyReport(
        value=value_of(total, alpha=ALPHA),
        since=counted_since(surface),
        rewarded=points[-1].rewarded if points else 0,
        min_reward=settings.min_reward,
        max_reward=settings.max_reward,
        confidence=1 - ALPHA,
        versions=_versions(surface, versions_of(points)),
        course=[
            ValuePoint(datetime.fromtimestamp(point.at, UTC), value_of(point.total, alpha=ALPHA))
            for point in course_of(points)
        ],
        counting=counting,
    )


def _versions(surface: Surface, totals: Mapping[int, PolicyTotals]) -> list[VersionValue]:
    labels = {one.pk: one.label for one in ModelVersion.objects.filter(surface=surface)}
    return [
        VersionValue(labels.get(version, ""), value_of(one, alpha=ALPHA))
        for version, one in totals.items()
    ]
