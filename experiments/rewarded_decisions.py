"""Decisions of a surface whose time for rewards is over, with their rewards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connection

from experiments.sql import REWARD_OF_DECISION, is_excluded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from inference.models import Surface
    from inference.serving.rank_settings import RankSettings

# The reward of a decision, as it counts: by its own number, or what a decision without one earns.
REWARD = "coalesce(reward.value, %(default)s)"
_OVER = f"""FROM experiments_slate AS slate LEFT JOIN LATERAL ({REWARD_OF_DECISION}) AS reward ON true
    WHERE slate.surface_id = %(surface)s AND slate.context ? '$rank' AND NOT slate.forced
        AND slate.served_at < now() - make_interval(secs => %(wait)s)
        AND slate.served_at >= coalesce(%(since)s, '-infinity'::timestamptz)
        AND NOT {is_excluded("slate")}"""


def read_rewarded(
    surface: Surface,
    settings: RankSettings,
    columns: str,
    *,
    rest: str,
    since: datetime | None = None,
    named: Mapping[str, Any] | None = None,
) -> list[tuple[Any, ...]]:
    """Read decisions, without those of excluded users and of forced variants.

    Args:
        surface: which chooses among actions.
        settings: of it.
        columns: SQL, of `slate`, `reward` and `REWARD`.
        rest: SQL, more conditions and the order; ids of slates are UUIDv7, so theirs is that of time.
        since: time from which on decisions count; None: all.
        named: parameters of `rest`, by name.
    """
    parameters = {
        "surface": surface.pk,
        "project": surface.project_id,
        "wait": settings.wait_seconds,
        "default": settings.default_reward,
        "since": since,
        **(named or {}),
    }
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} {_OVER} {rest}", parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
