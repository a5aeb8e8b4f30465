"""`GET /v1/models`: the surfaces that generate, as models of OpenAI's clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from bakeoff.accounts.keys import SECRET
from bakeoff.gateway.slates.choose_version import GENERATE

if TYPE_CHECKING:
    from bakeoff.gateway.http.door import Call


async def list_models(call: Call) -> bytes:
    """Return the surfaces that the key may ask."""
    key = call.caller.key
    surfaces = call.config.surfaces.get(key.project_id, {}).values()
    data = [
        {"id": surface.key, "object": "model", "created": 0, "owned_by": key.project}
        for surface in sorted(surfaces, key=lambda one: one.key)
        if surface.kind == GENERATE and (key.kind == SECRET or surface.generate.public)
    ]
    return orjson.dumps({"object": "list", "data": data})
