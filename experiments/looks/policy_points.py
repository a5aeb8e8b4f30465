"""Running totals of a policy's decisions, kept after some: to go on from, to go back to, to show.

Kept are points at equal numbers of decisions, which are the course over time; the one before the first
decision that can still be read, since retention and the archive take what lies before it; the end of
each month; and the latest, so that what comes late costs little. A point has the totals of those
versions alone that decided since the point before it.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np

from experiments.looks.policy_decisions import counted_since, reward_settings
from experiments.sql import time_of_uuid7
from experiments.stats.policy_value import NO_TOTALS, PolicyTotals, add_up
from inference.models import PolicyCount

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from experiments.looks.policy_decisions import PolicyDecisions
    from inference.models import Surface

MAX_POINTS = 60  # of the course that is shown; up to twice as many are kept
LATEST = 20


@dataclass(frozen=True, slots=True)
class PolicyPoint:
    """What decisions add up to, up to one of them.

    Attributes:
        last: its id.
        at: when it was, in seconds since 1970.
        rewarded: decisions whose reward came in time.
        total: of all decisions until then.
        versions: of each version that decided since the point before; 0: of decisions without one.
    """

    last: UUID
    at: float
    rewarded: int
    total: PolicyTotals
    versions: Mapping[int, PolicyTotals]

    def as_json(self) -> dict[str, Any]:
        """Return what `of_json` reads."""
        return {
            "last": str(self.last),
            "at": self.at,
            "rewarded": self.rewarded,
            "total": astuple(self.total),
            # Pairs, since the database forgets the order of an object's keys.
            "versions": [(version, astuple(one)) for version, one in self.versions.items()],
        }

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> PolicyPoint:
        """Read what `as_json` wrote."""
        return cls(
            last=UUID(data["last"]),
            at=data["at"],
            rewarded=data["rewarded"],
            total=PolicyTotals(*data["total"]),
            versions={version: PolicyTotals(*one) for version, one in data["versions"]},
        )


@dataclass(frozen=True, slots=True)
class Counting:
    """A count of more decisions than are read at once, which has not come to its end.

    Attributes:
        decisions: counted so far.
        expected: about how many there will be.
    """

    decisions: int
    expected: int


def points_of(surface: Surface) -> tuple[list[PolicyPoint], Counting | None]:
    """Return what the last complete count says, and how far one that runs has come.

    Nothing where the settings of rewards have changed since.
    """
    row = PolicyCount.objects.filter(surface=surface).first()
    if row is None or not is_of_now(row, surface):
        return [], None
    return points_from_json(row.points), _counting(row)


def _counting(row: PolicyCount) -> Counting | None:
    if row.running is None:
        return None
    counted = points_from_json(row.running)
    return Counting(counted[-1].total.decisions if counted else 0, row.running_expected or 0)


def points_from_json(points: Sequence[Mapping[str, Any]]) -> list[PolicyPoint]:
    """Read the points of a row."""
    return [PolicyPoint.of_json(one) for one in points]


def is_of_now(row: PolicyCount, surface: Surface) -> bool:
    """Whether what was counted was counted by the surface's settings."""
    return row.since == counted_since(surface) and row.settings == reward_settings(surface)


def versions_of(points: Sequence[PolicyPoint]) -> dict[int, PolicyTotals]:
    """Return the totals of each version after the last point, by its first decision."""
    return {version: one for point in points for version, one in point.versions.items()}


def points_before(points: Sequence[PolicyPoint], decision: UUID) -> list[PolicyPoint]:
    """Return the points that do not count a decision nor what came after it."""
    return [point for point in points if point.last < decision]


def course_of(points: Sequence[PolicyPoint]) -> list[PolicyPoint]:
    """Return at most `MAX_POINTS` points at equal numbers of decisions, and the last one."""
    if not points:
        return []
    *before, last = points
    step = _step(last.total.decisions, MAX_POINTS)
    return [*(point for point in before if point.total.decisions % step == 0), last]


def add_decisions(
    points: Sequence[PolicyPoint], decisions: PolicyDecisions, *, stored_from: UUID | None = None
) -> list[PolicyPoint]:
    """Return the points with those of further decisions.

    Args:
        points: so far; none: nothing was counted.
        decisions: the next ones in the order of their ids.
        stored_from: id below which no decision can be read again; None: all can.
    """
    if not len(decisions):
        return list(points)
    start, rewarded = (points[-1].total, points[-1].rewarded) if points else (NO_TOTALS, 0)
    ends = _ends(start.decisions, decisions)
    in_time = rewarded + np.cumsum(decisions.rewarded)
    totals = _totals(decisions, ends, start)
    versions = _versions(decisions, ends, versions_of(points))
    added = [
        PolicyPoint(
            last=decisions.id[end - 1],
            at=float(decisions.at[end - 1]),
            rewarded=int(in_time[end - 1]),
            total=total,
            versions=those,
        )
        for end, total, those in zip(ends.tolist(), totals, versions, strict=True)
    ]
    return _thinned([*points, *added], stored_from)


def with_point(
    points: Sequence[PolicyPoint], reached: Sequence[PolicyPoint], bound: UUID
) -> list[PolicyPoint]:
    """Return the points with one at a bound.

    Args:
        points: of a count.
        reached: what `add_decisions` returns for the points before the bound and the decisions from
            there up to it.
        bound: id that its decisions are below.
    """
    before = points_before(points, bound)
    added = [one for one in reached if not before or one.last > before[-1].last]
    if not added:
        return list(points)
    point = replace(added[-1], versions=versions_of(added))
    return [*before, point, *points[len(before) :]]


def _step(decisions: int, max_points: int) -> int:
    """Return the smallest power of two that occurs at most so often in a number."""
    step = 1
    while decisions // step > max_points:
        step *= 2
    return step


def _ends(before: int, decisions: PolicyDecisions) -> NDArray[np.int64]:
    """Return after how many of these decisions a point stands."""
    count = np.arange(1, len(decisions) + 1)
    months = np.array([_month(one) for one in decisions.id])
    is_end = (before + count) % _step(before + len(decisions), 2 * MAX_POINTS) == 0
    is_end[:-1] |= months[:-1] != months[1:]
    is_end[-1] = True
    ends: NDArray[np.int64] = count[is_end]
    return ends


def _month(decision: UUID) -> int:
    at = time_of_uuid7(decision)
    return 12 * at.year + at.month


def _totals(
    decisions: PolicyDecisions, until: NDArray[np.int64], start: PolicyTotals
) -> list[PolicyTotals]:
    return add_up(
        decisions.reward, decisions.is_control, decisions.control_chance,
        until=until.tolist(), start=start,
    )  # fmt: skip


def _versions(
    decisions: PolicyDecisions, ends: NDArray[np.int64], before: Mapping[int, PolicyTotals]
) -> list[dict[int, PolicyTotals]]:
    """Return at each point the totals of the versions that decided since the one before it."""
    changed: list[dict[int, PolicyTotals]] = [{} for _ in ends]
    for version in dict.fromkeys(decisions.version.tolist()):
        until = np.searchsorted(np.flatnonzero(decisions.version == version), ends)
        totals = _totals(decisions.of_version(version), until, before.get(version, NO_TOTALS))
        for n in np.flatnonzero(np.diff(until, prepend=0)).tolist():
            changed[n][version] = totals[n]
    return changed


def _thinned(points: Sequence[PolicyPoint], stored_from: UUID | None) -> list[PolicyPoint]:
    """Leave out what is not kept; the next point then has the versions of both."""
    step = _step(points[-1].total.decisions, 2 * MAX_POINTS)
    months = [_month(point.last) for point in points]
    thinned: list[PolicyPoint] = []
    versions: dict[int, PolicyTotals] = {}
    for n, point in enumerate(points):
        versions |= point.versions
        is_latest = n >= len(points) - LATEST
        # Nothing can be counted from further back.
        is_first = not is_latest and stored_from and point.last < stored_from <= points[n + 1].last
        is_of_course = point.total.decisions % step == 0
        if is_latest or is_first or is_of_course or months[n] != months[n + 1]:
            thinned.append(
                PolicyPoint(point.last, point.at, point.rewarded, point.total, dict(versions))
            )
            versions = {}
    return thinned
