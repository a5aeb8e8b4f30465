"""The programme of a surface: by which rules its challengers are tested, shipped and watched."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference.models import Surface


# How many people approve what ships.
REQUIRED_APPROVALS: Mapping[str, int] = MappingProxyType(
    {"automatic": 0, "propose": 1, "two_persons": 2}
)


@dataclass(frozen=True, slots=True)
class RampStep:
    """A step of a ramp.

    Attributes:
        share: of all users who get the treatment.
        minimum_seconds: how long it lasts at least.
        units: who must have come into the treatment before it is left; None: as many as show the step's
            class of harm.
    """

    share: float
    minimum_seconds: float
    units: int | None = None


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A metric that must not become worse.

    Attributes:
        metric: its key.
        margin: the relative loss that is still accepted.
    """

    metric: str
    margin: float


def _units(step: dict[str, float]) -> int | None:
    return int(step["units"]) if "units" in step else None


def default_ramp() -> list[dict[str, float]]:
    """Return the ramp of a surface that does not say: an hour at 1 %, a day at 10 %."""
    return [
        {"share": 0.01, "minimum_seconds": 3600.0},
        {"share": 0.10, "minimum_seconds": 86_400.0},
        {"share": 0.50, "minimum_seconds": 0.0},
    ]


class Programme(models.Model):
    """How a surface's automatic experiments go; `programme_of` gives the defaults where none is set."""

    class ShipWhen(models.TextChoices):
        SIGNIFICANT = "significant", "the rule's verdict says so"
        VALUABLE = "valuable", "at the end of the plan, when it is more likely better and safe"

    class Approval(models.TextChoices):
        AUTOMATIC = "automatic", "the platform ships by itself"
        PROPOSE = "propose", "one person approves"
        TWO_PERSONS = "two_persons", "two different persons approve"

    class Refresh(models.TextChoices):
        NON_INFERIOR = "non_inferior", "a refit that is not worse than the last tested version"
        SUPERIOR = "superior", "a refit that is better than the last tested version"
        ALWAYS = "always", "every refit that passes its gate"

    surface = models.OneToOneField(
        "inference.Surface", on_delete=models.CASCADE, related_name="programme"
    )
    primary_metric = models.ForeignKey(
        "experiments.Metric",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="What decides; without one no automatic experiment starts.",
    )
    guardrails: models.JSONField[list[dict[str, Any]]] = models.JSONField(
        default=list,
        blank=True,
        help_text='Beside the serving metrics: [{"metric": key, "margin": 0.05}].',
    )
    ramp: models.JSONField[list[dict[str, float]]] = models.JSONField(
        default=default_ramp, help_text='Of the treatment: [{"share": 0.01, "minimum_seconds": 3600}].'
    )
    ship_when = models.CharField(
        max_length=16,
        choices=ShipWhen.choices,
        blank=True,
        help_text="Empty: significant, of a refit that is tested valuable.",
    )
    holdback_share = models.FloatField(
        default=0.03, help_text="Of all users, who stay on the former champion after a promotion."
    )
    holdback_days = models.FloatField(default=28.0)
    cooldown_days = models.FloatField(default=1.0, help_text="Between two tests of the surface.")
    approval = models.CharField(max_length=16, choices=Approval.choices, default=Approval.AUTOMATIC)
    breaker_alpha = models.FloatField(
        default=0.001, help_text="Chance of a false trip in an experiment; 0: no breaker."
    )
    interleave_first = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        help_text="Waiting challengers that interleaving screens before a test; 0: none.",
    )
    refresh = models.CharField(max_length=16, choices=Refresh.choices, default=Refresh.NON_INFERIOR)
    paused = models.BooleanField(default=False, help_text="Whether no further experiment starts.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(holdback_share__gte=0) & Q(holdback_share__lt=0.25),
                name="holdback_leaves_half",
            ),
            models.CheckConstraint(
                condition=Q(holdback_days__gte=0) & Q(cooldown_days__gte=0),
                name="programme_days_are_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(breaker_alpha__gte=0) & Q(breaker_alpha__lte=0.05),
                name="breaker_alpha_is_small",
            ),
            models.CheckConstraint(
                condition=Q(interleave_first__lte=3), name="at_most_three_are_screened_at_once"
            ),
        ]

    def __str__(self) -> str:
        return f"programme of {self.surface}"

    @property
    def parsed_ramp(self) -> tuple[RampStep, ...]:
        """The steps, in their order."""
        return tuple(
            RampStep(step["share"], step["minimum_seconds"], _units(step)) for step in self.ramp
        )

    @property
    def parsed_guardrails(self) -> tuple[Guardrail, ...]:
        """The surface's own guardrails."""
        return tuple(Guardrail(one["metric"], one["margin"]) for one in self.guardrails)

    @property
    def required_approvals(self) -> int:
        """How many people must approve before a version ships."""
        return REQUIRED_APPROVALS[self.approval]


def programme_of(surface: Surface) -> Programme:
    """Return a surface's programme: the stored one, or one with the defaults that is not stored."""
    stored = Programme.objects.filter(surface=surface).select_related("primary_metric").first()
    return stored or Programme(surface=surface)
