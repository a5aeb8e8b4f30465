"""Write a decision, chained by hash to the one before it in its project."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from django.utils import timezone

from bakeoff.accounts.audit import record_audit
from experiments.actions.alert_on_decision import alert_on_decision
from experiments.models import Decision, Experiment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from experiments.models import Look
    from inference.models import ModelVersion, Surface


@dataclass(frozen=True, slots=True)
class DecisionDraft:
    """What was decided."""

    surface: Surface
    action: str
    reason: str
    created_by: str
    experiment: Experiment | None = None
    promoted: ModelVersion | None = None
    replaced: ModelVersion | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


def record_decision(draft: DecisionDraft) -> Decision:
    """Append to the chain, inside the caller's transaction."""
    project = draft.surface.project
    # The project's row is the chain's lock: two decisions may not follow the same one. It is the last
    # lock of every action; rows that only point to the project, as audit entries do, do not wait.
    type(project).objects.select_for_update(no_key=True).get(pk=project.pk)
    last = Decision.objects.filter(project=project).first()
    decision = Decision(
        project=project,
        surface=draft.surface,
        experiment=draft.experiment,
        action=draft.action,
        reason=draft.reason,
        created_by=draft.created_by,
        created_at=timezone.now(),
        promoted=draft.promoted,
        replaced=draft.replaced,
        evidence=dict(draft.evidence),
        previous_sha256=last.sha256 if last is not None else "",
    )
    decision.sha256 = hash_of(decision)
    decision.save()
    record_audit(
        project.pk,
        actor=draft.created_by,
        action=draft.action,
        subject=str(draft.experiment or draft.surface),
        detail={"reason": draft.reason, "decision": decision.sha256, **_mark(draft)},
    )
    alert_on_decision(decision)
    return decision


def evidence_of(experiment: Experiment, look: Look | None) -> dict[str, object]:
    """Return all that is needed to recompute a verdict on an experiment."""
    evidence: dict[str, object] = {
        "policy_sha256": experiment.policy_sha256,
        "salt": experiment.salt,
        "against_gate": experiment.against_gate,
    }
    if look is not None:
        evidence |= {"look": look.number, "inputs": look.inputs, "result": look.result}
    return evidence


def _mark(draft: DecisionDraft) -> dict[str, Any]:
    """Return what the audit trail says of a promotion: against the gate, and with which holdback."""
    names = ("gate_refusal", "holdback", "why_no_holdback")
    return {name: draft.evidence[name] for name in names if draft.evidence.get(name)}


def hash_of(decision: Decision) -> str:
    """Return the SHA-256 of a decision's content and of its predecessor's hash."""
    content = {
        "project": decision.project.slug,
        "surface": decision.surface.key,
        "experiment": decision.experiment.key if decision.experiment else None,
        "action": decision.action,
        "reason": decision.reason,
        # Keys of the hashed record, which never change; the columns were called so until 0.1.
        "made_by": decision.created_by,
        "made_at": _iso(decision.created_at),
        "promoted": decision.promoted.artifact_sha256 if decision.promoted else None,
        "replaced": decision.replaced.artifact_sha256 if decision.replaced else None,
        "evidence": decision.evidence,
        "previous": decision.previous_sha256,
    }
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _iso(at: datetime) -> str:
    return at.astimezone(timezone.get_default_timezone()).isoformat()
