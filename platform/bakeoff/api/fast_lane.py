"""The fast lane's routes in the one OpenAPI document."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import yaml
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from bakeoff.api.examples import add_examples
from bakeoff.api.paging import UNREADABLE

SOURCE = Path(__file__).with_name("fast_lane.yaml")
MAX_HEADER = 1000
# What any route may answer; 405, 408, 413, 415 and 431 come before a body is read.
REFUSALS = ("400", "401", "403", "404", "405", "408", "410", "413", "415", "429", "431", "503")
# What operations of the management API may answer beside.
MORE_REFUSALS = ("409", "422", "507")


@cache
def _described() -> dict[str, Any]:
    described: dict[str, Any] = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    for methods in described["paths"].values():
        for operation in methods.values():
            # The file shares nodes between operations; each gets its own.
            answers = deepcopy(operation["responses"])
            operation.setdefault("description", operation["summary"])
            # A route for other clients than ours has errors of their shape.
            shape = operation.pop("x-errors", "Refusal")
            refusal = {"$ref": f"#/components/responses/{shape}"}
            operation["responses"] = answers | {s: refusal for s in REFUSALS if s not in answers}
    return described


class BothLanes(NinjaAPI):
    """The management API, whose document holds the fast lane too."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Take what NinjaAPI takes."""
        super().__init__(*arguments, **options)
        self._documents: dict[str, OpenAPISchema] = {}  # by the path under which the platform is served
        # Who comes while it is built waits: each would keep a core busy for as long.
        self._building = Lock()

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """Name an operation as its function, so that it keeps its name in whatever file it stands."""
        return operation.view_func.__name__

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        """Return the document of both lanes, which nobody changes: it is the same one at every call.

        Building it takes seconds of a core, and anybody may ask for it.
        """
        prefix = self.get_root_path(path_params or {}) if path_prefix is None else path_prefix
        with self._building:
            if prefix not in self._documents:
                self._documents[prefix] = self._describe(prefix)
            return self._documents[prefix]

    def _describe(self, prefix: str) -> OpenAPISchema:
        schema = super().get_openapi_schema(path_prefix=prefix)
        # Said here, once: as models of each operation they cost more than all the rest at each start.
        refusal = {"$ref": "#/components/responses/Refusal"}
        for methods in schema["paths"].values():
            for operation in methods.values():
                operation["responses"] |= dict.fromkeys((*REFUSALS, *MORE_REFUSALS), refusal)
        described = deepcopy(_described())
        for path, methods in described["paths"].items():
            schema["paths"].setdefault(path, {}).update(methods)
        components = schema["components"]
        components.setdefault("responses", {}).update(described["responses"])
        components["schemas"].update(described["schemas"])
        add_examples(schema)
        return schema

    def create_response(self, request: HttpRequest, data: Any, **options: Any) -> HttpResponse:
        """Answer; name the rows that a list leaves out."""
        response = super().create_response(request, data, **options)
        if unreadable := getattr(request, "unreadable_rows", None):
            # Names may be long, and many: a proxy refuses headers of more than some KB.
            response[UNREADABLE] = ", ".join(unreadable)[:MAX_HEADER]
        return response
