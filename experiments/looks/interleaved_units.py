"""Scores of the units of an interleaved experiment: written once each, when the unit's window closes.

A unit's window begins with its first slate of the experiment. Its clicks are those on the slates of the
experiment in it; what comes later, or is loaded later, changes nothing any more, so that a bet that was
placed stays as it was. The examination curve that scores a batch is that of the batches before it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson
from django.db import connection

from experiments.metrics.freeze import spec_of
from experiments.models.interleaving import (
    InterleavedUnit,
    Interleaving,
    swaps_as_json,
    swaps_from_json,
)
from experiments.sql import is_excluded
from experiments.stats.examination import fit_decay
from experiments.stats.interleaved_credit import Credit, DraftedSlate, SwapClicks, credit_of
from experiments.stats.interleaving import BINS, MAX_SCORE, InterleavedInput, UnitScores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from experiments.models import Experiment, Variant
    from experiments.stats.interleaved_credit import Ranks

MAX_UNITS = 2_000  # that are scored at once: their slates are in memory
MAX_ROUNDS = 100  # of a look; what is left waits for the next

_COMPLETE = f"""SELECT seen.unit_id, min(seen.exposed_at) FROM experiments_exposure AS seen
    WHERE seen.experiment_id = %(experiment)s AND seen.exposed_at <= %(before)s
        AND NOT {is_excluded("seen")}
        AND NOT EXISTS (SELECT 1 FROM experiments_interleavedunit AS scored
            WHERE scored.experiment_id = %(experiment)s AND scored.unit_id = seen.unit_id OFFSET 0)
    GROUP BY seen.unit_id ORDER BY 2, 1 LIMIT %(limit)s"""
# Per slate the places that were clicked; of those without a click only that they were served.
_SLATES = """SELECT unit.unit_id, slate.draft,
        (SELECT array_agg(DISTINCT slot.place - 1) FROM experiments_event AS event
            JOIN jsonb_array_elements(slate.slots) WITH ORDINALITY AS slot(value, place)
                ON slot.value ->> 0 = event.item_id
            WHERE event.project_id = %(project)s AND event.unit_id = unit.unit_id
                AND event.occurred_at >= unit.exposed_at AND event.occurred_at < unit.closes_at
                AND event.recommendation_id = slate.recommendation_id
                AND event.name = %(event)s AND (event.trusted OR NOT %(trusted_only)s)) AS clicked
    FROM (SELECT unit_id, exposed_at, exposed_at + make_interval(secs => %(window)s) AS closes_at
        FROM unnest(%(units)s::text[], %(times)s::timestamptz[]) AS due(unit_id, exposed_at)) AS unit
    JOIN experiments_slate AS slate ON slate.project_id = %(project)s
        AND slate.unit_id = unit.unit_id AND slate.served_at >= unit.exposed_at
        AND slate.served_at < unit.closes_at AND slate.experiment_id = %(experiment)s
        AND slate.draft IS NOT NULL AND NOT slate.forced
    ORDER BY unit.unit_id, slate.served_at, slate.recommendation_id"""


# Halves are rounded to even, as `bin_of` rounds them.
_SUMS = f"""SELECT
        round(least(greatest(coalesce(weighted, score) / %(max_score)s, -1), 1) * %(bins)s)::int AS bin,
        count(*),
        count(*) FILTER (WHERE team > 0), count(*) FILTER (WHERE team < 0),
        sum(score), sum(control), sum(slates),
        sum(coalesce(version_failed, 0)), sum(control_failed)
    FROM experiments_interleavedunit AS scored
    WHERE scored.experiment_id = %(experiment)s AND scored.variant_id = %(variant)s
        AND NOT {is_excluded("scored")}
    GROUP BY bin"""


@dataclass(slots=True)
class _Unit:
    """What is counted of one unit: credit, scores and failures by the variants' ids, and slates."""

    credit: dict[int, Credit] = field(default_factory=lambda: defaultdict(Credit))
    weighted: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    failed: Counter[int] = field(default_factory=Counter)
    slates: int = 0
    undrafted: int = 0


def score_units(experiment: Experiment, now: datetime) -> None:
    """Score the units whose window has closed by `now`; nothing where no lists are interleaved.

    In the look's transaction, which has locked the experiment: no unit is scored twice.
    """
    if not experiment.is_interleaved:
        return
    state, _ = Interleaving.objects.get_or_create(
        experiment=experiment, defaults={"decay": _decay_before(experiment)}
    )
    swaps = SwapClicks(swaps_from_json(state.swaps))
    for _round in range(MAX_ROUNDS):
        units = _complete_units(experiment, now)
        if not units:
            break
        _score(experiment, units, swaps, decay=state.decay)
    state.swaps = swaps_as_json(swaps.clicks)
    # For the units that close after this look: none of theirs is among these clicks.
    state.decay = fit_decay(_with_earlier(experiment, swaps.clicks))
    state.save(update_fields=["swaps", "decay"])


def read_interleaved(experiment: Experiment, now: datetime) -> InterleavedInput | None:
    """Return what a look reads of an interleaved experiment; None of another."""
    if not experiment.is_interleaved:
        return None
    counts = [_count(experiment, variant) for variant in experiment.treatments]
    state = Interleaving.objects.filter(experiment=experiment).first()
    failed = {one.scores.variant: one.failed for one in counts}
    failed[experiment.control.key] = counts[0].control_failed
    return InterleavedInput(
        scores=[one.scores for one in counts],
        slates=counts[0].slates,
        failed={variant: count for variant, count in failed.items() if count},
        is_last=experiment.ends_at is not None and now >= experiment.ends_at,
        decay=state.decay if state is not None else 0.0,
    )


@dataclass(frozen=True, slots=True)
class _Counts:
    scores: UnitScores
    slates: int
    failed: int
    control_failed: int


def _count(experiment: Experiment, variant: Variant) -> _Counts:
    """Sum the scores of a version's units, but for those that are left out of analysis."""
    with connection.cursor() as cursor:
        cursor.execute(
            _SUMS,
            {
                "project": experiment.project_id,
                "experiment": experiment.pk,
                "variant": variant.pk,
                "max_score": MAX_SCORE,
                "bins": BINS,
            },
        )
        rows = cursor.fetchall()
    sums = [sum(column) for column in list(zip(*rows, strict=True))[1:]] or [0] * 8
    scores = UnitScores(
        variant.key,
        bins={place: units for place, units, *_ in sorted(rows)},
        wins=sums[1],
        losses=sums[2],
        # Rounded: the order in which rows are summed must not look like news.
        score=round(sums[3], 9),
        control=round(sums[4], 9),
    )
    return _Counts(scores, *map(int, sums[5:]))


def _complete_units(experiment: Experiment, now: datetime) -> list[tuple[str, datetime]]:
    spec = spec_of(experiment.primary, experiment)
    with connection.cursor() as cursor:
        cursor.execute(
            _COMPLETE,
            {
                "project": experiment.project_id,
                "experiment": experiment.pk,
                "before": now - timedelta(seconds=spec.window_seconds),
                "limit": MAX_UNITS,
            },
        )
        rows: list[tuple[str, datetime]] = cursor.fetchall()
    return rows


def _score(
    experiment: Experiment,
    units: Sequence[tuple[str, datetime]],
    swaps: SwapClicks,
    *,
    decay: float,
) -> None:
    counted: dict[str, _Unit] = {unit: _Unit() for unit, _ in units}
    for unit, draft, clicked in _slates_of(experiment, units):
        row = counted[unit]
        row.slates += 1
        if "teams" not in draft:
            row.undrafted += 1
            row.failed.update(map(int, draft["failed"]))
            continue
        if not clicked:
            continue
        slate = _drafted(draft)
        swaps.add(slate, clicked)
        for variant, credit in zip(
            draft["variants"][1:], credit_of(slate, clicked, decay=decay), strict=True
        ):
            row.credit[variant] += credit
            # By its own number, never by how many there are: that depends on what was clicked.
            row.weighted[variant] += credit.score / math.sqrt(row.slates)
    treatments = list(experiment.treatments.values_list("pk", flat=True))
    control = experiment.control.pk
    InterleavedUnit.objects.bulk_create(
        InterleavedUnit(
            experiment=experiment,
            variant_id=variant,
            unit_id=unit,
            exposed_at=exposed_at,
            score=counted[unit].credit[variant].score,
            weighted=counted[unit].weighted[variant],
            control=counted[unit].credit[variant].control,
            team=counted[unit].credit[variant].team,
            slates=counted[unit].slates,
            failed=counted[unit].undrafted,
            version_failed=counted[unit].failed[variant],
            control_failed=counted[unit].failed[control],
        )
        for unit, exposed_at in units
        for variant in treatments
    )


def _slates_of(
    experiment: Experiment, units: Sequence[tuple[str, datetime]]
) -> list[tuple[str, dict[str, Any], list[int]]]:
    spec = spec_of(experiment.primary, experiment)
    with connection.cursor() as cursor:
        cursor.execute(
            _SLATES,
            {
                "project": experiment.project_id,
                "experiment": experiment.pk,
                "event": spec.event,
                "trusted_only": spec.trusted_only,
                "window": spec.window_seconds,
                "units": [unit for unit, _ in units],
                "times": [at for _, at in units],
            },
        )
        rows = cursor.fetchall()
    return [(unit, _parsed(draft), clicked or []) for unit, draft, clicked in rows]


def _parsed(draft: Any) -> dict[str, Any]:
    parsed: dict[str, Any] = orjson.loads(draft) if isinstance(draft, str | bytes) else draft
    return parsed


def _drafted(draft: Mapping[str, Any]) -> DraftedSlate:
    def ranks(rows: Sequence[Sequence[int]]) -> tuple[Ranks, ...]:
        return tuple(tuple(row) for row in rows)

    return DraftedSlate(tuple(draft["teams"]), ranks(draft["ranks"]), ranks(draft["rest"]))


def _decay_before(experiment: Experiment) -> float:
    """Return the curve that earlier interleaving on the surface has shown; without any, the prior's."""
    return fit_decay(_with_earlier(experiment, {}))


def _with_earlier(
    experiment: Experiment, swaps: Mapping[tuple[int, ...], Sequence[int]]
) -> dict[tuple[int, ...], list[int]]:
    """Return clicks on swapped places, those of the surface's earlier experiments among them."""
    whole = {places: list(clicks) for places, clicks in swaps.items()}
    earlier = Interleaving.objects.filter(
        experiment__surface=experiment.surface_id, experiment__lt=experiment.pk
    )
    for data in earlier.values_list("swaps", flat=True):
        for places, clicks in swaps_from_json(data).items():
            before = whole.get(places, [0] * len(places))
            whole[places] = [n + more for n, more in zip(before, clicks, strict=True)]
    return whole
