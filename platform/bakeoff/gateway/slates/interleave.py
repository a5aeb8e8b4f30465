"""One slate of several versions' slates: the draft, the rules over it, and what is stored of it.

A version that fails takes no part, and then nobody drafts: the control answers alone, or the first that
can, and the slate says who failed. Nothing of such a slate is credited to anybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.serving.ladder import ServedSlate, Slot, serve_static
from inference.serving.team_draft import NOT_RANKED, draft_slate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from inference.serving.slate_request import SlateRequest
    from inference.serving.team_draft import Draft

# Fallbacks of a version that did not rank: what then stands in its slate is no list of its own.
FAILED = frozenset({"no_champion", "model_unavailable", "timeout", "model_error", "breaker_open"})
EMPTY = frozenset({"static_list", "empty"})


def interleave(slates: Mapping[int, ServedSlate], request: SlateRequest, *, rng: Random) -> ServedSlate:
    """Draft a slate from those of several versions.

    Its `draft` holds the variants' ids, and per place the team and the ranks; or who failed, and why.

    Args:
        slates: by the ids of their variants, control first.
        request: whose rules hold in the slate as they do in each of them.
        rng: source of the coins.
    """
    failed = {str(key): slate.fallback for key, slate in slates.items() if slate.fallback in FAILED}
    able = [slate for slate in slates.values() if slate.fallback not in FAILED | EMPTY]
    if failed or len(able) < len(slates):
        alone = able[0] if able else next(iter(slates.values()))
        reason = next(iter(failed.values()), alone.fallback)
        whole = {"variants": list(slates), "failed": failed}
        return alone._replace(fallback=reason, cost=_cost(slates), draft=whole)
    rankings = [[slot.item_id for slot in slate.slots] for slate in slates.values()]
    draft = draft_slate(rankings, request.k, rng=rng)
    slots, teams, ranks, rest = _placed(list(slates.values()), draft, request)
    offered = len(draft.picks) + len(draft.left_over)
    return ServedSlate(
        slots=slots,
        fallback=next((slate.fallback for slate in able if slate.fallback is not None), None),
        candidate_count=max(slate.candidate_count for slate in able),
        candidate_hash=able[0].candidate_hash,
        short_by_caps=len(slots) < min(request.k, offered) or any(one.short_by_caps for one in able),
        cost=_cost(slates),
        draft={"variants": list(slates), "teams": teams, "ranks": ranks, "rest": rest},
    )


_Rank = tuple[int, ...]


def _placed(
    slates: list[ServedSlate], draft: Draft, request: SlateRequest
) -> tuple[list[Slot], list[int | None], list[_Rank], list[_Rank]]:
    """Return the slots of a draft, the team and the ranks of each, and the ranks of what is left."""
    of_version = [{slot.item_id: slot for slot in slate.slots} for slate in slates]
    picks = {pick.item_id: pick for pick in draft.picks}
    ranks = {item: pick.ranks for item, pick in picks.items()}
    ranks |= dict(zip(draft.left_over, draft.rest, strict=True))
    shown = [pick.item_id for pick in draft.picks]
    if request.rules is not None:  # each list keeps them; that they hold in both says nothing of one
        under_rules = request._replace(static_list=[*shown, *draft.left_over], only=None)
        shown = [slot.item_id for slot in serve_static(under_rules, "interleaved").slots]
    slots: list[Slot] = []
    teams: list[int | None] = []
    for item in shown:
        pick = picks.get(item)
        # What only rules have put there is drafted by nobody, as a pin is.
        team = pick.team if pick is not None else None
        places = ranks.get(item, (NOT_RANKED,) * len(slates))
        holder = team if team is not None else next((n for n, r in enumerate(places) if r), 0)
        slot = of_version[holder].get(item) or Slot(item, None, NOT_RANKED, 1.0, explored=False)
        chance = pick.chance if pick is not None else 1.0
        slots.append(slot._replace(propensity=chance, explored=False))
        teams.append(team)
    placed = set(shown)
    left = [places for item, places in ranks.items() if item not in placed]
    none = (NOT_RANKED,) * len(slates)
    return slots, teams, [ranks.get(item, none) for item in shown], left


def _cost(slates: Mapping[int, ServedSlate]) -> float | None:
    costs = [slate.cost for slate in slates.values() if slate.cost is not None]
    return sum(costs) if costs else None
