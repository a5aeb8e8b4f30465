"""Which of two versions users prefer, from slates that hold items of both.

A unit counts once, with the sum of its slates' credit over its window: clicks of one unit are not
independent, and a test that takes them so decides too often. The credit of the k-th slate is divided by
√k, or a few busy units would drown the others. The weight is fixed before the slate is shown: divided
by how many slates there were at the end, scores would favour the version whose clicks end visits.
Three tests stand beside each other:

    betting     on the bounded score: it decides. Valid whenever it is asked
    mixed sign  beta-binomial mixture over the units that prefer a side, by team credit: its check,
                valid whenever it is asked
    fixed sign  the exact sign test of the same units: one look, shown, never decides

Guarantee: without a preference the chance that the bet ever decides is at most α (Ville's inequality).
Assumptions: units are independent; what is frozen (the bound, each batch's examination curve) was
frozen without the batch's clicks. No preference means that the mean of the bounded score is 0. Where
the versions please alike, each slate's credit has the mean 0 given what the unit did before, and so has
its weighted sum, whatever makes units come back; where a bound cuts more off one side than off the
other, the bounded mean is what is tested.

References:
    Waudby-Smith & Ramdas (2024), Estimating means of bounded random variables by betting, JRSS B 86.
    Robbins (1970), Statistical methods related to the law of the iterated logarithm: mixtures.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.stats.breaker import STAKES
from experiments.stats.preference import log_e_sign, win_rate
from experiments.stats.roots import find_root
from experiments.stats.special_functions import special
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

MAX_SCORE = 5.0  # weighted clicks of a unit that the bound leaves: more are as many
BINS = 200  # of a bounded score on either side of 0; both sides are rounded alike
UNRELIABLE_LIFT = 0.02  # below it the sign of interleaving and that of an A/B part
PRECISION = 1e-9
BOTH_SIDES = np.concatenate([-STAKES[::-1], STAKES])


def bin_of(score: float) -> int:
    """Return the bin of a unit's score, in [−BINS, BINS]."""
    return round(min(max(score / MAX_SCORE, -1.0), 1.0) * BINS)


@dataclass(frozen=True, slots=True)
class UnitScores:
    """Complete units of one version against the control, by their scores.

    Attributes:
        variant: key of the version's variant.
        bins: units by the bin of their score.
        wins: units with more team credit for the version.
        losses: units with more for the control.
        score: sum of the scores, not bounded.
        control: sum of the control's counterfactual clicks.
    """

    variant: str
    bins: Mapping[int, int]
    wins: int = 0
    losses: int = 0
    score: float = 0.0
    control: float = 0.0

    @property
    def units(self) -> int:
        """Complete units, those without a click among them."""
        return sum(self.bins.values())

    def as_json(self) -> dict[str, Any]:
        """Return every field; JSON names its members by texts."""
        return asdict(self) | {"bins": {str(n): count for n, count in sorted(self.bins.items())}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> UnitScores:
        """Read what `as_json` wrote."""
        return cls(**{**data, "bins": {int(n): count for n, count in data["bins"].items()}})


@dataclass(frozen=True, slots=True)
class Preference:
    """What interleaving says of one version against the control.

    Attributes:
        variant: key of the version's variant.
        units: complete units.
        preference: mean bounded score, in weighted clicks per unit: positive for the version.
        interval: of it, valid at any time.
        lift: counterfactual clicks of the version over those of the control, less 1; None without any.
        log_e: of the bet against no preference.
        p_value: anytime-valid.
        wins, losses, ties: units by team credit.
        sign_log_e: of the mixture over them.
        sign_p_value: of the fixed sign test; one look.
        decides: whether the bet has decided at its level.
        check_objects: whether the check has decided for the other side.
        is_reliable: whether the lift is large enough for its sign to be that of an A/B.
    """

    variant: str
    units: int
    preference: float
    interval: tuple[float, float]
    lift: float | None
    log_e: float
    p_value: float
    wins: int
    losses: int
    ties: int
    sign_log_e: float
    sign_p_value: float
    decides: bool
    check_objects: bool
    is_reliable: bool

    @property
    def is_contradicted(self) -> bool:
        """Whether a check has decided for the other side, or all clicks together clearly lie there.

        Few busy units may like what most units do not; then neither side is to be shipped.
        """
        lift = self.lift if self.lift is not None else 0.0
        opposed = abs(lift) >= UNRELIABLE_LIFT and lift * self.preference < 0
        return self.check_objects or opposed

    @property
    def prefers_version(self) -> bool:
        """Whether users prefer the version, by a bet that has decided and checks that agree."""
        return self.decides and not self.is_contradicted and self.preference > 0

    @property
    def prefers_control(self) -> bool:
        """Likewise the control."""
        return self.decides and not self.is_contradicted and self.preference < 0

    def as_json(self) -> dict[str, Any]:
        """Return every field."""
        return asdict(self) | {"interval": list(self.interval)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Preference:
        """Read what `as_json` wrote."""
        return cls(**{**data, "interval": tuple(data["interval"])})


def prefer(scores: UnitScores, *, alpha: float) -> Preference:
    """Return what the units' scores say.

    Args:
        scores: of all complete units so far.
        alpha: level of the verdict, after it was divided among several versions.

    Raises:
        StatisticsError: alpha is out of range, or a bin is.
    """
    if not 0 < alpha < 1:
        raise StatisticsError(f"alpha == {alpha:g}, must be in (0, 1).")
    values, counts = _arrays(scores)
    log_e = log_e_mean(values, counts, mean=0.0)
    mean = float(values @ counts / max(scores.units, 1))
    rate = win_rate([1.0] * scores.wins + [0.0] * scores.losses, alpha=alpha)
    sign_log_e = log_e_sign(scores.wins, scores.losses)
    bound = math.log(1 / alpha)
    low, high = interval_of_mean(values, counts, alpha=alpha)
    lift = scores.score / scores.control if scores.control > 0 else None
    decided = log_e >= bound
    other_side = (scores.wins - scores.losses) * mean < 0
    return Preference(
        variant=scores.variant,
        units=scores.units,
        preference=mean * MAX_SCORE,
        interval=(low * MAX_SCORE, high * MAX_SCORE),
        lift=lift,
        log_e=log_e,
        p_value=math.exp(-max(log_e, 0.0)),
        wins=scores.wins,
        losses=scores.losses,
        ties=scores.units - scores.wins - scores.losses,
        sign_log_e=sign_log_e,
        sign_p_value=rate.p_value,
        decides=decided,
        check_objects=other_side and sign_log_e >= bound,
        is_reliable=lift is not None and abs(lift) >= UNRELIABLE_LIFT,
    )


def _arrays(scores: UnitScores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    bins = sorted(scores.bins)
    if bins and (bins[0] < -BINS or bins[-1] > BINS):
        raise StatisticsError(f"bins == {bins[0]} to {bins[-1]}, must be in [-{BINS}, {BINS}].")
    counts = [float(scores.bins[n]) for n in bins]
    return np.array(bins, dtype=float) / BINS, np.array(counts)


def log_e_mean(values: NDArray[np.float64], counts: NDArray[np.float64], *, mean: float) -> float:
    """Return ln of the capital of a bet that the mean is not this one, on either side.

    The average over stakes λ of Π (1 + λ (y − m) / (1 + |m|)): a stake never loses more than there is,
    and the order of the units does not matter.

    Args:
        values: in [−1, 1].
        counts: units of each value.
        mean: in (−1, 1).
    """
    growth = np.log1p(np.outer(BOTH_SIDES, (values - mean) / (1 + abs(mean)))) @ counts
    return float(special.logsumexp(growth) - math.log(len(BOTH_SIDES)))


def interval_of_mean(
    values: NDArray[np.float64], counts: NDArray[np.float64], *, alpha: float
) -> tuple[float, float]:
    """Return the means that the bet does not exclude: it excludes 0 exactly where it has decided.

    Args:
        values: in [−1, 1].
        counts: units of each value.
        alpha: 1 − confidence.
    """
    bound, total = math.log(1 / alpha), counts.sum()
    if not total:
        return -1.0, 1.0
    centre = float(values @ counts / total)
    centre = min(max(centre, -1 + PRECISION), 1 - PRECISION)

    def excess(mean: float) -> float:
        return log_e_mean(values, counts, mean=mean) - bound

    if excess(centre) >= 0:  # so few units, or so equal, that no mean is excluded but by rounding
        return centre, centre
    low, high = -1 + PRECISION, 1 - PRECISION
    return (
        find_root(excess, low, centre, xtol=PRECISION) if excess(low) > 0 else -1.0,
        find_root(excess, centre, high, xtol=PRECISION) if excess(high) > 0 else 1.0,
    )


@dataclass(frozen=True, slots=True)
class InterleavedInput:
    """What a look at an interleaved experiment reads beside its policy.

    Attributes:
        scores: of each version that is compared with the control.
        slates: that were served to complete units.
        failed: of them those that a version, or the control, failed, by the key of its variant.
        failed_by_any: of them those that any failed, where a look counted nothing else; else None.
        is_last: whether the experiment's time is over, so that this look ends it.
        decay: of the examination curve that scores the next batch.
    """

    scores: Sequence[UnitScores]
    slates: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    failed_by_any: int | None = None
    is_last: bool = False
    decay: float = 0.0

    def share_of(self, failed: int) -> float:
        """Return slates as a share of all."""
        return failed / self.slates if self.slates else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return every field, by the names that older versions read: `failed` is either number."""
        data = asdict(self) | {"scores": [one.as_json() for one in self.scores]}
        by_any = data.pop("failed_by_any")
        return data if by_any is None else data | {"failed": by_any}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> InterleavedInput:
        """Read what `as_json` wrote; until 2026-12 one number stood for all versions."""
        if isinstance(data["failed"], int):
            data = {**data, "failed": {}, "failed_by_any": data["failed"]}
        return cls(**{**data, "scores": [UnitScores.from_json(one) for one in data["scores"]]})
