"""A plan of a switchback from a surface's own past blocks of time: what a number of blocks finds."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import connection
from django.utils import timezone

from experiments.kinds import PROPORTIONS
from experiments.scorecards.plan import Plan, PlanQuestion, plan
from experiments.scorecards.traffic_plan import MIN_SPREAD, WEEK
from experiments.sql import min_uuid7
from experiments.stats.clusters import MIN_CLUSTERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.models import Metric
    from experiments.scorecards.traffic_plan import Design
    from inference.models import Surface

# A week shows how the hours of a day differ; of long blocks it has too few to say how they vary.
BLOCKS_BACK = 2 * MIN_CLUSTERS
MAX_BACK = timedelta(days=56)
DAY = 86_400.0

# Users of each block, from their first answer after the carry-over on, as the roll-up counts them.
_SUMS = """WITH served AS (
        SELECT unit_id, served_at, extract(epoch FROM served_at)::float8 AS seconds
        FROM experiments_slate
        WHERE surface_id = %(surface)s AND recommendation_id >= %(since_id)s
            AND served_at >= to_timestamp(%(first)s * %(length)s)
            AND served_at < to_timestamp(%(open)s * %(length)s)),
    o AS MATERIALIZED (
        SELECT floor(seconds / %(length)s)::bigint AS number, unit_id, min(served_at) AS exposed_at
        FROM served
        WHERE seconds - floor(seconds / %(length)s) * %(length)s >= %(carry_over)s
        GROUP BY number, unit_id),
    valued AS (SELECT number, (SELECT count(*) FROM experiments_event AS e
            WHERE e.project_id = %(project)s AND e.unit_id = o.unit_id AND e.name = %(event)s
                AND e.occurred_at >= o.exposed_at
                AND e.occurred_at < to_timestamp((number + 1) * %(length)s)) AS events FROM o)
    SELECT count(*), sum(CASE WHEN %(proportion)s THEN least(events, 1) ELSE events END)::float8
    FROM valued GROUP BY number"""


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """What a switchback's planned blocks find.

    Attributes:
        plan: its units are blocks.
        days: that the blocks take.
        baseline: the metric now, per user of a block.
        users_per_block: after the carry-over, on average.
        past_blocks: that it was read from.
        deviation: how the metric varied between them, as the test takes it.
    """

    plan: Plan
    days: float
    baseline: float
    users_per_block: float
    past_blocks: int
    deviation: float


class FewBlocksError(Exception):
    """There are too few past blocks to plan from; `blocks` had users, of `seconds` each."""

    def __init__(self, blocks: int, seconds: float) -> None:
        """Keep the counts beside the message."""
        super().__init__(
            f"past blocks of {seconds:g} s with users == {blocks}, must be at least {MIN_CLUSTERS}, "
            "some of them with the metric's event."
        )
        self.blocks = blocks
        self.seconds = seconds


def plan_blocks(
    surface: Surface,
    metric: Metric,
    design: Design,
    *,
    block_seconds: float,
    carry_over_seconds: float,
) -> BlockPlan:
    """Return what the planned blocks find, by how the metric varied between the past ones.

    Args:
        surface: where.
        metric: that decides.
        design: of the experiment; its planned units are blocks. With a `min_lift` they are what finding
            it takes.
        block_seconds: length of a block, above 0.
        carry_over_seconds: of a block that is left out.

    Raises:
        FewBlocksError: fewer than 20 past blocks had users, or nobody did what the metric counts.
        StatisticsError: the design breaks a rule of the plan.
    """
    past = read_blocks(surface, metric, block_seconds, carry_over_seconds)
    return plan_from_blocks(past, design, block_seconds=block_seconds)


def plan_from_blocks(
    past: Sequence[tuple[int, float]], design: Design, *, block_seconds: float
) -> BlockPlan:
    """Return the same from past blocks that were read: users and the metric's sum of each.

    Raises:
        FewBlocksError: fewer than 20 blocks, or nobody did what the metric counts.
        StatisticsError: the design breaks a rule of the plan.
    """
    users, total = sum(n for n, _ in past), sum(value for _, value in past)
    if len(past) < MIN_CLUSTERS or total <= 0:
        raise FewBlocksError(len(past), block_seconds)
    baseline, size = total / users, users / len(past)
    # As the test takes it: the delta method's residual of a block, in units of the mean.
    spread = statistics.stdev((value - baseline * n) / size for n, value in past)
    question = PlanQuestion(
        kind="mean",
        baseline=baseline,
        shares=[1 - design.treatment_share, design.treatment_share],
        mde=design.min_lift,
        units=float(design.planned_units) if design.min_lift is None else None,
        sd=max(spread, MIN_SPREAD),
        rule="fixed",
        guardrails=design.guardrails,
    )
    result = plan(question)
    blocks = design.planned_units if design.min_lift is None else result.units
    return BlockPlan(result, blocks * block_seconds / DAY, baseline, size, len(past), spread)


def read_blocks(
    surface: Surface, metric: Metric, length: float, carry_over: float
) -> Sequence[tuple[int, float]]:
    """Return users and sum of each whole block of the last week, or of as many weeks as 40 take."""
    now = timezone.now()
    back = min(max(WEEK, timedelta(seconds=BLOCKS_BACK * length)), MAX_BACK)
    first = math.ceil((now - back).timestamp() / length)
    with connection.cursor() as cursor:
        cursor.execute(
            _SUMS,
            {
                "project": surface.project_id,
                "surface": surface.pk,
                "event": metric.event,
                "proportion": metric.kind in PROPORTIONS,
                "length": length,
                "carry_over": carry_over,
                "first": first,
                "open": int(now.timestamp() // length),
                # Ids begin with the time, and are made shortly before the answer is served.
                "since_id": min_uuid7(now - back - timedelta(hours=1)),
            },
        )
        rows: list[tuple[int, float]] = cursor.fetchall()
    return rows
