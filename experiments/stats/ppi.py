"""Quality of answers that a judge scores and people label a sample of: prediction-powered inference.

A judge scores every answer (or a sample), people label a random sample. The judge may be wrong in any
way, and wrong for one variant alone; what people say of the sample corrects it. Of one variant, with
H the people's labels and J the judge's scores, each answer weighted by 1 / the probability that it was
drawn:

    θ(λ) = mean of H over the labelled − λ (mean of J over the labelled − mean of J over the judged).

For every λ this is an estimate of the mean that people would give; λ = 0 are people alone, and the λ
of least variance is Cov(H, J) / Var(J), the slope of H on J. λ of a fifth of the units is estimated
from the other four fifths, so that no answer takes part in choosing its own λ.

Assumptions: units are independent, and their answers are drawn with known probabilities above zero that
depend on nothing a person or the judge might say. Labels that people choose to give, as thumbs, are no
such sample, and nothing here corrects for that. Intervals are asymptotic in the units with a label.

With one answer per unit and all judged, θ(λ) is PPI++ at λ' = λ / (1 + n / N), for n labelled and N
others: there the N others alone are the second mean.

References:
    Angelopoulos, Duchi, Zrnic (2023), PPI++: Efficient Prediction-Powered Inference, arXiv 2311.01453.
    Zrnic, Candès (2024), Cross-prediction-powered inference, PNAS 121 (cross-fitting).
    Waudby-Smith et al., arXiv 2103.06476 (the asymptotic confidence sequence).
    Särndal, Swensson, Wretman (1992), Model Assisted Survey Sampling (weights, clusters, the ratio).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from experiments.stats.confidence_sequence import half_width_in_se
from experiments.stats.special_functions import special
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FOLDS = 5
ROUNDING = 1e-12  # a spread below this share of the mean is rounding
MIN_LABELLED_UNITS = 30  # fewer per variant are no sample that a normal interval holds for


@dataclass(frozen=True, slots=True)
class RatedAnswers:
    """Answers of one variant; all arrays have shape (answers,).

    Attributes:
        unit: whose answer it is, as a number in [0, units); their order must not depend on scores.
        judge: the judge's score; NaN where it was not judged.
        judge_probability: chance with which it was drawn for the judge, in (0, 1].
        human: what people say, as a number; NaN where they were not asked.
        human_probability: chance with which it was drawn for people, in (0, 1].
    """

    unit: NDArray[np.int64]
    judge: Array
    judge_probability: Array
    human: Array
    human_probability: Array

    def __post_init__(self) -> None:
        for name in ("judge", "human"):
            scored = ~np.isnan(getattr(self, name))
            chance = getattr(self, f"{name}_probability")[scored]
            if chance.size and not (chance.min() > 0 and chance.max() <= 1):
                wrong = chance[(chance <= 0) | (chance > 1) | np.isnan(chance)][0]
                raise StatisticsError(f"{name}_probability == {wrong:g}, must be in (0, 1].")


class MeanEstimate(NamedTuple):
    """The mean quality of one variant's answers.

    Attributes:
        mean: the estimate.
        variance: of the estimate.
        units: units that it rests on: with a label, or judged where the judge alone speaks.
        slope: λ, the mean over folds; 0 where people alone speak, 1 where the judge does.
    """

    mean: float
    variance: float
    units: int
    slope: float


@dataclass(frozen=True, slots=True)
class QualityEffect:
    """Treatment − control of the mean quality of an answer.

    Attributes:
        control: the control's estimate; treatment likewise.
    """

    control: MeanEstimate
    treatment: MeanEstimate

    @property
    def difference(self) -> float:
        """Treatment − control."""
        return self.treatment.mean - self.control.mean

    @property
    def se(self) -> float:
        """Standard error of the difference."""
        return math.sqrt(self.control.variance + self.treatment.variance)

    @property
    def units(self) -> int:
        """Units of both variants that the estimate rests on."""
        return self.control.units + self.treatment.units

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the interval of one look: Student's t with Welch's degrees of freedom."""
        _check_level(alpha)
        parts = [(side.variance, side.units) for side in (self.control, self.treatment)]
        spread = sum(variance**2 / (units - 1) for variance, units in parts)
        freedom = sum(variance for variance, _ in parts) ** 2 / spread
        return self._around(float(special.stdtrit(freedom, 1 - alpha / 2)))

    def sequential_interval(self, alpha: float, *, planned_units: float) -> tuple[float, float]:
        """Return the interval that holds at all looks at once.

        Args:
            alpha: 1 − confidence.
            planned_units: units with a label at which it is to be tightest.
        """
        _check_level(alpha)
        return self._around(half_width_in_se(self.units, alpha=alpha, planned_n=planned_units))

    def _around(self, half_width: float) -> tuple[float, float]:
        return self.difference - half_width * self.se, self.difference + half_width * self.se


class _Sums(NamedTuple):
    """Weighted sums per unit, each of shape (units,).

    Judged answers: how many they stand for, and their scores. Labelled answers: how many they stand
    for, their labels, and their scores.
    """

    judged: Array
    judged_scores: Array
    labelled: Array
    labels: Array
    labelled_scores: Array


def judge_effect(control: RatedAnswers, treatment: RatedAnswers) -> QualityEffect:
    """Return what the judge alone says. Its errors are in it: no interval of it is evidence of quality.

    Raises:
        StatisticsError: fewer than two units of a variant are judged, or all have one score.
    """
    return QualityEffect(_judge_mean(control, "control"), _judge_mean(treatment, "treatment"))


def human_effect(control: RatedAnswers, treatment: RatedAnswers) -> QualityEffect:
    """Return what people say of the sample, without the judge.

    Raises:
        StatisticsError: a variant has fewer than `MIN_LABELLED_UNITS` units with a label, or all its
            labels are alike, so that they say nothing of their spread.
    """
    return QualityEffect(
        *(
            _mean(_enough(_sums(answers, judged_alone=False), name), use_judge=False)
            for answers, name in ((control, "control"), (treatment, "treatment"))
        )
    )


def combined_effect(control: RatedAnswers, treatment: RatedAnswers) -> QualityEffect:
    """Return the prediction-powered effect: the judge on all answers, corrected by people's labels.

    Labels of answers that the judge has no score of are left out.

    Raises:
        StatisticsError: as of `human_effect`.
    """
    return QualityEffect(
        *(
            _mean(_enough(_sums(answers, judged_alone=True), name), use_judge=True)
            for answers, name in ((control, "control"), (treatment, "treatment"))
        )
    )


def rectified_values(answers: RatedAnswers) -> Array:
    """Return a number per unit whose mean is the combined estimate, shape (units,).

    They are what the confidence sequence follows: the judge's part of each unit, and of the units with
    a label what people say beyond it.
    """
    sums = _enough(_sums(answers, judged_alone=True), "variant")
    mean, influence = _rectify(sums, _cross_fitted_slopes(sums))
    return mean + influence


def _check_level(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise StatisticsError(f"alpha == {alpha:g}, must be in (0, 1).")


def _sums(answers: RatedAnswers, *, judged_alone: bool) -> _Sums:
    judged, labelled = ~np.isnan(answers.judge), ~np.isnan(answers.human)
    if judged_alone:
        labelled &= judged
    count = int(answers.unit.max()) + 1 if answers.unit.size else 0

    def total(rows: NDArray[np.bool_], probability: Array, values: Array | None = None) -> Array:
        weights = 1 / probability[rows] if values is None else values[rows] / probability[rows]
        # Without rows, bincount counts in whole numbers.
        return np.bincount(answers.unit[rows], weights, minlength=count).astype(float)

    score = np.where(judged, answers.judge, 0.0)
    return _Sums(
        total(judged, answers.judge_probability),
        total(judged, answers.judge_probability, answers.judge),
        total(labelled, answers.human_probability),
        total(labelled, answers.human_probability, answers.human),
        total(labelled, answers.human_probability, score),
    )


def _enough(sums: _Sums, name: str) -> _Sums:
    labelled = sums.labelled > 0
    count = int(labelled.sum())
    if count < MIN_LABELLED_UNITS:
        raise StatisticsError(
            f"units with a label of the {name} == {count}, must be at least {MIN_LABELLED_UNITS}."
        )
    means = sums.labels[labelled] / sums.labelled[labelled]
    if np.ptp(means) <= ROUNDING * np.abs(means).max():
        raise StatisticsError(
            f"labels of the {name} == {means[0]:g} throughout, must differ: their spread is unknown."
        )
    return sums


def _mean(sums: _Sums, *, use_judge: bool) -> MeanEstimate:
    slopes = _cross_fitted_slopes(sums) if use_judge else np.zeros(sums.labelled.size)
    mean, influence = _rectify(sums, slopes)
    units = int((sums.labelled > 0).sum())
    # Most of the spread is the labels': its divisor is their number less one, not that of all units.
    variance = float(influence @ influence) / influence.size**2 * units / (units - 1)
    return MeanEstimate(mean, variance, units, float(slopes.mean()))


def _judge_mean(answers: RatedAnswers, name: str) -> MeanEstimate:
    sums = _sums(answers, judged_alone=True)
    units = int((sums.judged > 0).sum())
    if units < 2:
        raise StatisticsError(f"judged units of the {name} == {units}, must be at least 2.")
    mean = float(sums.judged_scores.sum() / sums.judged.sum())
    influence = (sums.judged_scores - mean * sums.judged) / sums.judged.sum()
    variance = float(influence @ influence) * units / (units - 1)
    if variance <= (ROUNDING * mean) ** 2:
        raise StatisticsError(f"the judge's scores of the {name} == {mean:g} throughout, must differ.")
    return MeanEstimate(mean, variance, units, 1.0)


def _rectify(sums: _Sums, slopes: Array) -> tuple[float, Array]:
    """Return the estimate, and of each unit its influence on it, times the number of units.

    Scores are taken from their mean over all judged answers: λ differs a little between folds, and
    what it multiplies must have mean zero in each of them.
    """
    weight, judged = sums.labelled.sum(), sums.judged.sum()
    centre = sums.judged_scores.sum() / judged if judged else 0.0
    residual = sums.labels - slopes * (sums.labelled_scores - centre * sums.labelled)
    beyond = residual.sum() / weight
    influence = (residual - beyond * sums.labelled) / weight
    judge_part = slopes * (sums.judged_scores - centre * sums.judged) / (judged or 1.0)
    influence += judge_part - judge_part.mean()
    return float(beyond + judge_part.sum()), influence * influence.size


def _cross_fitted_slopes(sums: _Sums) -> Array:
    """Return λ of each unit, estimated without its fold."""
    fold = np.arange(sums.labelled.size) % FOLDS
    by_fold = [_slope(_Sums(*(column[fold != n] for column in sums))) for n in range(FOLDS)]
    return np.array(by_fold)[fold]


def _slope(sums: _Sums) -> float:
    """Return the λ of least variance: the slope of the labels' influence on that of the scores."""
    weight, judged = sums.labelled.sum(), sums.judged.sum()
    if not weight or not judged:
        return 0.0
    of_labels = sums.labels - sums.labels.sum() / weight * sums.labelled
    of_scores = (sums.labelled_scores - sums.labelled_scores.sum() / weight * sums.labelled) / weight
    of_scores -= (sums.judged_scores - sums.judged_scores.sum() / judged * sums.judged) / judged
    spread = float(of_scores @ of_scores)
    scale = float(sums.labelled_scores @ sums.labelled_scores) / weight**2
    # A judge that says the same of everything explains nothing, and what rounding leaves must not.
    return float(of_labels @ of_scores) / weight / spread if spread > ROUNDING**2 * scale else 0.0
