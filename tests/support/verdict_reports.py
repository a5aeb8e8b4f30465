"""Experiments, one of each kind of verdict that a stranger must understand at a glance."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from experiments.actions.change_programme import change_programme
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.models import Experiment
from experiments.sql import min_uuid7
from tests.support.builders import (
    QUICK_POLICY,
    Rows,
    Shop,
    event,
    make_shop,
    now,
    slate,
    visits,
    write,
)
from tests.support.mode_reports import MODE_REPORTS


def _start(shop: Shop, title: str, *, treatments: int = 1, **policy) -> Experiment:
    experiment = shop.run_experiment(treatments=treatments, **(QUICK_POLICY | policy))
    experiment.name = title
    experiment.save(update_fields=["name"])
    return experiment


def _ship(shop: Shop) -> Experiment:
    change_programme(surface=shop.surface, changes={"holdback_share": 0}, by="a test")
    experiment = _start(shop, "Personal order on the home feed")
    visits(experiment, {"control": 1, "treatment": 2})
    return experiment


def _roll_back(shop: Shop) -> Experiment:
    experiment = _start(shop, "New covers on the home feed")
    visits(experiment, {"control": 2, "treatment": 1})
    return experiment


def _day_1(shop: Shop) -> Experiment:
    """A day's window: nobody's outcome is complete yet."""
    experiment = _start(shop, "Session model", planned_units=10_000, window_seconds=86_400.0)
    visits(
        experiment, {"control": 1, "treatment": 1}, units={"control": range(78), "treatment": range(72)}
    )
    return experiment


def _no_events(shop: Shop) -> Experiment:
    """A day's window, two hours ago; users came, and nobody's clicks."""
    experiment = _start(shop, "Covers of the season", planned_units=10_000, window_seconds=86_400.0)
    start = now() - timedelta(hours=2)
    Experiment.objects.filter(pk=experiment.pk).update(started_at=start)
    click_before(shop, start - timedelta(days=3))
    even = range(0, 400, 2)  # of whom nobody clicks
    visits(experiment, {"control": 0, "treatment": 0}, units={"control": even, "treatment": even})
    return experiment


def click_before(shop: Shop, at: datetime) -> None:
    """Users whom the surface served before, a fifth of whom clicked."""
    served = [
        slate(
            shop,
            f"earlier-{n}",
            recommendation_id=str(UUID(int=min_uuid7(at).int + n)),
            served_at=at.isoformat(),
        )
        for n in range(250)
    ]
    later = (at + timedelta(seconds=30)).isoformat()
    clicked = [event(shop.project, unit=f"earlier-{n}", at=later) for n in range(0, 250, 5)]
    write(Rows(slates=served, events=clicked))


def _nine_days_old(experiment: Experiment) -> Experiment:
    start = now() - timedelta(days=9)
    Experiment.objects.filter(pk=experiment.pk).update(started_at=start)
    experiment.epochs.update(started_at=start)
    return experiment


def _day_9(shop: Shop) -> Experiment:
    experiment = _nine_days_old(_start(shop, "Fresh titles first", planned_units=3400))
    visits(experiment, {"control": 1, "treatment": 1}, units=580)
    return experiment


def _several(shop: Shop) -> Experiment:
    """One treatment leaves as it is worse; of the two that go on, the second is ahead, not clearly."""
    experiment = _nine_days_old(_start(shop, "Three orders", treatments=3, planned_units=3400))
    units = {"control": range(300), "treatment": range(300), "treatment-2": range(300),
             "treatment-3": range(1, 300)}  # fmt: skip
    clicks = {"control": 1, "treatment": 0, "treatment-2": 1, "treatment-3": 1}
    visits(experiment, clicks, units=units)
    return experiment


def _halt(shop: Shop) -> Experiment:
    experiment = _start(shop, "Bigger pictures")
    uneven = {"control": range(300), "treatment": range(60)}
    visits(experiment, {"control": 1, "treatment": 1}, units=uneven)
    return experiment


def _futile(shop: Shop) -> Experiment:
    experiment = _start(shop, "Another shade of blue")
    visits(experiment, {"control": 1, "treatment": 1}, units=190)
    return experiment


def _holdback_lost(shop: Shop) -> Experiment:
    change_programme(surface=shop.surface, changes={"holdback_share": 0.2}, by="a test")
    test = _start(shop, "Personal order on the home feed")
    visits(test, {"control": 1, "treatment": 2})
    look_at_experiment(experiment_id=test.pk)
    holdback = Experiment.objects.get(surface=shop.surface, purpose="holdback")
    start = now() - timedelta(days=21)
    Experiment.objects.filter(pk=holdback.pk).update(started_at=start)
    visits(holdback, {"former": 3, "promoted": 1}, units=60)
    return holdback


MAKERS = {
    "ship": _ship,
    "roll_back": _roll_back,
    "day_1": _day_1,
    "no_events": _no_events,
    "day_9": _day_9,
    "several": _several,
    "halt": _halt,
    "futile": _futile,
    "holdback_lost": _holdback_lost,
    **MODE_REPORTS,
}


def make_verdict_reports() -> dict[str, Experiment]:
    """Make them, each in a project of its own, with an analysis."""
    experiments = {}
    for name, maker in MAKERS.items():
        experiment = maker(make_shop())
        look_at_experiment(experiment_id=experiment.pk)
        experiment.refresh_from_db()
        experiments[name] = experiment
    return experiments
