"""The training subprocess: `python -m inference.training_process RUN LEASE`.

It may be killed at any moment: checkpoints let the next attempt go on, and the lease keeps an
attempt that was given up, or cancelled, from publishing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import time
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import django

if TYPE_CHECKING:
    from inference.models import ModelVersion, TrainingRun
    from inference.runs.off_policy_view import Log
    from inference.runs.outcome import RunPlan, RunProgress, RunResult
    from inference.runs.ranking_run import Catalogue

REPORT_SECONDS = 1.0
BEAT_SECONDS = 2.0


def main(run_id: int, lease: int) -> None:
    """Run to the end and register the version.

    Raises:
        LostLeaseError: another attempt took over, or somebody cancelled it.
        RunError: the data do not allow it.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bakeoff.settings")
    django.setup()
    from django.conf import settings

    from inference.actions.register_version import register_version
    from inference.models import TrainingRun

    run = TrainingRun.objects.select_related("surface", "snapshot", "answers", "compresses").get(
        pk=run_id
    )
    threading.Thread(target=_beat, args=(run_id, lease), daemon=True).start()
    encoder = _encoder_of(run)
    reporter = _Reporter(run, lease)
    result = _work(run, encoder, reporter.progress)
    reporter.write(1.0, "registering")
    register_version(
        run_id=run_id,
        lease=lease,
        artifact_sha256=result.artifact_sha256,
        encoder_sha256=encoder[1],
        gate=result.gate.as_json(),
        parent=run.compresses,
    )
    shutil.rmtree(settings.BAKEOFF.home / "checkpoints" / f"run-{run_id}", ignore_errors=True)


def _beat(run_id: int, lease: int) -> None:
    """Give a sign of life while the work is in a long step; end the process with its lease."""
    from django.db import DatabaseError, connection
    from django.db.models.functions import Now

    from inference.models import TrainingRun

    while True:
        time.sleep(BEAT_SECONDS)
        try:
            mine = TrainingRun.objects.filter(pk=run_id, lease=lease)
            if not mine.update(heartbeat_at=Now()):
                os._exit(1)
        except DatabaseError:
            connection.close()  # PostgreSQL was away for a moment; the next beat tries again


def _encoder_of(run: TrainingRun) -> tuple[str, str]:
    """Return where the encoder lies and its hash; nothing when neither side reads one."""
    from inference.algorithms import algorithms_of
    from inference.encoders.item_vectors import encoder_path, encoder_sha256

    algorithms = algorithms_of(run.surface.kind)
    champion = run.surface.versions.champions().first()
    names = [run.algorithm, *([champion.recipe] if champion else [])]
    reads = any(
        getattr(algorithms.get(name), "reads_encoder", False)
        or getattr(algorithms.get(name), "reads", frozenset()) & {"texts"}
        for name in names
    )
    if not reads and not _reads_vectors(run, names):
        return "", ""
    return encoder_path(), encoder_sha256()


def _reads_vectors(run: TrainingRun, names: list[str]) -> bool:
    from inference.algorithms import algorithms_of

    algorithms = algorithms_of(run.surface.kind)
    return any("vectors" in getattr(algorithms.get(name), "reads", frozenset()) for name in names)


def _work(run: TrainingRun, encoder: tuple[str, str], progress: RunProgress) -> RunResult:
    """Do what the surface's kind asks for."""
    from django.conf import settings

    from inference.encoders.text_encoder import limit_threads
    from inference.training.snapshot import Examples, Likes, read_snapshot

    limit_threads()
    assert run.snapshot is not None  # noqa: S101  queue_training always gives one
    plan, digest = _plan(run, encoder), run.snapshot.sha256

    def rows(kind: type[Any]) -> Any:
        return read_snapshot(settings.BAKEOFF.snapshots, digest, kind)

    classifies = run.surface.kind == run.surface.Kind.CLASSIFY
    if run.compresses is not None:
        from inference.runs.compress_and_judge import Parent, compress_and_judge

        parent = Parent(run.compresses.label, run.compresses.artifact_sha256)
        how = (run.params["how"], run.params["size"])
        return compress_and_judge(plan, parent, rows(Examples if classifies else Likes), how, progress)
    if classifies:
        from inference.runs.label_and_judge import label_and_judge

        plan = _with_served(run, plan, Examples)
        return label_and_judge(plan, rows(Examples), progress)
    from inference.runs.fit_and_judge import fit_and_judge

    plan = _with_served(run, plan, Likes)
    gap = run.surface.attribution_seconds
    catalogue = _catalogue(run, plan)
    return fit_and_judge(plan, rows(Likes), catalogue, progress, gap_seconds=gap, log=_log_of(run))


def _log_of(run: TrainingRun) -> Log | None:
    """Return what was served, unless the surface does not explore or a unit in it was erased."""
    from django.conf import settings

    from inference.runs.off_policy_view import Log
    from inference.training.snapshot import Answers, SnapshotDestroyedError, read_snapshot

    if run.answers is None or run.surface.exploration <= 0:
        return None
    try:
        answers = read_snapshot(settings.BAKEOFF.snapshots, run.answers.sha256, Answers)
    except SnapshotDestroyedError:
        return None
    return Log(answers, run.surface.exploration)


def _plan(run: TrainingRun, encoder: tuple[str, str]) -> RunPlan:
    from django.conf import settings

    from inference.evaluation.gate import GateRule
    from inference.runs.outcome import Recipe, RunPlan, Workplace

    classifies = run.surface.kind == run.surface.Kind.CLASSIFY
    champion = run.surface.versions.champions().first()
    return RunPlan(
        recipe=Recipe(run.algorithm, run.params),
        champion=_recipe_of(champion) if champion is not None else None,
        rule=GateRule.for_labels() if classifies else GateRule(),
        place=Workplace(
            artifacts=settings.BAKEOFF.artifacts,
            checkpoints=settings.BAKEOFF.home / "checkpoints" / f"run-{run.pk}",
            encoder=encoder[0],
            device=os.environ.get("BAKEOFF_DEVICE") or "auto",
        ),
        about={"snapshot": run.snapshot.sha256 if run.snapshot else "", "encoder": encoder[1]},
    )


def _with_served(run: TrainingRun, plan: RunPlan, kind: type[Any]) -> RunPlan:
    """Return the plan with what serves now, and what that has learnt from if its snapshot is there."""
    from django.conf import settings

    from inference.runs.outcome import ServedVersion
    from inference.training.snapshot import SnapshotDestroyedError, read_snapshot

    champion = run.surface.versions.champions().select_related("snapshot").first()
    if champion is None:
        return plan
    seen = None
    if champion.snapshot is not None:
        with contextlib.suppress(SnapshotDestroyedError):
            seen = read_snapshot(settings.BAKEOFF.snapshots, champion.snapshot.sha256, kind)
    served = ServedVersion(champion.label, champion.artifact_sha256, champion.recipe, seen)
    return replace(plan, served=served)


def _recipe_of(version: ModelVersion) -> Any:
    from inference.runs.outcome import Recipe

    return Recipe(version.recipe, version.params, version.label)


def _catalogue(run: TrainingRun, plan: RunPlan) -> Catalogue:
    from inference.encoders.item_vectors import custom_vectors_of, vectors_of
    from inference.models import Item
    from inference.runs.ranking_run import Catalogue

    items = list(Item.objects.filter(project_id=run.surface.project_id).order_by("id"))
    names = [plan.recipe.algorithm, *([plan.champion.algorithm] if plan.champion else [])]
    return Catalogue(
        item_ids=[item.item_id for item in items],
        vectors=vectors_of(items) if _reads_vectors(run, names) else None,
        texts=[item.text_to_embed for item in items],
        custom_vectors=custom_vectors_of(items),
    )


class _Reporter:
    """Writes progress and heartbeat at most once a second, and stops a run that lost its lease."""

    def __init__(self, run: TrainingRun, lease: int) -> None:
        from inference.runs.outcome import RunProgress

        self._run_id, self._lease, self._last = run.pk, lease, 0.0
        self._project_id = run.surface.project_id
        # An attempt that goes on draws on: what an earlier one saw beyond its checkpoint is seen again.
        self._curve = {(fit, step): loss for fit, step, loss in run.curve}
        self.progress = RunProgress(self._report, self._add)

    def _add(self, fit: str, step: int, loss: float) -> None:
        self._curve[fit, step] = round(loss, 5)

    def _report(self, share: float, line: str) -> None:
        now = time.monotonic()
        if now - self._last >= REPORT_SECONDS:
            self._last = now
            self.write(share, line)

    def write(self, share: float, line: str) -> None:
        """Write now.

        Raises:
            LostLeaseError: another attempt took over, or somebody cancelled the run.
        """
        from django.db.models.functions import Now

        from inference.actions.register_version import LostLeaseError
        from inference.cache import cache_client
        from inference.models import TrainingRun
        from inference.serving.changes import announce_live

        held = TrainingRun.objects.filter(pk=self._run_id, lease=self._lease).update(
            progress=min(max(share, 0.0), 1.0),
            message=line,
            curve=[[*key, loss] for key, loss in self._curve.items()],
            heartbeat_at=Now(),
        )
        announce_live(cache_client(), self._project_id, "runs")
        if not held:
            raise LostLeaseError(f"run {self._run_id} was taken over or cancelled.")


def _run(run_id: int, lease: int) -> int:
    """Run and return the exit status: `TEMPORARY` when a server was away, so that it is tried again."""
    try:
        main(run_id, lease)
    except Exception as error:  # noqa: BLE001  whatever it was, the run says why
        from inference.actions.train_in_child import TEMPORARY

        if _is_outage(error):
            sys.stderr.write(f"a server was away: {error}\n")
            return TEMPORARY
        _write_reason(error)
        return 1
    return 0


def _write_reason(error: Exception) -> None:
    """Write why a run failed; the last line becomes its message.

    What a person can correct is one sentence; of anything else the class is named, without the
    path of its module, and the traceback stands above.
    """
    from inference.actions.register_version import LostLeaseError
    from inference.runs.outcome import RunError
    from inference.serving.artifact import ArtifactError
    from inference.training.snapshot import SnapshotDestroyedError

    told = (RunError, LostLeaseError, ArtifactError, SnapshotDestroyedError, ValueError)
    sentence = " ".join(str(error).split())
    if not (isinstance(error, told) and sentence):
        traceback.print_exception(error)
        sentence = f"{type(error).__name__}: {sentence}"
    sys.stderr.write(f"{sentence}\n")


def _is_outage(error: Exception) -> bool:
    """Whether a server was away, or could not do it now; any other statement would fail again."""
    from django.db import Error, InterfaceError, OperationalError
    from redis.exceptions import RedisError

    from inference.sqlstates import MAY_PASS

    state = getattr(error.__cause__, "sqlstate", None) or ""
    if isinstance(error, Error) and state:
        return state.startswith(MAY_PASS)
    return isinstance(error, RedisError | OperationalError | InterfaceError)


if __name__ == "__main__":
    sys.exit(_run(int(sys.argv[1]), int(sys.argv[2])))
