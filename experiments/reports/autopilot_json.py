"""The autopilot of a surface as JSON: what the API and the shell answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.programme.ramp import next_step_sentence

if TYPE_CHECKING:
    from experiments.models import Experiment, Proposal
    from experiments.programme.queue_types import QueuedChallenger
    from experiments.programme.ramp_types import RampState
    from experiments.reports.autopilot_report import (
        AutopilotReport,
        ChampionState,
        HoldbackState,
        LiftEstimate,
        MetricGain,
        PipelineRow,
    )


def autopilot_as_json(report: AutopilotReport) -> dict[str, Any]:
    """Return a report as plain values; versions by their labels, experiments by their keys."""
    now, year = report.now, report.year
    return {
        "surface": report.surface.key,
        "settings": dict(report.settings),
        "warnings": list(report.warnings),
        "champion": champion_as_json(report.champion) if report.champion is not None else None,
        "now": {
            "state": now.state,
            "sentence": now.sentence,
            "experiment": _key(now.experiment),
            "since": now.since,
            "until": now.until,
            "next_step_about": now.next_step_at,
            "verdict_about": now.verdict_at,
        },
        "ramp": ramp_as_json(report.ramp) if report.ramp is not None else None,
        "queue": [queued_as_json(row) for row in report.queue],
        "pipeline": [_row_as_json(row) for row in report.pipeline],
        "champions": [champion_as_json(one) for one in report.champions],
        "proposals": [proposal_as_json(one) for one in report.proposals],
        "year": {
            "tested": year.tested,
            "shipped": year.shipped,
            "rolled_back": year.rolled_back,
            "breaker_trips": year.breaker_trips,
            "refreshed": year.refreshed,
            "screened": year.screened,
            "gain": _gain(year.gain) if year.gain is not None else None,
        },
    }


def _key(experiment: Experiment | None) -> str | None:
    return experiment.key if experiment is not None else None


def _lift(estimate: LiftEstimate | None) -> dict[str, Any] | None:
    return {"lift": estimate.lift, "ci": estimate.interval} if estimate is not None else None


def _gain(gain: MetricGain) -> dict[str, Any]:
    lift = gain.lift
    return {"metric": gain.metric, "lift": lift.estimate, "ci": (lift.low, lift.high)}


def champion_as_json(champion: ChampionState) -> dict[str, Any]:
    """Return a champion of now or before."""
    return {
        "version": champion.version.label,
        "since": champion.since,
        "until": champion.until,
        "reason": champion.reason,
        "experiment": _key(champion.experiment),
        "shipped_at": _lift(champion.shipped_at),
        "holdback": _holdback(champion.holdback),
    }


def _holdback(holdback: HoldbackState | None) -> dict[str, Any] | None:
    if holdback is None:
        return None
    return {
        "experiment": holdback.experiment.key,
        "days": holdback.days,
        "total_days": holdback.total_days,
        "gain": _lift(holdback.lift),
        "outcome": holdback.outcome,
    }


def ramp_as_json(ramp: RampState) -> dict[str, Any]:
    """Return a ramp: its steps, and what the next one needs."""
    return {
        "steps": [
            {
                "share": step.share,
                "state": step.state,
                "harm": step.harm,
                "required_users": step.required_users,
                "users": step.users,
                "minimum_seconds": step.minimum_seconds,
                "started_at": step.started_at,
            }
            for step in ramp.steps
        ],
        "needs": [
            {
                "kind": need.kind,
                "holds": need.holds,
                "sentence": need.sentence,
                "subject": need.subject,
                "required": need.required,
                "actual": need.actual,
            }
            for need in ramp.needs
        ],
        "next_share": ramp.next_share,
        "next_step": next_step_sentence(ramp),
        "hold": ramp.hold,
    }


def queued_as_json(row: QueuedChallenger) -> dict[str, Any]:
    """Return a challenger that waits."""
    return {
        "version": row.version.label,
        "place": row.place,
        "priority": row.priority,
        "held": row.held,
        "reason": row.reason,
        "expected_change": row.expected_change,
        "expected_ci": row.expected_interval,
        "gate_change": row.gate_change,
    }


def _row_as_json(row: PipelineRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "version": row.version.label if row.version is not None else None,
        "run": row.run,
        "algorithm": row.algorithm,
        "state": row.state,
        "experiment": _key(row.experiment),
        "stages": [
            {
                "stage": stage.stage,
                "state": stage.state,
                "label": stage.label,
                "detail": stage.detail,
                "at": stage.at,
                "experiment": _key(stage.experiment),
            }
            for stage in row.stages
        ],
    }


def proposal_as_json(proposal: Proposal) -> dict[str, Any]:
    """Return a proposal with its approvals."""
    return {
        "id": proposal.pk,
        "kind": proposal.kind,
        "state": proposal.state,
        "experiment": _key(proposal.experiment),
        "variant": proposal.variant,
        "version": proposal.version.label if proposal.version is not None else None,
        "changed": proposal.evidence.get("changed", {}),
        "reason": proposal.reason,
        "required_approvals": proposal.required_approvals,
        "approvals": [
            {"by": one.by, "note": one.note, "at": one.at} for one in proposal.approvals.all()
        ],
        "refusal": proposal.refusal,
        "outcome": proposal.outcome,
        "created_at": proposal.created_at,
        "decided_at": proposal.decided_at,
    }
