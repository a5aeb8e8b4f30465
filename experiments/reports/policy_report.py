"""What a policy earns beside the default action: in all, of each version, and over time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.looks.policy_decisions import PolicyDecisions, counted_since, read_decisions
from experiments.stats.policy_value import PolicyValue, add_up, value_of
from inference.models import ModelVersion
from inference.serving.rank_settings import RankSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.models import Surface

ALPHA = 0.05
MAX_POINTS = 60  # of the course over time


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
    """

    value: PolicyValue
    since: datetime | None
    rewarded: int
    min_reward: float
    max_reward: float
    confidence: float
    versions: Sequence[VersionValue]
    course: Sequence[ValuePoint]

    def as_json(self) -> dict[str, Any]:
        """Return every field; times in ISO 8601."""
        data = asdict(self)
        data["since"] = self.since.isoformat() if self.since is not None else None
        data["course"] = [{**one, "at": one["at"].isoformat()} for one in data["course"]]
        return data


def report_policy(surface: Surface) -> PolicyReport:
    """Return what a surface's decisions say; the surface chooses among actions."""
    since, settings = counted_since(surface), RankSettings.parse(surface.rank)
    decisions = read_decisions(surface, since)
    # At equal numbers of decisions, the last one with all of them.
    n = len(decisions)
    ends = np.unique(np.linspace(0, n, MAX_POINTS + 1).astype(int))[1:] if n else np.empty(0, int)
    course = [
        ValuePoint(datetime.fromtimestamp(decisions.at[end - 1], UTC), value)
        for end, value in zip(ends, _values(decisions, ends.tolist()), strict=True)
    ]
    return PolicyReport(
        value=_values(decisions, [n])[0],
        since=since,
        rewarded=int(decisions.rewarded.sum()),
        min_reward=settings.min_reward,
        max_reward=settings.max_reward,
        confidence=1 - ALPHA,
        versions=_versions(surface, decisions),
        course=course,
    )


def _values(decisions: PolicyDecisions, until: Sequence[int]) -> list[PolicyValue]:
    totals = add_up(decisions.reward, decisions.is_control, decisions.control_chance, until=until)
    return [value_of(one, alpha=ALPHA) for one in totals]


def _versions(surface: Surface, decisions: PolicyDecisions) -> list[VersionValue]:
    labels = {one.pk: one.label for one in ModelVersion.objects.filter(surface=surface)}
    ids = dict.fromkeys(decisions.version.tolist())
    parts = {version: decisions.of_version(version) for version in ids}
    return [
        VersionValue(labels.get(version, ""), _values(part, [len(part)])[0])
        for version, part in parts.items()
    ]
