"""What is recorded of an answer: its slate, and the unit's exposure to a variant."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from uuid_utils import uuid7

from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.metrics import count_slate
from bakeoff.gateway.remembered import Remembered
from experiments.assignment.holdouts import REFERENCE
from experiments.ingest.rows import ExposureRow, Rows, SlateRow

if TYPE_CHECKING:
    from bakeoff.gateway.intake.exclusions import Exclusions
    from bakeoff.gateway.intake.group_commit import GroupCommit
    from bakeoff.gateway.slates.choose_version import ChosenVersion
    from bakeoff.gateway.slates.visitors import Visitor
    from experiments.assignment import RunningExperiment
    from experiments.ingest.rows import SlotRow
    from inference.serving.ladder import ServedSlate, Slot

MAX_EXPOSURES = 200_000  # remembered; one that is forgotten is written again, and counts once

# Experiment, unit, variant, epoch.
_Exposure = tuple[int, str, str, int]


def slate_row(
    visitor: Visitor,
    chosen: ChosenVersion,
    slate: ServedSlate,
    *,
    latency_ms: float,
    exploration: float,
    context: dict[str, Any],
    recommendation_id: str | None = None,
    served_at: str | None = None,
) -> SlateRow:
    """Return an answer as it is stored.

    Args:
        visitor: who was answered.
        chosen: by which version.
        slate: with what.
        latency_ms: from the request to its slate.
        exploration: temperature of the draw.
        context: what is stored of the request.
        recommendation_id: a UUIDv7; None: a new one.
        served_at: ISO 8601; None: now.
    """
    experiment = chosen.experiment
    variant = experiment.variants[chosen.variant] if experiment and chosen.variant else None
    return SlateRow(
        recommendation_id=recommendation_id or str(uuid7()),
        project_id=visitor.key.project_id,
        surface_id=visitor.surface.surface_id,
        unit_id=visitor.unit,
        experiment_id=experiment.experiment_id if experiment else None,
        variant_id=variant.variant_id if variant else None,
        # No one version's: what learns from a version's slates must not read those of several.
        model_version_id=chosen.version.version_id if chosen.version and slate.draft is None else None,
        reason=chosen.reason,
        fallback=slate.fallback,
        forced=chosen.forced,
        variant_weight=variant.weight if variant else None,
        slots=[_slot_row(slot) for slot in slate.slots],
        candidate_count=slate.candidate_count,
        candidate_hash=slate.candidate_hash,
        exploration=exploration,
        latency_ms=latency_ms,
        context=context,
        served_at=served_at or datetime.now(UTC).isoformat(),
        trainable=visitor.consent.training,
        cost=_cost(chosen, slate),
        draft=dict(slate.draft) if slate.draft is not None else None,
    )


def _cost(chosen: ChosenVersion, slate: ServedSlate) -> float:
    """Return what the answer says, else what its version's answers cost."""
    if slate.cost is not None:
        return slate.cost
    # What stood in for a model that failed costs nothing.
    return chosen.version.cost_per_answer if chosen.version and slate.fallback is None else 0.0


def _slot_row(slot: Slot) -> SlotRow:
    score = slot.score or 0.0
    if slot.allowed is None and slot.chance is None:
        return slot.item_id, score, slot.rank, slot.propensity, slot.explored
    # Where each slot is a draw of its own, its chance follows from how many were allowed.
    if slot.allowed is not None and slot.chance is None:
        return slot.item_id, score, slot.rank, slot.propensity, slot.explored, slot.allowed
    # Times the chance that it was one for new items, or one for the others.
    chance = 1.0 if slot.chance is None else slot.chance
    return slot.item_id, score, slot.rank, slot.propensity, slot.explored, slot.allowed, chance


class Recorder:
    """Commits what was answered; one in a process."""

    def __init__(self, writer: GroupCommit, exclusions: Exclusions) -> None:
        """Remember where to write."""
        self._writer, self._exclusions = writer, exclusions
        self._exposed: Remembered[_Exposure, None] = Remembered(MAX_EXPOSURES)

    async def record(self, visitor: Visitor, chosen: ChosenVersion, slate: SlateRow) -> bool:
        """Commit the slate, and exposures that are the first; return whether they were stored."""
        count_slate(visitor.key.project, slate.fallback)
        if not visitor.consent.analytics:
            return False
        return await self._commit(visitor, chosen, Rows(slates=[slate]), slate.served_at)

    async def expose(self, visitor: Visitor, chosen: ChosenVersion, at: str) -> bool:
        """Commit exposures that are the first, of an answer that is still to come.

        Units whose answer never comes belong to their variant as much as others.

        Args:
            visitor: who is to be answered.
            chosen: by which version.
            at: ISO 8601; the slate's own time, so that no slate lies before its exposure.
        """
        if not visitor.consent.analytics:
            return False
        return await self._commit(visitor, chosen, Rows(), at)

    def rows_of(self, visitor: Visitor, chosen: ChosenVersion, slate: SlateRow) -> Rows:
        """Return a slate with its exposures, to be committed later if at all."""
        return Rows(
            slates=[slate],
            exposures=[
                _exposure_row(visitor, experiment, variant, slate.served_at)
                for (_, _, variant, _), experiment in _exposures(visitor, chosen).items()
            ],
        )

    async def commit(self, rows: Rows) -> None:
        """Commit what `rows_of` returned.

        Raises:
            ApiError: 503, it cannot be stored.
        """
        await self._writer.commit(rows)

    async def _commit(
        self, visitor: Visitor, chosen: ChosenVersion, rows: Rows, exposed_at: str
    ) -> bool:
        exposures = _exposures(visitor, chosen)
        rows.exposures += [
            # Repeated exposures change nothing in an analysis; writing each would double the writes.
            _exposure_row(visitor, experiment, exposure[2], exposed_at)
            for exposure, experiment in exposures.items()
            if exposure not in self._exposed
        ]
        if visitor.excluded:
            rows.exclusions = self._exclusions.rows(visitor.key.project_id, [visitor.unit])
        if not (rows.slates or rows.exposures or rows.exclusions):
            return True
        try:
            await self._writer.commit(rows)
        except ApiError as error:
            if error.status == 503:  # the visitor gets an answer even if nothing can be stored
                return False
            raise
        self._exclusions.remember(rows.exclusions)
        for exposure in exposures:
            self._exposed[exposure] = None
        return True

    async def record_pair(self, slate: SlateRow) -> None:
        """Commit the slate of a comparison.

        Raises:
            ApiError: 503, it cannot be stored; a comparison that is not stored is worth nothing.
        """
        await self._writer.commit(Rows(slates=[slate]))


def _exposures(visitor: Visitor, chosen: ChosenVersion) -> dict[_Exposure, RunningExperiment]:
    """Return what the unit meets by this answer; nothing when that does not count."""
    if chosen.forced or not visitor.exposed:
        return {}
    # With its epoch: what a sticky experiment forgot is recorded anew from the next exposure on.
    return {
        (experiment.experiment_id, visitor.unit, variant, experiment.epoch): experiment
        for experiment, variant in (
            (chosen.experiment, chosen.exposed_variant),
            (chosen.reference, REFERENCE),
        )
        if experiment is not None and variant is not None
    }


def _exposure_row(
    visitor: Visitor, experiment: RunningExperiment, variant: str, exposed_at: str
) -> ExposureRow:
    return ExposureRow(
        project_id=visitor.key.project_id,
        experiment_id=experiment.experiment_id,
        variant_id=experiment.variants[variant].variant_id,
        epoch=experiment.epoch,
        unit_id=visitor.unit,
        unit_type="unit",
        exposed_at=exposed_at,
    )
