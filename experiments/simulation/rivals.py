"""What is done without a life cycle: publish everything, peek at p-values, wait for a fixed horizon.

And the oracle, which knows every true lift: the most that releasing can bring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.simulation.settings import DAYS_PER_WEEK
from experiments.simulation.traffic import ArmTraffic
from experiments.simulation.year import Challenger, Champion

if TYPE_CHECKING:
    from experiments.simulation.year import Year

ALPHA = 0.05
TEST_DAYS = 14  # of a test without a life cycle, at half and half
BROKEN_DAYS = DAYS_PER_WEEK  # until somebody takes a broken version back that was simply published


def run_oracle(year: Year) -> None:
    """Promote every challenger that is better, the day it is trained."""
    for challenger in year.challengers:
        year.day = challenger.trained_on
        if year.lift(challenger) > 0:
            year.promote(challenger)


def run_publishing(year: Year) -> None:
    """Promote every challenger the day it is trained; take a broken one back after a week."""
    for challenger in year.challengers:
        year.day = challenger.trained_on
        year.record.tests += 1
        if not challenger.is_broken:
            year.promote(challenger)
            continue
        year.count_promotion(challenger)
        end = min(challenger.trained_on + BROKEN_DAYS, _replaced_on(year, challenger))
        year.serve(challenger, share=1.0, days=end - challenger.trained_on)
        if end >= year.settings.days:  # the year ends before it is taken back
            level = year.level() + year.lift(challenger)
            year.day = year.settings.days
            year.crown(Champion(level, year.day))


def _replaced_on(year: Year, challenger: Challenger) -> int:
    """Return the day on which the next challenger is published, or on which the year ends."""
    after = year.challengers[challenger.number + 1 :]
    return after[0].trained_on if after else year.settings.days


def run_plain_tests(year: Year, *, peeking: bool) -> None:
    """Test the newest challenger at half and half for two weeks, and promote what is significant.

    Args:
        year: that passes.
        peeking: whether the p-value of a fixed test is read every day, and the test ends once it is
            below .05; otherwise it is read at the end.
    """
    while not year.is_over:
        waiting = year.waiting()
        if not waiting:
            year.day += 1
            continue
        challenger = waiting[-1]
        year.newest_tested = challenger.number
        if _wins_plain_test(year, challenger, peeking=peeking):
            year.promote(challenger)


def _wins_plain_test(year: Year, challenger: Challenger, *, peeking: bool) -> bool:
    year.record.tests += 1
    traffic = ArmTraffic(year, challenger)
    for day in range(1, TEST_DAYS + 1):
        if year.is_over:
            return False
        traffic.add_day(1.0, watched=False)
        year.serve(challenger, share=0.5)
        year.day += 1
        effect = traffic.effect() if peeking or day == TEST_DAYS else None
        if effect is not None and effect.p_value < ALPHA:
            return effect.estimate > 0
    return False
