"""The class of harm that each step of a ramp must be able to show before it is left."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HarmClass:
    """What the breaker would have noticed with power .9.

    Attributes:
        name: for programs, stored with the step.
        below_share: shares of the treatment below this one belong to it.
        required_users: in the treatment, so that such harm would have tripped the breaker.
        sentence: in words.
    """

    name: str
    below_share: float
    required_users: int
    sentence: str


# Numbers of users as simulated for three tests at alpha = .001, at the class's smallest share
# (docs/statistics): what comes in by then is enough at any larger one.
HARM_CLASSES = (
    HarmClass("total_failure", 0.05, 40, "a version that fails every request"),
    HarmClass("errors_times_10", 0.20, 150, "ten times as many errors"),
    HarmClass("errors_times_3", 1.0, 2_500, "three times as many errors, or half the conversions"),
)
HARM_NAMES = tuple(one.name for one in HARM_CLASSES)


def harm_class_of(share: float) -> HarmClass:
    """Return the class of harm that a step must show before it is left.

    Args:
        share: of all users who get the treatment, in (0, 0.5].
    """
    return next(one for one in HARM_CLASSES if share < one.below_share)
