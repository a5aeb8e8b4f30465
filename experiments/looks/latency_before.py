"""How fast a surface was served before an experiment: what its breaker measures latencies by."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import OperationalError, connection, transaction
from django.utils import timezone

from experiments.looks.breaker_counts import CAP_MEDIANS
from experiments.sql import min_uuid7

if TYPE_CHECKING:
    from experiments.models import Experiment

# Enough for a median within a few per cent; of the last days, since machines and models change.
MAX_SLATES, PERIOD = 2_000, timedelta(days=7)
MIN_SLATES = 20
SEARCH_MILLISECONDS = 3_000  # a start must not wait for a surface that is seldom asked

# By the index of the surface's slates: where the project is named too, the planner may read all of the
# project's rows and sort them.
_LATENCIES = """
    WITH lately AS (
        SELECT latency_ms FROM experiments_slate
        WHERE surface_id = %(surface)s AND recommendation_id >= %(since)s
            AND model_version_id = %(version)s AND NOT forced
        ORDER BY recommendation_id DESC LIMIT %(limit)s),
    middle AS (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms) AS median FROM lately)
    SELECT count(*), min(median), avg(least(latency_ms, %(cap)s * median)) FROM lately, middle"""


def latency_before(experiment: Experiment) -> dict[str, float]:
    """Return median and mean of the control's latest latencies, in milliseconds.

    The mean is of values cut at ten medians. Empty where there are too few answers: then the breaker
    watches no latency.
    """
    version = experiment.control.model_version_id
    if version is None:
        return {}
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {SEARCH_MILLISECONDS}")
            cursor.execute(
                _LATENCIES,
                {
                    "surface": experiment.surface_id,
                    "version": version,
                    "since": min_uuid7(timezone.now() - PERIOD),
                    "limit": MAX_SLATES,
                    "cap": CAP_MEDIANS,
                },
            )
            count, median, mean = cursor.fetchone()
    except OperationalError:  # the statement was cancelled
        return {}
    if count < MIN_SLATES or not median:
        return {}
    return {"median_ms": float(median), "mean_ms": float(mean)}
