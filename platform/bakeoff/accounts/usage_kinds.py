"""What is counted of a project's use, by calendar month in UTC, and what a quota bounds.

Pure: the gateway uses it without Django.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

ANSWERS, EVENTS, TOKENS = "answers", "events", "tokens"
# The columns of the tables of usage.
COUNTS = ("answers", "events", "feedback", "generations", "tokens_in", "tokens_out")
# What each quota bounds: the sum of these.
QUOTAS: dict[str, tuple[str, ...]] = {
    ANSWERS: ("answers",),
    EVENTS: ("events", "feedback"),
    TOKENS: ("tokens_in", "tokens_out"),
}
# As sentences name them.
QUOTA_NAMES = {ANSWERS: "answers", EVENTS: "events and feedback", TOKENS: "tokens"}


def month_of(moment: datetime) -> date:
    """Return the first day of a moment's month, in UTC."""
    return moment.astimezone(UTC).date().replace(day=1)


def next_month(month: date) -> date:
    """Return the first day of the month after."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def begin_of(month: date) -> datetime:
    """Return the first moment of a month."""
    return datetime(month.year, month.month, 1, tzinfo=UTC)
