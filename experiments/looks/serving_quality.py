"""How each variant was served lately: what guards an experiment beside its metrics."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson
from django.db import connection

from experiments.metrics.sql import ERRORS, OWN_LISTS
from experiments.metrics.watermark import TransactionRange, range_parameters
from experiments.models.served_variant import GenerationUse, ServedVariant
from experiments.sql import is_new, min_uuid7

if TYPE_CHECKING:
    from datetime import datetime

    from experiments.models import Experiment

MAX_SLATES = 20_000
SAMPLE, SHOWN_ITEMS = 2, 5  # latest slates of a variant that are kept, and items of each

# Slates are found by their id, a UUIDv7 that begins with the time.
_SERVED = f"""
    WITH lately AS MATERIALIZED (
        SELECT recommendation_id, variant_id, latency_ms, fallback, slots
        FROM experiments_slate
        WHERE surface_id = %(surface)s AND recommendation_id >= %(since)s
            AND recommendation_id <= %(now)s AND experiment_id = %(experiment)s AND NOT forced
        ORDER BY recommendation_id DESC LIMIT %(limit)s)
    SELECT variant_id, count(*), percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms),
        count(*) FILTER (WHERE fallback NOT IN {OWN_LISTS}),
        count(*) FILTER (WHERE fallback = 'default_list'),
        count(*) FILTER (WHERE fallback IN {ERRORS}),
        (SELECT count(DISTINCT slot.value ->> 0) FROM lately AS mine,
            jsonb_array_elements(mine.slots) AS slot(value) WHERE mine.variant_id = lately.variant_id),
        (array_agg(slots ORDER BY recommendation_id DESC))[1:%(sample)s]
    FROM lately GROUP BY variant_id"""

# An answer's id is made when the request begins and its row written when the answer has ended, minutes
# later: rows are found by their transaction, so that each counts in one look, whatever it took.
_GENERATED = f"""
    SELECT variant_id, count(*), sum((generation ->> 'tokens_in')::bigint),
        sum((generation ->> 'tokens_out')::bigint), sum(cost), sum(latency_ms)
    FROM experiments_slate
    WHERE experiment_id = %(experiment)s AND {is_new()} AND recommendation_id >= %(since)s
        AND NOT forced AND generation ->> 'provider' IS NOT NULL
        AND generation ->> 'outcome' <> 'cached'
    GROUP BY variant_id"""


def serving_of(experiment: Experiment, *, since: datetime, now: datetime) -> list[ServedVariant]:
    """Return how each variant was served that was served at all.

    A fallback is a list that is not the version's own. That a newcomer without history gets the
    version's own order is not a fallback but a cold start.

    Args:
        experiment: whose slates.
        since: from when on; of more than `MAX_SLATES`, the latest.
        now: until when.
    """
    keys = {variant.pk: variant.key for variant in experiment.variants.all()}
    with connection.cursor() as cursor:
        cursor.execute(
            _SERVED,
            {
                "surface": experiment.surface_id,
                "experiment": experiment.pk,
                "since": min_uuid7(since),
                "now": min_uuid7(now + timedelta(milliseconds=1)),
                "limit": MAX_SLATES,
                "sample": SAMPLE,
            },
        )
        rows = cursor.fetchall()
    return [
        ServedVariant(
            variant=keys[variant],
            slates=count,
            latency_p95_ms=p95,
            fallback=fallbacks / count,
            cold=cold / count,
            errors=errors / count,
            items=items,
            samples=[[slot[0] for slot in slate[:SHOWN_ITEMS]] for slate in _parsed(samples)],
        )
        for variant, count, p95, fallbacks, cold, errors, items, samples in rows
        if variant in keys
    ]


def with_generation(
    served: list[ServedVariant], experiment: Experiment, span: TransactionRange, *, since: datetime
) -> list[ServedVariant]:
    """Return how variants were served with what the answers of models cost that were stored in a span.

    A variant whose answers began before the time of `served` has no slates in it.

    Args:
        served: of the look.
        experiment: whose answers.
        span: from where the look before ended.
        since: answers that began before it are left out.
    """
    keys = {variant.pk: variant.key for variant in experiment.variants.all()}
    with connection.cursor() as cursor:
        parameters = range_parameters(experiment, span) | {"since": min_uuid7(since)}
        cursor.execute(_GENERATED, parameters)
        uses = {keys[pk]: _use_of(*use) for pk, *use in cursor.fetchall() if pk in keys}
    rows = [replace(row, generation=uses.pop(row.variant, None)) for row in served]
    return rows + [
        ServedVariant(
            variant=key, slates=0, latency_p95_ms=0.0, fallback=0.0, errors=0.0, items=0, samples=[],
            generation=use,
        )
        for key, use in uses.items()
    ]  # fmt: skip


def _use_of(answers: int, tokens_in: Any, tokens_out: Any, cost: Any, latency_ms: Any) -> GenerationUse:
    """Read sums, which are null where no answer has the number, and whole numbers as Decimal."""
    sums = int(tokens_in or 0), int(tokens_out or 0), float(cost or 0), float(latency_ms or 0)
    return GenerationUse(answers, *sums)


def _parsed(samples: Any) -> list[list[Any]]:
    return [orjson.loads(one) if isinstance(one, str | bytes) else one for one in samples or []]
