"""One attempt at a run: read its inputs, train and judge, register the version, or say why not."""

from __future__ import annotations

import shutil
import sys
import traceback
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from django.db import DatabaseError, connection

from inference.actions.register_version import LostLeaseError, register_version
from inference.actions.train_in_child import PEER_LOST, TEMPORARY
from inference.encoders.parallel import PeerLostError, first_goes_ahead
from inference.models import TrainingRun
from inference.outages import is_outage, outlast_outage
from inference.process_group import place
from inference.prompt_search import OPTIMISE
from inference.runs.compress_and_judge import Parent, compress_and_judge
from inference.runs.fit_and_judge import fit_and_judge
from inference.runs.label_and_judge import label_and_judge
from inference.runs.label_run import LabelRun
from inference.runs.outcome import RunError, RunProgress
from inference.runs.policy_and_judge import policy_and_judge
from inference.runs.prefer_and_judge import prefer_and_judge
from inference.runs.ranking_run import RankingRun
from inference.serving.artifact import ArtifactError
from inference.serving.rank_settings import RankSettings
from inference.serving.remote_store import RemoteStoreError
from inference.training.decisions import Decisions
from inference.training.snapshot import Examples, Likes, Preferences, SnapshotDestroyedError
from inference.training_process.inputs import (
    catalogue_of,
    checkpoints_of,
    example_images_of,
    log_of,
    plan_of,
    rows_of,
)
from inference.training_process.optimise import optimise
from inference.training_process.reporter import Reporter
from inference.training_process.run_log import RunLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference.runs.outcome import RunPlan, RunResult

# What a person can correct; its message is a sentence.
CORRECTABLE = (
    RunError,
    LostLeaseError,
    ArtifactError,
    SnapshotDestroyedError,
    RemoteStoreError,
    ValueError,
)


def attempt_run(run_id: int, lease: int) -> int:
    """Run to the end; return the exit status.

    `TEMPORARY` when a server was away, so try again; `PEER_LOST` when another process of it ended.
    """
    log = RunLog(run_id, _attempt_of(run_id))
    log.attach()
    try:
        _train(run_id, lease, log)
    except PeerLostError:
        return PEER_LOST
    except Exception as error:  # noqa: BLE001  whatever it was, the run says why
        if is_outage(error):
            sys.stderr.write(f"a server was away: {error}\n")
            return TEMPORARY
        if not isinstance(error, CORRECTABLE):  # what is, is one sentence, which the worker logs
            log.add_traceback(error)
        _write_reason(error)
        return 1
    finally:
        log.store()
    return 0


def _attempt_of(run_id: int) -> int:
    """Return which attempt this is; 0 where PostgreSQL does not say, or the run is gone."""
    try:
        return TrainingRun.objects.values_list("attempts", flat=True).filter(pk=run_id).first() or 0
    except DatabaseError:
        connection.close()
        return 0


def _train(run_id: int, lease: int, log: RunLog) -> None:
    """Train, judge and register the version.

    Raises:
        LostLeaseError: another attempt took over, or somebody cancelled it.
        RunError: the data do not allow it.
    """
    run = TrainingRun.objects.select_related("surface", "snapshot", "answers", "compresses").get(
        pk=run_id
    )
    if run.algorithm == OPTIMISE:
        optimise(run, lease, log)
        return
    log.say(f"{run.algorithm} on {run.snapshot.rows:,} rows" if run.snapshot else run.algorithm)
    reporter = None if place() else Reporter(run, lease, log)
    with first_goes_ahead():  # it embeds what has no vector yet, and fetches images and models
        plan = plan_of(run)
        fit_and_judge_run = _work_of(run, plan, reporter)
    if reporter is None:
        fit_and_judge_run(RunProgress())
        return
    result = fit_and_judge_run(reporter.progress)
    reporter.write(1.0, "registering")
    register = partial(
        register_version,
        run_id=run_id,
        lease=lease,
        artifact_sha256=result.artifact_sha256,
        encoder_sha256=plan.place.encoder_sha256(result.recipe or plan.recipe),
        gate=result.gate.as_json(),
        parent=run.compresses,
        algorithm=result.recipe.algorithm if result.recipe else None,
        params=dict(result.recipe.params) if result.recipe else None,
    )
    outlast_outage(register)  # the model is there: PostgreSQL's restart must not cost its training
    log.say(f"the version is registered: {_message_of(run)}")
    shutil.rmtree(checkpoints_of(run), ignore_errors=True)


def _message_of(run: TrainingRun) -> str:
    """Return how the run ended, as its row says."""
    run.refresh_from_db(fields=["message"])
    return run.message


def _work_of(
    run: TrainingRun, plan: RunPlan, reporter: Reporter | None
) -> Callable[[RunProgress], RunResult]:
    """Read what the run works on; return its work: to compress a version, or to train for the kind."""
    kind = run.surface.kind
    if run.compresses is not None:
        parent = Parent(run.compresses.label, run.compresses.artifact_sha256)
        how = (run.params["how"], run.params["size"])
        return partial(compress_and_judge, parent, _parent_run(run, plan), how)
    if kind == run.surface.Kind.GENERATE:
        return partial(prefer_and_judge, plan, rows_of(run, Preferences))
    if kind == run.surface.Kind.RANK:
        settings = RankSettings.parse(run.surface.rank)
        rows = replace(rows_of(run, Decisions), notes=run.notes)  # which say why there may be too few
        return partial(policy_and_judge, plan, rows, settings=settings)
    if kind == run.surface.Kind.CLASSIFY:
        examples = rows_of(run, Examples)
        return partial(label_and_judge, plan, examples, images=example_images_of(run, examples))
    return partial(
        fit_and_judge,
        plan,
        rows_of(run, Likes),
        catalogue_of(run) if reporter is None else catalogue_of(run, reporter.note_texts),
        gap_seconds=run.surface.attribution_seconds,
        log=log_of(run),
    )


def _parent_run(run: TrainingRun, plan: RunPlan) -> LabelRun | RankingRun:
    """Return the run that a compressed version's parent was judged by: its rows, split as they were."""
    if run.surface.kind == run.surface.Kind.CLASSIFY:
        examples = rows_of(run, Examples)
        return LabelRun.of(plan, examples, example_images_of(run, examples))
    gap_seconds = run.surface.attribution_seconds
    return RankingRun.of(plan, rows_of(run, Likes), catalogue_of(run), gap_seconds=gap_seconds)


def _write_reason(error: Exception) -> None:
    """Write why a run failed; the last line becomes its message.

    What a person can correct is one sentence; of anything else the class is named, without the
    path of its module, and the traceback stands above.
    """
    sentence = " ".join(str(error).split())
    if not (isinstance(error, CORRECTABLE) and sentence):
        traceback.print_exception(error)
        sentence = f"{type(error).__name__}: {sentence}"
    sys.stderr.write(f"{sentence}\n")
