"""The gate of versions that generate: a version meets users only if it is not worse on a data set.

Challenger and champion answer the same rows. Each kind of assertion is a share of rows that keep it,
the judge's preference a share of rows on which it prefers the challenger whichever side it stands on,
cost and latency ratios of means. Each must be non-inferior: the bad end of its 95 % interval lies
within a margin. With few rows the interval is wide, and the gate says so rather than let a version
through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inference.evaluation.gate import GateResult, GateRule
from inference.judging.paired import paired_difference, paired_ratio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

JUDGE, ANSWERED, COST, LATENCY = "judge_preference", "answered", "cost", "latency_ms"


@dataclass(frozen=True, slots=True)
class GenerationRule:
    """What a version must hold on a data set.

    Attributes:
        margin: loss that is still accepted of a share of rows (assertions, answers, preference).
        max_cost_ratio: as many times the champion's mean cost the challenger's may be.
        max_latency_ratio: the same of latency.
        latency_floor_ms: so much more mean latency is always accepted: nobody notices it.
        min_share: of rows that keep each assertion, where there is no champion.
    """

    margin: float = 0.05
    max_cost_ratio: float = 1.25
    max_latency_ratio: float = 1.5
    latency_floor_ms: float = 200.0
    min_share: float = 0.9


@dataclass(frozen=True, slots=True)
class RowResult:
    """What a version did on one row.

    Attributes:
        answered: whether there is an answer.
        passed: by the type of assertion, whether the answer keeps it.
        cost: in money.
        latency_ms: until it was whole.
    """

    answered: bool
    passed: Mapping[str, bool]
    cost: float
    latency_ms: float


def judge_generations(
    challenger: Sequence[RowResult],
    champion: Sequence[RowResult] | None,
    preferences: Sequence[float],
    *,
    rival: str = "",
    rule: GenerationRule = GenerationRule(),
    about: Mapping[str, Any] | None = None,
) -> GateResult:
    """Apply the gate.

    Args:
        challenger: its rows.
        champion: its rows, the same in the same order; None where the surface has none.
        preferences: the judge's, of rows that it could judge: 1 the challenger, 0 the champion, 1/2
            neither.
        rival: the champion's name.
        rule: what is asked for.
        about: what is stored with the verdict.
    """
    rows, reasons = {}, []
    for name, (ours, theirs) in _shares(challenger, champion).items():
        rows[name], reason = _share(name, ours, theirs, rule)
        reasons += reason
    if champion is not None:
        for name, maximum, floor in (
            (COST, rule.max_cost_ratio, 0.0),
            (LATENCY, rule.max_latency_ratio, rule.latency_floor_ms),
        ):
            row, reason = _ratio(name, challenger, champion, maximum)
            if floor and row["challenger"] <= row["champion"] + floor:
                reason = []
            rows[name] = row
            reasons += reason
        if preferences:
            rows[JUDGE], reason = _preference(preferences, rule)
            reasons += reason
    else:
        for name in (COST, LATENCY):
            rows[name] = {"challenger": _mean([getattr(one, name) for one in challenger])}
    return GateResult(
        passed=not reasons,
        superior=bool(preferences) and rows[JUDGE]["interval"][0] > 0,
        reasons=reasons,
        units=len(challenger),
        rows=rows,
        seeds=[],
        rule=GateRule(primary=JUDGE, margin=rule.margin, guardrails=()),
        rival=rival,
        about=dict(about or {}),
    )


def _mean(values: Sequence[float]) -> float:
    return float(sum(values) / len(values)) if values else 0.0


def _shares(
    challenger: Sequence[RowResult], champion: Sequence[RowResult] | None
) -> dict[str, tuple[list[bool], list[bool] | None]]:
    """Return by name, of the rows that have it, what each version keeps."""
    names = sorted({name for row in challenger for name in row.passed})
    shares: dict[str, tuple[list[bool], list[bool] | None]] = {
        ANSWERED: (
            [row.answered for row in challenger],
            None if champion is None else [row.answered for row in champion],
        )
    }
    for name in names:
        places = [place for place, row in enumerate(challenger) if name in row.passed]
        ours = [challenger[place].passed[name] for place in places]
        # The same rows have the same assertions.
        theirs = (
            None if champion is None else [champion[place].passed.get(name, False) for place in places]
        )
        shares[name] = (ours, theirs)
    return shares


def _share(
    name: str, ours: list[bool], theirs: list[bool] | None, rule: GenerationRule
) -> tuple[dict[str, Any], list[str]]:
    n, share = len(ours), _mean(ours)
    if theirs is None:
        short = share < rule.min_share
        reason = f"{name} == {share:.4f} of {n} rows, must be at least {rule.min_share:g}"
        return {"challenger": share}, [reason] if short else []
    wins = sum(a and not b for a, b in zip(ours, theirs, strict=True))
    losses = sum(b and not a for a, b in zip(ours, theirs, strict=True))
    interval = paired_difference(wins, losses, n)
    row = {
        "challenger": share,
        "champion": _mean(theirs),
        "difference": share - _mean(theirs),
        "interval": list(interval),
    }
    return row, _too_low(name, interval, n, rule)


def _preference(preferences: Sequence[float], rule: GenerationRule) -> tuple[dict[str, Any], list[str]]:
    n = len(preferences)
    wins, losses = sum(one > 0.5 for one in preferences), sum(one < 0.5 for one in preferences)
    interval = paired_difference(wins, losses, n)
    row = {
        "challenger": wins / n,
        "champion": losses / n,
        "difference": (wins - losses) / n,
        "interval": list(interval),
    }
    return row, _too_low(JUDGE, interval, n, rule)


def _too_low(name: str, interval: tuple[float, float], n: int, rule: GenerationRule) -> list[str]:
    if interval[0] >= -rule.margin:
        return []
    return [
        f"{name} may be worse by {-interval[0]:.4f} (95% of {n} rows), must be at most {rule.margin:g}"
    ]


def _ratio(
    name: str, challenger: Sequence[RowResult], champion: Sequence[RowResult], maximum: float
) -> tuple[dict[str, Any], list[str]]:
    ours, theirs = ([getattr(row, name) for row in rows] for rows in (challenger, champion))
    row: dict[str, Any] = {"challenger": _mean(ours), "champion": _mean(theirs)}
    ratio = paired_ratio(ours, theirs)
    if ratio is None:
        free = _mean(ours) == 0  # local models cost nothing
        reason = f"{name} == {_mean(ours):.4g}, must be 0 as the champion's is, or have an interval"
        return row, [] if free else [reason]
    value, low, high = ratio
    # Not `interval`, which is of a difference.
    row |= {"ratio": value, "ratio_interval": [low, high]}
    reason = f"{name} may be {high:.2f} times the champion's, must be at most {maximum:g} times"
    return row, [] if high <= maximum else [reason]
