"""What a challenger would have earned on answers that were served, judged off-policy.

Only answers count that were served after all that the judged fit has learnt of their unit, so that no
click that it would be paid for was learnt from. What a slot earns may depend on the slots before it
(cascade; reward-interaction inverse propensity scoring, McInerney et al. 2020, "Counterfactual
evaluation of slate recommendations", KDD): its weight is the product of the ratios up to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.evaluation.off_policy import (
    MIN_EFFECTIVE_SIZE,
    OffPolicyError,
    refuse_without_support,
    value_by_position,
)
from inference.serving.explore import pool_of, propensities_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference.evaluation.off_policy import WeightedValue
    from inference.serving.ranker import Ranker
    from inference.training.snapshot import Answers
    from inference.training.split import SplitData

ANSWERS_AT_ONCE = 1000  # scores take answers × items floats


@dataclass(frozen=True, slots=True)
class Log:
    """What was served, and how much the challenger would explore.

    Attributes:
        answers: with their propensities.
        temperature: of the surface's draw, > 0.
    """

    answers: Answers
    temperature: float


@dataclass(frozen=True, slots=True)
class _LoggedSlot:
    """One logged slot: its position from 1, both policies' chance of the slots up to it, the like."""

    answer: int
    position: int
    logged: float
    wanted: float
    liked: bool


def value_of_answers(
    ranker: Ranker, split: SplitData, log: Log, *, margin: float
) -> dict[str, Any] | None:
    """Return the challenger's value by position beside the log's own; None when nothing was logged.

    Args:
        ranker: fitted on the split's past.
        split: whose units the log may speak of.
        log: what was served.
        margin: loss that is accepted, as a share of what was earned.

    Returns:
        `answers` used, `positions` (each with its estimates, effective sample size, and `refused` when
        the log does not support it), and over the supported positions before the first refused one
        `earned`, `estimate`, `interval` of their difference, and `worse`: that interval lies below
        what `margin` accepts. Without a supported position, `refused` says why.
    """
    slots, used = _weigh(ranker, split, log)
    if not slots:
        return None
    last = max((slot.position for slot in slots if slot.wanted > 0), default=0)
    view: dict[str, Any] = {"answers": used, "positions": [], "supported": 0}
    if not last:
        return view | {"refused": "it would have served none."}
    slots = [slot for slot in slots if slot.position <= last]
    values = _value_by_position(slots)
    view["positions"] = [_position_row(slots, position, value) for position, value in values.items()]
    view["supported"] = supported = _supported_positions(view["positions"])
    if not supported:
        return view | {
            "refused": f"effective sample size at position 1 == {values[1].effective_size:.1f}, "
            f"must be at least {MIN_EFFECTIVE_SIZE:g}: what was served is too unlike."
        }
    return view | _compare([slot for slot in slots if slot.position <= supported], values, margin)


def _value_by_position(slots: Sequence[_LoggedSlot]) -> dict[int, WeightedValue]:
    return value_by_position(
        np.array([slot.position for slot in slots]),
        np.array([slot.logged for slot in slots]),
        np.array([slot.wanted for slot in slots]),
        np.array([float(slot.liked) for slot in slots]),
    )


def _position_row(slots: Sequence[_LoggedSlot], position: int, value: WeightedValue) -> dict[str, Any]:
    """Return a position's estimates, with `refused` when the log does not support them."""
    likes = [slot.liked for slot in slots if slot.position == position]
    row: dict[str, Any] = {
        "position": position,
        "earned": float(np.mean(likes)),
        **{name: float(number) for name, number in value._asdict().items()},
    }
    try:
        refuse_without_support(value.effective_size)
    except OffPolicyError as error:
        row["refused"] = str(error)
    return row


def _supported_positions(rows: Sequence[Mapping[str, Any]]) -> int:
    """Return the last position before the first one that is refused or was never served."""
    supported = 0
    for row in rows:
        if "refused" in row or row["position"] != supported + 1:
            break
        supported += 1
    return supported


def _compare(slots: Sequence[_LoggedSlot], values: dict[int, Any], margin: float) -> dict[str, Any]:
    """Return the difference to the log's own clicks, answer by answer, with self-normalised weights."""
    answers = np.unique([slot.answer for slot in slots], return_inverse=True)[1]
    ours, theirs = np.zeros(answers.max() + 1), np.zeros(answers.max() + 1)
    centred = np.zeros_like(ours)
    for answer, slot in zip(answers, slots, strict=True):
        value = values[slot.position]
        weight = slot.wanted / slot.logged / value.mean_weight
        ours[answer] += weight * slot.liked
        # The linearised error of a self-normalised mean: w (r − mean).
        centred[answer] += weight * (slot.liked - value.snips) - slot.liked
        theirs[answer] += slot.liked
    difference = float((ours - theirs).mean())
    half = 1.96 * float(centred.std(ddof=1)) / np.sqrt(len(ours)) if len(ours) > 1 else np.inf
    earned = float(theirs.mean())
    return {
        "earned": earned,
        "estimate": earned + difference,
        "interval": [difference - half, difference + half],
        "worse": bool(difference + half < -margin * earned),
    }


def _weigh(ranker: Ranker, split: SplitData, log: Log) -> tuple[list[_LoggedSlot], int]:
    """Return the logged slots with both policies' chances, and of how many answers they are."""
    index = {unit.unit_id: i for i, unit in enumerate(split.whole)}
    histories: list[tuple[int, list[int]]] = []
    for row, (unit_id, at) in enumerate(zip(log.answers.unit_ids, log.answers.served_at, strict=True)):
        place = index.get(unit_id)
        if place is None or not log.answers.slots[row]:
            continue
        past, whole = split.past[place], split.whole[place]
        if len(split.later[place]) and not (past.at >= at).any():
            histories.append((row, whole.items[whole.at < at].tolist()))
    slots: list[_LoggedSlot] = []
    for start in range(0, len(histories), ANSWERS_AT_ONCE):
        part = histories[start : start + ANSWERS_AT_ONCE]
        pool = max(pool_of(len(log.answers.slots[row])) for row, _ in part)
        known = log.answers.contexts
        ranked = ranker.candidates(
            [h[::-1] for _, h in part],
            [h for _, h in part],
            pool,
            contexts=[known[row] for row, _ in part] if known else None,
        )
        for (row, _), order in zip(part, ranked, strict=True):
            slots += _chances(row, log, [ranker.item_ids[i] for i in order])
    return slots, len(histories)


def _chances(row: int, log: Log, ranked: Sequence[str]) -> list[_LoggedSlot]:
    drawn = log.answers.slots[row]
    rank = {item: i for i, item in enumerate(ranked)}
    ranks = [rank.get(item) for item, _, _ in drawn]
    wanted = propensities_of(ranks, len(ranked), len(drawn), temperature=log.temperature)
    return [
        _LoggedSlot(row, position, logged, ours, liked)
        for position, (logged, ours, (_, _, liked)) in enumerate(
            zip(np.cumprod([p for _, p, _ in drawn]), np.cumprod(wanted), drawn, strict=True), start=1
        )
    ]
