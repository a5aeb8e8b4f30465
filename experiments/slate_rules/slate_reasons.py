"""Why an item stands where it stands in a slate, or why it is not there."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.serving.candidates import MAX_SCORED
from inference.serving.rule_draw import rerank

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from experiments.slate_rules.request_rules import RequestRules
    from inference.serving.artifact import Floats, Indices
    from inference.serving.ladder import ServedSlate, Slot
    from inference.serving.ranker import ItemRanker
    from inference.serving.rule_draw import Cap
    from inference.serving.slate_request import SlateRequest


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason.

    Attributes:
        code: for programs.
        message: for people.
        rule: the rule that decided, as it is written; None where none did.
    """

    code: str
    message: str
    rule: Any = None


@dataclass(frozen=True, slots=True)
class CandidateRank:
    """Where one candidate stands.

    Attributes:
        model_rank: by the version's score alone, from 1.
        rank: after boosts and what is buried, from 1.
        boost: what its rank was divided by.
        buried: whether it comes after all others.
    """

    model_rank: int
    rank: int
    boost: float = 1.0
    buried: bool = False


def rank_candidates(names: Sequence[str], rules: RequestRules) -> dict[str, CandidateRank]:
    """Return where each candidate stands, by item id.

    Args:
        names: of the candidates, in the order of the version's scores.
        rules: of the request.
    """
    order = np.arange(len(names), dtype=np.int32)
    ruled = rules.about(names, None).rules
    ranks = _places(rerank(order, ruled))
    boosts = np.ones(len(names)) if ruled.boosts is None else ruled.boosts
    buried = np.zeros(len(names), bool) if ruled.buried is None else ruled.buried
    return {
        name: CandidateRank(*values)
        for name, *values in zip(
            names, range(1, len(names) + 1), ranks, boosts.tolist(), buried.tolist(), strict=False
        )
    }


def _places(order: Indices) -> list[int]:
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(1, len(order) + 1)
    return [int(place) for place in places]


@dataclass(frozen=True)  # without slots: scores of all items are computed once, where they are needed
class SlateReasons:
    """Explains one slate.

    Attributes:
        request: that it answers.
        rules: the surface's and the request's together.
        ranker: of the version; None where none can answer.
        ranks_of: of the candidates, by item id.
        slate: as it would be served without exploration.
        excluded: by the request itself; the ladder is asked to leave out more.
    """

    request: SlateRequest
    rules: RequestRules
    ranker: ItemRanker | None
    ranks_of: Mapping[str, CandidateRank]
    slate: ServedSlate
    excluded: Collection[str]

    def why_here(self, slot: Slot) -> list[Reason]:
        """Return why an item stands in its slot."""
        item_id = slot.item_id
        for position, pinned in self.rules.pins().items():
            if pinned == item_id and slot.rank == 0:
                rule = {"item_id": item_id, "position": position}
                return [Reason("pinned", f"A pin puts it at position {position}.", rule)]
        place = self.ranks_of.get(item_id)
        if place is None:
            if slot.score is None:
                return [Reason("named", "The request names it, and the version does not know it.")]
            if not self.ranks_of:
                return [Reason("static_list", "It is in the surface's static list.")]
            message = (
                f"The caps left too few of {len(self.ranks_of)} candidates: all items were ranked."
            )
            return [Reason("widened", message), *_by_slot(slot)]
        reasons = [
            Reason(
                "model",
                f"The model ranks it {place.model_rank} of {len(self.ranks_of)} candidates.",
            )
        ]
        if place.boost != 1:
            reasons.append(Reason("boosted", f"Boosts divide its rank by {place.boost:.3g}."))
        if place.buried:
            reasons.append(self._buried())
        return reasons + _by_slot(slot)

    def why_not(self, item_id: str) -> list[Reason]:
        """Return why an item is not in the slate; everything that speaks against it."""
        reasons = [*self._why_nobody(item_id), *self._why_not_here(item_id)]
        if reasons:
            return reasons
        place = self.ranks_of.get(item_id)
        if place is None:
            return self._why_unscored(item_id)
        if place.buried:
            reasons.append(self._buried())
        reasons += self._full_caps(item_id)
        reasons.append(
            Reason(
                "rank",
                f"It is {place.rank} of {len(self.ranks_of)} candidates, by the model alone "
                f"{place.model_rank}; the slate has {self.request.k} slots.",
            )
        )
        return reasons

    def _why_nobody(self, item_id: str) -> list[Reason]:
        """Return why nobody is shown an item."""
        catalogue, now = self.rules.catalogue, time.time()
        row = catalogue.find(item_id)
        if row is None:
            if self.ranker is None or item_id not in self.ranker.index:
                return [Reason("unknown", "Neither the catalogue nor the version knows it.")]
            return []
        item = catalogue.rows[row]
        if not item.exists:
            return [Reason("deleted", "It was deleted.")]
        reasons = []
        if not item.available:
            reasons.append(Reason("not_available", "available == false."))
        if item.published_at > now:
            reasons.append(Reason("not_published", f"It is published at {_time(item.published_at)}."))
        if item.expires_at <= now:
            reasons.append(Reason("expired", f"It expired at {_time(item.expires_at)}."))
        return reasons

    def _why_not_here(self, item_id: str) -> list[Reason]:
        """Return what of the request speaks against an item."""
        reasons = []
        row = self.rules.catalogue.find(item_id)
        for condition in self.rules.rules.filters:
            mask = self.rules.filters.mask(condition, self.rules.context)
            if row is None or row >= len(mask) or not mask[row]:
                reasons.append(Reason("filter", "It does not match the filter.", condition))
        if item_id in self.excluded:
            reasons.append(Reason("excluded", "The request excludes it."))
        elif item_id in self.request.exclude:
            reasons.append(Reason("acted", "The user hid, refused or bought it."))
        if self.request.only is not None:
            if item_id not in self.request.only:
                reasons.append(Reason("not_named", "The request names other candidates."))
        elif item_id in self.request.recent:
            reasons.append(Reason("recent", "The user liked it lately."))
        return reasons

    def _why_unscored(self, item_id: str) -> list[Reason]:
        """Return why an item that no version ranks is not in the slate."""
        is_named = item_id in (self.request.only or ())
        if not is_named and (self.ranks_of or item_id not in self.request.static_list):
            return [self._why_no_candidate(item_id)]
        where = "No version ranks it: it comes last" if is_named else "The static list holds it"
        message = f"{where}; the slate has {self.request.k} slots."
        return [*self._full_caps(item_id), Reason("rank", message)]

    def _why_no_candidate(self, item_id: str) -> Reason:
        if self.ranker is None:
            return Reason("no_model", "No model answers, and the static list does not hold it.")
        index = self.ranker.index.get(item_id)
        if index is None:
            return Reason("not_in_version", "It came after the version had learned.")
        scores, candidates = self._scores, len(self.ranks_of)
        if scores is None:
            return Reason("no_candidate", f"It is not among the {candidates} candidates.")
        rank = int((scores > scores[index]).sum()) + 1
        message = f"The model ranks it {rank} of {len(scores)} items; {candidates} are candidates."
        return Reason("no_candidate", message)

    @cached_property
    def _scores(self) -> Floats | None:
        """The scores of all items, (n,); None where they are too many, or scored elsewhere."""
        ranker = self.ranker
        if ranker is None or ranker.is_remote or len(ranker.item_ids) > MAX_SCORED:
            return None
        every = np.arange(len(ranker.item_ids), dtype=np.int32)
        return ranker.score(every, ranker.indices_of(self.request.recent))

    def _buried(self) -> Reason:
        rule = list(self.rules.rules.buried)
        return Reason("buried", "It is buried: it comes after all others.", rule)

    def _full_caps(self, item_id: str) -> list[Reason]:
        """Return the caps that leave no room beside what is in the slate."""
        names = [item_id, *(slot.item_id for slot in self.slate.slots)]
        caps: Sequence[Cap] = self.rules.about(names, None).rules.caps if self.rules.rules.caps else ()
        reasons = []
        for (path, limit), cap in zip(self.rules.rules.caps.items(), caps, strict=True):
            values = cap.values[: len(names)]
            own = [value for value in values[0].tolist() if value >= 0]
            if any(int((values[1:] == value).any(axis=1).sum()) >= limit for value in own):
                reasons.append(
                    Reason(
                        "cap",
                        f"The slate holds {limit} with the same {path}, the cap.",
                        {path: limit},
                    )
                )
        return reasons


def _by_slot(slot: Slot) -> list[Reason]:
    if slot.allowed is None:
        return []
    left = f"It was {slot.rank} of {slot.allowed} that caps, diversity and pins left for the slot."
    return [Reason("by_slot", left)]


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
