"""Queue the compression of a version: a run like any other, whose gate compares with the parent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.actions.queue_training import CannotTrainError, queue_run
from inference.compression import COMPRESSIONS
from inference.models import TrainingRun

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
        algorithm=f"{version.algorithm}-{suffix}"[:64],
        trigger=trigger,
        params={"how": how, "size": size},
        snapshot=version.snapshot,
        compresses=version,
    )
    return queue_run(run, action="compress", subject=f"{version.label} by {how} for {version.surface}")
