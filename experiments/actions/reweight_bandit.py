"""Give new users of a bandit the shares that its rewards suggest: one epoch per update."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from bakeoff.accounts.actors import PLATFORM
from experiments.actions.change_shares import Change, open_epoch
from experiments.looks.stored_totals import StoredTotals
from experiments.models import Experiment
from experiments.stats.bandit import next_weights

if TYPE_CHECKING:
    from experiments.models import Epoch

# Users that each variant gets before an epoch is over: its statistic needs a variance of each.
MIN_EXPOSED = 10


def reweight_bandit(experiment: Experiment, now: datetime | None = None) -> Epoch | None:
    """Open the next epoch of a bandit if it is due; else None.

    An epoch opens at each update, also where the shares stay: when one ends must not depend on what its
    users did, or its statistic would not be that of a batch. It waits for time and for users, which do
    not. Past exposures keep the epoch in which they happened, and its weights are their propensities.
    """
    now = now or timezone.now()
    with transaction.atomic():
        # A look may end it at this moment, or drop a variant: the one who comes second sees that.
        locked = Experiment.objects.select_for_update(no_key=True).get(pk=experiment.pk)
        if locked.state != Experiment.State.RUNNING or not _is_due(locked, now):
            return None
        metric = StoredTotals(locked).read_metric(locked.primary)
        before = {variant.key: variant.weight for variant in locked.variants.all()}
        weights = next_weights(metric, before, floor=locked.parsed_policy.floor)
        return open_epoch(locked, Change(weights=weights), by=PLATFORM)


def _is_due(experiment: Experiment, now: datetime) -> bool:
    policy = experiment.parsed_policy
    epoch = experiment.epochs.get(ended_at__isnull=True)
    if now - epoch.started_at < timedelta(seconds=policy.update_every_seconds):
        return False
    totals = experiment.exposure_totals.filter(segment="")
    if sum(totals.values_list("units", flat=True)) < policy.burn_in_units:
        return False
    units = dict(totals.filter(epoch=epoch.number).values_list("variant__key", "units"))
    present = [key for key, weight in epoch.weights.items() if weight > 0]
    return all(units.get(key, 0) >= MIN_EXPOSED for key in present)
