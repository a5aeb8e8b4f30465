"""What a surface's past users would have counted as in an experiment: the report's own values.

A user's first answer of the stretch stands for the exposure, and the metric's own SQL computes the
value: its kind, value, filters and cap, within its window. So a plan has the baseline and the variance
that a report on the same users would have.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from experiments.kinds import PROPORTIONS
from experiments.metrics.freeze import past_quantile
from experiments.metrics.spec import MetricSpec
from experiments.metrics.sql import CompiledMetric, compile_metric
from experiments.sql import is_excluded, min_uuid7
from experiments.stats.policy import Policy

if TYPE_CHECKING:
    from datetime import datetime

    from experiments.models import Metric
    from inference.models import Surface

# All rows that the statement sees count: nothing is rolled up.
EVERY_TRANSACTION = 2**63 - 1
# Ids begin with the time, and are made shortly before the answer is served.
AROUND = timedelta(hours=1)
# Answers that count: of the stretch, and neither a person's own choice nor of users who are left out.
COUNTED = f"""slate.project_id = %(project)s AND slate.surface_id = %(surface)s
            AND slate.recommendation_id >= %(since_id)s
            AND slate.served_at >= %(since)s AND slate.served_at < %(until)s
            AND NOT slate.forced AND NOT {is_excluded("slate")}"""


def spec_on(surface: Surface, metric: Metric, window_seconds: float | None) -> MetricSpec:
    """Return what a metric counts in an experiment that would start on a surface now.

    Args:
        surface: where.
        metric: as it is declared.
        window_seconds: of users, for a metric without its own; None: the surface's.
    """
    window = window_seconds or Policy.parse(surface.policy).window_seconds
    spec = MetricSpec.of(metric, default_window_seconds=window)
    if spec.cap is None and metric.cap_quantile is not None:
        cap = past_quantile(surface.project_id, spec, metric.cap_quantile, upper=EVERY_TRANSACTION)
        return spec.with_cap(cap)
    return spec


def stretch_of(surface: Surface, since: datetime, until: datetime) -> dict[str, Any]:
    """Return what `COUNTED` and the metric's SQL name: the surface, and the stretch of its answers."""
    return {
        "project": surface.project_id,
        "surface": surface.pk,
        "experiment": 0,
        "upper": EVERY_TRANSACTION,
        "since": since,
        "since_id": min_uuid7(since - AROUND),
        "until": until,
    }


def compile_on_surface(spec: MetricSpec, *, closes: str = "") -> CompiledMetric:
    """Return a metric's SQL over the answers of a whole surface."""
    return compile_metric(spec, closes=closes, answers="surface")


def values_sql(spec: MetricSpec) -> str:
    """SQL of the users `o`, each with value, denominator, covariate and `contribution`.

    A contribution is the value itself; of a ratio, r + (value − r denominator) / mean denominator: its
    mean is the ratio r and its variance that of the delta method (stats/effects.py).
    """
    compiled = compile_on_surface(spec)
    contribution = "capped.value"
    if spec.kind == "ratio":
        contribution = """whole.level + (capped.value - whole.level * capped.denominator)
            / nullif(whole.size, 0)"""
    # MATERIALIZED: inlined, each value would be computed once per column that uses it.
    return f"""valued AS MATERIALIZED (SELECT o.*, {compiled.uncapped_value} AS uncapped_value,
            {compiled.denominator} AS denominator, {compiled.covariate} AS covariate FROM o),
        capped AS (SELECT *, {compiled.value} AS value FROM valued),
        whole AS (SELECT sum(value) / nullif(sum(denominator), 0) AS level, avg(denominator) AS size
            FROM capped),
        users AS (SELECT capped.*, {contribution} AS contribution FROM capped CROSS JOIN whole)"""


def has_covariate(spec: MetricSpec) -> bool:
    """Whether a past value narrows the test: of a ratio, what it saves is not known beforehand."""
    return spec.lookback_seconds is not None and (spec.kind == "mean" or spec.kind in PROPORTIONS)
