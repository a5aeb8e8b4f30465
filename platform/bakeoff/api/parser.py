"""Read bodies as the fast lane does: strict JSON, and nothing that PostgreSQL's text cannot hold."""

from __future__ import annotations

from typing import Any, cast

import orjson
from django.http import HttpRequest
from ninja.parser import Parser
from ninja.types import DictStrAny

from bakeoff.api.errors import Problem
from bakeoff.gateway.http import holds_nul


class StrictParser(Parser):
    """JSON with valid Unicode, without U+0000."""

    def parse_body(self, request: HttpRequest) -> DictStrAny:
        """Parse a body.

        Raises:
            Problem: 400, it is not JSON or holds U+0000.
        """
        try:
            data: Any = orjson.loads(request.body)
        except orjson.JSONDecodeError as error:
            raise Problem(400, "not_json", f"The body is not JSON: {error}.") from error
        if holds_nul(data):
            raise Problem(400, "nul_character", "The body holds U+0000, must hold none.")
        return cast("DictStrAny", data)
