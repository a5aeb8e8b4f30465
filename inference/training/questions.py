"""What a search for a better prompt works on: past requests with what came of them, and a data set."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Questions:
    """Requests, in columns of equal length.

    Attributes:
        unit_ids: whose request it was; empty where it was nobody's.
        messages: the conversation, without a version's own messages.
        variables: of the version's templates.
        assertions: what an answer must hold.
        answers: that was given; empty in rows of a data set.
        comments: what users and judges made of it, in sentences; empty likewise.
        recorded_at: when, in seconds.
        evaluates: whether it is a row of the data set, by which proposals are compared.
        notes: what was set aside, in sentences; not kept in the snapshot.
    """

    unit_ids: Sequence[str]
    messages: Sequence[Sequence[dict[str, Any]]]
    variables: Sequence[dict[str, Any]]
    assertions: Sequence[Sequence[dict[str, Any]]]
    answers: Sequence[str]
    comments: Sequence[str]
    recorded_at: Sequence[float]
    evaluates: Sequence[bool]
    notes: Sequence[str] = ()

    def as_columns(self) -> dict[str, tuple[Sequence[Any], str]]:
        """Return the columns of the snapshot and their types."""

        def plain(values: Sequence[Any]) -> tuple[Sequence[str], str]:
            return [json.dumps(one, sort_keys=True) for one in values], "string"

        return {
            "unit_id": (self.unit_ids, "string"),
            "messages": plain(self.messages),
            "variables": plain(self.variables),
            "assertions": plain(self.assertions),
            "answer": (self.answers, "string"),
            "comment": (self.comments, "string"),
            "recorded_at": (self.recorded_at, "float64"),
            "evaluates": (self.evaluates, "bool"),
        }

    @classmethod
    def from_columns(cls, columns: Mapping[str, list[Any]]) -> Questions:
        """Read the columns of a snapshot."""
        return cls(
            unit_ids=columns["unit_id"],
            messages=[json.loads(one) for one in columns["messages"]],
            variables=[json.loads(one) for one in columns["variables"]],
            assertions=[json.loads(one) for one in columns["assertions"]],
            answers=columns["answer"],
            comments=columns["comment"],
            recorded_at=columns["recorded_at"],
            evaluates=columns["evaluates"],
        )
