"""The planner beside the form of experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext as _

from bakeoff.plan_answers import few_blocks_in_words
from experiments.models import Experiment
from experiments.reports.metric_library import suggest_metrics
from experiments.reports.remaining import describe_seconds
from experiments.scorecards.block_plan import FewBlocksError, plan_blocks
from experiments.scorecards.change_plan import weeks_of
from experiments.scorecards.plan_words import describe_missing_traffic
from experiments.scorecards.traffic_plan import (
    Design,
    NoTrafficError,
    plan_from_traffic,
)
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.dashboard.experiment_form import ExperimentForm
    from experiments.models import Metric
    from experiments.reports.metric_library import SuggestedMetric
    from inference.models import Surface


def plan_in_words(form: ExperimentForm) -> dict[str, Any]:
    """Return what the experiment would take at the last week's traffic, or what is missing to say so."""
    filled = getattr(form, "cleaned_data", {}) if form.is_bound else {}
    surface, metric = filled.get("surface"), filled.get("primary")
    if surface is None or metric is None:
        return {
            "missing": _("Choose a surface and a primary metric: the calculator uses their traffic.")
        }
    if filled.get("mode") == Experiment.Mode.SWITCHBACK:
        return _plan_of_blocks(surface, metric, filled, form.shares())
    try:
        result = plan_from_traffic(surface, metric, _design(filled, form.shares()))
    except NoTrafficError as error:
        return {"missing": describe_missing_traffic(surface, metric, error.traffic)}
    except StatisticsError as error:
        return {"missing": str(error)}
    return {
        "found": result.plan,
        "weeks": weeks_of(result.plan.days),
        "visitors": result.visitors_per_day,
        "baseline": result.baseline,
        "metric": metric,
    }


def _plan_of_blocks(
    surface: Surface, metric: Metric, filled: dict[str, Any], shares: Sequence[float]
) -> dict[str, Any]:
    minutes, carry_over = filled.get("block_minutes"), filled.get("carry_over_minutes")
    if not minutes or not carry_over:
        return {"missing": _("Enter the minutes of a block and of its carry-over.")}
    length = {"block_seconds": 60 * minutes, "carry_over_seconds": 60 * carry_over}
    try:
        result = plan_blocks(surface, metric, _design(filled, shares), **length)
    except FewBlocksError as error:
        return {"missing": few_blocks_in_words(error)}
    except StatisticsError as error:
        return {"missing": str(error)}
    return {
        "found": result.plan,
        "blocks": result,
        "length": describe_seconds(60 * minutes),
        "duration": describe_seconds(result.days * 86_400),
        "baseline": result.baseline,
        "metric": metric,
    }


def suggestions_for(form: ExperimentForm) -> list[SuggestedMetric]:
    """Return metrics of earlier tests that the form has not chosen; none before a surface is chosen."""

    def chosen(name: str) -> Any:
        field: Any = form.fields[name]
        if form.is_bound:
            return getattr(form, "cleaned_data", {}).get(name)
        try:
            return field.clean(form.initial.get(name)) if form.initial.get(name) else None
        except forms.ValidationError:  # what an address brings may be nothing that there is
            return None

    surface = chosen("surface")
    if surface is None:
        return []
    metrics = [chosen("primary"), *(chosen("guardrails") or ()), *(chosen("secondary") or ())]
    return suggest_metrics(surface, without=[metric.pk for metric in metrics if metric is not None])


def _design(filled: dict[str, Any], shares: Sequence[float]) -> Design:
    """Return what was filled in so far; the rest as a new experiment has it."""
    return Design(
        treatment_share=shares[1] / 100 if len(shares) > 1 else 0.5,
        shares=tuple(share / 100 for share in shares) if len(shares) > 2 else (),
        planned_units=filled.get("planned_units") or 10_000,
        rule=filled.get("rule") or "group_sequential",
        guardrails=len(filled.get("guardrails") or ()),
        allocation=(filled.get("allocation") or 100) / 100,
    )
