"""`POST /v1/recommend/preview`: what a unit would see, and why; nothing of it is recorded.

For people who write rules: the rules of the surface can be tried before they are saved, and items that
are missed can be asked about.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.accounts.keys import SECRET
from bakeoff.accounts.refused import RefusedError
from bakeoff.gateway.config.serving_config import KeyConfig
from bakeoff.gateway.http.caller import Consent
from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.http.fields import parse
from bakeoff.gateway.slates.choose_version import (
    choose_version,
    find_surface,
    forced_variants,
    with_rules_of,
)
from bakeoff.gateway.slates.recommend import RECOMMEND, answer_fields
from bakeoff.gateway.slates.requests import PreviewRequest
from bakeoff.gateway.slates.visitors import Visitor
from experiments.bounds import BoundsError
from experiments.slate_rules.rules import SlateRules
from experiments.slate_rules.slate_reasons import SlateReasons, rank_candidates
from inference.serving.candidates import MAX_SCORED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.gateway.config.config_watcher import ServingConfigWatcher
    from bakeoff.gateway.config.serving_config import ServingConfig
    from bakeoff.gateway.config.versions import ServingVersion
    from bakeoff.gateway.http.door import Call
    from bakeoff.gateway.slates.prepared import Prepared
    from bakeoff.gateway.slates.recommend import Recommending
    from bakeoff.gateway.slates.visitors import Visitors
    from experiments.slate_rules.slate_reasons import CandidateRank, Reason

PAGE_SECONDS = 10.0  # that a page waits for its preview
STATIC = frozenset({"static_list", "empty"})  # fallbacks of what no version ranks
# Nothing is stored: ids that come together are not linked either.
_NOTHING_STORED = Consent(analytics=False, training=False)


class PreviewHandler:
    """Answers previews; one in a process."""

    def __init__(
        self,
        recommending: Recommending,
        visitors: Visitors,
        config: ServingConfigWatcher,
        *,
        secret: str,
    ) -> None:
        """Remember who serves.

        Args:
            recommending: prepares and draws slates.
            visitors: identifies who would be answered.
            config: for pages, which come without a key.
            secret: by which links are signed.
        """
        self._recommending, self._visitors = recommending, visitors
        self._config, self._secret = config, secret
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Remember the event loop, for pages that ask from their threads."""
        self._loop = asyncio.get_running_loop()

    async def answer(self, call: Call, request: PreviewRequest) -> bytes:
        """Answer a program.

        Raises:
            ApiError: the request breaks a rule.
        """
        return orjson.dumps(await self._preview(call.config, call.caller.key, request))

    def ask(self, project_id: int, project: str, body: dict[str, Any]) -> dict[str, Any]:
        """Answer a page of the dashboard; blocks its thread.

        Args:
            project_id: of a project that the page's user may see.
            project: its slug.
            body: as of the route.

        Raises:
            RefusedError: the body breaks a rule.
        """
        if self._loop is None:
            raise RefusedError("The process does not serve yet.")
        key = KeyConfig(project_id, project, SECRET, ())
        try:
            request = parse(PreviewRequest, body)
            answer = self._preview(self._config.current, key, request)
            waiting = asyncio.run_coroutine_threadsafe(answer, self._loop)
            try:
                return waiting.result(PAGE_SECONDS)
            except TimeoutError as error:
                waiting.cancel()
                message = f"The preview took longer than {PAGE_SECONDS:g} s."
                raise RefusedError(message) from error
        except (ApiError, BoundsError) as error:
            field = (error.field or "").partition(".")[0]
            raise RefusedError(str(error), field=field or None) from error

    async def _preview(
        self, config: ServingConfig, key: KeyConfig, request: PreviewRequest
    ) -> dict[str, Any]:
        surface = find_surface(config, key, request.surface, RECOMMEND)
        forced = forced_variants(surface, key, request, secret=self._secret)
        (unit,) = await self._visitors.identity.units(
            config, key.project_id, [request.ids], may_link=False, trusted=True
        )
        visitor = Visitor(
            key=key,
            surface=surface,
            unit=unit,
            context=request.context,
            excluded=False,
            exposed=False,
            consent=_NOTHING_STORED,
        )
        record = await self._visitors.record_of(visitor)
        chosen = choose_version(config, visitor, forced, record)
        visitor = with_rules_of(config, chosen.served_variant, visitor)
        if request.surface_rules is not None:
            # As if the request said them: a person who tries rules wants to hear what no item has.
            # But for what is remembered: a rule of the surface may be about any event.
            remembered = SlateRules(repeat=request.surface_rules.repeat)
            visitor = visitor._replace(surface=replace(surface, rules=remembered))
            request = replace(request, rules=request.surface_rules.joined_with(request.rules))
        reasons = await self._explain(request, visitor, chosen.version)
        # Beside the event loop: a catalogue may have a million rows.
        counts = await asyncio.to_thread(_counts, reasons)
        return {
            "surface": surface.key,
            "unit_id": unit,
            "experiment": chosen.experiment.key if chosen.experiment else None,
            "variant": chosen.variant,
            "model": chosen.version.label if chosen.version else None,
            "reason": chosen.reason,
            "fallback": reasons.slate.fallback,
            "exploration": surface.exploration,
            "counts": counts,
            "items": self._items(request, reasons),
            "about": [_about(item_id, reasons) for item_id in _missed(request, reasons)],
        }

    async def _explain(
        self, request: PreviewRequest, visitor: Visitor, version: ServingVersion | None
    ) -> SlateReasons:
        prepared = await self._recommending.prepare(request, visitor, version)
        # The best of each slot: what exploration draws is another slate each time.
        new = prepared.request.new
        new = None if new is None else replace(new, share=0.0)
        slate_request = prepared.request._replace(temperature=0.0, new=new)
        prepared = prepared._replace(request=slate_request)
        slate = await self._recommending.draw(prepared, visitor, version)
        ranks_of = await self._rank(prepared, visitor, version)
        return SlateReasons(
            slate_request, prepared.rules, prepared.ranker, ranks_of, slate, request.exclude
        )

    async def _rank(
        self, prepared: Prepared, visitor: Visitor, version: ServingVersion | None
    ) -> dict[str, CandidateRank]:
        """Return where each candidate stands, by the way of every answer: a model may be elsewhere."""
        if prepared.ranker is None:
            return {}
        request = prepared.request._replace(k=MAX_SCORED, rules=None, explain=False)
        every = await self._recommending.draw(prepared._replace(request=request), visitor, version)
        if every.fallback in STATIC:
            return {}
        index = prepared.ranker.index
        names = [slot.item_id for slot in every.slots if slot.item_id in index]
        return rank_candidates(names, prepared.rules)

    def _items(self, request: PreviewRequest, reasons: SlateReasons) -> list[dict[str, Any]]:
        catalogue = reasons.rules.catalogue
        items = []
        for position, slot in enumerate(reasons.slate.slots, start=1):
            place = reasons.ranks_of.get(slot.item_id)
            items.append(
                {
                    "item_id": slot.item_id,
                    "position": position,
                    "score": slot.score,
                    "model_rank": place.model_rank if place else None,
                    "boost": place.boost if place else 1.0,
                    "reasons": _shown(reasons.why_here(slot)),
                    **answer_fields(catalogue, slot.item_id, request.fields),
                }
            )
        return items


def _counts(reasons: SlateReasons) -> dict[str, int]:
    """Return how many items there are, and how many are left after each step."""
    catalogue = reasons.rules.catalogue
    return {
        "catalogue": catalogue.count_existing(),
        "shown": int(catalogue.shown().sum()),
        "matching": int(reasons.rules.allowed.mask.sum()),
        "candidates": len(reasons.ranks_of) or reasons.slate.candidate_count,
    }


def _missed(request: PreviewRequest, reasons: SlateReasons) -> list[str]:
    """Return the items to explain: those that are asked about, and pins that are not in their place."""
    shown = {slot.item_id for slot in reasons.slate.slots}
    pins = reasons.rules.rules.pins.items()
    left_out = [item for at, item in sorted(pins) if at <= request.k and item not in shown]
    return list(dict.fromkeys([*request.about, *left_out]))


def _about(item_id: str, reasons: SlateReasons) -> dict[str, Any]:
    """Return what is to be said of one item."""
    for position, slot in enumerate(reasons.slate.slots, start=1):
        if slot.item_id == item_id:
            why = _shown(reasons.why_here(slot))
            return {"item_id": item_id, "position": position, "reasons": why}
    return {"item_id": item_id, "position": None, "reasons": _shown(reasons.why_not(item_id))}


def _shown(reasons: Sequence[Reason]) -> list[dict[str, Any]]:
    return [
        {"code": one.code, "message": one.message, **({"rule": one.rule} if one.rule else {})}
        for one in reasons
    ]
