"""Decisions with their rewards, as training data of a policy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions whose time for rewards is over, in columns of equal length, ordered by time.

    Attributes:
        unit_ids: whose.
        decided_at: when, in seconds.
        chosen: id of the action that was taken.
        default: id of the default action.
        propensity: of the action that was taken.
        reward: as a share of its range.
        features: of the action that was taken.
        context: of the decision.
        actions: all actions, as `ActionSet.as_json` has them, of a sample; None of the others.
        stored: with which chance all actions of such a decision are kept; empty for 1.
        notes: what was set aside, in sentences; not kept in the snapshot.
    """

    unit_ids: Sequence[str]
    decided_at: Sequence[float]
    chosen: Sequence[str]
    default: Sequence[str]
    propensity: Sequence[float]
    reward: Sequence[float]
    features: Sequence[Mapping[str, Any]]
    context: Sequence[Mapping[str, Any]]
    actions: Sequence[Mapping[str, Any] | None]
    stored: Sequence[float] = ()
    notes: Sequence[str] = ()

    def as_columns(self) -> dict[str, tuple[Sequence[Any], str]]:
        """Return the columns of the snapshot and their types."""

        def plain(values: Sequence[Any]) -> tuple[Sequence[str], str]:
            return [json.dumps(one, sort_keys=True) for one in values], "string"

        columns: dict[str, tuple[Sequence[Any], str]] = {
            "unit_id": (self.unit_ids, "string"),
            "decided_at": (self.decided_at, "float64"),
            "chosen": (self.chosen, "string"),
            "default": (self.default, "string"),
            "propensity": (self.propensity, "float64"),
            "reward": (self.reward, "float64"),
            "features": plain(self.features),
            "context": plain(self.context),
            "actions": plain(self.actions),
        }
        if self.stored:
            columns["stored"] = (self.stored, "float64")
        return columns

    @classmethod
    def from_columns(cls, columns: Mapping[str, list[Any]]) -> Decisions:
        """Read the columns of a snapshot."""
        return cls(
            unit_ids=columns["unit_id"],
            decided_at=columns["decided_at"],
            chosen=columns["chosen"],
            default=columns["default"],
            propensity=columns["propensity"],
            reward=columns["reward"],
            features=[json.loads(one) for one in columns["features"]],
            context=[json.loads(one) for one in columns["context"]],
            actions=[json.loads(one) for one in columns["actions"]],
            stored=columns.get("stored", ()),
        )

    def rows(self, picked: NDArray[np.int64]) -> Decisions:
        """Return some of the decisions."""
        names = [name for name in self.__slots__ if name not in ("stored", "notes")]
        stored = [self.stored[i] for i in picked] if self.stored else ()
        columns = {name: [getattr(self, name)[i] for i in picked] for name in names}
        return Decisions(**columns, stored=stored)

    @property
    def sampled(self) -> NDArray[np.int64]:
        """Places of the decisions of which all actions are known."""
        return np.flatnonzero([one is not None for one in self.actions])

    def __len__(self) -> int:
        """How many there are."""
        return len(self.unit_ids)
