"""Whom a request is for: the unit of its ids, and what is stored of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from bakeoff.accounts.keys import SECRET
from bakeoff.gateway.http.access import require_secret

if TYPE_CHECKING:
    from bakeoff.gateway.config.serving_config import KeyConfig, SurfaceConfig
    from bakeoff.gateway.http.caller import Consent
    from bakeoff.gateway.http.door import Call
    from bakeoff.gateway.intake.identity_resolver import IdentityResolver
    from bakeoff.gateway.intake.unit_lookup import UnitLookup
    from bakeoff.gateway.slates.requests import SurfaceRequest
    from experiments.assignment import UnitRecord


class Visitor(NamedTuple):
    """Who is answered, on which surface.

    Attributes:
        key: the caller's.
        surface: where.
        unit: who.
        context: what the product says of the request.
        excluded: whether a server says that the visitor is a crawler, to be left out of analysis.
        exposed: whether the answer counts as seen: a crawler by its own header does not see it, nor
            who gets it later.
        consent: whether the answer may be stored, and models may learn from it.
    """

    key: KeyConfig
    surface: SurfaceConfig
    unit: str
    context: dict[str, Any]
    excluded: bool
    exposed: bool
    consent: Consent


@dataclass(frozen=True, slots=True)
class Visitors:
    """Identifies visitors; one in a process."""

    identity: IdentityResolver
    units: UnitLookup

    async def identify(self, call: Call, surface: SurfaceConfig, request: SurfaceRequest) -> Visitor:
        """Return who is to be answered.

        Raises:
            ApiError: 429, the unit is named too often by a public key; 403, one leaves out an exposure.
        """
        caller = call.caller
        if not request.expose:
            require_secret(caller.key, "expose")
        consent = caller.limit(request.consent)
        caller.spend_on([request.ids])
        (unit,) = await self.identity.units(
            call.config,
            caller.key.project_id,
            [request.ids],
            # Ids of a visitor who refuses analytics are not brought together, nor are a crawler's.
            may_link=consent.analytics and not caller.is_crawler,
            trusted=caller.key.kind == SECRET,
        )
        return Visitor(
            key=caller.key,
            surface=surface,
            unit=unit,
            context=request.context,
            excluded=caller.names_crawler(request.context.get("user_agent")),
            exposed=request.expose and not caller.is_crawler,
            consent=consent,
        )

    async def record_of(self, visitor: Visitor) -> UnitRecord:
        """Return what the surface's experiments need to know of a visitor's unit."""
        return await self.units.find(visitor.key.project_id, visitor.unit, visitor.surface.experiments)
