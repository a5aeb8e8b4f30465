"""Register what a run has made, under the lease that it holds."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from bakeoff.alerts.models import Alert
from inference.actions.fail_training import alert_on_run
from inference.algorithms import PRETRAIN
from inference.models import AliasMove, ModelVersion, Surface, TrainingRun


class LostLeaseError(Exception):
    """Another process took the run over; this one may not publish."""


def register_version(
    *,
    run_id: int,
    lease: int,
    artifact_sha256: str,
    encoder_sha256: str,
    gate: dict[str, Any],
    parent: ModelVersion | None = None,
    algorithm: str | None = None,
    params: dict[str, Any] | None = None,
) -> ModelVersion:
    """Create the version and end the run; called again under the same lease, it changes nothing.

    Args:
        run_id: the run.
        lease: that it holds.
        artifact_sha256: what it has made.
        encoder_sha256: what that reads texts by; empty when it reads none.
        gate: the verdict.
        parent: what was compressed.
        algorithm: that made it; None: the run's.
        params: of that algorithm; None: the run's.

    Raises:
        LostLeaseError: the lease is not the run's any more.
    """
    with transaction.atomic():
        # Locked, so that nobody takes the lease between this check and the commit.
        run = TrainingRun.objects.select_for_update().get(pk=run_id)
        if run.lease != lease:
            raise LostLeaseError(f"lease of run {run_id} == {run.lease}, must be {lease}.")
        if run.version is not None:  # an earlier call's commit, which nobody acknowledged
            return run.version
        version = ModelVersion(
            algorithm=algorithm or run.algorithm,
            artifact_sha256=artifact_sha256,
            encoder_sha256=encoder_sha256,
            parent=parent,
            params=parent.params if parent is not None else (run.params if params is None else params),
        )
        _create_version(version, run, gate)
        AliasMove.objects.create(
            version=version,
            after=version.alias,
            moved_by=run.trigger,
            reason="passed the gate" if gate["passed"] else "; ".join(gate["reasons"]),
            evidence={"training_run": run.pk},
        )
        _end_run(run, version, gate)
    return version


def _create_version(version: ModelVersion, run: TrainingRun, gate: dict[str, Any]) -> None:
    # Two runs of one surface end at the same time: the row lock keeps their numbers apart.
    surface = Surface.objects.select_for_update(no_key=True).get(pk=run.surface_id)
    last = surface.versions.filter(algorithm=version.algorithm).aggregate(last=Max("number"))["last"]
    alias = ModelVersion.Alias
    version.surface = surface
    version.number = (last or 0) + 1
    # An encoder serves nobody by itself: it waits for recipes that name it, not for an experiment.
    passed = alias.CANDIDATE if version.algorithm == PRETRAIN else alias.CHALLENGER
    version.alias = passed if gate["passed"] else alias.REJECTED
    version.snapshot = run.snapshot
    version.metrics, version.gate = gate["rows"], gate
    version.code_version = installed_version("bakeoff")
    version.save()


def _end_run(run: TrainingRun, version: ModelVersion, gate: dict[str, Any]) -> None:
    passed = bool(gate["passed"])
    run.state = TrainingRun.State.PASSED if passed else TrainingRun.State.REFUSED
    run.notes = [*run.notes, *gate.get("about", {}).get("notes", ())]
    run.version, run.progress, run.ended_at = version, 1.0, timezone.now()
    run.message = f"{version.label} " + (
        "passed the gate" if passed else "refused by the gate: " + "; ".join(gate["reasons"])
    )
    run.save()
    if not passed:
        alert_on_run(run, Alert.Event.TRAINING_REFUSED, run.message)
