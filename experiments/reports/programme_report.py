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
from experiments.reports.ends_of_tests import NO_WINNER, SHIP, read_ends, shipped_by_verdict
from experiments.stats.policy import Policy, PolicyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.accounts.models import Project

MONTHS = 12
# How a test ends, in the order of the bars; the last one is an end without any of these decisions.
OTHER = "ended"
RESULTS = (SHIP, "prefer", NO_WINNER, "roll_back", "halt", OTHER)
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
    """How many promotions to expect to be false, before the tests, if no challenger were better.

    A test whose rule ships by its verdict alone ships a challenger that is no better with a chance of
    at most the α of its policy, whenever it is looked at. The expected number of false promotions is
    then at most the sum of α over the tests (linearity of expectation, whether or not the tests depend
    on each other); each challenger that is better makes it smaller. It is an expectation before the
    tests, and no bound on how many of the promotions that happened are false.

    Attributes:
        tests: that ended by a rule with an α.
        expected: sum of α over them.
        without_level: tests left out because their mode has no such level, as bandits have none.
        by_chance: left out because their rule also ships what is more likely better than not.
        by_hand: left out because a person shipped a variant without a verdict to ship it.
    """

    tests: int
    expected: float
    without_level: int = 0
    by_chance: int = 0
    by_hand: int = 0

    @property
    def left_out(self) -> int:
        """All tests that ended and are not in the sum."""
        return self.without_level + self.by_chance + self.by_hand


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
        """Those of them that shipped a challenger."""
        return sum(month.ended.get(SHIP, 0) for month in self.months)

    @property
    def win_rate(self) -> float | None:
        """Shipped over ended; None before the first end."""
        return self.shipped / self.ended if self.ended else None


def read_programme_report(project: Project, now: datetime, month: str = "") -> ProgrammeReport:
    """Read the tests of the last twelve months, and of one month in particular.

    In six queries, however many there are.

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
    by_verdict = shipped_by_verdict([test.pk for test in tests if actions[test.pk] == SHIP])
    alphas: list[float] = []
    left_out: Counter[str] = Counter()
    for test in tests:
        policy = _policy_of(test)
        if policy is None:
            left_out["without_level"] += 1
        elif policy.ship_when != "significant":
            left_out["by_chance"] += 1
        elif actions[test.pk] == SHIP and test.pk not in by_verdict:
            left_out["by_hand"] += 1
        else:
            alphas.append(policy.alpha)
    return FalsePromotions(tests=len(alphas), expected=sum(alphas), **left_out)


def _policy_of(test: Experiment) -> Policy | None:
    """Return the rule of a test; None of a mode without a level, or of a row that cannot be read."""
    if test.mode == Experiment.Mode.BANDIT:
        return None
    try:
        return Policy.parse(test.policy)
    except PolicyError:
        return None


def _actions_of(tests: Sequence[Experiment]) -> dict[int, str]:
    """Return how each test ended: its last decision."""
    ends = read_ends(Decision.objects.filter(experiment__in=[test.pk for test in tests]))
    last = {test: action for test, (action, _at) in ends.items()}
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
