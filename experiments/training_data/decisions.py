"""A surface's decisions as training data: those whose time for rewards is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from experiments.rewarded_decisions import REWARD, read_rewarded
from inference.plurals import counted
from inference.serving.rank_settings import RankSettings
from inference.training.decisions import Decisions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference.models import Surface

MAX_DECISIONS = 100_000  # the newest
VOTERS = 200  # that say what type a feature has
_COLUMNS = f"""slate.unit_id, extract(epoch FROM slate.served_at)::float8, slate.slots -> 0 ->> 0,
    slate.context -> '$rank' ->> 'default', (slate.slots -> 0 ->> 3)::float8, {REWARD},
    slate.context -> '$rank'"""
_NEWEST = f"AND slate.trainable ORDER BY slate.recommendation_id DESC LIMIT {MAX_DECISIONS}"


def decisions_of(surface: Surface) -> Decisions:
    """Return the decisions that a policy may learn from, ordered by time.

    A feature may be missing or null in some of them. Where it is a number in some and a text in
    others, it is learnt as what most of the newest have.
    """
    settings = RankSettings.parse(surface.rank)
    rows = read_rewarded(surface, settings, _COLUMNS, rest=_NEWEST)
    about = [orjson.loads(row[-1]) for row in rows]
    same = _of_one_type(about)
    others = len(rows) - len(same)
    picked = [(rows[i], about[i]) for i in reversed(same)]
    note = (
        f"{counted(others, 'decision', 'was', 'were')} left out: a feature is a number in them and a "
        "text in most of the newest, or the reverse."
    )
    return Decisions(
        unit_ids=[row[0] for row, _ in picked],
        decided_at=[row[1] for row, _ in picked],
        chosen=[row[2] for row, _ in picked],
        default=[row[3] for row, _ in picked],
        propensity=[row[4] for row, _ in picked],
        reward=settings.shares_of([row[5] for row, _ in picked]).tolist(),
        features=[one["features"] for _, one in picked],
        context=[one.get("context", {}) for _, one in picked],
        actions=[one.get("actions") for _, one in picked],
        stored=[one.get("stored", 1.0) for _, one in picked],
        notes=[note] if others else [],
    )


def _of_one_type(decisions: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the places of decisions, the newest first, whose features have the types of most.

    A feature's type is that of most of the newest `VOTERS` that have it, so that a client which sends
    one wrong value does not set the others aside.
    """
    votes: dict[tuple[str, str], list[bool]] = {}
    for one in decisions:
        for name, is_text in _types_of(one).items():
            newest = votes.setdefault(name, [])
            if len(newest) < VOTERS:
                newest.append(is_text)
    texts = {name for name, newest in votes.items() if 2 * sum(newest) > len(newest)}
    return [
        i
        for i, one in enumerate(decisions)  # read twice: the types of all would fill the memory
        if all((name in texts) == is_text for name, is_text in _types_of(one).items())
    ]


def _types_of(decision: Mapping[str, Any]) -> dict[tuple[str, str], bool]:
    """Return for each feature that is not null whether it is a text."""
    return {
        (part, name): isinstance(value, str)
        for part in ("features", "context")
        for name, value in decision.get(part, {}).items()
        if value is not None
    }
