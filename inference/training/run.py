"""The training subprocess: `python -m inference.training.run RUN LEASE`.

It may be killed at any moment: checkpoints let the next attempt go on, and the lease keeps an
attempt that was given up from publishing.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from typing import TYPE_CHECKING

import django

if TYPE_CHECKING:
    from inference.models import TrainingRun
    from inference.training.fit_and_judge import RunInput

REPORT_SECONDS = 1.0
BEAT_SECONDS = 10.0


def main(run_id: int, lease: int) -> None:
    """Run to the end and register the version.

    Raises:
        LostLeaseError: another attempt took over.
        RunError: the data do not allow it.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bakeoff.settings")
    django.setup()
    from django.conf import settings

    from inference.actions.register_version import register_version
    from inference.encoders.item_vectors import encoder_sha256
    from inference.models import TrainingRun
    from inference.recommenders import RECOMMENDERS
    from inference.training.fit_and_judge import fit_and_judge

    _limit_threads()
    run = TrainingRun.objects.select_related("surface", "snapshot").get(pk=run_id)
    recommender = RECOMMENDERS[run.recommender]
    encoder = encoder_sha256() if recommender.needs_vectors else ""
    threading.Thread(target=_beat, args=(run_id, lease), daemon=True).start()
    result = fit_and_judge(_gather(run, encoder), _Reporter(run_id, lease))
    register_version(
        run_id=run_id,
        lease=lease,
        artifact_sha256=result.artifact_sha256,
        encoder_sha256=encoder,
        gate=result.gate.as_json(),
    )
    shutil.rmtree(settings.BAKEOFF.home / "checkpoints" / f"run-{run_id}", ignore_errors=True)


def _beat(run_id: int, lease: int) -> None:
    """Give a sign of life while the work is in a long step; end the process with its lease."""
    from django.db import DatabaseError, connection
    from django.utils import timezone

    from inference.models import TrainingRun

    while True:
        time.sleep(BEAT_SECONDS)
        try:
            mine = TrainingRun.objects.filter(pk=run_id, lease=lease)
            if not mine.update(heartbeat_at=timezone.now()):
                os._exit(1)
        except DatabaseError:
            connection.close()  # PostgreSQL was away for a moment; the next beat tries again


def _limit_threads() -> None:
    """One thread: beside other work, two OpenMP threads were many times slower than one."""
    import torch

    torch.set_num_threads(int(os.environ.get("BAKEOFF_TORCH_THREADS", "1")))


def _gather(run: TrainingRun, encoder: str) -> RunInput:
    from django.conf import settings

    from inference.encoders.item_vectors import vectors_of
    from inference.evaluation.gate import GateRule
    from inference.models import Item, ModelVersion
    from inference.recommenders import RECOMMENDERS
    from inference.training import fit_and_judge
    from inference.training.snapshot import read_snapshot

    assert run.snapshot is not None  # noqa: S101  queue_training always gives one
    items = list(Item.objects.filter(project_id=run.surface.project_id).order_by("id"))
    champion = ModelVersion.objects.filter(surface=run.surface).champions().first()
    needs = RECOMMENDERS[run.recommender].needs_vectors or (
        champion is not None and RECOMMENDERS[champion.name].needs_vectors
    )
    return fit_and_judge.RunInput(
        recommender=run.recommender,
        params=run.params,
        champion=(champion.name, champion.params) if champion is not None else None,
        likes=read_snapshot(settings.BAKEOFF.snapshots, run.snapshot.sha256),
        item_ids=[item.item_id for item in items],
        item_vectors=vectors_of(items) if needs else None,
        artifacts=settings.BAKEOFF.artifacts,
        checkpoints=settings.BAKEOFF.home / "checkpoints" / f"run-{run.pk}",
        rule=GateRule(),
        seed=0,
        about={"snapshot": run.snapshot.sha256, "encoder": encoder},
    )


class _Reporter:
    """Writes progress and heartbeat at most once a second, and stops a run that lost its lease."""

    def __init__(self, run_id: int, lease: int) -> None:
        self._run_id, self._lease, self._last = run_id, lease, 0.0

    def __call__(self, share: float, line: str) -> None:
        now = time.monotonic()
        if now - self._last < REPORT_SECONDS:
            return
        self._last = now
        from django.utils import timezone

        from inference.actions.register_version import LostLeaseError
        from inference.models import TrainingRun

        held = TrainingRun.objects.filter(pk=self._run_id, lease=self._lease).update(
            progress=min(max(share, 0.0), 1.0), message=line, heartbeat_at=timezone.now()
        )
        if not held:
            raise LostLeaseError(f"run {self._run_id} was taken over.")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
