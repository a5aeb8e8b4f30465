"""Read bodies as the fast lane does: leniently, and then nothing that a database cannot hold."""

from __future__ import annotations

from typing import cast

from django.http import HttpRequest
from ninja.parser import Parser
from ninja.types import DictStrAny

from bakeoff.api.errors import Problem
from experiments.bounds import BoundsError, NotJsonError, check, read_json


class StrictParser(Parser):
    """JSON whose values can be stored: see experiments/bounds.py."""

    def parse_body(self, request: HttpRequest) -> DictStrAny:
        """Parse a body.

        Raises:
            Problem: 400, it is not JSON or holds a value that no lane takes.
        """
        try:
            data = read_json(request.body)
            check(data, "body")
        except NotJsonError as error:
            raise Problem(400, "not_json", f"The body is not JSON: {error}.") from error
        except BoundsError as error:
            raise Problem(400, error.code, error.message, error.field) from error
        return cast("DictStrAny", data)
