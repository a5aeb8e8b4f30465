"""How much each item was liked in some transactions, by country, older likes weighing less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connection

from experiments.sql import counts_now, is_excluded, is_new

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.ingest.likes import LikeRule
    from experiments.metrics.watermark import TransactionRange
    from inference.serving.orders import LiveOrder

HOUR = 3600.0
HALVES = 10  # half-lives after which a like counts for nothing: less than a thousandth is left
_TOTALS = """
    SELECT item_id, country, sum(weight)::float8 FROM (
        SELECT liked.item_id, left(coalesce(liked.country, slate.context ->> 'country'), 64) AS country,
            {weight} * 0.5 ^ (greatest(%(now)s - extract(epoch FROM liked.at)::float8, 0)
                / %(half_life)s) AS weight
        FROM ({liked}) AS liked LEFT JOIN experiments_slate AS slate
            ON slate.recommendation_id = liked.recommendation_id AND slate.project_id = %(project)s
        WHERE liked.at > to_timestamp(%(since)s) AND liked.at <= to_timestamp(%(now)s + 300)
            AND ({conditions}) AND NOT {excluded}
    ) AS weighed GROUP BY 1, 2"""
_LIKED = f"""
    SELECT unit_id, item_id, name, value, occurred_at AS at, recommendation_id,
        properties ->> 'country' AS country
    FROM experiments_event
    WHERE project_id = %(project)s AND item_id IS NOT NULL AND name = ANY(%(names)s) AND {is_new()}
    UNION ALL
    SELECT unit_id, item_id, 'feedback.' || kind, value, received_at, recommendation_id, NULL
    FROM experiments_feedback AS feedback
    WHERE project_id = %(project)s AND item_id <> '' AND 'feedback.' || kind = ANY(%(names)s)
        AND {counts_now("feedback")} AND {is_new("feedback")}"""


def read_liked_totals(
    project_id: int,
    order: LiveOrder,
    rules: Sequence[LikeRule],
    *,
    span: TransactionRange,
    now: float,
) -> list[tuple[str, str | None, float]]:
    """Return item, country and total of the likes of some transactions.

    The country is the event's own property of that name, or else that of the request whose slate it
    names; None where neither says.

    Args:
        project_id: whose likes.
        order: how much a like weighs.
        rules: what a like is.
        span: of the transactions.
        now: when a like weighs 1, in seconds since 1970.
    """
    half_life = order.half_life_hours * HOUR
    values: dict[str, Any] = {
        "project": project_id,
        "names": [rule.name for rule in rules],
        "lower": str(span.lower),
        "upper": str(span.upper),
        "now": now,
        "since": now - HALVES * half_life,
        "half_life": half_life,
    }
    conditions = []
    for number, rule in enumerate(rules):
        values[f"name{number}"], values[f"minimum{number}"] = rule.name, rule.minimum
        reaches = "" if rule.minimum is None else f" AND liked.value >= %(minimum{number})s"
        conditions.append(f"(liked.name = %(name{number})s{reaches})")
    statement = _TOTALS.format(
        weight="greatest(coalesce(liked.value, 0), 0)" if order.by_value else "1",
        liked=_LIKED,
        conditions=" OR ".join(conditions),
        excluded=is_excluded("liked"),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows: list[tuple[str, str | None, float]] = cursor.fetchall()
    return rows
