"""What may be spent a day, by key, unit, address, project and surface: counted in Redis.

Guarantees: a request is refused once what was spent and what is on its way reach a budget; what all
processes admit is above it by at most one request's estimate each. What an answer turned out to cost
takes the place of its estimate. While Redis is away each process counts by itself.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import redis.asyncio
import redis.exceptions

from bakeoff.gateway.http.errors import ApiError
from inference.serving.keys import spent_key
from inference.serving.spending import KEEP_SECONDS, MONEY, TOKENS, Spending

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference.serving.generate_settings import Budget

logger = logging.getLogger(__name__)
MAX_LOCAL = 100_000


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is counted of an answer that is on its way.

    Attributes:
        keys: where it is counted.
        amount: its estimate.
    """

    keys: tuple[str, ...]
    amount: Spending


NOTHING = Reservation((), Spending())


class Budgets:
    """What was spent today; one in a process."""

    def __init__(self, cache: redis.asyncio.Redis) -> None:
        """Remember where processes count together."""
        self._cache = cache
        self._local: Counter[tuple[str, str]] = Counter()

    async def reserve(
        self, limits: Mapping[str, Budget], names: Mapping[str, str], amount: Spending
    ) -> Reservation:
        """Count the estimate of an answer.

        Args:
            limits: by key, unit, address, project and surface.
            names: whose: the key, the unit, … of the request.
            amount: what it is estimated to cost.

        Raises:
            ApiError: 429, a budget is spent.
        """
        day = datetime.now(UTC).date().isoformat()
        keys = {kind: spent_key(day, kind, names[kind]) for kind in limits if names.get(kind)}
        reservation = Reservation(tuple(keys.values()), amount)
        totals = await self._add(reservation.keys, amount)
        for kind, (tokens, money) in zip(keys, totals, strict=True):
            limit = limits[kind]
            before = Spending(tokens - amount.tokens, money - amount.money)
            for what, spent, allowed in (
                (TOKENS, before.tokens, limit.tokens),
                (MONEY, before.money, limit.money),
            ):
                # Sums of floats: what was taken back leaves a trace of rounding.
                if allowed is not None and spent >= allowed - 1e-9:
                    await self.settle(reservation, Spending())
                    raise _spent(kind, what, allowed)
        return reservation

    async def settle(self, reservation: Reservation, actual: Spending) -> None:
        """Count what an answer cost in place of its estimate."""
        estimate = reservation.amount
        difference = Spending(actual.tokens - estimate.tokens, actual.money - estimate.money)
        await self._add(reservation.keys, difference)

    async def _add(self, keys: tuple[str, ...], amount: Spending) -> list[tuple[float, float]]:
        """Add to each key, and return what each has."""
        if not keys:
            return []
        pipe = self._cache.pipeline(transaction=False)
        for key in keys:
            pipe.hincrbyfloat(key, TOKENS, amount.tokens)
            pipe.hincrbyfloat(key, MONEY, amount.money)
            pipe.expire(key, KEEP_SECONDS)
        try:
            counted = await pipe.execute()
        except (redis.exceptions.RedisError, OSError) as error:
            logger.warning("budgets are counted by this process alone: %s", error)
            return self._add_here(keys, amount)
        return [(float(counted[3 * n]), float(counted[3 * n + 1])) for n in range(len(keys))]

    def _add_here(self, keys: tuple[str, ...], amount: Spending) -> list[tuple[float, float]]:
        if len(self._local) > MAX_LOCAL:
            self._local.clear()
        totals = []
        for key in keys:
            self._local[key, TOKENS] += amount.tokens  # type: ignore[assignment]
            self._local[key, MONEY] += amount.money  # type: ignore[assignment]
            totals.append((float(self._local[key, TOKENS]), float(self._local[key, MONEY])))
        return totals


def _spent(kind: str, what: str, limit: float) -> ApiError:
    now = datetime.now(UTC)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return ApiError(
        429,
        "budget_spent",
        f"the {what} of this {kind} are spent for today: the budget is {limit:g}."
        if what == TOKENS
        else f"the money of this {kind} is spent for today: the budget is {limit:g}.",
        retry_after=int((midnight - now).total_seconds()) + 1,
    )
