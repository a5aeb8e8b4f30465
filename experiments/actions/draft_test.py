"""Draft the automatic experiment of a challenger, as its surface's programme says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.accounts.actors import PLATFORM
from experiments.actions.define_experiment import (
    ExperimentDraft,
    ExperimentMetricDraft,
    VariantDraft,
)
from experiments.actions.layer_slots import free_slot
from experiments.actions.short_names import short_name
from experiments.models import ExperimentMetric, Metric, Programme
from experiments.programme.harm import harm_class_of

if TYPE_CHECKING:
    from experiments.models import RampStep
    from inference.models import ModelVersion

# The columns' widths, which keys of surfaces and names of algorithms may pass together.
MAX_KEY, MAX_SALT = 100, 64


def draft_test(
    programme: Programme, *, challenger: ModelVersion, champion: ModelVersion, primary: Metric
) -> ExperimentDraft:
    """Return the experiment of a challenger against the champion; nothing is stored."""
    surface = programme.surface
    sides = (f"{version.algorithm}-{version.number}" for version in (challenger, champion))
    key = short_name(f"{surface.key}-{'-vs-'.join(sides)}", MAX_KEY)
    first, *steps = plan_ramp(programme)
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
        metrics=[ExperimentMetricDraft(metric=primary), *_guardrails(programme)],
        policy=_policy(programme),
        salt=short_name(f"{surface.seed}:{key}", MAX_SALT) if surface.seed else "",
        allocation=first["allocation"],
        ramp=steps,
    )


def plan_ramp(programme: Programme) -> list[dict[str, Any]]:
    """Return the ramp as an experiment stores it; the first step is the allocation at its start.

    Variants keep equal weights and the allocation is twice the treatment's share, so nobody changes
    variant from step to step. Shares are of all users: where holdbacks leave a part of them to tests,
    the allocation within that part is larger, and steps that would need more than all of it end in one.
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
            row |= {
                "after_seconds": before.minimum_seconds,
                "units": harm.required_users,
                "harm": harm.name,
            }
        before = step
        if not plan or allocation > plan[-1]["allocation"]:
            plan.append(row)
    return plan


def _guardrails(programme: Programme) -> list[ExperimentMetricDraft]:
    margins = {one.metric: one.margin for one in programme.parsed_guardrails}
    metrics = Metric.objects.filter(project=programme.surface.project_id, key__in=margins)
    return [
        ExperimentMetricDraft(metric, role=ExperimentMetric.Role.GUARDRAIL, margin=margins[metric.key])
        for metric in metrics.order_by("id")
    ]


def _policy(programme: Programme) -> dict[str, Any]:
    policy = dict(programme.surface.policy)
    if programme.required_approvals:
        policy["promote"] = False
    return policy
