"""Start an experiment: fix its rule, open its first epoch, tell serving."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from experiments.actions.check_assignment import CannotAssignError, check_place
from experiments.actions.count_orders import count_before_serving
from experiments.actions.edit_draft import draft_of, fingerprint_of
from experiments.actions.layer_slots import free_slot
from experiments.actions.mark_units import mark_soon
from experiments.actions.propose_exposure import Exposure, awaiting, propose_exposure
from experiments.looks.latency_before import latency_before
from experiments.metrics.freeze import freeze_metrics
from experiments.metrics.spec import MetricError
from experiments.metrics.watermark import read_watermark
from experiments.models import Experiment, Layer
from experiments.models.experiment import WrongStateError
from inference.actions.check_servable import check_artifact_of
from inference.actions.move_champion import CannotPromoteError
from inference.cache import cache_client
from inference.models import ModelVersion
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.models import Proposal
    from inference.models import Surface


class CannotStartError(Exception):
    """Another experiment stands where it would run, or a variant cannot be served."""


def start_experiment(
    *,
    experiment: Experiment,
    by: str,
    person: str = "",
    approvals: Sequence[str] = (),
    automatic: bool = False,
) -> Experiment:
    """Start it.

    Args:
        experiment: a draft.
        by: who acts, for the audit trail.
        person: whose word it is, where two people approve; empty: `by`.
        approvals: the people who have approved it, where it was proposed.
        automatic: whether the loop starts what it has drafted by the agreed programme.

    Raises:
        ExposureAwaitsApprovalError: two people must approve; it is proposed.
        WrongStateError: it is not a draft, or something is missing.
        CannotStartError: another experiment runs on the surface, or in its part of the layer; or the
            artifact of a variant is missing or damaged; or the surface or a metric is archived.
    """
    try:
        versions = ModelVersion.objects.filter(variant__experiment=experiment).distinct()
        for version in versions:
            check_artifact_of(version)
    except CannotPromoteError as error:
        raise CannotStartError(str(error).removesuffix(".")) from error
    count_before_serving(versions=versions.select_related("surface"))  # holds no lock
    try:
        with transaction.atomic():
            # Of two starts, or a start and an edit, the second sees what the first has written.
            locked = Experiment.objects.select_for_update(no_key=True).get(pk=experiment.pk)
            # Two starts on one surface, or in one layer, wait for each other here.
            surfaces = type(locked.surface).objects.select_for_update(no_key=True)
            _require_unarchived(locked, surfaces.get(pk=locked.surface_id))
            proposal = None if automatic else _propose(locked, by, person or by, approvals)
            if proposal is None:
                _freeze_and_begin(locked, by=by)
    except CannotAssignError as error:
        raise CannotStartError(str(error).removesuffix(".")) from error
    if proposal is not None:
        raise awaiting(proposal)
    mark_soon(surface=locked.surface)
    announce_change(cache_client())
    return locked


def _require_unarchived(experiment: Experiment, surface: Surface) -> None:
    """Refuse a draft that was written while its surface, or a metric, was archived."""
    metrics = experiment.metrics.select_related("metric").order_by("pk")
    reasons = [surface.archived_sentence, *(one.metric.archived_sentence for one in metrics)]
    if why := next(filter(None, reasons), ""):
        raise CannotStartError(why.removesuffix("."))


def _propose(experiment: Experiment, by: str, person: str, approvals: Sequence[str]) -> Proposal | None:
    """Propose the start where two people approve; None where it may start now."""
    experiment.require(Experiment.State.DRAFT)
    if why := experiment.why_not_startable():
        raise WrongStateError(f"experiment '{experiment.key}' cannot start: {why}")
    exposure = Exposure(
        verb="start",
        changed={"state": (Experiment.State.DRAFT.value, Experiment.State.RUNNING.value)},
        by=by,
        person=person,
        approvals=approvals,
        # Two people agree on what they saw: an edit of the draft takes the agreement away.
        arguments={"draft": fingerprint_of(draft_of(experiment))},
    )
    return propose_exposure(experiment, exposure)


def _freeze_and_begin(experiment: Experiment, *, by: str) -> None:
    """Start it in a transaction that has locked it and its surface."""
    _join_layer(experiment)
    if experiment.layer_id is not None:
        Layer.objects.select_for_update(no_key=True).get(pk=experiment.layer_id)
    try:
        freeze_metrics(experiment)
    except MetricError as error:
        raise WrongStateError(f"experiment '{experiment.key}' cannot start: {error}") from error
    # Frozen before the first slate of the experiment, as the metrics are.
    experiment.latency_before = latency_before(experiment)
    begin(experiment)
    record_audit(
        experiment.project_id,
        actor=by,
        action="start",
        subject=experiment.key,
        detail={"policy_sha256": experiment.policy_sha256},
    )


def begin(experiment: Experiment) -> None:
    """Open the first epoch of an experiment whose metrics are frozen.

    In a transaction that holds the locks of its surface and its layer; serving is told afterwards.

    Raises:
        WrongStateError: it is not a draft, or something is missing.
        CannotAssignError: its part of the layer is taken, or its surface is.
    """
    check_place(experiment)
    # Nothing of before can belong to it: the first roll-up need not read the past.
    experiment.watermark = read_watermark()
    experiment.start()


def _join_layer(experiment: Experiment) -> None:
    """Put an experiment without a layer into the part that the surface's holdbacks leave to tests."""
    if experiment.layer_id is not None or not experiment.exclusive:
        return
    slot = free_slot(experiment.surface)
    if slot is not None:
        experiment.layer, experiment.slot_low, experiment.slot_high = slot.layer, slot.low, slot.high
