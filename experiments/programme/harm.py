"""The class of harm that each step of a ramp must be able to show before it is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.programme.serving_metrics import SHARE_FLOOR
from experiments.stats.breaker_power import units_to_detect

if TYPE_CHECKING:
    from experiments.stats.breaker_power import HarmClass as BreakerHarm


@dataclass(frozen=True, slots=True)
class HarmClass:
    """What the breaker would have noticed with power .9.

    Attributes:
        name: for programs, stored with the step.
        below_share: shares of the treatment below this one belong to it.
        sentence: in words.
    """

    name: BreakerHarm
    below_share: float
    sentence: str


DEFAULT_ALPHA = 0.001
# Tests of an automatic experiment without guardrails of its own: primary, errors, fallbacks, two of
# latency. Margin of conversions and of errors, unless a surface says otherwise.
TESTS, MARGIN = 5, 0.2
# Few users can show that everything fails; a larger share brings the users that show a smaller harm.
HARM_CLASSES = (
    HarmClass("total_failure", 0.05, "a version that fails every request"),
    HarmClass("errors_times_10", 0.20, "ten times as many errors"),
    HarmClass("errors_times_3", 1.0, "three times as many errors, or half the conversions"),
)
HARM_NAMES = tuple(one.name for one in HARM_CLASSES)


def harm_class_of(share: float) -> HarmClass:
    """Return the class of harm that a step must show before it is left.

    Args:
        share: of all users who get the treatment, in (0, 0.5].
    """
    return next(one for one in HARM_CLASSES if share < one.below_share)


def required_users(harm: HarmClass, *, alpha: float, tests: int) -> int:
    """Return after how many users in the treatment such harm trips the breaker, in 9 of 10 cases.

    At the default margins and floor: a surface whose own are wider waits no longer for it.

    Args:
        harm: the class.
        alpha: of the breaker; without one, that of the default.
        tests: of the breaker, which share alpha.
    """
    level = alpha or DEFAULT_ALPHA
    units = units_to_detect(harm.name, alpha=level, tests=tests, margin=MARGIN, floor=SHARE_FLOOR)
    if harm.name != "errors_times_3":
        return units
    halved = units_to_detect("conversions_halved", alpha=level, tests=tests, margin=MARGIN)
    return max(units, halved)
