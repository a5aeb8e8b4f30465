"""A draft as the form of experiments shows it, and what was filled in as parts of a draft."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.dashboard.targeting_form import rows_of_condition
from bakeoff.dashboard.variant_rows import rows_of_variants
from experiments.actions.edit_draft import draft_of, fingerprint_of
from experiments.actions.experiment_draft import (
    BANDIT_POLICY,
    CLUSTER_POLICY,
    INTERLEAVED_POLICY,
    SWITCHBACK_POLICY,
    ExperimentMetricDraft,
)
from experiments.kinds import ABOVE_USERS
from experiments.models import Experiment, ExperimentMetric
from experiments.stats.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


GUARDRAIL = ExperimentMetric.Role.GUARDRAIL
BANDIT_FIELDS = frozenset({"floor", "update_hours", "burn_in_units"})
POLICY_FIELDS = BANDIT_FIELDS | {
    "rule", "planned_units", "minimum_days", "window_hours", "promote", "cluster_by",
    "block_minutes", "carry_over_minutes",
}  # fmt: skip
FIELDS_OF_MODES: Mapping[str, frozenset[str]] = {
    "bandit": frozenset({"floor", "update_every_seconds", "burn_in_units"}),
    "cluster": frozenset({"cluster_by"}),
    "switchback": frozenset({"block_seconds", "carry_over_seconds"}),
}
DEFAULTS = Policy()


def policy_of(filled: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the named fields of the form as the policy has them."""
    policy = {
        "rule": ("rule", filled["rule"]),
        "planned_units": ("planned_units", filled["planned_units"]),
        "minimum_days": ("minimum_run_seconds", filled["minimum_days"] * 86_400),
        "window_hours": ("window_seconds", filled["window_hours"] * 3600),
        "promote": ("promote", filled["promote"]),
        "floor": ("floor", _share(filled["floor"], BANDIT_POLICY["floor"])),
        "update_hours": (
            "update_every_seconds",
            3600 * (filled["update_hours"] or DEFAULTS.update_every_seconds / 3600),
        ),
        "cluster_by": ("cluster_by", filled["cluster_by"].strip()),
        "block_minutes": ("block_seconds", 60 * (filled["block_minutes"] or 0.0)),
        "carry_over_minutes": ("carry_over_seconds", 60 * (filled["carry_over_minutes"] or 0.0)),
        "burn_in_units": (
            "burn_in_units",
            DEFAULTS.burn_in_units if filled["burn_in_units"] is None else filled["burn_in_units"],
        ),
    }
    return dict(policy[name] for name in policy if name in set(names))


def in_mode(mode: str, policy: Mapping[str, Any], *, before: str = "split") -> dict[str, Any]:
    """Return a policy with the rule that its mode has; interleaving ships nothing by itself.

    The form has one default rule; what a bandit cannot be judged by becomes the rule of bandits, and
    clusters and blocks of time have one rule, with a gate that counts them.

    Args:
        mode: the draft's.
        policy: as it is stored, or filled in.
        before: the mode of the stored draft.
    """
    foreign = {name for one, names in FIELDS_OF_MODES.items() if one != mode for name in names}
    if before in ABOVE_USERS and mode not in ABOVE_USERS:
        foreign.add("minimum_nonzero")  # a gate of clusters is none of users
    plain = {name: value for name, value in policy.items() if name not in foreign}
    if mode == Experiment.Mode.BANDIT:
        rule = plain.get("rule") if plain.get("rule") == "exact" else BANDIT_POLICY["rule"]
        return {**plain, "rule": rule}
    if mode in ABOVE_USERS:
        usual = CLUSTER_POLICY if mode == Experiment.Mode.CLUSTER else SWITCHBACK_POLICY
        return {**usual, **plain, "rule": usual["rule"]}
    return {**plain, **INTERLEAVED_POLICY} if mode == Experiment.Mode.INTERLEAVE else plain


def _share(percent: float | None, default: Any) -> float:
    return float(default) if percent is None else percent / 100


def metrics_of(
    filled: dict[str, Any], stored: Sequence[ExperimentMetricDraft], *, new_margin: bool
) -> list[ExperimentMetricDraft]:
    """Return the metrics with their roles; guardrails that are stored stay as they are.

    Args:
        filled: fields of the form.
        stored: metrics of the draft before.
        new_margin: whether all guardrails get the form's margin; their floors stay.
    """
    margin = filled["margin"] / 100
    before = {one.metric: one for one in stored if one.role == GUARDRAIL}
    if new_margin:
        before = {metric: replace(one, margin=margin) for metric, one in before.items()}
    return [
        ExperimentMetricDraft(filled["primary"]),
        *(
            ExperimentMetricDraft(metric, ExperimentMetric.Role.SECONDARY)
            for metric in filled["secondary"]
        ),
        *(
            before.get(metric, ExperimentMetricDraft(metric, GUARDRAIL, margin))
            for metric in filled["guardrails"]
        ),
    ]


def policy_in_form(policy: Policy) -> dict[str, Any]:
    """Return a policy as the form shows it."""
    return {
        "rule": policy.rule,
        "planned_units": policy.planned_units,
        "minimum_days": policy.minimum_run_seconds / 86_400,
        "window_hours": policy.window_seconds / 3600,
        "promote": policy.promote,
        "floor": 100 * (policy.floor or float(BANDIT_POLICY["floor"])),
        "update_hours": policy.update_every_seconds / 3600,
        "burn_in_units": policy.burn_in_units,
        "cluster_by": policy.cluster_by,
        "block_minutes": policy.block_seconds / 60 or None,
        "carry_over_minutes": policy.carry_over_seconds / 60 or None,
    }


def initial_of(draft: Experiment) -> dict[str, Any]:
    """Return a draft as the form shows it; variants and targeting as rows."""
    policy = draft.parsed_policy
    targeting = rows_of_condition(draft.condition)
    by_role: dict[str, list[Any]] = {}
    for metric in draft.metrics.all():
        by_role.setdefault(metric.role, []).append(metric)
    primary = by_role.get(ExperimentMetric.Role.PRIMARY, [None])[0]
    guardrails = by_role.get(ExperimentMetric.Role.GUARDRAIL, [])
    return {
        "read_as": fingerprint_of(draft_of(draft)),
        "surface": draft.surface_id,
        "key": draft.key,
        "name": draft.name,
        "tags": draft.tags,
        "hypothesis": draft.hypothesis,
        "variants": rows_of_variants(draft.variants.all()),
        "allocation": 100 * draft.allocation,
        "primary": primary.metric_id if primary is not None else None,
        "secondary": [r.metric_id for r in by_role.get(ExperimentMetric.Role.SECONDARY, [])],
        "guardrails": [r.metric_id for r in guardrails],
        "margin": 100 * guardrails[0].margin if guardrails else 5,
        **policy_in_form(policy),
        "breaker_alpha": round(100 * draft.breaker_alpha, 9),
        "hashing": draft.hashing,
        "mode": draft.mode,
        "layer": draft.layer_id,
        "slot_low": 100 * draft.slot_low,
        "slot_high": 100 * draft.slot_high,
        # What rows cannot say stays as it was written.
        "condition": orjson.dumps(draft.condition).decode() if targeting is None else "",
        "condition_rows": targeting or [],
        "segments": ", ".join(draft.segments),
        "sticky": draft.sticky,
        "against_gate": draft.against_gate,
    }
