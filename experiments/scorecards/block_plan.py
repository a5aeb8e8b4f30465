"""A plan of a switchback from a surface's own past blocks of time: what a number of blocks finds."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from django.db import connection
from django.utils import timezone

from experiments.scorecards.past_values import COUNTED, compile_on_surface, spec_on, stretch_of
from experiments.scorecards.plan import Plan, PlanQuestion, plan
from experiments.scorecards.traffic_plan import MIN_SPREAD, WEEK
from experiments.stats.clusters import MIN_CLUSTERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.metrics.spec import MetricSpec
    from experiments.models import Metric
    from experiments.scorecards.traffic_plan import Design
    from inference.models import Surface

# A week shows how the hours of a day differ; of long blocks it has too few to say how they vary.
BLOCKS_BACK = 2 * MIN_CLUSTERS
MAX_BACK = timedelta(days=56)
DAY = 86_400.0


def _sums_sql(spec: MetricSpec) -> str:
    """SQL of each block's sums, as the roll-up takes them: of users from the carry-over's end on."""
    compiled = compile_on_surface(spec, closes="o.closes_at")
    return f"""WITH served AS (
            SELECT slate.unit_id, slate.served_at,
                extract(epoch FROM slate.served_at)::float8 AS seconds
            FROM experiments_slate AS slate WHERE {COUNTED}),
        o AS MATERIALIZED (
            SELECT floor(seconds / %(length)s)::bigint AS number, unit_id, min(served_at) AS exposed_at,
                to_timestamp((floor(seconds / %(length)s) + 1) * %(length)s) AS closes_at
            FROM served
            WHERE seconds - floor(seconds / %(length)s) * %(length)s >= %(carry_over)s
            GROUP BY number, unit_id, closes_at),
        valued AS MATERIALIZED (SELECT o.*, {compiled.uncapped_value} AS uncapped_value,
            {compiled.denominator} AS denominator FROM o)
        SELECT count(*), sum(denominator), sum({compiled.value}) FROM valued GROUP BY number"""


class BlockSums(NamedTuple):
    """What the users of a past block did.

    Attributes:
        users: after the carry-over.
        size: their number or, of a ratio, what they did below the line.
        value: the sum of their values.
    """

    users: int
    size: float
    value: float


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
    past = read_blocks(
        surface, metric, block_seconds, carry_over_seconds, window_seconds=design.window_seconds
    )
    return plan_from_blocks(past, design, block_seconds=block_seconds)


def plan_from_blocks(past: Sequence[BlockSums], design: Design, *, block_seconds: float) -> BlockPlan:
    """Return the same from past blocks that were read.

    Raises:
        FewBlocksError: fewer than 20 blocks, or nobody did what the metric counts.
        StatisticsError: the design breaks a rule of the plan.
    """
    below, total = sum(one.size for one in past), sum(one.value for one in past)
    if len(past) < MIN_CLUSTERS or not total or below <= 0:
        raise FewBlocksError(len(past), block_seconds)
    baseline, size = total / below, below / len(past)
    # As the test takes it: the delta method's residual of a block, in units of the mean.
    spread = statistics.stdev((one.value - baseline * one.size) / size for one in past)
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
    users = sum(one.users for one in past) / len(past)
    return BlockPlan(result, blocks * block_seconds / DAY, baseline, users, len(past), spread)


def read_blocks(
    surface: Surface,
    metric: Metric,
    length: float,
    carry_over: float,
    *,
    window_seconds: float | None = None,
) -> Sequence[BlockSums]:
    """Return the sums of each whole block of the last week, or of as many weeks as 40 take.

    Args:
        surface: where.
        metric: whose values, within its window and the block.
        length: of a block, in seconds.
        carry_over: of its start, that counts for nobody, in seconds.
        window_seconds: of users, for a metric without its own; None: the surface's.

    Raises:
        MetricError: the metric's fields break a rule.
    """
    # What an earlier block did is no covariate.
    spec = replace(spec_on(surface, metric, window_seconds), lookback_seconds=None, covariate="history")
    now = timezone.now()
    back = min(max(WEEK, timedelta(seconds=BLOCKS_BACK * length)), MAX_BACK)
    first = math.ceil((now - back).timestamp() / length)
    stretch = stretch_of(
        surface,
        datetime.fromtimestamp(first * length, UTC),
        datetime.fromtimestamp(now.timestamp() // length * length, UTC),
    )
    lengths = {"length": length, "carry_over": carry_over}
    with connection.cursor() as cursor:
        cursor.execute(_sums_sql(spec), dict(compile_on_surface(spec).parameters) | stretch | lengths)
        return [BlockSums(*row) for row in cursor.fetchall()]
