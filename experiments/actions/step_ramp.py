"""Take the steps of an experiment's ramp."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import timezone

from bakeoff.accounts.actors import PLATFORM
from experiments.actions.change_shares import Change, change_shares

if TYPE_CHECKING:
    from experiments.models import Epoch, Experiment


def step_ramp(experiment: Experiment) -> Epoch | None:
    """Take the ramp's latest step that is due; None when none is, or harm holds it.

    The decision loop ends what does harm; the ramp waits for it and never runs ahead.
    """
    if not experiment.enabled or experiment.started_at is None:
        return None
    run = (timezone.now() - experiment.started_at).total_seconds()
    due = [step for step in experiment.ramp if step["after_seconds"] <= run]
    due = [step for step in due if step["allocation"] > experiment.allocation]
    if not due or why_held(experiment):
        return None
    change = Change(allocation=due[-1]["allocation"])
    return change_shares(experiment=experiment, change=change, by=PLATFORM)


def why_held(experiment: Experiment) -> str:
    """Return what keeps a ramp from its next step, or nothing: trouble that the last look found."""
    look = experiment.looks.order_by("-number").first()
    if look is None:
        return ""
    if look.action in {"halt", "roll_back", "stop_guardrail"}:
        return f"look {look.number}: {look.action}"
    return ""
