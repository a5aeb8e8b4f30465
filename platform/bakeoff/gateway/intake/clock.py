"""When something happened by our clock, whatever its sender's clock says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bakeoff.gateway.http.errors import ApiError
from experiments import bounds
from experiments.bounds import FUTURE, PAST

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Clock:
    """When a request came, and how far its sender's clock is off.

    Attributes:
        received: by our clock.
        skew: our clock less the sender's when it sent; nothing when it did not say.
    """

    received: datetime
    skew: timedelta | None = None

    @classmethod
    def of(cls, received: datetime, sent: datetime | None) -> Clock:
        """Compare the clocks."""
        return cls(received, None if sent is None else received - sent)

    def occurred(self, data: Mapping[str, Any], name: str) -> tuple[datetime, datetime | None]:
        """Return when something happened by our clock, and what its sender said if that differs.

        Raises:
            ApiError: it is no time, or out of range.
        """
        value = data.get(name)
        if value is None:
            return self.received, None
        claimed = bounds.moment(value, name)
        try:
            at = claimed if self.skew is None else claimed + self.skew
            inside = self.received - PAST <= at <= self.received + FUTURE
        except OverflowError:
            inside = False
        if not inside:
            raise ApiError(
                400,
                "occurred_at_out_of_range",
                f"{name} == {value}, must be within 30 days before and 5 minutes after its receipt.",
                field=name,
            )
        return at, None if at == claimed else claimed
