"""The planner beside the form of experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from experiments.scorecards.change_plan import weeks_of
from experiments.scorecards.plan_words import describe_missing_traffic
from experiments.scorecards.traffic_plan import (
    Design,
    NoTrafficError,
    plan_from_traffic,
)
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from bakeoff.dashboard.experiment_form import ExperimentForm


def plan_in_words(form: ExperimentForm) -> dict[str, Any]:
    """Return what the experiment would take at the last week's traffic, or what is missing to say so."""
    filled = getattr(form, "cleaned_data", {}) if form.is_bound else {}
    surface, metric = filled.get("surface"), filled.get("primary")
    if surface is None or metric is None:
        return {
            "missing": _("Choose a surface and a primary metric: the calculator uses their traffic.")
        }
    try:
        result = plan_from_traffic(surface, metric, _design(filled))
    except NoTrafficError as error:
        return {"missing": describe_missing_traffic(surface, metric, error.traffic)}
    except StatisticsError as error:
        return {"missing": str(error)}
    return {
        "found": result.plan,
        "weeks": weeks_of(result.plan),
        "visitors": result.visitors_per_day,
        "baseline": result.baseline,
        "metric": metric,
    }


def _design(filled: dict[str, Any]) -> Design:
    """Return what was filled in so far; the rest as a new experiment has it."""
    return Design(
        treatment_share=(filled.get("treatment_share") or 50) / 100,
        planned_units=filled.get("planned_units") or 10_000,
        rule=filled.get("rule") or "group_sequential",
        guardrails=len(filled.get("guardrails") or ()),
        allocation=(filled.get("allocation") or 100) / 100,
    )
