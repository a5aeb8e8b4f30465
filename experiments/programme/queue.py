"""Which challengers of a surface wait for their experiment, and in which order.

Held ones wait at the end. Of the others, a person's priority goes first, then how much interleaving
preferred a version, where it screened any, then what a version would have earned on answers that were
served with exploration, then by how much it beat its rival at the gate, then who waits longest.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from experiments.models import Challenger, Decision, Experiment
from experiments.programme.queue_types import QueuedChallenger
from inference.models import ModelVersion

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from inference.models import Surface

# Why a version in shadow is there: so that it comes back to the queue by itself.
IN_SHADOW = "before its experiment"


def waiting_versions(surface: Surface) -> QuerySet[ModelVersion]:
    """Return versions that passed their gate and were in no test yet, the oldest first.

    A test is of any mode but interleaving: what that has preferred waits for its test.
    """
    tests = [mode for mode in Experiment.Mode if mode != Experiment.Mode.INTERLEAVE]
    waiting = (
        surface.versions.filter(alias=ModelVersion.Alias.CHALLENGER)
        .exclude(variant__experiment__mode__in=tests)
        .exclude(variant__experiment__state__in=(Experiment.State.DRAFT, Experiment.State.RUNNING))
    )
    return waiting.select_related("challenger", "snapshot", "parent").order_by("id")


def shadowed_versions(surface: Surface) -> QuerySet[ModelVersion]:
    """Return versions that answer unseen before they wait for their experiment, the oldest first."""
    shadows = surface.versions.filter(alias=ModelVersion.Alias.SHADOW, moves__reason=IN_SHADOW)
    return shadows.select_related("challenger", "snapshot", "parent").order_by("id").distinct()


def read_queue(surface: Surface) -> list[QueuedChallenger]:
    """Return the queue: those that can be next in their order, then those that are held."""
    rows = [_row(version) for version in waiting_versions(surface)]
    ready = sorted((row for row in rows if not row.held), key=_rank)
    return [
        *(replace(row, place=place) for place, row in enumerate(ready, start=1)),
        *(row for row in rows if row.held),
    ]


def changes_by_person(version: ModelVersion) -> Challenger | None:
    """Return what people did to a version's place; None where nobody did anything."""
    try:
        return version.challenger
    except Challenger.DoesNotExist:
        return None


def _rank(row: QueuedChallenger) -> tuple[float, bool, float, float, float, int]:
    """Return what sorts the queue; an unknown value is like no change."""
    return (
        -(row.priority if row.priority is not None else 0),
        row.preference is None,  # what users were seen to prefer goes before what is expected
        -(row.preference or 0.0),
        -(row.expected_change or 0.0),
        -(row.gate_change or 0.0),
        row.version.pk,
    )


def _row(version: ModelVersion) -> QueuedChallenger:
    challenger = changes_by_person(version)
    expected, interval = _expected_change(version)
    return QueuedChallenger(
        version=version,
        place=0,
        priority=challenger.priority if challenger else None,
        held=bool(challenger and challenger.held),
        reason=challenger.reason if challenger else "",
        expected_change=expected,
        expected_interval=interval,
        gate_change=_gate_change(version),
        preference=preference_of(version),
    )


def preference_of(version: ModelVersion) -> float | None:
    """Return by how much interleaving preferred a version; None where no screening has judged it.

    One that halted has judged nobody: the champion failed, so the screening is done again.
    """
    variant = (
        version.variant_set.filter(
            experiment__mode=Experiment.Mode.INTERLEAVE,
            experiment__state=Experiment.State.ENDED,
            is_control=False,
        )
        .select_related("experiment")
        .order_by("-experiment_id")
        .first()
    )
    look = variant.experiment.looks.last() if variant is not None else None
    if variant is None or look is None or look.action == Decision.Action.HALT:
        return None
    preferences = {one.variant: one.preference for one in look.parsed_result.preferences}
    return preferences.get(variant.key, 0.0)


def _expected_change(version: ModelVersion) -> tuple[float | None, tuple[float, float] | None]:
    """Return the relative change of what was earned that the gate computed off-policy."""
    value = version.gate.get("about", {}).get("off_policy") or {}
    earned, estimate, interval = (value.get(name) for name in ("earned", "estimate", "interval"))
    if not earned or estimate is None or interval is None:
        return None, None
    low, high = (end / earned for end in interval)
    if not (math.isfinite(low) and math.isfinite(high)):
        return None, None
    return estimate / earned - 1, (low, high)


def _gate_change(version: ModelVersion) -> float | None:
    """Return the relative change of the gate's primary metric against its rival."""
    primary = version.gate.get("rule", {}).get("primary", "")
    row = version.gate.get("rows", {}).get(primary) or {}
    ours, theirs = row.get("challenger"), row.get("champion")
    return ours / theirs - 1 if ours is not None and theirs else None
