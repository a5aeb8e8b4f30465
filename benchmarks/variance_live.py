"""CUPAC as a worker makes it: learnt at an experiment's start, evaluated by the roll-up, from recorded events.

Orders and visits are written as events. `start_experiment` learns and freezes the prediction; a user is
exposed by the first event of the 28 days after the start, and the roll-up writes its value and
covariates, of one metric by CUPAC and of one by CUPED. These are split at random.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.cdnow import CUT, FIRST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from experiments.models import Experiment

    Array = NDArray[np.float64]

DAY = 86_400.0
USERS, BEFORE_DAYS, WINDOW, LOOKBACK, ENROLMENT = 20_000, 84.0, 14.0, 28.0, 28.0  # days
VISITS = 3  # without an order, for each order
COVARIATES = {"spend-cuped": "history", "spend-cupac": "prediction"}


@dataclass(frozen=True)
class Orders:
    """What users order, when, and when they only look.

    Attributes:
        unit: of each order or visit, numbered from 0, shape (events,).
        days: after the start, negative before it, shape (events,).
        dollars: of each order; NaN: a visit without one, shape (events,).
        plans: of each user, shape (users,); None: nothing is known of them.
        units: how many users.
        window: days that count.
        lookback: days before that are known.
    """

    unit: NDArray[np.int64]
    days: Array
    dollars: Array
    plans: NDArray[np.int64] | None
    units: int
    window: float
    lookback: float

    def exposures(self) -> tuple[NDArray[np.int64], Array]:
        """Return who comes in the days after the start, and when first."""
        inside = (self.days >= 0) & (self.days < ENROLMENT)
        first = np.full(self.units, np.inf)
        np.minimum.at(first, self.unit[inside], self.days[inside])
        units = np.flatnonzero(np.isfinite(first))
        return units, first[units]


@dataclass(frozen=True)
class Observed:
    """What the roll-up wrote: values, and the covariates of CUPED and CUPAC, each shape (users,)."""

    after: Array
    cuped: Array
    cupac: Array


def simulate_orders(users: int, seed: int) -> Orders:
    """Draw users with a heavy-tailed taste, of whom four in ten leave some day; a plan doubles orders."""
    rng = np.random.default_rng(seed)
    plans = rng.integers(0, 2, users)
    rate = rng.gamma(0.8, 2.0, users) / 28 * (1 + plans)
    end = ENROLMENT + WINDOW
    until = np.where(rng.random(users) < 0.4, rng.uniform(-BEFORE_DAYS, end, users), end)
    counts = rng.poisson(rate * (1 + VISITS) * (until + BEFORE_DAYS))
    unit = np.repeat(np.arange(users), counts)
    days = -BEFORE_DAYS + rng.random(len(unit)) * (until[unit] + BEFORE_DAYS)
    dollars = rng.lognormal(3, 0.5, users)[unit] * rng.lognormal(0, 0.3, len(unit))
    dollars[rng.random(len(unit)) < VISITS / (1 + VISITS)] = np.nan
    return Orders(unit, days, dollars, plans, users, WINDOW, LOOKBACK)


def cdnow_orders(lines: Iterator[str]) -> Orders:
    """Read the orders of CDNOW around its cut; a quarter counts, and a quarter before is known."""
    names: dict[str, int] = {}
    rows = []
    for line in lines:
        cells = line.split()
        if len(cells) == 4 and cells[1].isdigit():
            ago = (CUT - datetime.strptime(cells[1], "%Y%m%d").date()).days  # noqa: DTZ007  a day
            rows.append((names.setdefault(cells[0], len(names)), 0.5 - ago, float(cells[3])))
    unit, days, dollars = (np.array(column) for column in zip(*rows, strict=True))
    quarter = float((CUT - FIRST).days // 3)
    return Orders(unit, days, dollars, None, len(names), quarter, quarter)


def observe(sets: dict[str, Orders], home: Path) -> dict[str, Observed]:
    """Let the platform start an experiment on the orders of each name, and roll it up."""
    os.environ["BAKEOFF_HOME"] = str(home / "live")
    os.environ["DJANGO_SETTINGS_MODULE"] = "bakeoff.settings"
    import django

    from bakeoff.embedded.supervisor import Platform
    from bakeoff.environment import read_environment
    from benchmarks.stage import free_port

    platform = Platform(read_environment(), port=free_port())
    platform.start_servers()
    try:
        django.setup()
        return {name: _observe(name, orders) for name, orders in sets.items()}
    finally:
        platform.stop()


def _observe(name: str, orders: Orders) -> Observed:
    from django.db import transaction
    from django.utils import timezone

    from experiments.actions.start_experiment import start_experiment
    from experiments.looks.roll_up import roll_up
    from experiments.models import Observation

    now = timezone.now()
    draft = _define(name, orders)
    _record(draft.project_id, orders, now)
    started = start_experiment(experiment=draft, by="bench")
    exposed = _expose(started, orders, now)
    with transaction.atomic():
        roll_up(started.pk, now + timedelta(days=ENROLMENT + orders.window + 1))
    columns = {}
    for key in COVARIATES:
        of_metric = Observation.objects.filter(experiment=started, metric__key=key).order_by("unit_id")
        columns[key] = np.array(of_metric.values_list("value", "covariate"), dtype=float)
    cuped, cupac = columns.values()
    assert len(cuped) == exposed
    return Observed(cuped[:, 0], cuped[:, 1], cupac[:, 1])


def _define(name: str, orders: Orders) -> Experiment:
    from bakeoff.accounts.models import Project
    from benchmarks.shop import ITEMS, make_version
    from experiments.actions.define_experiment import define_experiment
    from experiments.actions.experiment_draft import (
        ExperimentDraft,
        ExperimentMetricDraft,
        VariantDraft,
    )
    from experiments.models import Experiment, Metric
    from inference.models import Surface

    slug = name.split(",", maxsplit=1)[0].replace(" ", "-").lower()
    project = Project.objects.create(slug=slug, name=name)
    surface = Surface.objects.create(project=project, key="home-feed")
    metrics = [
        Metric.objects.create(
            project=project, key=key, kind="mean", event="purchase", value="sum", covariate=covariate,
            window_seconds=orders.window * DAY, lookback_seconds=orders.lookback * DAY,
        )
        for key, covariate in COVARIATES.items()
    ]  # fmt: skip
    ids, rng = [f"item-{n}" for n in range(ITEMS)], np.random.default_rng(0)
    champion, challenger = (
        make_version(surface, ids, rng, alias=alias) for alias in ("champion", "challenger")
    )
    variants = [
        VariantDraft("control", champion, 0.5, is_control=True),
        VariantDraft("treatment", challenger, 0.5),
    ]
    roles = [
        ExperimentMetricDraft(metric, role="secondary" if n else "primary")
        for n, metric in enumerate(metrics)
    ]
    policy = {"minimum_run_seconds": orders.window * DAY}
    draft = define_experiment(ExperimentDraft(surface, "aa", variants, roles, policy=policy))
    if orders.plans is not None:
        Experiment.objects.filter(pk=draft.pk).update(segments=["plan"])
        draft.refresh_from_db()
    return draft


def _record(project_id: int, orders: Orders, now: datetime) -> None:
    """Write orders as events, and plans as what the product says of its users."""
    from django.db import connection

    from experiments.models import Unit

    if orders.plans is not None:
        Unit.objects.bulk_create(
            Unit(project_id=project_id, unit_id=f"u{n:06}", attributes={"plan": ("free", "pro")[plan]})
            for n, plan in enumerate(orders.plans.tolist())
        )
    copy = """COPY experiments_event (project_id, event_id, name, unit_id, item_known, value, occurred_at,
        properties, source) FROM STDIN"""
    rows = zip(orders.unit.tolist(), orders.days.tolist(), orders.dollars.tolist(), strict=True)
    with connection.cursor() as cursor, cursor.copy(copy) as out:
        for n, (unit, days, dollars) in enumerate(rows):
            at = now + timedelta(days=days, seconds=1)
            order = dollars == dollars  # noqa: PLR0124  a visit is NaN
            out.write_row((
                project_id, f"e{n}", "purchase" if order else "view", f"u{unit:06}", True,
                dollars if order else None, at, "{}", "live",
            ))  # fmt: skip


def _expose(started: Experiment, orders: Orders, now: datetime) -> int:
    """Write an exposure at the first event of each user who comes; return how many there are."""
    from django.db import connection

    units, days = orders.exposures()
    copy = """COPY experiments_exposure (project_id, experiment_id, variant_id, epoch, unit_id, unit_type,
        exposed_at) FROM STDIN"""
    known = (started.project_id, started.pk, started.control.pk, 1)
    with connection.cursor() as cursor, cursor.copy(copy) as out:
        for unit, day in zip(units.tolist(), days.tolist(), strict=True):
            # With the event, as a roll-up of past units takes it.
            out.write_row((*known, f"u{unit:06}", "unit", now + timedelta(days=day, seconds=1)))
    return len(units)
