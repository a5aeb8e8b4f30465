"""Queue a training run on a snapshot."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import IntegrityError, transaction

from bakeoff.accounts.audit import record_audit
from inference.actions.find_encoder import find_encoder
from inference.actions.store_upload import require_upload
from inference.algorithms import check_trainable, reads_texts, trainable
from inference.models import Snapshot, Surface, TrainingRun
from inference.options import ParamError
from inference.providers import LOCAL, read_providers
from inference.sending import TRAIN_IN_TURN, send
from inference.serving.models import IMPORTED
from inference.serving.remote_store import RemoteStoreError
from inference.training.decisions import Decisions
from inference.training.questions import Questions
from inference.training.snapshot import (
    Answers,
    Examples,
    Likes,
    Preferences,
    Texts,
    write_snapshot,
)
from inference.training.split import why_too_few

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference.models import ModelVersion
    from inference.training.snapshot import Rows

TRAINED_OUTSIDE = (
    "The model was trained elsewhere: it may have learnt from the rows that judge it, and its gate "
    "would not see that."
)
MAX_TRIGGER = 32  # as the column is wide


class CannotTrainError(Exception):
    """A run that cannot be queued; the message says why.

    Attributes:
        param: the hyper-parameter that breaks a rule; empty where it is something else.
    """

    def __init__(self, message: str, *, param: str = "") -> None:
        """Say why, and name the hyper-parameter if there is one."""
        super().__init__(message)
        self.param = param


class RunActiveError(CannotTrainError):
    """A run of the algorithm is active on the surface: another has to wait for its end."""


def queue_training(
    *,
    surface: Surface,
    algorithm: str,
    rows: Likes | Examples | Preferences | Decisions,
    trigger: str,
    params: Mapping[str, Any] | None = None,
    beside: Answers | Texts | None = None,
    skip_unchanged: bool = False,
    tested_version: ModelVersion | None = None,
) -> TrainingRun:
    """Freeze the rows and queue a run on them.

    Args:
        surface: what it is for.
        algorithm: name of what is trained.
        rows: what it learns from.
        trigger: who asked: `schedule`, `operator`, …
        params: hyper-parameters that differ from the defaults.
        beside: answers that were served with exploration, to judge by off-policy; or texts that people
            wrote, where an encoder is adapted to them.
        skip_unchanged: record a skipped run when the last one that came to an answer had the same
            snapshot and parameters.
        tested_version: what the result is compared with, where it is a refit of the champion.

    Raises:
        CannotTrainError: an unknown algorithm, too little to learn from, or a run that is active.
    """
    _check_trainable(surface, algorithm, params or {}, rows)
    run = TrainingRun(
        surface=surface,
        algorithm=algorithm,
        trigger=trigger,
        params=dict(params or {}),
        tested_version=tested_version,
        notes=[*rows.notes, *((TRAINED_OUTSIDE,) if algorithm == IMPORTED else ())],
        snapshot=freeze_rows(surface, rows),
    )
    if beside is not None and beside.unit_ids:
        if isinstance(beside, Texts):
            run.texts = freeze_rows(surface, beside)
        else:
            run.answers = freeze_rows(surface, beside)
    if skip_unchanged and _repeats_last(run):
        run.state, run.message = TrainingRun.State.SKIPPED, "nothing new since the last run"
        run.save()
        return run
    action = "import model" if algorithm == IMPORTED else "train"
    return queue_run(run, action=action, subject=f"{algorithm} for {surface}")


def _check_trainable(
    surface: Surface,
    algorithm: str,
    params: Mapping[str, Any],
    rows: Likes | Examples | Preferences | Decisions,
) -> None:
    if why := surface.archived_sentence:
        raise CannotTrainError(why)
    try:
        check_trainable(surface.kind, algorithm, params)
        if name := params.get("encoder"):
            find_encoder(surface, str(name))
            _require_reader(surface.kind, algorithm, str(name))
        if algorithm == IMPORTED:
            require_upload(surface, str(params["upload"]))
    except ParamError as error:
        raise CannotTrainError(str(error), param=error.name) from error
    except ValueError as error:
        raise CannotTrainError(str(error)) from error
    if surface.kind == Surface.Kind.GENERATE and LOCAL not in read_providers():
        raise CannotTrainError(
            "a trained language model is served by the embedded one, which is not configured: set "
            "BAKEOFF_LOCAL_LLM."
        )
    _require_rows(surface, rows)


def _require_rows(surface: Surface, rows: Likes | Examples | Preferences | Decisions) -> None:
    if not rows.unit_ids:
        raise CannotTrainError(" ".join([_nothing_to_learn(surface), *rows.notes]))
    # Here, and not by the run: who loads a first file is told at once what it lacks.
    if isinstance(rows, Examples) and (why := why_too_few(rows)):
        raise CannotTrainError(" ".join([why, *rows.notes]))


def _require_reader(kind: str, algorithm: str, encoder: str) -> None:
    """Refuse an encoder where it would be left unread."""
    if not reads_texts(kind, algorithm):
        readers = [one for one in trainable(kind) if reads_texts(kind, one)]
        raise ValueError(f"encoder == '{encoder}': '{algorithm}' reads none; {readers} do.")


def _repeats_last(run: TrainingRun) -> bool:
    """Whether the surface's last such run had the same snapshot and parameters."""
    # A run that was killed, failed or cancelled learnt nothing: it is no reason to skip this one.
    last = run.surface.training_runs.ended_well().filter(algorithm=run.algorithm).first()
    if last is None:
        return False
    return (last.snapshot_id, last.texts_id, last.params) == (
        run.snapshot_id,
        run.texts_id,
        run.params,
    )


def queue_run(run: TrainingRun, *, action: str, subject: str) -> TrainingRun:
    """Save a run with its audit entry, and hurry it to a worker once both are committed.

    Args:
        run: to be saved.
        action: for the audit trail.
        subject: likewise.

    Raises:
        RunActiveError: a run of this algorithm is active on the surface.
        CannotTrainError: the surface is archived.
    """
    actor = run.trigger  # the trail names a person in full
    run.trigger = actor[:MAX_TRIGGER]
    try:
        with transaction.atomic():
            # It may have been archived while the rows were frozen, and is not until the commit.
            surfaces = Surface.objects.select_for_update(no_key=True)
            if why := surfaces.get(pk=run.surface_id).archived_sentence:
                raise CannotTrainError(why)
            run.save()
            record_audit(
                run.surface.project_id,
                actor=actor,
                action=action,
                subject=subject,
                detail={"run": run.pk},
            )
            transaction.on_commit(partial(send, TRAIN_IN_TURN, run.pk))
    except IntegrityError as error:
        # The constraint one_active_run_per_surface_and_algorithm decides, because a query before the
        # insert would miss a run that is queued between them.
        raise RunActiveError(
            f"a run of {run.algorithm} on surface '{run.surface}' is active already."
        ) from error
    return run


def freeze_rows(surface: Surface, rows: Rows) -> Snapshot:
    """Keep rows, at least one, under the hash of their content.

    Raises:
        CannotTrainError: the folder or the object store of snapshots cannot be written.
    """
    times = _times_of(rows)
    folder = settings.BAKEOFF.snapshots
    try:
        digest = write_snapshot(folder, rows)
    except OSError as error:
        why = error.strerror or error
        raise CannotTrainError(
            f"the snapshot of surface '{surface}' cannot be written to {folder}: {why}."
        ) from error
    except RemoteStoreError as error:
        raise CannotTrainError(
            f"the snapshot of surface '{surface}' cannot be stored: {error}"
        ) from error
    snapshot, _ = Snapshot.objects.get_or_create(
        surface=surface,
        sha256=digest,
        defaults={
            "rows": len(rows.unit_ids),
            "units": len(set(rows.unit_ids)),
            "watermark": datetime.fromtimestamp(max(times), UTC),
        },
    )
    return snapshot


def _times_of(rows: Rows) -> Sequence[float]:
    """Return when each row came, in seconds."""
    columns = {
        Likes: "liked_at",
        Examples: "labelled_at",
        Preferences: "preferred_at",
        Answers: "served_at",
        Texts: "written_at",
        Questions: "recorded_at",
        Decisions: "decided_at",
    }
    times: Sequence[float] = getattr(rows, columns[type(rows)])
    return times


def _nothing_to_learn(surface: Surface) -> str:
    if surface.kind == Surface.Kind.GENERATE:
        return (
            f"surface '{surface}' has no answers to learn from: users must accept, edit, correct or "
            "thumb some, and the surface must store their texts."
        )
    if surface.kind == Surface.Kind.RANK:
        return (
            f"surface '{surface}' has no decisions to learn from: ask /v1/rank, and wait for "
            "wait_seconds."
        )
    if surface.kind == Surface.Kind.CLASSIFY:
        return (
            f"surface '{surface}' has no labelled examples: load some with `bakeoff load labelled`, or "
            "let visitors send corrections and thumbs."
        )
    return (
        f"surface '{surface}' has no liked items to learn from: its liked events are "
        f"{surface.liked_events}."
    )
