"""How many users interleaving needs, from how many a test of the same effect needs.

A score's variance is known only once lists were interleaved, so a plan goes by what was measured: the
median over 45 pairs of rankers (docs/statistics/interleaving.md), by how close they are, times the
price of an answer that is valid at any time. One product's factor may be half or twice as large.
"""

from __future__ import annotations

import math

from experiments.stats.interleaving import UNRELIABLE_LIFT

CLOSE_LIFT = 0.1
# Users of a test over users of interleaving, one look each; a little less than what was measured last.
TIMES_CLOSE, TIMES_FAR = 17.7, 9.6
ANYTIME = 1.76  # users of a bet over users of one look, at a power of .8


def interleaved_users(test_users: float, lift: float | None) -> int | None:
    """Return the users that interleaving needs, about.

    Args:
        test_users: of all variants, that a test with one look needs.
        lift: relative, that is to be seen; None where it is not known.

    Returns:
        None where interleaving would not be reliable: below a lift of 2 %.
    """
    if lift is None or abs(lift) < UNRELIABLE_LIFT:
        return None
    times = TIMES_CLOSE if abs(lift) < CLOSE_LIFT else TIMES_FAR
    return math.ceil(test_users / times * ANYTIME)


def equal_test(users: float, *, close: bool) -> float:
    """Return the users of a test, with one look, that finds what this many users of interleaving find.

    Args:
        users: that get interleaved lists.
        close: whether what is to be seen is a lift below 10 %.
    """
    return users / ANYTIME * (TIMES_CLOSE if close else TIMES_FAR)
