"""Start an experiment: fix its rule, open its first epoch, tell serving."""

from __future__ import annotations

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from experiments.actions.check_assignment import CannotAssignError, check_place
from experiments.actions.layer_slots import free_slot
from experiments.actions.mark_units import mark_soon
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


class CannotStartError(Exception):
    """Another experiment stands where it would run, or a variant cannot be served."""


def start_experiment(*, experiment: Experiment, by: str) -> Experiment:
    """Start it.

    Raises:
        WrongStateError: it is not a draft, or something is missing.
        CannotStartError: another experiment runs on the surface, or in its part of the layer; or the
            artifact of a variant is missing or damaged.
    """
    try:
        versions = ModelVersion.objects.filter(variant__experiment=experiment).distinct()
        for version in versions:
            check_artifact_of(version)
    except CannotPromoteError as error:
        raise CannotStartError(str(error).removesuffix(".")) from error
    try:
        with transaction.atomic():
            # Of two starts, or a start and an edit, the second sees what the first has written.
            locked = Experiment.objects.select_for_update(no_key=True).get(pk=experiment.pk)
            # Two starts on one surface, or in one layer, wait for each other here.
            type(locked.surface).objects.select_for_update(no_key=True).get(pk=locked.surface_id)
            _join_layer(locked)
            if locked.layer_id is not None:
                Layer.objects.select_for_update(no_key=True).get(pk=locked.layer_id)
            try:
                freeze_metrics(locked)
            except MetricError as error:
                raise WrongStateError(f"experiment '{locked.key}' cannot start: {error}") from error
            # Frozen before the first slate of the experiment, as the metrics are.
            locked.latency_before = latency_before(locked)
            begin(locked)
            record_audit(
                locked.project_id,
                actor=by,
                action="start",
                subject=locked.key,
                detail={"policy_sha256": locked.policy_sha256},
            )
    except CannotAssignError as error:
        raise CannotStartError(str(error).removesuffix(".")) from error
    mark_soon(surface=locked.surface)
    announce_change(cache_client())
    return locked


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
