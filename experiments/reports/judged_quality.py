"""Quality of an experiment's answers: what the judge says, what people say, and both combined."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from django.db.models import Count, Q, Sum
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from experiments.looks.rated_answers import read_rated_answers
from experiments.models import AnswerRating, Judgement, SampledAnswer, judge_plan_of
from experiments.reports.shadow_quality import ShadowQuality, shadow_quality_of
from experiments.stats.agreement import ScaleAgreement, measure_scale_agreement
from experiments.stats.ppi import MIN_LABELLED_UNITS, combined_effect, human_effect, judge_effect
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from experiments.models import Experiment, JudgePlan
    from experiments.stats.ppi import QualityEffect, RatedAnswers

NO_JUDGE = "no judge is set"
MAX_PAIRS = 2000  # of two people's ratings: the newest


@dataclass(frozen=True, slots=True)
class QualityEstimate:
    """One estimate of a treatment's effect on the mean quality of an answer, in [0, 1].

    Attributes:
        source: judge, people or combined.
        control: mean of the control; None where there is no estimate.
        treatment: mean of the treatment.
        difference: treatment − control.
        se: standard error of the difference.
        ci: valid at any time.
        ci_of_one_look: for a single, planned look.
        users: on whose answers it rests: judged, or rated.
        planned_users: at which the interval is tightest.
        why_not: why there is none, as it is stored in English; empty where there is one.
    """

    source: str
    control: float | None = None
    treatment: float | None = None
    difference: float | None = None
    se: float | None = None
    ci: tuple[float, float] | None = None
    ci_of_one_look: tuple[float, float] | None = None
    users: int = 0
    planned_users: float = 0.0
    why_not: str = ""

    @property
    def code(self) -> str:
        """Return what pages look the source's name up by."""
        return f"quality {self.source}"


@dataclass(frozen=True, slots=True)
class QualityRow:
    """A treatment against the control.

    Attributes:
        variant: key of the treatment.
        estimates: of the judge alone, of people alone, and combined, in this order.
        sentence: what follows, for people.
        points: of the scale, to write means in points.
    """

    variant: str
    estimates: tuple[QualityEstimate, ...]
    sentence: str
    points: int


@dataclass(frozen=True, slots=True)
class JudgedQuality:
    """What is known of the quality of an experiment's answers.

    Attributes:
        judge: surface and label of the judge; None without one.
        points: of the scale.
        judged: answers with a score of the judge; failed: without a usable one.
        rated: answers that two people have rated; waiting: drawn and not yet rated by both.
        cost: of the judge so far, in money.
        agreement: of the judge and people.
        between_people: of the two people who rated an answer.
        rows: one for each treatment.
        shadows: versions in shadow, which answered the same requests unseen.
    """

    judge: str | None
    points: int
    judged: int
    failed: int
    rated: int
    waiting: int
    cost: float
    agreement: ScaleAgreement
    between_people: ScaleAgreement
    rows: list[QualityRow]
    shadows: list[ShadowQuality]

    def as_json(self) -> dict[str, Any]:
        """Return the same for programs."""
        return asdict(self)


def judged_quality_of(experiment: Experiment) -> JudgedQuality | None:
    """Return the quality of an experiment's answers; None where nobody has judged any."""
    plan = judge_plan_of(experiment.surface)
    counts = count_answers(experiment, plan)
    shadows = shadow_quality_of(experiment, plan)
    if not counts.any and not shadows:
        return None
    answers = read_rated_answers(experiment, plan)
    first, second = answers.paired.points(plan.points)
    return JudgedQuality(
        judge=judge_name(plan),
        points=plan.points,
        judged=counts.judged,
        failed=counts.failed,
        rated=counts.rated,
        waiting=counts.waiting,
        cost=counts.cost,
        agreement=measure_scale_agreement(first, second, unit=answers.paired.unit, points=plan.points),
        between_people=_agreement_of_people(experiment, plan),
        rows=_rows(experiment, plan, answers.by_variant),
        shadows=shadows,
    )


def judge_name(plan: JudgePlan) -> str | None:
    """Return surface and label of the judge."""
    judge = plan.judge
    return f"{judge.surface.key}/{judge.label}" if judge is not None else None


@dataclass(frozen=True, slots=True)
class AnswerCounts:
    """How many answers judge and people have looked at, as `JudgedQuality` has them."""

    judged: int
    failed: int
    rated: int
    waiting: int
    cost: float

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return any((self.judged, self.failed, self.rated, self.waiting))


def count_answers(experiment: Experiment, plan: JudgePlan) -> AnswerCounts:
    """Count what judge and people have looked at: cheap beside the estimates."""
    judged = Judgement.objects.filter(experiment=experiment, judge=plan.judge_id, shadow=None)
    sampled = SampledAnswer.objects.filter(experiment=experiment)
    counts = judged.aggregate(
        judged=Count("pk", filter=Q(score__isnull=False)),
        failed=Count("pk", filter=Q(score__isnull=True)),
        cost=Coalesce(Sum("cost"), 0.0),
    ) | sampled.aggregate(
        rated=Count("pk", filter=Q(state=SampledAnswer.State.RATED)),
        waiting=Count("pk", filter=Q(state=SampledAnswer.State.OPEN)),
    )
    return AnswerCounts(**counts)


def _agreement_of_people(experiment: Experiment, plan: JudgePlan) -> ScaleAgreement:
    rated = SampledAnswer.objects.filter(
        experiment=experiment, state=SampledAnswer.State.RATED, points=plan.points
    ).order_by("-id")[:MAX_PAIRS]
    ratings: dict[int, list[int]] = {}
    for answer, point in (
        AnswerRating.objects.filter(answer__in=list(rated.values_list("pk", flat=True)))
        .order_by("id")
        .values_list("answer_id", "point")
    ):
        ratings.setdefault(answer, []).append(point - 1)
    units = dict(rated.values_list("pk", "unit_id"))
    pairs = [(units[answer], *points[:2]) for answer, points in ratings.items() if len(points) > 1]
    names, first, second = zip(*pairs, strict=True) if pairs else ((), (), ())
    _names, unit = np.unique(np.array(names, dtype=str), return_inverse=True)
    return measure_scale_agreement(
        np.array(first, dtype=np.int64), np.array(second, dtype=np.int64), unit=unit, points=plan.points
    )


def _rows(
    experiment: Experiment, plan: JudgePlan, answers: dict[int, RatedAnswers]
) -> list[QualityRow]:
    variants = list(experiment.variants.order_by("pk"))
    control = next((answers.get(one.pk) for one in variants if one.is_control), None)
    rows = []
    for variant in variants:
        treatment = answers.get(variant.pk)
        if variant.is_control or control is None or treatment is None:
            continue
        estimates = tuple(
            _estimate(source, estimator, (control, treatment), experiment, plan)
            for source, estimator in (
                ("judge", judge_effect),
                ("people", human_effect),
                ("combined", combined_effect),
            )
        )
        rows.append(
            QualityRow(variant.key, estimates, quality_sentence(estimates, plan.points), plan.points)
        )
    return rows


def _estimate(
    source: str,
    estimator: Callable[[RatedAnswers, RatedAnswers], QualityEffect],
    sides: tuple[RatedAnswers, RatedAnswers],
    experiment: Experiment,
    plan: JudgePlan,
) -> QualityEstimate:
    if plan.judge_id is None and source != "people":
        return QualityEstimate(source, why_not=NO_JUDGE)
    try:
        effect = estimator(*sides)
    except StatisticsError as error:
        return QualityEstimate(source, why_not=str(error))
    policy = experiment.parsed_policy
    # The sequence is tightest where the plan ends: of people's ratings at the share that is drawn.
    share = plan.judge_share if source == "judge" else plan.label_share
    planned = max(policy.planned_units * share, 2.0 * MIN_LABELLED_UNITS)
    return QualityEstimate(
        source,
        control=effect.control.mean,
        treatment=effect.treatment.mean,
        difference=effect.difference,
        se=effect.se,
        ci=effect.sequential_interval(policy.alpha, planned_units=planned),
        ci_of_one_look=effect.interval(policy.alpha),
        users=effect.units,
        planned_users=planned,
    )


def quality_sentence(estimates: tuple[QualityEstimate, ...], points: int) -> str:
    """Say what follows from people and judge together; of the judge alone nothing follows."""
    _judge, people, combined = estimates
    best = combined if combined.ci is not None else people
    if best.ci is None or best.control is None or best.treatment is None:
        return _("Not enough answers are rated yet to compare their quality.")
    low, high = best.ci
    values = {
        "treatment": f"{1 + best.treatment * (points - 1):.2f}",
        "control": f"{1 + best.control * (points - 1):.2f}",
        "points": points,
    }
    if low > 0:
        return _("Better answers: %(treatment)s against %(control)s points of %(points)s.") % values
    if high < 0:
        return _("Worse answers: %(treatment)s against %(control)s points of %(points)s.") % values
    return (
        _("No clear difference in quality: %(treatment)s against %(control)s points of %(points)s.")
        % values
    )
