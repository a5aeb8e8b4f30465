"""A plan: units, duration and detectable effect of an experiment under its rule."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from experiments.kinds import PROPORTIONS
from experiments.stats import power as formulas
from experiments.stats.effects import critical_value
from experiments.stats.interleaving_power import interleaved_users
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.kinds import Rule


@dataclass(frozen=True, slots=True)
class Plan:
    """What an experiment needs.

    Attributes:
        rule: by which it is judged.
        alpha: two-sided, over all treatments.
        power: for the primary metric, raised for the guardrails that must hold too.
        treatments: names of the treatments.
        units_per_variant: the control first.
        units: over all variants: the policy's planned_units.
        units_one_look: over all variants, if there were one look alone.
        inflation: units over units_one_look.
        mde_absolute: smallest effect that it finds, in the metric's unit.
        mde_relative: as a share of the baseline; None of a baseline of zero.
        stop_null: mean length without an effect, as a share of the plan.
        stop_effect: mean length with that effect.
        days: until the units are complete; None without traffic.
        units_interleaved: about as many as interleaved lists would need; None below a lift of 2 %.
    """

    rule: str
    alpha: float
    power: float
    treatments: list[str]
    units_per_variant: list[int]
    units: int
    units_one_look: float
    inflation: float
    mde_absolute: float
    mde_relative: float | None
    stop_null: float
    stop_effect: float
    days: int | None
    units_interleaved: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return every field."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanQuestion:
    """What an experiment is planned for: an effect (`mde`), or a number of units (`units`).

    Attributes:
        kind: of the primary metric.
        baseline: the control's proportion, mean, ratio or quantile.
        shares: of the variants, the control first, summing to 1 or 100.
        mde: smallest effect worth finding, as a share of the baseline unless `absolute`.
        absolute: whether `mde` is in the metric's own unit.
        units: over all variants, where `mde` is None.
        sd: spread of a unit's value; of a ratio, that of (y − r d) / mean d.
        quantile: of a quantile: which one.
        density: of a quantile: of the values at it, in place of `sd`.
        alpha: two-sided, over all treatments.
        power: for the primary metric.
        correlation: of a covariate with the value (CUPED).
        guardrails: how many must hold too; they share the chance of a miss.
        rule: by which it is judged.
        looks: how many looks the plan pays for.
        reserve: part of alpha for after the plan; a tenth of it if None.
        futility: whether it stops when hopeless.
        traffic: new units per day: one number, or seven from Monday on; None for no duration.
        allocation: share of the traffic in the experiment.
        window_days: how long a unit takes to be complete.

    Raises:
        StatisticsError: a value breaks its rule.
    """

    kind: str
    baseline: float
    shares: Sequence[float]
    mde: float | None = None
    absolute: bool = False
    units: float | None = None
    sd: float | None = None
    quantile: float = 0.5
    density: float | None = None
    alpha: float = 0.05
    power: float = 0.8
    correlation: float = 0.0
    guardrails: int = 0
    rule: Rule = "group_sequential"
    looks: int = formulas.LOOKS
    reserve: float | None = None
    futility: bool = True
    traffic: Sequence[float] | None = None
    allocation: float = 1.0
    window_days: float = 0.0

    def __post_init__(self) -> None:
        if self.baseline == 0 and self.mde is not None and not self.absolute:
            raise StatisticsError(
                f"baseline == {self.baseline:g}, must not be zero unless the effect is absolute: "
                "--absolute."
            )
        critical_value(self.alpha)  # says what alpha must be
        total = sum(self.shares)
        if len(self.shares) < 2 or min(self.shares) <= 0:
            raise StatisticsError(
                f"split == {list(self.shares)}, must be at least two positive shares."
            )
        if not (math.isclose(total, 1) or math.isclose(total, 100)):
            raise StatisticsError(f"split sums to {total:g}, must sum to 1 or 100.")

    @property
    def treatments(self) -> int:
        """How many are compared with the control; they share alpha (Bonferroni)."""
        return len(self.shares) - 1

    @property
    def fractions(self) -> list[float]:
        """Shares of the variants, the control first, summing to 1."""
        total = sum(self.shares)
        return [share / total for share in self.shares]

    @property
    def ratio(self) -> float:
        """Units of the smallest treatment, which is the one that is planned for, over the control's."""
        control, *treatments = self.fractions
        return min(treatments) / control

    @property
    def alpha_per_treatment(self) -> float:
        """Two-sided level of one treatment."""
        return self.alpha / self.treatments

    @property
    def reserve_per_treatment(self) -> float:
        """What is kept of one treatment's alpha for after the plan."""
        if self.rule != "group_sequential":
            return 0.0
        each = self.alpha_per_treatment
        share = each / 10 if self.reserve is None else self.reserve / self.treatments
        if not 0 <= share < each:
            raise StatisticsError(f"reserve == {self.reserve:g}, must be in [0, alpha).")
        return share

    @property
    def raised_power(self) -> float:
        """Power for the primary metric, so that with the guardrails it is `power`."""
        return formulas.split_power(self.power, self.guardrails)

    @property
    def spread(self) -> float:
        """Standard deviation of one unit's contribution."""
        if self.kind in PROPORTIONS:
            inside = 0 < self.baseline < 1
            return math.sqrt(self.baseline * (1 - self.baseline)) if inside else 0.0
        if self.kind == "quantile" and self.density is not None:
            if self.density <= 0 or not 0 < self.quantile < 1:
                raise StatisticsError(
                    f"density == {self.density:g}, quantile == {self.quantile:g}: must be positive and "
                    "in (0, 1)."
                )
            return math.sqrt(self.quantile * (1 - self.quantile)) / self.density
        if self.sd is None:
            needed = "sd or density" if self.kind == "quantile" else "sd"
            raise StatisticsError(f"{needed} is missing, must be given for a {self.kind}.")
        return self.sd


def plan(question: PlanQuestion) -> Plan:
    """Plan for an effect, or for a number of units.

    Several treatments share alpha by Bonferroni; the smallest treatment is the one that is planned for.

    Raises:
        StatisticsError: a value breaks its rule.
    """
    settings: dict[str, Any] = {
        "power": question.raised_power,
        "looks": question.looks,
        "futility": question.futility,
    }
    each, reserve = question.alpha_per_treatment, question.reserve_per_treatment
    inflation = formulas.inflation(question.rule, alpha=each, reserve=reserve, **settings)
    shape = formulas.design(question.rule, alpha=each - reserve, **settings)
    if question.mde is not None:
        effect = question.mde if question.absolute else question.mde * question.baseline
        one_look = _units_of_effect(question, effect)
    else:
        if question.units is None or not 2 <= question.units < math.inf:
            raise StatisticsError(f"units == {question.units}, must be at least 2.")
        one_look = question.units / inflation
        effect = _effect_of_units(question, one_look)
    total = one_look * inflation
    # Rounding must not ask for one unit more than the exact number.
    per_variant = [math.ceil(total * share - 1e-9) for share in question.fractions]
    relative = _relative(question, effect)
    return Plan(
        rule=question.rule,
        alpha=question.alpha,
        power=question.raised_power,
        treatments=_names(question.treatments),
        units_per_variant=per_variant,
        units=sum(per_variant),
        units_one_look=one_look,
        inflation=inflation,
        mde_absolute=effect,
        mde_relative=relative,
        stop_null=shape.mean_stop[0],
        stop_effect=shape.mean_stop[1],
        days=_days(question, total),
        # Of interleaved lists no covariate is read, so what it saves is none of theirs.
        units_interleaved=interleaved_users(
            one_look / formulas.cuped_factor(question.correlation), relative
        ),
    )


def _relative(question: PlanQuestion, effect: float) -> float | None:
    """Return an absolute effect as a share of the baseline; None of a baseline of zero."""
    if question.mde is not None and not question.absolute:
        return (
            question.mde
        )  # multiplied and divided, 0.02 may be less, and break the rule that it obeys
    return effect / question.baseline if question.baseline else None


def _names(treatments: int) -> list[str]:
    return ["treatment"] if treatments == 1 else [f"treatment {n + 1}" for n in range(treatments)]


def _days(question: PlanQuestion, units: float) -> int | None:
    if question.traffic is None:
        return None
    return formulas.days_for(
        units, question.traffic, allocation=question.allocation, window_days=question.window_days
    )


def _units_of_effect(question: PlanQuestion, effect: float) -> float:
    """Return the units over all variants at which one look finds an absolute effect."""
    alpha, power, ratio = question.alpha_per_treatment, question.raised_power, question.ratio
    if question.kind in PROPORTIONS:
        control, treatment = question.baseline, question.baseline + effect
        n = formulas.units_for_proportions(control, treatment, alpha=alpha, power=power, ratio=ratio)
    else:
        n = formulas.units_for_means(effect, question.spread, alpha=alpha, power=power, ratio=ratio)
    return n * formulas.cuped_factor(question.correlation) / question.fractions[0]


def _effect_of_units(question: PlanQuestion, units: float) -> float:
    """Return the absolute effect that one look finds with so many units over all variants."""
    alpha, power, ratio = question.alpha_per_treatment, question.raised_power, question.ratio
    control = units * question.fractions[0] / formulas.cuped_factor(question.correlation)
    if question.kind in PROPORTIONS:
        base = question.baseline
        return formulas.detectable_proportion(control, base, alpha=alpha, power=power, ratio=ratio)
    return formulas.detectable_mean(control, question.spread, alpha=alpha, power=power, ratio=ratio)
