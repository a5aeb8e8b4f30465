"""From the smallest change worth shipping to blocks and weeks of a switchback."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from experiments.kinds import PROPORTIONS
from experiments.scorecards.block_plan import DAY, plan_from_blocks, read_blocks
from experiments.scorecards.change_plan import CHOICES, RARE_SHARE, Choice, weeks_of
from experiments.stats.block_lengths import MIN_BLOCK_SECONDS, why_not_lengths
from experiments.stats.clusters import MIN_CLUSTERS
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.models import Metric
    from experiments.scorecards.block_plan import BlockPlan, BlockSums
    from experiments.scorecards.traffic_plan import Design
    from inference.models import Surface

Advice = Literal["larger_change", "shorter_blocks", "even_split", "commoner_event"]


@dataclass(frozen=True, slots=True)
class SwitchbackPlan:
    """What finding a change takes by blocks of time.

    Attributes:
        lift: the smallest relative change worth shipping.
        blocks: what the past blocks say of it.
        planned_blocks: over both variants, at least 20 for each to be expected.
        weeks: full ones; None where it would take more than half a year.
        block_seconds: length of a block.
        carry_over_seconds: of its start, that counts for nobody.
        choices: what fixed durations find; their units are blocks.
        advice: what makes it shorter, the most effective first; empty where it is not too long.
    """

    lift: float
    blocks: BlockPlan
    planned_blocks: int
    weeks: int | None
    block_seconds: float
    carry_over_seconds: float
    choices: Sequence[Choice]
    advice: Sequence[Advice]

    def as_json(self) -> dict[str, Any]:
        """Return it as the API has it; its sentences are the caller's."""
        return {
            "mode": "switchback",
            "min_lift": self.lift,
            "planned_units": self.planned_blocks,
            "weeks": self.weeks,
            "power": self.blocks.plan.power,
            "block_seconds": self.block_seconds,
            "carry_over_seconds": self.carry_over_seconds,
            "users_per_block": self.blocks.users_per_block,
            "past_blocks": self.blocks.past_blocks,
            "baseline": self.blocks.baseline,
            "block_deviation": self.blocks.deviation,
            "choices": [asdict(one) for one in self.choices],
            "advice": list(self.advice),
        }


def plan_switchback(
    surface: Surface,
    metric: Metric,
    design: Design,
    *,
    lift: float,
    block_seconds: float,
    carry_over_seconds: float,
) -> SwitchbackPlan:
    """Return how many blocks finding a change takes, by how the metric varied between past ones.

    Args:
        surface: where.
        metric: that decides.
        design: of the experiment; its planned units are not read, as they are the result.
        lift: the smallest relative change worth shipping, above 0.
        block_seconds: length of a block.
        carry_over_seconds: of its start, that counts for nobody.

    Raises:
        FewBlocksError: fewer than 20 past blocks had users, or nobody did what the metric counts.
        StatisticsError: a length, the lift, the surface, the metric or the design breaks a rule.
    """
    _check(surface, metric, design, lift)
    if why_not := why_not_lengths(block_seconds, carry_over_seconds):
        raise StatisticsError(why_not)
    past = read_blocks(
        surface, metric, block_seconds, carry_over_seconds, window_seconds=design.window_seconds
    )
    blocks = plan_from_blocks(past, replace(design, min_lift=lift), block_seconds=block_seconds)
    # Blocks are coins: so many that each variant can be expected to have the fewest of a verdict.
    smaller = min(design.treatment_share, 1 - design.treatment_share)
    planned = max(blocks.plan.units, math.ceil(MIN_CLUSTERS / smaller))
    weeks = weeks_of(math.ceil(planned * block_seconds / DAY))
    return SwitchbackPlan(
        lift=lift,
        blocks=blocks,
        planned_blocks=planned,
        weeks=weeks,
        block_seconds=block_seconds,
        carry_over_seconds=carry_over_seconds,
        choices=[_choice(past, design, weeks=n, block_seconds=block_seconds) for n in CHOICES],
        advice=_advice(design, metric, blocks, block_seconds) if weeks is None else (),
    )


def _check(surface: Surface, metric: Metric, design: Design, lift: float) -> None:
    if not 0 < lift < math.inf:
        raise StatisticsError(f"min_lift == {lift:g}, must be above 0.")
    if surface.kind == surface.Kind.FLAG:
        raise StatisticsError(
            f"mode == 'switchback' on a surface of kind '{surface.kind}', must be on one whose answers "
            "are stored: clients remember flags beyond a block."
        )
    if metric.kind == metric.Kind.QUANTILE or metric.delay_seconds:
        raise StatisticsError(
            f"metric == '{metric.key}', must be no quantile and have delay_seconds == 0 by blocks."
        )
    if design.allocation != 1:
        raise StatisticsError(
            f"allocation == {design.allocation:g}, must be 1 by blocks: all users of a block share its "
            "variant."
        )
    if not 0 < design.treatment_share < 1:
        raise StatisticsError(f"treatment_share == {design.treatment_share:g}, must be in (0, 1).")


def _choice(past: Sequence[BlockSums], design: Design, *, weeks: int, block_seconds: float) -> Choice:
    blocks = math.floor(7 * weeks * DAY / block_seconds)
    if blocks < 2 * MIN_CLUSTERS:
        return Choice(weeks, blocks, None)
    planned = replace(design, planned_units=blocks, min_lift=None)
    result = plan_from_blocks(past, planned, block_seconds=block_seconds)
    return Choice(weeks, blocks, result.plan.mde_relative)


def _advice(design: Design, metric: Metric, blocks: BlockPlan, block_seconds: float) -> list[Advice]:
    advice: list[Advice] = ["larger_change"]
    if block_seconds > MIN_BLOCK_SECONDS:
        advice.append("shorter_blocks")
    if not math.isclose(design.treatment_share, 0.5):
        advice.append("even_split")
    if metric.kind not in PROPORTIONS or blocks.baseline < RARE_SHARE:
        advice.append("commoner_event")
    return advice
