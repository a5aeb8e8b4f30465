"""How long blocks of time, and their carry-over, must be for a switchback to be judged by blocks."""

from __future__ import annotations

MIN_BLOCK_SECONDS = 300.0
# Answers are under way when a block begins, and clocks of servers differ: all that falls in the guard.
MIN_CARRY_OVER_SECONDS = 60.0


def why_not_lengths(block_seconds: float, carry_over_seconds: float) -> str:
    """Return which rule the lengths of a switchback break, with the value; empty where they are sound.

    Args:
        block_seconds: length of a block.
        carry_over_seconds: of its start, that counts for nobody.
    """
    # Written so that a value that is not a number breaks its rule too.
    if not block_seconds >= MIN_BLOCK_SECONDS:
        return (
            f"block_seconds == {block_seconds:g}, must be at least {MIN_BLOCK_SECONDS:g} in a "
            "switchback."
        )
    if not carry_over_seconds >= MIN_CARRY_OVER_SECONDS:
        return (
            f"carry_over_seconds == {carry_over_seconds:g}, must be at least "
            f"{MIN_CARRY_OVER_SECONDS:g}: answers are under way when a block begins, and clocks differ."
        )
    if carry_over_seconds > block_seconds / 2:
        return (
            f"carry_over_seconds == {carry_over_seconds:g}, must be at most {block_seconds / 2:g}, "
            "half of block_seconds: less of a block would count than is left out."
        )
    return ""
