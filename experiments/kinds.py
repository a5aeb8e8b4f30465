"""Words that tables, the API, the command line and statistics share; imports nothing of ours."""

from __future__ import annotations

from typing import Literal, get_args

Direction = Literal["increase", "decrease"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
FeedbackKind = Literal["thumb", "rating", "reasons", "text", "hide", "correction", "pairwise"]
FEEDBACK_KINDS: tuple[FeedbackKind, ...] = get_args(FeedbackKind)


def direction_of(*, increase_is_good: bool) -> Direction:
    """Return the direction that is good: until 0.1 it was written as a boolean."""
    return "increase" if increase_is_good else "decrease"
