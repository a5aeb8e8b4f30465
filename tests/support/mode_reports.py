"""Experiments of the modes that need less traffic, each at a point that a stranger must understand."""

from __future__ import annotations

from datetime import timedelta

from experiments.actions.change_programme import change_programme
from experiments.actions.define_experiment import define_experiment
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.reweight_bandit import reweight_bandit
from experiments.actions.start_experiment import start_experiment
from experiments.models import Experiment
from inference.models import Surface
from tests.support import blocks, builders, clusters
from tests.support.builders import QUICK_POLICY, Shop
from tests.support.interleaving import Visits

# What the champion shows, and the challenger the other way round; and what users like of it.
LISTS, FIRST, LAST = ("i0", "i1", "i2", "i3"), ("i3",), ("i0",)
# Clicks of the users of 20 stores: those of both variants are alike, and differ from one another.
STORES = [0, 1, 2, 3, 4] * 4


def _titled(experiment: Experiment, title: str) -> Experiment:
    experiment.name = title
    experiment.save(update_fields=["name"])
    return experiment


def interleave_prefers(shop: Shop) -> Experiment:
    """Most users click what the challenger ranks first, others what the champion does."""
    return _interleaved(shop, lambda n: (FIRST, FIRST, LAST, ())[n % 4])


def interleave_prefers_control(shop: Shop) -> Experiment:
    """Most users click what the champion ranks first, others what the challenger does."""
    return _interleaved(shop, lambda n: (LAST, LAST, FIRST, ())[n % 4])


def interleave_undecided(shop: Shop) -> Experiment:
    """Users click either version's items in turn, and the plan has more users to come."""
    return _interleaved(shop, lambda n: (FIRST, LAST, ())[n % 3], planned=600)


def interleave_early(shop: Shop) -> Experiment:
    """A day's window: no user's outcome is complete yet."""
    return _interleaved(shop, lambda n: (FIRST, ())[n % 2], window_seconds=86_400.0)


def interleave_no_preference(shop: Shop) -> Experiment:
    """All planned users came, and they like both alike."""
    return _interleaved(shop, lambda n: (FIRST, LAST, ())[n % 3], planned=240, overrun=1.0)


def _interleaved(shop: Shop, likes, *, planned: int = 400, **policy) -> Experiment:
    policy = QUICK_POLICY | {"planned_units": planned, "promote": False} | policy
    experiment = _titled(builders.interleave(shop, **policy), "Order of the home feed")
    served = Visits(shop, experiment, rankings=(LISTS, LISTS[::-1]))
    for n in range(240):
        served.serve(f"u{n}", likes=likes(n))
    served.commit()
    return experiment


def bandit_learning(shop: Shop) -> Experiment:
    """One update of the shares is done; the better variant leads, and nothing is shown yet."""
    experiment = _bandit(shop, planned_units=4000)
    come = {"control": range(200), "treatment": range(200)}
    builders.visits(experiment, {"control": 1, "treatment": 1}, units=come)
    more = {"control": range(200, 240), "treatment": range(200, 240)}
    builders.visits(experiment, {"control": 0, "treatment": 1}, units=more)
    _update_shares(experiment)
    age(experiment, timedelta(hours=6))
    newest = {"control": range(240, 270), "treatment": range(240, 310)}
    builders.visits(experiment, {"control": 1, "treatment": 1}, units=newest, epoch=2)
    return experiment


def bandit_early(shop: Shop) -> Experiment:
    """Before the first update of the shares."""
    experiment = _bandit(shop, planned_units=4000)
    builders.visits(experiment, {"control": 1, "treatment": 1})
    return experiment


def bandit_winner(shop: Shop) -> Experiment:
    """The better variant was shown to be so, and ships."""
    experiment = _bandit(shop, planned_units=1000)
    builders.visits(experiment, {"control": 0, "treatment": 1})
    _update_shares(experiment)
    age(experiment, timedelta(hours=1))
    return experiment


def _bandit(shop: Shop, **policy) -> Experiment:
    flag = Surface.objects.create(project=shop.project, key="button", kind="flag")
    policy = QUICK_POLICY | {"update_every_seconds": 86_400.0, "burn_in_units": 100} | policy
    experiment = builders.experiment(shop, flag, mode="bandit", policy=policy)
    age(experiment, timedelta(hours=1))
    return _titled(experiment, "Colour of the button")


def _update_shares(experiment: Experiment) -> None:
    age(experiment, timedelta(days=1))
    look_at_experiment(experiment_id=experiment.pk)
    assert reweight_bandit(experiment) is not None


def age(experiment: Experiment, by: timedelta) -> None:
    """Move an experiment's start and its epochs back in time."""
    for epoch in experiment.epochs.all():
        epoch.started_at -= by
        if epoch.ended_at is not None:
            epoch.ended_at -= by
        epoch.save()
    Experiment.objects.filter(pk=experiment.pk).update(started_at=experiment.epochs.first().started_at)
    experiment.refresh_from_db()


def switchback_running(shop: Shop) -> Experiment:
    """Half of the planned blocks are over, fewer than an analysis needs."""
    experiment = _switchback(shop)
    blocks.Blocks(shop, experiment, count=20).visit(blocks.LEVELS)
    return experiment


def switchback_ship(shop: Shop) -> Experiment:
    """All planned blocks are over, and those of the treatment did better."""
    experiment = _switchback(shop)
    blocks.Blocks(shop, experiment).visit(blocks.LEVELS, lift=3)
    return experiment


def _switchback(shop: Shop) -> Experiment:
    draft = builders.draft(shop, shop.surface, "by-block", mode="switchback", policy=blocks.POLICY)
    started = start_experiment(experiment=define_experiment(draft), by="a test")
    return _titled(started, "Prices that follow demand")


def cluster_ship(shop: Shop) -> Experiment:
    """Stores with the treatment did better."""
    experiment = _clustered(shop, planned_units=200)
    clusters.visit(shop, experiment, STORES, lift=3)
    return experiment


def cluster_running(shop: Shop) -> Experiment:
    """A third of the planned users came, in fewer stores than an analysis needs."""
    experiment = _clustered(shop, planned_units=360)
    clusters.visit(shop, experiment, STORES[:10])
    age(experiment, timedelta(days=3))
    return experiment


def _clustered(shop: Shop, **policy) -> Experiment:
    change_programme(surface=shop.surface, changes={"holdback_share": 0}, by="a test")
    policy = {"cluster_by": "store", "minimum_run_seconds": 0.0, "window_seconds": 60.0} | policy
    policy |= {"twyman_limit": 0.0}
    draft = builders.draft(shop, shop.surface, "by-store", mode="cluster", policy=policy)
    started = start_experiment(experiment=define_experiment(draft), by="a test")
    return _titled(started, "Shelf order in stores")


MODE_REPORTS = {
    "interleave_prefers": interleave_prefers,
    "interleave_prefers_control": interleave_prefers_control,
    "interleave_undecided": interleave_undecided,
    "interleave_early": interleave_early,
    "interleave_no_preference": interleave_no_preference,
    "bandit_early": bandit_early,
    "bandit_learning": bandit_learning,
    "bandit_winner": bandit_winner,
    "switchback_running": switchback_running,
    "switchback_ship": switchback_ship,
    "cluster_running": cluster_running,
    "cluster_ship": cluster_ship,
}
