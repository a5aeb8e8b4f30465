"""A project's programme of tests: how many ended by month, what may be false, which run when."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from django.db.models import Q

from experiments.models import Decision, Experiment
from experiments.stats.policy import Policy, PolicyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.accounts.models import Project

MONTHS = 12
# How a test ends, in the order of the bars; the last one is an end without any of these decisions.
SHIP, OTHER = "ship", "ended"
RESULTS = (SHIP, "prefer", "stop_inconclusive", "roll_back", "halt", OTHER)
MAX_ROWS = 60  # of a calendar; beyond them a month is no picture
_MONTH = re.compile(r"(\d{4})-(\d{2})")


@dataclass(frozen=True, slots=True)
class MonthOfTests:
    """How many tests ended in a month, by result."""

    month: date
    ended: Mapping[str, int]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.ended.values())


@dataclass(frozen=True, slots=True)
class FalsePromotions:
    """How many promotions may be false, at most.

    Each test ships a challenger that is no better with a chance of at most the α of its policy,
    whenever it is looked at. If no challenger were better, the expected number of false promotions
    would be at most the sum of α over the tests (linearity of expectation, whether or not the tests
    depend on each other); each challenger that is better makes it smaller.

    Attributes:
        tests: that ended by a rule with an α.
        promotions: of them.
        expected: sum of α over the tests; at most the promotions themselves.
        left_out: tests that ended and have no such level, as bandits do.
    """

    tests: int
    promotions: int
    expected: float
    left_out: int


@dataclass(frozen=True, slots=True)
class CalendarRow:
    """A test of a month: `action` is of `RESULTS`, empty while it runs."""

    experiment: Experiment
    start: datetime
    end: datetime | None
    action: str


@dataclass(frozen=True, slots=True)
class Calendar:
    """The tests that ran in a month.

    Attributes:
        month: its first day.
        start, end: its first moment and the first after it, in the project's time zone.
        rows: by start.
        is_cut: whether there were more than `MAX_ROWS`.
        before, after: the months beside it, as an address has them; empty where nothing is there.
    """

    month: date
    start: datetime
    end: datetime
    rows: Sequence[CalendarRow]
    is_cut: bool
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ProgrammeReport:
    """All of it: months are oldest first, and none is left out between them."""

    months: Sequence[MonthOfTests]
    false: FalsePromotions
    calendar: Calendar

    @property
    def ended(self) -> int:
        """Tests that ended in these months."""
        return sum(month.total for month in self.months)

    @property
    def shipped(self) -> int:
        """Those of them that shipped."""
        return sum(month.ended.get(SHIP, 0) for month in self.months)

    @property
    def win_rate(self) -> float | None:
        """Shipped over ended; None before the first end."""
        return self.shipped / self.ended if self.ended else None


def read_programme_report(project: Project, now: datetime, month: str = "") -> ProgrammeReport:
    """Read the tests of the last twelve months, and of one month in particular.

    In four queries, however many there are.

    Args:
        project: whose tests.
        now: the present.
        month: of the calendar, such as "2026-11"; anything else: the present one.
    """
    zone = ZoneInfo(project.timezone)
    today = now.astimezone(zone).date().replace(day=1)
    first = _add_months(today, 1 - MONTHS)
    ended = list(
        Experiment.objects.tests()
        .filter(project=project, ended_at__gte=_moment(first, zone), ended_at__lte=now)
        .order_by("ended_at", "pk")
        .only("pk", "ended_at", "policy", "mode")
    )
    actions = _actions_of(ended)
    counts: dict[date, Counter[str]] = {_add_months(first, n): Counter() for n in range(MONTHS)}
    for test in ended:
        if test.ended_at is None:  # which the filter leaves out
            continue
        counts[test.ended_at.astimezone(zone).date().replace(day=1)][actions[test.pk]] += 1
    return ProgrammeReport(
        months=[MonthOfTests(at, dict(of)) for at, of in counts.items()],
        false=_count_false(ended, actions),
        calendar=_read_calendar(project, _read_month(month, today), zone, now),
    )


def _count_false(tests: Sequence[Experiment], actions: Mapping[int, str]) -> FalsePromotions:
    alphas = {test.pk: alpha for test in tests if (alpha := _alpha_of(test)) is not None}
    promotions = sum(actions[pk] == SHIP for pk in alphas)
    return FalsePromotions(
        tests=len(alphas),
        promotions=promotions,
        expected=min(sum(alphas.values()), float(promotions)),
        left_out=len(tests) - len(alphas),
    )


def _alpha_of(test: Experiment) -> float | None:
    """Return the level of a test; None of a mode that has none, or of a row that cannot be read."""
    if test.mode == Experiment.Mode.BANDIT:
        return None
    try:
        return Policy.parse(test.policy).alpha
    except PolicyError:
        return None


def _actions_of(tests: Sequence[Experiment]) -> dict[int, str]:
    """Return how each test ended: its last decision."""
    decided = Decision.objects.filter(experiment__in=[test.pk for test in tests]).order_by("id")
    last = dict(decided.values_list("experiment_id", "action"))
    return {
        test.pk: action if (action := last.get(test.pk, OTHER)) in RESULTS else OTHER for test in tests
    }


def _read_calendar(project: Project, month: date, zone: ZoneInfo, now: datetime) -> Calendar:
    start, end = _moment(month, zone), _moment(_add_months(month, 1), zone)
    tests = Experiment.objects.tests().filter(project=project, started_at__isnull=False)
    rows = list(
        tests.filter(Q(ended_at=None) | Q(ended_at__gte=start), started_at__lt=min(end, now))
        .select_related("surface", "project")
        .order_by("started_at", "pk")[: MAX_ROWS + 1]
    )
    over = [test for test in rows if test.ended_at is not None]
    actions = _actions_of(over)
    earliest = tests.order_by("started_at").values_list("started_at", flat=True).first()
    return Calendar(
        month=month,
        start=start,
        end=end,
        rows=[
            CalendarRow(test, test.started_at, test.ended_at, actions.get(test.pk, ""))
            for test in rows[:MAX_ROWS]
            if test.started_at is not None
        ],
        is_cut=len(rows) > MAX_ROWS,
        before=f"{_add_months(month, -1):%Y-%m}" if earliest is not None and earliest < start else "",
        after=f"{_add_months(month, 1):%Y-%m}" if end <= now else "",
    )


def _read_month(text: str, today: date) -> date:
    match = _MONTH.fullmatch(text)
    if match is None or not 2000 <= int(match[1]) <= today.year or not 1 <= int(match[2]) <= 12:
        return today
    return min(date(int(match[1]), int(match[2]), 1), today)


def _add_months(month: date, count: int) -> date:
    place = month.year * 12 + month.month - 1 + count
    return date(place // 12, place % 12 + 1, 1)


def _moment(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)
