"""Send what is due, many at once: the tables in one thread, the network in others."""

from __future__ import annotations

import logging
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from bakeoff.delivery.deliveries import RETRIES, claim, database_now, fan_out, settle
from bakeoff.delivery.send import send

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from types import TracebackType

    from bakeoff.delivery.claimed import ClaimedDelivery, Outcome
    from bakeoff.delivery.deliveries import Retries

logger = logging.getLogger(__name__)
SLOTS = 32


class Dispatcher:
    """Deliveries on their way from this process."""

    def __init__(
        self,
        *,
        slots: int = SLOTS,
        retries: Retries = RETRIES,
        clock: Callable[[], datetime] = database_now,
    ) -> None:
        """Start with none on their way.

        Args:
            slots: how many attempts are made at once.
            retries: when a failed one is made again.
            clock: what the time is; the database's.
        """
        self._slots, self._retries, self._clock = slots, retries, clock
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="deliver")
        self._on_their_way: dict[Future[Outcome], ClaimedDelivery] = {}

    def __enter__(self) -> Dispatcher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let attempts end; after a failure their leases do, and they are made again."""
        self._pool.shutdown(wait=True)
        if error is None:
            self._settle_ended()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way."""
        return not self._on_their_way

    def turn(self) -> int:
        """Write what came of attempts, then begin those that are due; return how many begun."""
        self._settle_ended()
        now = self._clock()
        fan_out(now)
        free = self._slots - len(self._on_their_way)
        claimed = claim(now, slots=free) if free > 0 else []
        for one in claimed:
            self._on_their_way[self._pool.submit(send, one)] = one
        return len(claimed)

    def wait(self, seconds: float) -> None:
        """Wait until an attempt has ended, at most so long."""
        wait(self._on_their_way, timeout=seconds, return_when=FIRST_COMPLETED)

    def _settle_ended(self) -> None:
        for future in [one for one in self._on_their_way if one.done()]:
            claimed = self._on_their_way[future]
            outcome = future.result()
            if not settle(claimed, outcome, now=self._clock(), retries=self._retries):
                logger.warning("delivery %s was taken over by another attempt", claimed.pk)
            # After it is written: a database that is away leaves it for the next turn.
            del self._on_their_way[future]
