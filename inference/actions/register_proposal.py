"""Register the prompt that a search found, under its run's lease: a candidate without a gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from inference.actions.register_prompt import register_prompt
from inference.actions.register_version import LostLeaseError
from inference.models import TrainingRun
from inference.serving.prompts import PROMPT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.models import ModelVersion
    from inference.serving.prompts import Prompt


@dataclass(frozen=True, slots=True)
class SearchScore:
    """How a search ended.

    Attributes:
        best: mean score on the data set of the best that was tried, in [0, 1].
        champion: of the champion.
        proposals: how many were made.
    """

    best: float
    champion: float
    proposals: int


def register_proposal(
    *, run_id: int, lease: int, prompt: Prompt, score: SearchScore, notes: Sequence[str]
) -> ModelVersion:
    """Create the version and end the run; the version has passed no gate until its check has ended.

    Raises:
        LostLeaseError: the lease is not the run's any more.
    """
    with transaction.atomic():
        run = _locked(run_id, lease)
        version = register_prompt(
            surface_id=run.surface_id, prompt=prompt, algorithm=PROMPT, by=run.trigger
        )
        version.gate, version.snapshot = {}, run.snapshot
        version.params = {**version.params, "run": run.pk, "proposed_by": run.params.get("model", "")}
        version.save(update_fields=["gate", "snapshot", "params"])
        run.version = version
        message = f"{version.label} scores {score.best:.3f}, the champion {score.champion:.3f}"
        _end(run, TrainingRun.State.PASSED, f"{message}; it waits for its check", notes)
    return version


def end_without_prompt(*, run_id: int, lease: int, score: SearchScore, notes: Sequence[str]) -> None:
    """End a run that found nothing better.

    Raises:
        LostLeaseError: the lease is not the run's any more.
    """
    with transaction.atomic():
        message = (
            f"none of {score.proposals} proposals is better than the champion: {score.champion:.3f}"
        )
        _end(_locked(run_id, lease), TrainingRun.State.REFUSED, message, notes)


def _locked(run_id: int, lease: int) -> TrainingRun:
    # Locked, so that nobody takes the lease between this check and the commit.
    run = TrainingRun.objects.select_for_update(of=("self",)).select_related("surface").get(pk=run_id)
    if run.lease != lease:
        raise LostLeaseError(f"lease of run {run_id} == {run.lease}, must be {lease}.")
    return run


def _end(run: TrainingRun, state: TrainingRun.State, message: str, notes: Sequence[str]) -> None:
    run.state, run.message, run.notes = state, message, [*run.notes, *notes]
    run.progress, run.ended_at = 1.0, timezone.now()
    run.save()
