"""What a slate is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from inference.serving.eligible import EVERYTHING, Eligible

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from inference.serving.artifact import Indices
    from inference.serving.ruled_candidates import CandidateRules


@dataclass(frozen=True, slots=True)
class NewCandidates:
    """Items that came after a version and are placed in it.

    Attributes:
        items: indices of those that join every list.
        fresh: of those that are new enough for a share of the slots.
        share: expected share of the slots that is theirs; 0 where they compete by score alone.
    """

    items: Indices
    fresh: Indices
    share: float


class SlateRequest(NamedTuple):
    """One request for a slate.

    Attributes:
        k: slots.
        recent: item ids that the unit liked lately, newest first.
        precomputed: the version's candidates for the unit, int32 bytes, or None.
        exclude: item ids that may not be shown.
        only: rank just these items, or None for all.
        static_list: the surface's list for when no model can answer.
        max_candidates: how many candidates are re-ranked.
        temperature: of the draw.
        eligible: which items may be shown to anybody now, and by the request's filter.
        rules: say what holds within the slate; None where nothing does.
        again: item ids that may be shown although the unit liked them.
        new: items that came after the version, or None.
        nearline_reason: of the fallback when candidates are made in the request; None where none can
            be precomputed.
        default_reason: of the fallback when the version's default list stands in; None where that is
            what the request asks for.
        explain: whether each slot is to say which recent item it owes its score to.
    """

    k: int
    recent: Sequence[str]
    precomputed: bytes | None
    exclude: Collection[str]
    only: Sequence[str] | None
    static_list: Sequence[str]
    max_candidates: int
    temperature: float
    eligible: Eligible = EVERYTHING
    rules: CandidateRules | None = None
    again: Collection[str] = ()
    new: NewCandidates | None = None
    nearline_reason: str | None = "nearline"
    default_reason: str | None = "default_list"
    explain: bool = False

    def may_show(self, item_id: str) -> bool:
        """Whether one item may be shown."""
        return item_id not in self.exclude and self.eligible.has(item_id)
