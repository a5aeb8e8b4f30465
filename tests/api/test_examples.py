"""Each operation of the OpenAPI document has examples of its bodies, and each keeps to its schema."""

from __future__ import annotations

import jsonschema
import pytest

from bakeoff.api.application import api

DOCUMENT = api.get_openapi_schema()
JSON = "application/json"


def bodies() -> list:
    """Every JSON body of a request, and of an answer that is no refusal."""
    cases = []
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            parts = {"request": operation.get("requestBody", {})}
            parts |= {
                f"answer {s}": one for s, one in operation["responses"].items() if str(s)[0] == "2"
            }
            for part, body in parts.items():
                if JSON in body.get("content", {}):
                    cases.append(pytest.param(body["content"][JSON], id=f"{method} {path} {part}"))
    return cases


BODIES = bodies()


def test_there_are_bodies():
    assert len(BODIES) > 150


@pytest.mark.parametrize("content", BODIES)
def test_an_example_keeps_to_its_schema(content):
    schema = {**content["schema"], "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(schema).validate(content["example"])


@pytest.mark.parametrize("content", [one for one in BODIES if one.id.endswith("request")])
def test_a_request_says_something(content):
    """An empty object would be an example of nothing."""
    assert content["example"] not in ({}, [], None)
