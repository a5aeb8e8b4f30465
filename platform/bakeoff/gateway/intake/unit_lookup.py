"""What is stored of a unit: attributes that the product sent, and the variants that it met.

Asked only for experiments that need it. While PostgreSQL is away nothing is known: the hash decides.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bakeoff.gateway.database import Connector, Lookup
from bakeoff.gateway.remembered import Remembered
from experiments.assignment import UNKNOWN_UNIT, PastExposure, UnitRecord
from experiments.ingest.past_exposures import PAST_EXPOSURES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

    from experiments.assignment import RunningExperiment

MAX_UNITS = 100_000
ATTRIBUTES_SECONDS = 30.0  # how long stored attributes are taken to be what they were

# A project or an experiment, and the unit.
_Unit = tuple[int, str]
_ATTRIBUTES = "SELECT attributes FROM experiments_unit WHERE project_id = %s AND unit_id = %s"


class UnitLookup:
    """Answers what is stored of a unit; one in a process."""

    def __init__(self, connector: Connector) -> None:
        """Remember where to ask."""
        self._lookup = Lookup(connector, "units", writes=False)
        # When they were read, and the attributes.
        self._attributes: Remembered[_Unit, tuple[float, Mapping[str, Any]]] = Remembered(MAX_UNITS)
        self._exposures: Remembered[_Unit, PastExposure] = Remembered(MAX_UNITS)

    async def stop(self) -> None:
        """Close the connection."""
        await self._lookup.stop()

    async def find(
        self, project: int, unit: str, experiments: Sequence[RunningExperiment]
    ) -> UnitRecord:
        """Return what these experiments need to know of a unit."""
        # What was met before an experiment's memory begins may have been met again since.
        since = {
            e.experiment_id: e.memory.since
            for e in experiments
            if e.memory.sticky or e.memory.blocked_before
        }
        reads_unit = any(experiment.reads_unit for experiment in experiments)
        if not since and not reads_unit:
            return UNKNOWN_UNIT
        attributes = await self._read_attributes(project, unit) if reads_unit else {}
        exposures = await self._read_exposures(since, unit) if since else {}
        if attributes is None or exposures is None:
            return UNKNOWN_UNIT
        return UnitRecord(attributes, exposures)

    async def _read_attributes(self, project: int, unit: str) -> Mapping[str, Any] | None:
        now = asyncio.get_running_loop().time()
        read_at, attributes = self._attributes.get((project, unit), (-ATTRIBUTES_SECONDS, {}))
        if now - read_at < ATTRIBUTES_SECONDS:
            return attributes
        rows = await self._ask(_ATTRIBUTES, (project, unit))
        if rows is None:
            return None
        attributes = rows[0][0] if rows else {}
        # Also that there are none: a unit without attributes would otherwise be asked for each time.
        self._attributes[project, unit] = (now, attributes)
        return attributes

    async def _read_exposures(
        self, since: Mapping[int, int], unit: str
    ) -> dict[int, PastExposure] | None:
        """Return what the unit met; what it has met is remembered, what it has not is asked again.

        Args:
            since: by experiment, the epoch at which its memory begins.
            unit: who.
        """
        exposures = {
            e: self._exposures[e, unit]
            for e, epoch in since.items()
            if (e, unit) in self._exposures and self._exposures[e, unit].last_epoch >= epoch
        }
        missing = [experiment for experiment in since if experiment not in exposures]
        if missing:
            rows = await self._ask(PAST_EXPOSURES, (missing, unit))
            if rows is None:
                return None
            for experiment, *past in rows:
                # It stays true: an exposure of a later epoch is asked for again, above.
                exposures[experiment] = self._exposures[experiment, unit] = PastExposure(*past)
        return exposures

    async def _ask(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]] | None:
        """Return the rows, or None while PostgreSQL is away."""

        async def ask(connection: psycopg.AsyncConnection) -> list[tuple[Any, ...]]:
            return await (await connection.execute(statement, values)).fetchall()

        return await self._lookup.ask(ask)
