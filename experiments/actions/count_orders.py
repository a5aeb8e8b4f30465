"""Count what is liked lately, for the versions of orders that serve.

Each count reads the rows of the transactions since the last one (decision 0003) and adds them to what
is left of the totals before: a total halves with every half-life. What the cache has lost is counted
anew from the log.

Guarantees: one process counts a version at a time; an event is counted once. Units that are left out of
analysis are not counted, from the next count on. A version that is about to serve is counted before it
does, as far as that takes seconds and not minutes.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from django.db import OperationalError, connection, transaction
from redis.exceptions import RedisError

from experiments.actions.mark_units import versions_in_use
from experiments.ingest.likes import parse_rules
from experiments.metrics.watermark import TransactionRange, read_watermark
from experiments.training_data.liked_totals import HOUR, read_liked_totals
from inference.cache import cache_client
from inference.lease import lease
from inference.models import Surface
from inference.serving.order_totals import (
    EVERYWHERE,
    MAX_COUNTRIES,
    MAX_COUNTRY_ITEMS,
    MAX_ITEMS,
    MIN_COUNTRY_TOTAL,
    OrderTotals,
    TotalsAbout,
)
from inference.serving.orders import POPULAR, TRENDING, LiveOrder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import redis
    from django.db.models import QuerySet

    from experiments.ingest.likes import LikeRule
    from inference.models import ModelVersion

logger = logging.getLogger(__name__)
LEASE_SECONDS = 600.0  # a first count reads the whole window of the log
MIN_TOTAL = 1e-3
MAX_START_SECONDS = 5  # that a start or a promotion waits for a count; the worker counts on else
COUNTED = (POPULAR, TRENDING)


def surfaces_with_orders() -> QuerySet[Surface]:
    """Return surfaces that serve versions of orders which count likes."""
    return Surface.objects.unarchived().filter(versions__in=_orders_in_use()).distinct()


def _orders_in_use() -> QuerySet[ModelVersion]:
    return versions_in_use().filter(algorithm__in=COUNTED).select_related("surface")


def count_orders(*, surface: Surface) -> None:
    """Bring the totals of a surface's orders up to date, but for those that another process counts.

    Raises:
        ValueError: an order's parameters, or the surface's rules of what is liked, cannot be read.
    """
    client, rules = cache_client(), parse_rules(surface.liked_events)
    for version in _orders_in_use().filter(surface=surface):
        _count(version, client, rules)


def count_before_serving(*, versions: Iterable[ModelVersion]) -> None:
    """Count for versions that are about to serve, so that their first lists are not the newest items.

    What takes too long, or cannot be counted now, is left to the worker: serving says so then.
    """
    for version in versions:
        if version.algorithm not in COUNTED:
            continue
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SHOW statement_timeout")
                (before,) = cursor.fetchone()
                cursor.execute(f"SET LOCAL statement_timeout = '{MAX_START_SECONDS}s'")
                _count(version, cache_client(), parse_rules(version.surface.liked_events))
                # The caller may be in a transaction of its own, whose limit this is not.
                cursor.execute(f"SET LOCAL statement_timeout = '{before}'")
        # Rules that cannot be read are named by the worker; a start does not fail for its first lists.
        except (OperationalError, RedisError, OSError, ValueError) as error:
            logger.warning("%s is counted later: %s", version.label, error)


def _count(version: ModelVersion, client: redis.Redis, rules: Sequence[LikeRule]) -> None:
    """Bring the totals of a version up to date, unless another process counts it."""
    project_id, order = version.surface.project_id, LiveOrder.of(version.algorithm, version.params)
    with lease(client, f"totals:{version.pk}", seconds=LEASE_SECONDS) as mine:
        if mine is None:
            return
        signature = f"{project_id} {order} {sorted(map(str, rules))}"
        last = OrderTotals.read(client, version.pk)
        if last is None or last.about.signature != signature:
            last = OrderTotals(TotalsAbout(at=0.0, upper=0, signature=signature))
        _add(project_id, order, rules, last).write(client, version.pk)


def _add(
    project_id: int, order: LiveOrder, rules: Sequence[LikeRule], last: OrderTotals
) -> OrderTotals:
    """Return the totals of now: what is left of the last ones, and what came since."""
    now, half_life = time.time(), order.half_life_hours * HOUR
    # By the clock of this process alone: what was counted is carried over by how long ago that was.
    left = 0.5 ** (max(now - last.about.at, 0.0) / half_life)
    upper = read_watermark()
    totals = {
        country: {item: total * left for item, total in items.items()}
        for country, items in last.by_country.items()
    }
    span = TransactionRange(last.about.upper, upper)
    for item, country, weight in read_liked_totals(project_id, order, rules, span=span, now=now):
        for place in {EVERYWHERE, country or EVERYWHERE}:
            items = totals.setdefault(place, {})
            items[item] = items.get(item, 0.0) + weight
    kept = _bounded(totals)
    countries = tuple(
        sorted(c for c, of in kept.items() if c and sum(of.values()) >= MIN_COUNTRY_TOTAL)
    )
    about = replace(last.about, at=now, upper=upper, countries=countries)
    return OrderTotals(about, kept)


def _bounded(totals: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return the largest totals of the largest countries."""
    countries = sorted(totals, key=lambda country: -sum(totals[country].values()))[: MAX_COUNTRIES + 1]
    return {
        country: _top(totals[country], MAX_ITEMS if country == EVERYWHERE else MAX_COUNTRY_ITEMS)
        for country in countries
    }


def _top(items: Mapping[str, float], count: int) -> dict[str, float]:
    rows = sorted(((total, item) for item, total in items.items() if total > MIN_TOTAL), reverse=True)
    return {item: total for total, item in rows[:count]}
