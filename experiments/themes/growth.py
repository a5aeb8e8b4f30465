"""Themes over time: users per week, and whether more of them write about a theme than before."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.stats.multiplicity import benjamini_hochberg

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

RECENT, BEFORE = timedelta(days=7), timedelta(days=28)
MIN_USERS = 5  # of the last days, who write about a theme that grows
MIN_RATIO = 1.5  # of both shares: less is no news, however many users there are
ALPHA = 0.05  # of all themes of a reading: the expected share of false alerts among the growing ones


@dataclass(frozen=True, slots=True)
class Text:
    """A text as the counts see it: who wrote it, and when."""

    unit_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Growth:
    """A theme's share of the users who wrote, lately and before.

    Attributes:
        recent_users: of the last seven days, who wrote about it.
        recent_share: of the users who wrote in these days.
        before_share: of the users who wrote in the 28 days before; None if nobody wrote.
        p_value: of no growth, adjusted for all themes of the reading (Benjamini and Hochberg); None
            if it cannot be tested.
        grows: whether it is significant and large enough to tell somebody.
    """

    recent_users: int
    recent_share: float
    before_share: float | None
    p_value: float | None
    grows: bool

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def users_by_week(texts: Iterable[Text]) -> dict[str, int]:
    """Return how many users wrote in each week, by its Monday (UTC), in order."""
    weeks: dict[str, set[str]] = {}
    for text in texts:
        day = text.at.astimezone(UTC).date()
        monday = day - timedelta(days=day.weekday())
        weeks.setdefault(monday.isoformat(), set()).add(text.unit_id)
    return {monday: len(weeks[monday]) for monday in sorted(weeks)}


def growth_of(
    themes: Sequence[Sequence[Text]], everyone: Sequence[Text], now: datetime
) -> list[Growth]:
    """Return how each theme's share changed.

    The test is Fisher's, one-sided, on users of the last seven days against those of the 28 days
    before. A user who wrote in both counts in both, which makes the test a little too cautious or too
    bold as these users repeat themselves or not; an alert is a hint to read, not a verdict.

    Args:
        themes: the texts of each.
        everyone: all texts that were read.
        now: with a time zone.
    """
    recent_all, before_all = _users(everyone, now)
    counts = [_users(theme, now) for theme in themes]
    p_values = [_p_value(len(recent), len(before), len(recent_all), len(before_all))
                for recent, before in counts]  # fmt: skip
    grown = []
    for (recent, before), p in zip(counts, benjamini_hochberg(p_values), strict=True):
        recent_share = len(recent) / max(len(recent_all), 1)
        before_share = len(before) / len(before_all) if before_all else None
        large = before_share is not None and recent_share >= MIN_RATIO * before_share
        grows = p is not None and p <= ALPHA and large and len(recent) >= MIN_USERS
        grown.append(Growth(len(recent), recent_share, before_share, p, grows))
    return grown


def _users(texts: Iterable[Text], now: datetime) -> tuple[set[str], set[str]]:
    recent: set[str] = set()
    before: set[str] = set()
    for text in texts:
        age = now - text.at
        if age <= RECENT:
            recent.add(text.unit_id)
        elif age <= RECENT + BEFORE:
            before.add(text.unit_id)
    return recent, before


def _p_value(recent: int, before: int, recent_all: int, before_all: int) -> float | None:
    from scipy.stats import fisher_exact  # noqa: PLC0415  a third of what a worker's start computes

    if not recent_all or not before_all:
        return None
    table = np.array([[recent, recent_all - recent], [before, before_all - before]])
    return min(float(fisher_exact(table, alternative="greater").pvalue), 1.0)
