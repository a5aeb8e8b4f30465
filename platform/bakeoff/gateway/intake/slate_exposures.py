"""Exposures to slates that were made before they were seen: an e-mail, a push message.

A slate of a request with `"expose": false` is stored without an exposure. When it is sent, or opened, a
server reports an event `exposure` that names it; the unit meets the slate's variant then. The event is
stored as any other. A public key's is only that: whoever reads a page could choose who is counted.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from bakeoff.accounts.keys import SECRET
from bakeoff.gateway.database import Connector, Lookup
from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.intake.claims import Claim
from experiments.assignment.flags import NO_FLAGS
from experiments.ingest.rows import ExposureRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import psycopg

    from bakeoff.gateway.config.serving_config import ServingConfig
    from bakeoff.gateway.http.door import Call
    from experiments.assignment import RunningExperiment
    from experiments.ingest.rows import EventRow

EXPOSURE = "exposure"
_SLATES = """SELECT recommendation_id::text, unit_id, experiment_id, variant_id FROM experiments_slate
    WHERE project_id = %s AND recommendation_id = ANY(%s::uuid[]) AND experiment_id IS NOT NULL
        AND NOT forced"""
# A slate's id, its unit, experiment and variant.
_Slate = tuple[str, str, int, int]


class SlateExposures:
    """Finds what units met by slates; one in a process."""

    def __init__(self, connector: Connector) -> None:
        """Remember where to ask."""
        self._lookup = Lookup(connector, "slates", writes=False)

    async def stop(self) -> None:
        """Close the connection."""
        await self._lookup.stop()

    async def rows(self, call: Call, events: Sequence[EventRow]) -> list[ExposureRow]:
        """Return the exposures that some events of a server report.

        Raises:
            ApiError: 503, the slates cannot be read now; an event with an id may be sent again.
        """
        key = call.caller.key
        if key.kind != SECRET:
            return []
        at = {
            event.recommendation_id: event.occurred_at
            for event in events
            if event.name == EXPOSURE and event.recommendation_id is not None
        }
        if not at:
            return []
        slates = await self._read(key.project_id, list(at))
        return list(_exposures(call.config, key.project_id, slates, at))

    async def _read(self, project: int, ids: list[str]) -> list[_Slate]:
        async def ask(connection: psycopg.AsyncConnection) -> list[_Slate]:
            cursor = await connection.execute(_SLATES, (project, ids))
            return await cursor.fetchall()

        slates = await self._lookup.ask(ask)
        if slates is None:
            message = "The slates of these exposures cannot be looked up now. Send them again."
            raise ApiError(503, "cannot_look_up", message, retry_after=5)
        return slates


def _exposures(
    config: ServingConfig, project: int, slates: Iterable[_Slate], at: dict[str, str]
) -> Iterable[ExposureRow]:
    """Yield a row per slate whose experiment runs: what has ended counts nobody any more."""
    flags = config.flags.get(project, NO_FLAGS)
    running = {one.experiment_id: one for one in (*flags.running.values(), *flags.holdouts.values())}
    for slate, unit, experiment_id, variant_id in slates:
        experiment = running.get(experiment_id)
        variant = _variant(experiment, variant_id) if experiment is not None else None
        if experiment is None or variant is None:
            continue
        claim = Claim(experiment, variant, datetime.fromisoformat(at[slate]), trusted=True)
        yield ExposureRow(
            project_id=project,
            experiment_id=experiment_id,
            variant_id=variant_id,
            epoch=claim.epoch,
            unit_id=unit,
            unit_type="unit",
            exposed_at=at[slate],
            source="secret",
        )


def _variant(experiment: RunningExperiment, variant_id: int) -> str | None:
    """Return the key of a variant that the experiment still has."""
    return next((k for k, one in experiment.variants.items() if one.variant_id == variant_id), None)
