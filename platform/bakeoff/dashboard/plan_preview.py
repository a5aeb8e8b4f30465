"""The planner beside the form of experiments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.db import OperationalError, connection, transaction
from django.utils.translation import gettext as _

from bakeoff.dashboard.mode_fields import settled
from bakeoff.dashboard.variant_rows import shares_of
from bakeoff.plan_answers import few_blocks_in_words
from experiments.models import Experiment
from experiments.reports.metric_library import suggest_metrics
from experiments.reports.remaining import describe_seconds
from experiments.scorecards.block_plan import FewBlocksError, plan_blocks
from experiments.scorecards.change_plan import weeks_of
from experiments.scorecards.mode_preview import preview_clusters, preview_lists
from experiments.scorecards.plan_words import describe_missing_traffic, describe_open
from experiments.scorecards.traffic_plan import (
    Design,
    NoTrafficError,
    plan_from_traffic,
)
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.dashboard.experiment_form import ExperimentForm
    from experiments.models import Metric
    from experiments.reports.metric_library import SuggestedMetric
    from experiments.scorecards.mode_preview import ModePreview
    from inference.models import Surface

# Fields of the form that a plan is made from, beside the shares of the variants.
PLANNED = (
    "surface", "primary", "mode", "cluster_by", "block_minutes", "carry_over_minutes", "planned_units",
    "planned_blocks", "rule", "bandit_rule", "guardrails", "allocation", "window_hours",
)  # fmt: skip

# The form is worth more than the numbers beside it: it does not wait for a slow database.
MAX_SECONDS = 3


def plan_in_words(form: ExperimentForm) -> dict[str, Any]:
    """Return what the experiment would take at the last week's traffic, or what is missing to say so."""
    try:
        # A savepoint: a statement that is cancelled leaves the page's transaction as it was.
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = '{MAX_SECONDS}s'")
            return _plan_of(form)
    except OperationalError:
        sentence = _("Last week's traffic cannot be read within %(seconds)s seconds. Try again later.")
        return {"missing": sentence % {"seconds": MAX_SECONDS}}


def _plan_of(form: ExperimentForm) -> dict[str, Any]:
    filled, shares = _filled_in(form)
    surface, metric = filled.get("surface"), filled.get("primary")
    if surface is None or metric is None:
        return {
            "missing": _("Choose a surface and a primary metric: the calculator uses their traffic.")
        }
    try:
        return _PLANS.get(filled.get("mode") or "split", _plan_of_users)(
            surface, metric, filled, shares
        )
    except NoTrafficError as error:
        return {"missing": describe_missing_traffic(surface, metric, error.traffic)}
    except StatisticsError as error:
        return {"missing": str(error)}


def _plan_of_users(
    surface: Surface, metric: Metric, filled: dict[str, Any], shares: Sequence[float]
) -> dict[str, Any]:
    result = plan_from_traffic(surface, metric, _design(filled, shares))
    return {
        "found": result.plan,
        "weeks": weeks_of(result.plan.days),
        "visitors": result.visitors_per_day,
        "baseline": result.baseline,
        "metric": metric,
        "is_bandit": filled.get("mode") == Experiment.Mode.BANDIT,
        "notes": describe_open(result),
    }


def _plan_of_lists(
    surface: Surface, metric: Metric, filled: dict[str, Any], shares: Sequence[float]
) -> dict[str, Any]:
    preview = preview_lists(surface, metric, _design(filled, shares))
    return _preview_of(preview, metric)


def _preview_of(preview: ModePreview, metric: Metric) -> dict[str, Any]:
    return {
        "preview": preview,
        "weeks": weeks_of(preview.days),
        "metric": metric,
        "notes": describe_open(preview),
    }


def _plan_of_clusters(
    surface: Surface, metric: Metric, filled: dict[str, Any], shares: Sequence[float]
) -> dict[str, Any]:
    if not filled.get("cluster_by"):
        return {"missing": _("Name the attribute of the context by which clusters are drawn.")}
    design = _design(filled, shares)
    preview = preview_clusters(surface, metric, design, cluster_by=filled["cluster_by"])
    return _preview_of(preview, metric)


def _filled_in(form: ExperimentForm) -> tuple[dict[str, Any], Sequence[float]]:
    """Return what the form has in it, and the shares of its variants in percent.

    Of a form that was not sent, what it shows: a template's, a draft's, or another experiment's values.
    """
    if form.is_bound:
        return getattr(form, "cleaned_data", {}), form.shares()
    filled = {name: _shown_in(form, name) for name in PLANNED}
    filled = settled(filled)
    rows = [row for row in form.lists["variants"].formset if row.initial.get("key")]
    return filled, shares_of([{"share": _shown_in(row, "share")} for row in rows])


def _shown_in(form: forms.Form, name: str) -> Any:
    """Return the value that a form shows before it is sent; None where it would be refused."""
    field = form.fields[name]
    try:
        return field.clean(form.get_initial_for_field(field, name))
    except forms.ValidationError:  # what an address brings may be nothing that there is
        return None


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
    return {
        "found": result.plan,
        "blocks": result,
        "length": describe_seconds(60 * minutes),
        "duration": describe_seconds(result.days * 86_400),
        "baseline": result.baseline,
        "metric": metric,
    }


PlanOf = Callable[["Surface", "Metric", dict[str, Any], "Sequence[float]"], dict[str, Any]]
_PLANS: Mapping[str, PlanOf] = {
    "interleave": _plan_of_lists,
    "cluster": _plan_of_clusters,
    "switchback": _plan_of_blocks,
}


def suggestions_for(form: ExperimentForm) -> list[SuggestedMetric]:
    """Return metrics of earlier tests that the form has not chosen; none before a surface is chosen."""

    def chosen(name: str) -> Any:
        if form.is_bound:
            return getattr(form, "cleaned_data", {}).get(name)
        return _shown_in(form, name)

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
        window_seconds=3600 * hours if (hours := filled.get("window_hours")) else None,
    )
