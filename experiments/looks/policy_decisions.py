"""A surface's decisions with their rewards: those whose time for rewards is over, a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
from django.db import connection

from bakeoff.accounts.models import AuditEntry
from experiments.models import Experiment
from experiments.rewarded_decisions import REWARD, read_rewarded
from experiments.sql import is_before, is_new
from inference.serving.rank_settings import NO_RANK_SETTINGS, RankSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from numpy.typing import NDArray

    from experiments.metrics.watermark import TransactionRange
    from inference.models import Surface

_COLUMNS = f"""slate.recommendation_id, extract(epoch FROM slate.served_at)::float8,
    coalesce(slate.model_version_id, 0),
    (slate.slots -> 0 ->> 0) = (slate.context -> '$rank' ->> 'default'),
    (slate.context -> '$rank' ->> 'default_propensity')::float8, {REWARD}, reward.value IS NOT NULL"""


# In the order of ids, which is that of time but for milliseconds: what is not over yet ends the batch,
# so that no decision counts before one with a smaller id. It is found at once, by the surface's index.
_NEXT = f"""AND slate.recommendation_id > %(after)s AND slate.recommendation_id < %(before)s
    AND {is_before("slate", "upper")}
    AND slate.recommendation_id < coalesce((
        SELECT next.recommendation_id FROM experiments_slate AS next
        WHERE next.surface_id = %(surface)s AND next.recommendation_id > %(after)s
            AND next.served_at >= now() - make_interval(secs => %(wait)s)
        ORDER BY next.recommendation_id LIMIT 1), 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    ORDER BY slate.recommendation_id LIMIT %(limit)s"""
# The least id of a counted decision that is new, has a new reward, or whose user was excluded. Rows of
# the transactions come first: by surface and id the planner might read all decisions.
_FIRST_CHANGED = f"""
    WITH slates AS MATERIALIZED (
        SELECT recommendation_id, surface_id FROM experiments_slate
        WHERE experiment_id IS NULL AND {is_new()}
        UNION ALL SELECT recommendation_id, surface_id FROM experiments_slate
        WHERE experiment_id = ANY(%(experiments)s::bigint[]) AND {is_new()}),
    rewards AS MATERIALIZED (
        SELECT recommendation_id FROM experiments_event
        WHERE project_id = %(project)s AND {is_new()} AND source = 'reward'),
    units AS MATERIALIZED (
        SELECT unit_id FROM experiments_excludedunit WHERE project_id = %(project)s AND {is_new()}),
    changed AS (
        SELECT recommendation_id, surface_id FROM slates
        UNION ALL SELECT slate.recommendation_id, slate.surface_id
        FROM rewards JOIN experiments_slate AS slate USING (recommendation_id)
        UNION ALL SELECT slate.recommendation_id, slate.surface_id
        FROM units JOIN experiments_slate AS slate
            ON slate.project_id = %(project)s AND slate.unit_id = units.unit_id)
    SELECT min(recommendation_id::text)::uuid FROM changed
    WHERE surface_id = %(surface)s AND recommendation_id <= %(last)s"""
_LAST = UUID(int=2**128 - 1)
REWARD_SETTINGS = ("default_reward", "min_reward", "max_reward", "wait_seconds")


@dataclass(frozen=True, slots=True)
class PolicyDecisions:
    """Decisions in their order, as columns of length n.

    Attributes:
        id: of each decision.
        at: when, in seconds since 1970.
        version: id of the version that chose; 0 where there was none.
        is_control: whether the default action was taken.
        control_chance: that the default action had.
        reward: as a share of its range.
        rewarded: whether a reward came in time.
    """

    id: list[UUID]
    at: NDArray[np.float64]
    version: NDArray[np.int64]
    is_control: NDArray[np.bool_]
    control_chance: NDArray[np.float64]
    reward: NDArray[np.float64]
    rewarded: NDArray[np.bool_]

    def of_version(self, version: int) -> PolicyDecisions:
        """Return the decisions of one version."""
        rows = self.version == version
        return PolicyDecisions(
            [self.id[n] for n in np.flatnonzero(rows)], self.at[rows], self.version[rows],
            self.is_control[rows], self.control_chance[rows], self.reward[rows], self.rewarded[rows],
        )  # fmt: skip

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.at)


def counted_since(surface: Surface) -> datetime | None:
    """Return when the settings that say what a decision earned last changed; None: never.

    A change gives earlier decisions another reward than they had at earlier looks, and an interval that
    holds at all looks together would hold no more: the value begins anew.
    """
    changes = AuditEntry.objects.filter(
        project=surface.project_id, subject=surface.key, action="change surface"
    ).filter(detail__changed__has_key="rank")
    for entry in changes.order_by("-at", "-id"):
        before, after = entry.detail["changed"]["rank"]
        if _reward_settings(before) != _reward_settings(after):
            return entry.at
    return None


def reward_settings(surface: Surface) -> dict[str, float]:
    """Return the settings that say what a decision of a surface earned."""
    return dict(zip(REWARD_SETTINGS, _reward_settings(surface.rank), strict=True))


def _reward_settings(rank: Mapping[str, Any]) -> list[float]:
    return [rank.get(name, getattr(NO_RANK_SETTINGS, name)) for name in REWARD_SETTINGS]


def read_decisions(
    surface: Surface,
    since: datetime | None,
    *,
    after: UUID,
    upper: int,
    limit: int,
    before: UUID = _LAST,
) -> PolicyDecisions:
    """Read the next decisions of a surface that wait for no reward any more, without excluded users.

    Args:
        surface: which chooses among actions.
        since: of `counted_since`.
        after: id of the decision before them.
        upper: transaction below which a decision must have been written.
        limit: how many at most.
        before: id that theirs are below.
    """
    settings = RankSettings.parse(surface.rank)
    named = {"after": after, "before": before, "upper": upper, "limit": limit}
    rows = read_rewarded(surface, settings, _COLUMNS, rest=_NEXT, since=since, named=named)
    columns = [np.array(one) for one in zip(*rows, strict=True)] if rows else [np.empty(0)] * 7
    _, at, version, is_control, chance, reward, rewarded = columns
    return PolicyDecisions(
        [row[0] for row in rows],
        at.astype(float),
        version.astype(np.int64),
        is_control.astype(bool),
        chance.astype(float),
        settings.shares_of(reward),
        rewarded.astype(bool),
    )


def first_changed(surface: Surface, last: UUID, span: TransactionRange) -> UUID | None:
    """Return the first of the counted decisions that must be counted anew.

    Args:
        surface: which chooses among actions.
        last: the last decision that was counted.
        span: transactions since that count.
    """
    experiments = list(Experiment.objects.filter(surface=surface).values_list("pk", flat=True))
    parameters: dict[str, Any] = {
        "project": surface.project_id,
        "surface": surface.pk,
        "experiments": experiments,
        "last": last,
        "lower": span.lower,
        "upper": span.upper,
    }
    with connection.cursor() as cursor:
        cursor.execute(_FIRST_CHANGED, parameters)
        changed: UUID | None = cursor.fetchone()[0]
    return changed
