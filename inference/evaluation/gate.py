"""The offline gate: a challenger may meet users only if it is not worse than the champion.

Both are judged on the same units and the same full catalogue. The primary metric must not be worse
by more than a margin, by a paired bootstrap over units, for the mean of all seeds, and no single seed
may fall below the margin; guardrails bound coverage, latency and size.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.evaluation.ranking import METRICS, RankingScores

if TYPE_CHECKING:
    from collections.abc import Sequence

REPLICATES = 2000


@dataclass(frozen=True, slots=True)
class GateRule:
    """What the gate asks for.

    Attributes:
        primary: metric that decides.
        k: length of the judged list.
        margin: relative loss on the primary that is still accepted.
        least_coverage: share of the champion's coverage that must be kept.
        most_latency_ms: of ranking one unit's candidates, 95th percentile.
        most_bytes: size of the artifact.
    """

    primary: str = "ndcg"
    k: int = 10
    margin: float = 0.05
    least_coverage: float = 0.5
    most_latency_ms: float = 10.0
    most_bytes: int = 2 * 2**30


@dataclass(frozen=True, slots=True)
class Serving:
    """What serving the exported artifact costs."""

    latency_p95_ms: float
    bytes: int


@dataclass(frozen=True, slots=True)
class GateResult:
    """The gate's table and its verdict.

    Attributes:
        passed: whether the version may meet users.
        superior: whether it is better than the champion, not just not worse.
        reasons: why it was refused; empty when it passed.
        units: how many units both were judged on.
        rows: metric to champion, challenger, difference and its 95 % interval.
        seeds: the primary metric's mean of each seed.
    """

    passed: bool
    superior: bool
    reasons: list[str]
    units: int
    rows: dict[str, dict[str, Any]]
    seeds: list[float]
    rule: GateRule

    def as_json(self) -> dict[str, Any]:
        """Return every field."""
        return asdict(self)


def judge(
    champion: RankingScores | None,
    seeds: Sequence[RankingScores],
    serving: Serving,
    rule: GateRule,
    *,
    random_seed: int,
) -> GateResult:
    """Apply the gate.

    Args:
        champion: its scores, or None when the surface has none: then only serving is bounded.
        seeds: the challenger's scores, one for each seed, on the same units.
        serving: cost of its artifact.
        rule: what is asked for.
        random_seed: of the bootstrap.
    """
    rng = np.random.default_rng(random_seed)
    units = len(seeds[0].per_unit[rule.primary])
    draws = rng.integers(units, size=(REPLICATES, units))
    rows: dict[str, dict[str, Any]] = {}
    for metric in METRICS:
        ours = np.mean([scores.per_unit[metric] for scores in seeds], axis=0)
        row: dict[str, Any] = {"challenger": float(ours.mean())}
        if champion is not None:
            difference = ours - champion.per_unit[metric]
            means = difference[draws].mean(axis=1)
            row |= {
                "champion": champion.mean(metric),
                "difference": float(difference.mean()),
                "interval": [float(q) for q in np.quantile(means, [0.025, 0.975])],
            }
        rows[metric] = row
    by_seed = [scores.mean(rule.primary) for scores in seeds]
    reasons = _cost_reasons(serving, rule)
    superior = False
    if champion is not None:
        reasons += _rank_reasons(champion, seeds, rows[rule.primary], by_seed, rule)
        superior = rows[rule.primary]["interval"][0] > 0
    rows["coverage"] = {
        "challenger": float(np.mean([scores.coverage for scores in seeds])),
        **({"champion": champion.coverage} if champion is not None else {}),
    }
    rows["latency_p95_ms"] = {"challenger": serving.latency_p95_ms}
    rows["bytes"] = {"challenger": serving.bytes}
    return GateResult(
        passed=not reasons,
        superior=superior,
        reasons=reasons,
        units=units,
        rows=rows,
        seeds=by_seed,
        rule=rule,
    )


def _rank_reasons(
    champion: RankingScores,
    seeds: Sequence[RankingScores],
    row: dict[str, Any],
    by_seed: Sequence[float],
    rule: GateRule,
) -> list[str]:
    reasons = []
    least = champion.mean(rule.primary) * (1 - rule.margin)
    worst = champion.mean(rule.primary) + row["interval"][0]
    if worst < least:
        reasons.append(
            f"{rule.primary} may be as low as {worst:.4f}, must be at least {least:.4f} "
            f"(champion {champion.mean(rule.primary):.4f} less {rule.margin:.0%})"
        )
    reasons += [
        f"{rule.primary} of seed {seed} == {value:.4f}, must be at least {least:.4f}"
        for seed, value in enumerate(by_seed)
        if value < least
    ]
    coverage = float(np.mean([scores.coverage for scores in seeds]))
    if coverage < rule.least_coverage * champion.coverage:
        reasons.append(
            f"coverage == {coverage:.3f}, must be at least "
            f"{rule.least_coverage * champion.coverage:.3f}"
        )
    return reasons


def _cost_reasons(serving: Serving, rule: GateRule) -> list[str]:
    reasons = []
    if serving.latency_p95_ms > rule.most_latency_ms:
        reasons.append(
            f"latency p95 == {serving.latency_p95_ms:.2f} ms, must be at most "
            f"{rule.most_latency_ms:g} ms"
        )
    if serving.bytes > rule.most_bytes:
        reasons.append(f"size == {serving.bytes} bytes, must be at most {rule.most_bytes}")
    return reasons
