"""Queue the compression of a version: a run like any other, whose gate compares with the parent."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from bakeoff.accounts.audit import record_audit
from inference.actions.queue_training import CannotTrainError
from inference.compression import COMPRESSIONS
from inference.models import TrainingRun
from inference.sending import send

if TYPE_CHECKING:
    from inference.models import ModelVersion


def queue_compression(*, version: ModelVersion, how: str, size: int, trigger: str) -> TrainingRun:
    """Queue a run.

    Args:
        version: the parent.
        how: int8, distil, prune or project.
        size: layers, heads or dimensions; 0 for int8.
        trigger: who asked.

    Raises:
        CannotTrainError: another way, a parent without a snapshot, or a run that is active.
    """
    if how not in COMPRESSIONS:
        raise CannotTrainError(f"compression == '{how}', must be one of {sorted(COMPRESSIONS)}.")
    if version.snapshot is None or version.snapshot.destroyed_at is not None:
        raise CannotTrainError(
            f"{version} has no snapshot any more, so its gate cannot be repeated: train it anew first."
        )
    suffix = how if how == "int8" else f"{how}-{size}"
    run = TrainingRun(
        surface=version.surface,
        recommender=f"{version.name}-{suffix}"[:64],
        trigger=trigger,
        params={"how": how, "size": size},
        snapshot=version.snapshot,
        compresses=version,
    )
    try:
        with transaction.atomic():
            run.save()
            record_audit(
                version.surface.project_id,
                actor=trigger,
                action="compress",
                subject=f"{version.label} by {how} for {version.surface}",
                detail={"run": run.pk},
            )
            # The task lives beside this file's package; importing it here avoids a cycle.
            from inference.tasks import run_training  # noqa: PLC0415

            transaction.on_commit(partial(send, run_training, run.pk))
    except IntegrityError as error:
        raise CannotTrainError(f"a {run.recommender} run is active already.") from error
    return run
