"""The offline gate: a challenger may meet users only if it is not worse than the champion.

Both are judged on the same units (recommenders: over the same full catalogue) or the same labelled
examples. The primary metric must not be worse by more than a margin, by a paired bootstrap over
units, for the mean of all seeds, and no single seed may fall below the margin; guardrails must not be
worse by more than a wider one, and coverage, latency and size are bounded. Where costs of mistakes are
stated, the mean cost of a decision decides in the primary metric's place. Where there is no champion, a
classifier must be better than always saying what is most frequent, and a recommender is shown beside
popularity.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference.evaluation.scores import Scores

DECISION_COST = "decision_cost"  # per example; lower is better, unlike all other metrics
# What is shown of each candidate of a portfolio, in this order; each kind of surface has some of them.
CANDIDATE_METRICS = (
    "ndcg", "accuracy", "log_score", "recall", "hit_rate", "coverage", "calibration_error",
    DECISION_COST, "abstained",
)  # fmt: skip
# In the order of the gate's table, after the metric that judges: JSON in the database keeps none.
TABLE_METRICS = (
    "ndcg", "weighted_ndcg", "recall", "weighted_recall", "precision", "f1", "hit_rate", "coverage",
    "accuracy", "log_score", "calibration_error", DECISION_COST, "abstained",
)  # fmt: skip
OF_LISTS = frozenset(TABLE_METRICS[:8])  # of a ranking's lists, which have a length
LAST_METRICS = ("latency_p95_ms", "bytes")  # what serving costs
REPLICATES = 2000  # the ends of a 95 % interval rest on 50 of them each


@dataclass(frozen=True, slots=True)
class GateRule:
    """What a version must hold.

    Attributes:
        primary: metric that decides.
        k: length of the judged list.
        margin: loss on the primary that is still accepted, as a share of the champion's value.
        guardrails: metrics that must not be worse by more than `guardrail_margin`.
        guardrail_margin: as a share of the champion's value.
        cost_margin: by which share of the champion's the mean cost of a decision may be higher, where
            costs of mistakes are stated.
        least_coverage: share of the champion's coverage that must be kept.
        most_latency_ms: of answering one request, 95th percentile.
        max_latency_ratio: as many times the champion's latency may be above `most_latency_ms`.
        most_bytes: size of the artifact.
    """

    primary: str = "ndcg"
    k: int = 10
    margin: float = 0.05
    guardrails: tuple[str, ...] = ("recall", "hit_rate")
    guardrail_margin: float = 0.1
    cost_margin: float = 0.05
    least_coverage: float = 0.5
    most_latency_ms: float = 10.0
    max_latency_ratio: float = 1.5
    most_bytes: int = 2 * 2**30

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GateRule:
        """Read what `asdict` wrote; fields that are missing keep their defaults."""
        known = {one.name for one in fields(cls)}
        plain = {name: value for name, value in data.items() if name in known}
        if "guardrails" in plain:  # JSON knows no tuples
            plain["guardrails"] = tuple(plain["guardrails"])
        return cls(**plain)

    @classmethod
    def for_labels(cls) -> GateRule:
        """Return the rule of classifiers."""
        return cls(
            primary="accuracy",
            margin=0.02,
            guardrails=("log_score",),
            guardrail_margin=0.5,
            most_latency_ms=100.0,
        )


@dataclass(frozen=True, slots=True)
class LatencyRatio:
    """An artifact's latency beside the champion's, measured in turn.

    Attributes:
        champion_p95_ms: the champion's 95th percentile.
        ratio: how many times as long the challenger's is.
        interval: 95 % of the ratio.
    """

    champion_p95_ms: float
    ratio: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Serving:
    """What serving the exported artifact costs.

    Attributes:
        latency_p95_ms: of one answer.
        bytes: of the artifact.
        beside: its latency beside the champion's; None where there is none that answers here.
    """

    latency_p95_ms: float
    bytes: int
    beside: LatencyRatio | None = None


@dataclass(frozen=True, slots=True)
class Rival:
    """Whom a challenger is judged against.

    Attributes:
        name: for people.
        scores: on the same units.
        beaten: whether the challenger must be better, not just not worse, and in which metric.
        decides: whether it can refuse the challenger; else it is shown beside it.
    """

    name: str
    scores: Scores
    beaten: str | None = None
    decides: bool = True


@dataclass(frozen=True, slots=True)
class GateResult:
    """The gate's table and its verdict.

    Attributes:
        passed: whether the version may meet users.
        superior: whether it is better than its rival, not just not worse.
        reasons: why it was refused; empty when it passed.
        units: how many units (or examples) both were judged on.
        rows: metric to champion, challenger, difference and its 95 % interval.
        seeds: the primary metric's mean of each seed.
        rule: what was asked for.
        rival: whom it was judged against, or nothing.
        about: what a run page shows besides: slices, views, curves, checks.
    """

    passed: bool
    superior: bool
    reasons: list[str]
    units: int
    rows: dict[str, dict[str, Any]]
    seeds: list[float]
    rule: GateRule
    rival: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return every field."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GateResult:
        """Read what `as_json` wrote; what an older version did not store is empty."""
        known = {one.name for one in fields(cls)}
        empty = {"superior": False, "reasons": [], "units": 0, "rows": {}, "seeds": []}
        plain = {name: value for name, value in data.items() if name in known}
        return cls(**{**empty, **plain, "rule": GateRule.from_json(data.get("rule", {}))})

    @property
    def table(self) -> list[tuple[str, Mapping[str, Any]]]:
        """The metrics with their rows: the one that judges first, what serving costs last."""
        order = [self.rule.primary, *TABLE_METRICS]
        last = len(order) + 1  # after what no list here names, a package's metric for instance

        def place(row: tuple[str, Any]) -> tuple[int, str]:
            name = row[0]
            if name in LAST_METRICS:
                return last + LAST_METRICS.index(name), name
            return order.index(name) if name in order else last - 1, name

        return sorted(self.rows.items(), key=place)

    def places_of(self, metric: str) -> int | None:
        """Return how many places of a list a metric looks at; None for one that is of no list."""
        return self.rule.k if metric in OF_LISTS and "ndcg" in self.rows else None

    @property
    def candidates(self) -> Sequence[Mapping[str, Any]]:
        """What a portfolio tried before the version's recipe; empty where the recipe was named."""
        tried: Sequence[Mapping[str, Any]] = self.about.get("candidates", ())
        return tried

    @property
    def candidate_metrics(self) -> list[str]:
        """What is known of any candidate, in the order that it is shown in."""
        return [name for name in CANDIDATE_METRICS if any(name in one for one in self.candidates)]

    def refused_for(self, reason: str) -> GateResult:
        """Return the verdict with one more reason against."""
        return replace(self, passed=False, reasons=[*self.reasons, reason])


def judge(
    rival: Rival | None,
    seeds: Sequence[Scores],
    serving: Serving,
    rule: GateRule,
    *,
    random_seed: int,
    about: Mapping[str, Any] | None = None,
) -> GateResult:
    """Apply the gate.

    Args:
        rival: the champion, or None when there is nobody to beat: then only serving is bounded.
        seeds: the challenger's scores, one for each seed, on the same units.
        serving: cost of its artifact.
        rule: what is asked for.
        random_seed: of the bootstrap.
        about: what is kept with the verdict.
    """
    rng = np.random.default_rng(random_seed)
    units = len(seeds[0].per_unit[rule.primary])
    draws = rng.integers(units, size=(REPLICATES, units))
    rows = {metric: _row(metric, rival, seeds, draws) for metric in seeds[0].per_unit}
    rows |= {metric: _whole_row(metric, rival, seeds) for metric in seeds[0].whole}
    reasons = cost_reasons(serving, rule)
    if rival is not None and rival.decides:
        reasons = _reasons(rival, seeds, rows, rule) + _cost_reasons(rival, seeds, rows, rule) + reasons
    rows["latency_p95_ms"] = {"challenger": serving.latency_p95_ms}
    if serving.beside is not None:
        rows["latency_p95_ms"]["champion"] = serving.beside.champion_p95_ms
        # Not `interval`, which is of a difference.
        rows["latency_p95_ms"]["ratio"] = serving.beside.ratio
        rows["latency_p95_ms"]["ratio_interval"] = [float(end) for end in serving.beside.interval]
    rows["bytes"] = {"challenger": serving.bytes}
    return GateResult(
        passed=not reasons,
        superior=rival is not None and _is_better(rows, rule),
        reasons=reasons,
        units=units,
        rows=rows,
        seeds=[scores.mean(rule.primary) for scores in seeds],
        rule=rule,
        rival=rival.name if rival is not None else "",
        about=dict(about or {}),
    )


def _is_better(rows: Mapping[str, dict[str, Any]], rule: GateRule) -> bool:
    """Whether the interval of what decides lies on the better side of no difference."""
    if DECISION_COST in rows:
        return bool(rows[DECISION_COST]["interval"][1] < 0)
    return bool(rows[rule.primary]["interval"][0] > 0)


def reasons_against(
    rival: Rival, seeds: Sequence[Scores], rule: GateRule, *, random_seed: int
) -> list[str]:
    """Return why the gate would refuse scores, whatever serving costs; empty where it would not."""
    rng = np.random.default_rng(random_seed)
    units = len(seeds[0].per_unit[rule.primary])
    draws = rng.integers(units, size=(REPLICATES, units))
    rows = {metric: _row(metric, rival, seeds, draws) for metric in seeds[0].per_unit}
    rows |= {metric: _whole_row(metric, rival, seeds) for metric in seeds[0].whole}
    return _reasons(rival, seeds, rows, rule) + _cost_reasons(rival, seeds, rows, rule)


def _row(
    metric: str, rival: Rival | None, seeds: Sequence[Scores], draws: np.ndarray
) -> dict[str, Any]:
    ours = np.mean([scores.per_unit[metric] for scores in seeds], axis=0)
    row: dict[str, Any] = {"challenger": float(ours.mean())}
    if rival is not None:
        difference = ours - rival.scores.per_unit[metric]
        means = [float(difference[draw].mean()) for draw in draws]
        row |= {
            "champion": rival.scores.mean(metric),
            "difference": float(difference.mean()),
            "interval": [float(q) for q in np.quantile(means, [0.025, 0.975])],
        }
    return row


def _whole_row(metric: str, rival: Rival | None, seeds: Sequence[Scores]) -> dict[str, Any]:
    row = {"challenger": float(np.mean([scores.whole[metric] for scores in seeds]))}
    return row if rival is None else row | {"champion": rival.scores.whole[metric]}


def _reasons(
    rival: Rival, seeds: Sequence[Scores], rows: dict[str, dict[str, Any]], rule: GateRule
) -> list[str]:
    if rival.beaten is not None:
        low = rows[rival.beaten]["interval"][0]
        return [] if low > 0 else [
            f"{rival.beaten} is better than {rival.name} by {low:.4f} at worst, must be more than 0"
        ]  # fmt: skip
    # Where mistakes cost differently, the label that is right most often is not what is answered.
    by_cost = DECISION_COST in rows
    reasons = []
    for metric, margin in [
        *([] if by_cost else [(rule.primary, rule.margin)]),
        *((metric, rule.guardrail_margin) for metric in rule.guardrails),
    ]:
        value = rival.scores.mean(metric)
        minimum = value - margin * abs(value)
        worst = value + rows[metric]["interval"][0]
        if worst < minimum:
            reasons.append(
                f"{metric} may be as low as {worst:.4f}, must be at least {minimum:.4f} "
                f"({rival.name} {value:.4f} less {margin:.0%})"
            )
    value = rival.scores.mean(rule.primary)
    minimum = value - rule.margin * abs(value)
    reasons += [
        f"{rule.primary} of seed {seed} == {scores.mean(rule.primary):.4f}, "
        f"must be at least {minimum:.4f}"
        for seed, scores in enumerate(seeds)
        if not by_cost and scores.mean(rule.primary) < minimum
    ]
    if "coverage" in rows:
        minimum = rule.least_coverage * rows["coverage"]["champion"]
        if rows["coverage"]["challenger"] < minimum:
            reasons.append(
                f"coverage == {rows['coverage']['challenger']:.3f}, must be at least {minimum:.3f}"
            )
    return reasons


def _cost_reasons(
    rival: Rival, seeds: Sequence[Scores], rows: dict[str, dict[str, Any]], rule: GateRule
) -> list[str]:
    """Refuse decisions that cost more than the rival's: by more than the margin, or for certain."""
    row = rows.get(DECISION_COST)
    if row is None:
        return []
    maximum = row["champion"] * (1 + rule.cost_margin)
    if row["challenger"] > maximum:
        return [
            f"mean cost of a decision == {row['challenger']:.4f}, must be at most {maximum:.4f} "
            f"({rival.name} {row['champion']:.4f} plus {rule.cost_margin:.0%})"
        ]
    reasons = [
        f"mean cost of a decision of seed {seed} == {scores.mean(DECISION_COST):.4f}, "
        f"must be at most {maximum:.4f}"
        for seed, scores in enumerate(seeds)
        if rival.beaten is None and scores.mean(DECISION_COST) > maximum
    ]
    low, high = row["interval"]
    if low <= 0:
        return reasons
    return [
        *reasons,
        f"mean cost of a decision is higher than that of {rival.name} by {low:.4f} to {high:.4f}, "
        "must not be higher",
    ]


def cost_reasons(serving: Serving, rule: GateRule) -> list[str]:
    """Return why an artifact costs too much to serve; empty when it does not."""
    reasons = _latency_reasons(serving, rule)
    if serving.bytes > rule.most_bytes:
        reasons.append(f"size == {serving.bytes} bytes, must be at most {rule.most_bytes}")
    return reasons


def _latency_reasons(serving: Serving, rule: GateRule) -> list[str]:
    """Refuse what is slow, unless the champion is as slow here: a busy worker slows both alike."""
    if serving.latency_p95_ms <= rule.most_latency_ms:
        return []
    reason = (
        f"latency p95 == {serving.latency_p95_ms:.2f} ms, must be at most {rule.most_latency_ms:g} ms"
    )
    if serving.beside is None:
        return [reason]
    low = serving.beside.interval[0]
    if low <= rule.max_latency_ratio:
        return []
    return [
        f"{reason} or {rule.max_latency_ratio:g} times the champion's "
        f"{serving.beside.champion_p95_ms:.2f} ms: it is at least {low:.2f} times"
    ]
