"""Start an experiment: fix its rule, open its first epoch, tell serving."""

from __future__ import annotations

from django.apps import apps
from django.db import IntegrityError, transaction

from experiments.actions.mark_units import mark_all_units
from experiments.analysis.freeze_metrics import freeze_metrics
from experiments.analysis.metric_spec import MetricError
from experiments.analysis.roll_up import read_watermark
from experiments.models import Experiment
from experiments.models.experiment import WrongStateError
from inference.cache import cache_client
from inference.serving.changes import announce_change


class CannotStartError(Exception):
    """Another experiment runs on the surface."""


def start_experiment(*, experiment: Experiment, by: str) -> Experiment:
    """Start it.

    Raises:
        WrongStateError: it is not a draft, or something is missing.
        CannotStartError: the surface has a running experiment.
    """
    try:
        with transaction.atomic():
            locked = Experiment.objects.select_for_update().get(pk=experiment.pk)
            # Nothing of before can belong to it: the first roll-up need not read the past.
            locked.watermark = read_watermark()
            try:
                freeze_metrics(locked)
            except MetricError as error:
                raise WrongStateError(f"experiment '{locked.key}' cannot start: {error}") from error
            locked.start()
            apps.get_model("accounts", "AuditEntry").objects.create(
                project=locked.project,
                actor=by,
                action="start",
                subject=locked.key,
                detail={"policy_sha256": locked.policy_sha256},
            )
    except IntegrityError as error:
        raise CannotStartError(
            f"surface '{experiment.surface}' has a running experiment: one at a time."
        ) from error
    mark_all_units(surface=locked.surface)
    announce_change(cache_client())
    return locked
