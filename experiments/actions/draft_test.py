"""Draft the automatic experiment of a challenger, as its surface's programme says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.accounts.actors import PLATFORM
from experiments.actions.create_serving_metrics import create_serving_metrics
from experiments.actions.experiment_draft import ExperimentDraft, ExperimentMetricDraft, VariantDraft
from experiments.actions.layer_slots import free_slot
from experiments.actions.short_names import short_name
from experiments.looks.breaker_counts import LATENCY
from experiments.models import ExperimentMetric, Metric, Programme
from experiments.programme.harm import harm_class_of, required_users
from experiments.programme.serving_metrics import serving_metrics_of
from experiments.reports.promotion_history import prior_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.models import RampStep
    from inference.models import ModelVersion

# The columns' widths, which keys of surfaces and names of algorithms may pass together.
MAX_KEY, MAX_SALT = 100, 64
# What a policy allows; a project whose tests all came out alike has a prior without any width.
MAX_PRIOR_MEAN, MIN_PRIOR_SD, MAX_PRIOR_SD = 1.0, 0.001, 1.0


def draft_test(
    programme: Programme, *, challenger: ModelVersion, champion: ModelVersion, primary: Metric
) -> ExperimentDraft:
    """Return the experiment of a challenger against the champion.

    Nothing of it is stored, but for the project's serving metrics where they are missing.
    """
    surface = programme.surface
    sides = (f"{version.algorithm}-{version.number}" for version in (challenger, champion))
    key = short_name(f"{surface.key}-{'-vs-'.join(sides)}", MAX_KEY)
    metrics = [ExperimentMetricDraft(metric=primary), *_guardrails(programme)]
    first, *steps = plan_ramp(programme, tests=breaker_tests(metrics))
    return ExperimentDraft(
        surface=surface,
        key=key,
        name=f"{challenger.label} against {champion.label}",
        hypothesis=f"{challenger.label} brings more {primary} than {champion.label}.",
        owner=PLATFORM,
        variants=[
            VariantDraft(key="control", version=champion, weight=0.5, is_control=True),
            VariantDraft(key="treatment", version=challenger, weight=0.5),
        ],
        metrics=metrics,
        policy=_policy(programme, is_refit=challenger.recipe == champion.recipe),
        salt=short_name(f"{surface.seed}:{key}", MAX_SALT) if surface.seed else "",
        allocation=first["allocation"],
        ramp=steps,
        breaker_alpha=programme.breaker_alpha,
    )


def breaker_tests(metrics: Sequence[ExperimentMetricDraft]) -> int:
    """Return how many tests of the breaker share its level: two for latencies, one for others."""
    return sum(2 if one.metric.event == LATENCY else 1 for one in metrics)


def plan_ramp(programme: Programme, *, tests: int) -> list[dict[str, Any]]:
    """Return the ramp as an experiment stores it; the first step is the allocation at its start.

    Variants keep equal weights and the allocation is twice the treatment's share, so nobody changes
    variant from step to step. Shares are of all users: where holdbacks leave a part of them to tests,
    the allocation within that part is larger, and steps that would need more than all of it end in one.

    Args:
        programme: of the surface.
        tests: of the breaker, which share its level.
    """
    slot = free_slot(programme.surface)
    width = slot.high - slot.low if slot is not None else 1.0
    plan: list[dict[str, Any]] = []
    before: RampStep | None = None
    for step in programme.parsed_ramp:
        allocation = min(1.0, 2 * step.share / width)
        row: dict[str, Any] = {"allocation": allocation}
        if before is not None:
            harm = harm_class_of(before.share)
            users = required_users(harm, alpha=programme.breaker_alpha, tests=tests)
            row |= {
                "after_seconds": before.minimum_seconds,
                "units": before.units or users,
                "harm": harm.name,
            }
        before = step
        if not plan or allocation > plan[-1]["allocation"]:
            plan.append(row)
    return plan


def _guardrails(programme: Programme) -> list[ExperimentMetricDraft]:
    """Return the surface's own guardrails, and those of serving, which are always on."""
    margins = {one.metric: one.margin for one in programme.parsed_guardrails}
    own = Metric.objects.filter(project=programme.surface.project_id, key__in=margins).order_by("id")
    role = ExperimentMetric.Role.GUARDRAIL
    rows = {metric.key: ExperimentMetricDraft(metric, role, margins[metric.key]) for metric in own}
    kind = programme.surface.kind
    serving = create_serving_metrics(programme.surface.project, kind)
    for one in serving_metrics_of(kind):
        metric = serving[one.key]
        if one.margin is not None and metric.pk != programme.primary_metric_id:
            # A margin of the surface's own replaces the default one; the floor stays.
            margin = margins.get(metric.key, one.margin)
            rows[metric.key] = ExperimentMetricDraft(metric, role, margin, one.margin_floor)
    return list(rows.values())


def _policy(programme: Programme, *, is_refit: bool) -> dict[str, Any]:
    """Return the surface's policy with what the programme says of shipping."""
    policy = dict(programme.surface.policy)
    if programme.required_approvals:
        policy["promote"] = False
    valuable = Programme.ShipWhen.VALUABLE
    # Nobody claims of a refit that it is better: the more likely better of the two is enough.
    if programme.ship_when == valuable or (is_refit and not programme.ship_when):
        prior = prior_of(programme.surface.project_id)
        policy |= {
            "ship_when": str(valuable),
            "prior_mean": min(max(prior.mean, -MAX_PRIOR_MEAN), MAX_PRIOR_MEAN),
            "prior_sd": min(max(prior.sd, MIN_PRIOR_SD), MAX_PRIOR_SD),
        }
    return policy
