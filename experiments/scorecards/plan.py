"""A plan: units, duration and detectable effect of an experiment under its rule."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from experiments.stats import power as formulas
from experiments.stats.effects import PROPORTIONS, critical_value
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Sequence


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

    def as_json(self) -> dict[str, Any]:
        """Return every field."""
        return asdict(self)


def plan(
    *,
    kind: str,
    baseline: float,
    shares: Sequence[float],
    mde: float | None = None,
    absolute: bool = False,
    units: float | None = None,
    sd: float | None = None,
    quantile: float = 0.5,
    density: float | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
    correlation: float = 0.0,
    guardrails: int = 0,
    rule: formulas.Rule = "group_sequential",
    looks: int = formulas.LOOKS,
    reserve: float | None = None,
    futility: bool = True,
    traffic: Sequence[float] | None = None,
    allocation: float = 1.0,
    window_days: float = 0.0,
) -> Plan:  # many arguments, each a field of the question
    """Plan for an effect, or for a number of units.

    Several treatments share alpha by Bonferroni; the smallest treatment is the one that is planned for.

    Raises:
        StatisticsError: an argument breaks its rule.
    """
    if baseline == 0 and mde is not None and not absolute:
        raise StatisticsError(
            f"baseline == {baseline:g}, must not be zero unless the effect is absolute: --absolute."
        )
    critical_value(alpha)  # says what alpha must be
    shares = _check_shares(shares)
    treatments = len(shares) - 1
    smallest = min(shares[1:])
    ratio = smallest / shares[0]
    each = alpha / treatments
    raised = formulas.split_power(power, guardrails)
    kept = _reserve(rule, reserve, each, treatments)
    settings: dict[str, Any] = {"power": raised, "looks": looks, "futility": futility}
    inflation = formulas.inflation(rule, alpha=each, reserve=kept, **settings)
    shape = formulas.design(rule, alpha=each - kept, **settings)
    spread = _spread(kind, baseline, sd, quantile, density)
    factor = formulas.cuped_factor(correlation)

    def control_units(effect: float) -> float:
        if kind in PROPORTIONS:
            n = formulas.units_for_proportions(
                baseline, baseline + effect, alpha=each, power=raised, ratio=ratio
            )
        else:
            n = formulas.units_for_means(effect, spread, alpha=each, power=raised, ratio=ratio)
        return n * factor

    if mde is not None:
        effect = mde if absolute else mde * baseline
        one_look = control_units(effect) / shares[0]
    else:
        if units is None or not 2 <= units < math.inf:
            raise StatisticsError(f"units == {units}, must be at least 2.")
        one_look = units / inflation
        effect = _detectable(kind, baseline, spread, one_look * shares[0] / factor, each, raised, ratio)
    total = one_look * inflation
    per_variant = [math.ceil(total * share - 1e-9) for share in shares]
    days = (
        None
        if traffic is None
        else formulas.days_for(total, traffic, allocation=allocation, window_days=window_days)
    )
    return Plan(
        rule=rule,
        alpha=alpha,
        power=raised,
        treatments=["treatment"]
        if treatments == 1
        else [f"treatment {n + 1}" for n in range(treatments)],
        units_per_variant=per_variant,
        units=sum(per_variant),
        units_one_look=one_look,
        inflation=inflation,
        mde_absolute=effect,
        mde_relative=effect / baseline if baseline else None,
        stop_null=shape.mean_stop[0],
        stop_effect=shape.mean_stop[1],
        days=days,
    )


def _reserve(rule: str, reserve: float | None, each: float, treatments: int) -> float:
    """Return what is kept of one treatment's alpha for after the plan."""
    if rule != "group_sequential":
        return 0.0
    kept = each / 10 if reserve is None else reserve / treatments
    if not 0 <= kept < each:
        raise StatisticsError(f"reserve == {reserve:g}, must be in [0, alpha).")
    return kept


def _check_shares(shares: Sequence[float]) -> list[float]:
    total = sum(shares)
    if len(shares) < 2 or min(shares) <= 0:
        raise StatisticsError(f"split == {list(shares)}, must be at least two positive shares.")
    if not (math.isclose(total, 1) or math.isclose(total, 100)):
        raise StatisticsError(f"split sums to {total:g}, must sum to 1 or 100.")
    return [share / total for share in shares]


def _spread(
    kind: str, baseline: float, sd: float | None, quantile: float, density: float | None
) -> float:
    if kind in PROPORTIONS:
        return math.sqrt(baseline * (1 - baseline)) if 0 < baseline < 1 else 0.0
    if kind == "quantile" and density is not None:
        if density <= 0 or not 0 < quantile < 1:
            raise StatisticsError(
                f"density == {density:g}, quantile == {quantile:g}: must be positive and in (0, 1)."
            )
        return math.sqrt(quantile * (1 - quantile)) / density
    if sd is None:
        needed = "sd or density" if kind == "quantile" else "sd"
        raise StatisticsError(f"{needed} is missing, must be given for a {kind}.")
    return sd


def _detectable(
    kind: str, baseline: float, spread: float, control: float, alpha: float, power: float, ratio: float
) -> float:
    if kind in PROPORTIONS:
        return formulas.detectable_proportion(control, baseline, alpha=alpha, power=power, ratio=ratio)
    return formulas.detectable_mean(control, spread, alpha=alpha, power=power, ratio=ratio)
