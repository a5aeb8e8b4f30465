"""What is known of a unit beyond its request: attributes the product stored, variants that it keeps.

Asked only for experiments that need it. While PostgreSQL is away nothing is known: the hash decides.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from bakeoff.gateway.database import Connector, Lookup
from experiments.assignment import UNKNOWN_UNIT, PastExposure, UnitRecord
from experiments.ingest.past_exposures import PAST_EXPOSURES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

    from experiments.assignment import RunningExperiment

REMEMBERED = 100_000
ATTRIBUTES_SECONDS = 30.0  # how long stored attributes are taken to be what they were

_ATTRIBUTES = "SELECT attributes FROM experiments_unit WHERE project_id = %s AND unit_id = %s"


class UnitLookup:
    """Answers what is known of a unit; one in a process."""

    def __init__(self, connector: Connector) -> None:
        """Remember where to ask."""
        self._lookup = Lookup(connector, "units", writes=False)
        self._attributes: OrderedDict[tuple[int, str], tuple[float, Mapping[str, Any]]] = OrderedDict()
        self._exposures: OrderedDict[tuple[int, str], PastExposure] = OrderedDict()

    async def stop(self) -> None:
        """Close the connection."""
        await self._lookup.stop()

    async def find(
        self, project: int, unit: str, experiments: Sequence[RunningExperiment]
    ) -> UnitRecord:
        """Return what these experiments need to know of a unit."""
        # What was met before an experiment's memory begins may have been met again since.
        keeping = {
            e.experiment_id: e.memory.since
            for e in experiments
            if e.memory.sticky or e.memory.blocked_before
        }
        reads = any(experiment.reads_unit for experiment in experiments)
        if not keeping and not reads:
            return UNKNOWN_UNIT
        attributes = await self._read_attributes(project, unit) if reads else {}
        met = await self._read_exposures(keeping, unit) if keeping else {}
        return (
            UnitRecord(attributes, met) if attributes is not None and met is not None else UNKNOWN_UNIT
        )

    async def _read_attributes(self, project: int, unit: str) -> Mapping[str, Any] | None:
        now = asyncio.get_running_loop().time()
        at, kept = self._attributes.get((project, unit), (-ATTRIBUTES_SECONDS, {}))
        if now - at < ATTRIBUTES_SECONDS:
            return kept
        rows = await self._ask(_ATTRIBUTES, (project, unit))
        if rows is None:
            return None
        found: Mapping[str, Any] = rows[0][0] if rows else {}
        self._attributes[project, unit] = (now, found)
        if len(self._attributes) > REMEMBERED:
            self._attributes.popitem(last=False)
        return found

    async def _read_exposures(
        self, keeping: Mapping[int, int], unit: str
    ) -> dict[int, PastExposure] | None:
        """Return what the unit met; what it has met is remembered, what it has not is asked again.

        Args:
            keeping: by experiment, the epoch at which its memory begins.
            unit: who.
        """
        found = {
            e: self._exposures[e, unit]
            for e, since in keeping.items()
            if (e, unit) in self._exposures and self._exposures[e, unit].last_epoch >= since
        }
        missing = [experiment for experiment in keeping if experiment not in found]
        if missing:
            rows = await self._ask(PAST_EXPOSURES, (missing, unit))
            if rows is None:
                return None
            for experiment, *past in rows:
                found[experiment] = self._exposures[experiment, unit] = PastExposure(*past)
            while len(self._exposures) > REMEMBERED:
                self._exposures.popitem(last=False)
        return found

    async def _ask(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]] | None:
        """Return the rows, or None while PostgreSQL is away."""

        async def ask(connection: psycopg.AsyncConnection) -> list[tuple[Any, ...]]:
            return await (await connection.execute(statement, values)).fetchall()

        return await self._lookup.ask(ask)
