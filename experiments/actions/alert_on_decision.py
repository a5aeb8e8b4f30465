"""Tell of a decision on an experiment, in its transaction."""

from __future__ import annotations

from typing import Any

from bakeoff.alerts.models import Alert
from bakeoff.alerts.outbox import record_alert
from bakeoff.alerts.pages import experiment_path
from experiments.models import Decision, Experiment

STOPPED = Decision.Action.STOP_INCONCLUSIVE
_EVENTS = {
    Decision.Action.SHIP: Alert.Event.VERDICT,
    Decision.Action.ROLL_BACK: Alert.Event.VERDICT,
    Decision.Action.STOP_INCONCLUSIVE: Alert.Event.VERDICT,
    Decision.Action.CONFIRM: Alert.Event.VERDICT,
    Decision.Action.HALT: Alert.Event.HALT,
}
_SENTENCES = {
    Decision.Action.SHIP: "Shipped {promoted}",
    Decision.Action.ROLL_BACK: "Rolled back; the champion stays",
    Decision.Action.STOP_INCONCLUSIVE: "Stopped without a winner; the champion stays",
    Decision.Action.CONFIRM: "Confirmed",
    Decision.Action.HALT: "Halted: its numbers cannot be trusted",
}


def alert_on_decision(decision: Decision) -> None:
    """Write the alert of a verdict or a halt; other decisions have none, or one of their own."""
    experiment = decision.experiment
    event = _EVENTS.get(Decision.Action(decision.action))
    # A trip of the breaker tells of itself, with what it measured.
    if experiment is None or event is None or "breaker" in decision.evidence:
        return
    # What only measured and ended without a result is no verdict on anything.
    if experiment.purpose != Experiment.Purpose.TEST and decision.action == STOPPED:
        return
    if experiment.purpose == Experiment.Purpose.HOLDOUT and event == Alert.Event.VERDICT:
        return
    project = decision.project
    record_alert(
        project.pk,
        event=event,
        subject=experiment.title,
        summary=f"{_sentence(decision, experiment)}. {decision.reason}",
        detail=_detail(decision, experiment),
        path=experiment_path(project.slug, experiment.key),
    )


def _sentence(decision: Decision, experiment: Experiment) -> str:
    promoted = decision.promoted.label if decision.promoted else experiment.shipped_variant
    return _SENTENCES[Decision.Action(decision.action)].format(promoted=promoted or "the winner")


def _detail(decision: Decision, experiment: Experiment) -> dict[str, Any]:
    return {
        "experiment": experiment.key,
        "surface": decision.surface.key,
        "action": decision.action,
        "reason": decision.reason,
        "by": decision.created_by,
        "promoted": decision.promoted.label if decision.promoted else None,
        "replaced": decision.replaced.label if decision.replaced else None,
        "decision_sha256": decision.sha256,
    }
