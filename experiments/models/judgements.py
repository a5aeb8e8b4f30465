"""Quality of generated answers: who judges a surface, what judges and people say of which answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

if TYPE_CHECKING:
    from inference.models import Surface

MIN_POINTS, MAX_POINTS = 2, 10


class JudgePlan(models.Model):
    """How a surface's answers are judged: by which judge, how many by people, on which scale."""

    surface = models.OneToOneField(
        "inference.Surface", on_delete=models.CASCADE, related_name="judge_plan"
    )
    judge = models.ForeignKey(
        "inference.ModelVersion",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="A prompt of any surface of the project; none: people alone.",
    )
    rubric = models.TextField(blank=True, help_text="What makes an answer good, for judge and people.")
    points = models.PositiveSmallIntegerField(
        default=5, validators=[MinValueValidator(MIN_POINTS), MaxValueValidator(MAX_POINTS)]
    )
    judge_share = models.FloatField(default=1.0, help_text="Share of answers that the judge scores.")
    label_share = models.FloatField(default=0.05, help_text="Share of answers drawn for people.")
    daily_cost = models.FloatField(default=1.0, help_text="What the judge may cost a day (UTC).")
    check_margin = models.FloatField(
        default=0.05, db_default=0.05, help_text="Loss of a share of rows that a check accepts."
    )
    check_min_share = models.FloatField(
        default=0.9, db_default=0.9, help_text="Of rows, where a check has no champion beside it."
    )
    check_cost_ratio = models.FloatField(
        default=1.25, db_default=1.25, help_text="As many times the champion's cost a check accepts."
    )
    check_latency_ratio = models.FloatField(
        default=1.5, db_default=1.5, help_text="As many times the champion's latency it accepts."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(points__gte=MIN_POINTS, points__lte=MAX_POINTS),
                name="a_scale_has_2_to_10_points",
            ),
            models.CheckConstraint(
                condition=Q(judge_share__gte=0, judge_share__lte=1)
                & Q(label_share__gte=0, label_share__lte=1),
                name="judged_shares_are_shares",
            ),
            models.CheckConstraint(
                condition=Q(daily_cost__gte=0), name="a_judge_has_a_budget_of_0_or_more"
            ),
            models.CheckConstraint(
                condition=Q(check_margin__gt=0, check_margin__lte=1)
                & Q(check_min_share__gte=0, check_min_share__lte=1)
                & Q(check_cost_ratio__gte=1, check_latency_ratio__gte=1),
                name="margins_of_checks_are_in_range",
            ),
        ]

    def __str__(self) -> str:
        return f"judges of {self.surface_id}"


def judge_plan_of(surface: Surface) -> JudgePlan:
    """Return how a surface's answers are judged; defaults where nobody has said."""
    plan = JudgePlan.objects.filter(surface=surface).select_related("judge__surface").first()
    return plan or JudgePlan(surface=surface)


class SampledAnswer(models.Model):
    """An answer of an experiment that was drawn for two people to rate; neither sees the variant."""

    class State(models.TextChoices):
        OPEN = "open"
        RATED = "rated"

    generation_id = models.UUIDField(unique=True)
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.CASCADE, related_name="sampled_answers"
    )
    variant = models.ForeignKey("experiments.Variant", on_delete=models.CASCADE, related_name="+")
    unit_id = models.CharField(max_length=200)
    draw = models.FloatField(help_text="The answer's random number; the smallest is rated first.")
    probability = models.FloatField(help_text="With which it was drawn.")
    points = models.PositiveSmallIntegerField(help_text="Of the scale on which it is rated.")
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    score = models.FloatField(null=True, blank=True, help_text="Mean of both ratings, in [0, 1].")
    created_at = models.DateTimeField(db_default=Now())
    rated_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(probability__gt=0, probability__lte=1) & Q(draw__lt=F("probability")),
                name="a_sampled_answer_was_drawn",
            ),
            models.CheckConstraint(
                condition=Q(state="rated", score__gte=0, score__lte=1)
                | Q(state="open", score__isnull=True),
                name="a_rated_answer_has_its_score",
            ),
        ]
        indexes = [
            models.Index(fields=["project", "draw"], condition=Q(state="open"), name="answers_to_rate"),
            models.Index(fields=["project", "unit_id"], name="sampled_answers_by_unit"),
        ]

    def __str__(self) -> str:
        return str(self.generation_id)


class AnswerRating(models.Model):
    """One person's rating of an answer."""

    answer = models.ForeignKey(SampledAnswer, on_delete=models.CASCADE, related_name="ratings")
    reviewer = models.CharField(max_length=150)
    point = models.PositiveSmallIntegerField(help_text="1 is the worst of the scale.")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["answer", "reviewer"], name="a_person_rates_an_answer_once"
            ),
            models.CheckConstraint(condition=Q(point__gte=1), name="the_worst_rating_is_1"),
        ]

    def __str__(self) -> str:
        return f"{self.reviewer}: {self.point}"


class Judgement(models.Model):
    """What a judge says of an answer, or why it says nothing."""

    generation_id = models.UUIDField()
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    surface = models.ForeignKey("inference.Surface", on_delete=models.CASCADE, related_name="+")
    experiment = models.ForeignKey(
        "experiments.Experiment", null=True, on_delete=models.CASCADE, related_name="judgements"
    )
    variant = models.ForeignKey(
        "experiments.Variant", null=True, on_delete=models.CASCADE, related_name="+"
    )
    unit_id = models.CharField(max_length=200)
    judge = models.ForeignKey("inference.ModelVersion", on_delete=models.CASCADE, related_name="+")
    shadow = models.ForeignKey(
        "inference.ModelVersion",
        null=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="Whose answer to the same request it is; none: the answer that was served.",
    )
    probability = models.FloatField(help_text="With which the answer was drawn for the judge.")
    score = models.FloatField(null=True, help_text="In [0, 1]; none: the judge gave no usable answer.")
    rationale = models.TextField(blank=True)
    error = models.CharField(max_length=200, blank=True)
    cost = models.FloatField(default=0.0)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["generation_id", "judge", "shadow"],
                nulls_distinct=False,
                name="a_judge_judges_an_answer_once",
            ),
            models.CheckConstraint(
                condition=Q(score__isnull=True) | Q(score__gte=0, score__lte=1),
                name="a_judge_scores_from_0_to_1",
            ),
            models.CheckConstraint(
                condition=Q(probability__gt=0, probability__lte=1), name="a_judged_answer_was_drawn"
            ),
        ]
        indexes = [
            models.Index(fields=["experiment", "judge"], name="judgements_of_experiment"),
            models.Index(fields=["surface", "at"], name="judgements_by_time"),
            models.Index(fields=["project", "unit_id"], name="judgements_by_unit"),
        ]

    def __str__(self) -> str:
        return f"{self.generation_id} by {self.judge_id}"
