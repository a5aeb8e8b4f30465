"""Both names of a field that was renamed: in requests, in answers, in the document."""

from __future__ import annotations

import pytest

from bakeoff.api.renamed import RenamedSchema


def all_schemas(cls=RenamedSchema):
    for one in cls.__subclasses__():
        if one.old_names:
            yield one
        yield from all_schemas(one)


@pytest.fixture
def api(lane, shop):
    def ask(method, path, body=None):
        headers = {"Authorization": f"Bearer {shop.secret}"}
        return lane.client.request(method, f"/v1{path}", json=body, headers=headers)

    return ask


# Method and path, a body without the field, then the old name and the new one, each with its value.
REQUESTS = [
    ("PATCH", "/project", {}, "most_events_per_minute", 20, "max_events_per_minute", 20),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "old", "before", "new", "now"), REQUESTS)
def test_a_request_takes_either_name_and_the_answer_has_both(
    api, method, path, body, old, before, new, now
):
    for number, sent in enumerate([{old: before}, {new: now}]):
        answer = api(method, path, body | ({"key": f"k{number}"} if "key" in body else {}) | sent)
        assert answer.status_code < 300, answer.text
        assert (answer.json()[old], answer.json()[new]) == (before, now)
    both = api(method, path, body | {old: before, new: now})
    assert both.status_code == 400
    assert both.json()["error"] == {
        "code": "invalid_value",
        "field": new,
        "message": f"{new}: '{old}' is the old name of '{new}', must not be sent beside it.",
    }


def test_every_renamed_field_of_a_request_is_tried_above(lane):
    document = lane.client.get("/v1/openapi.json").json()
    sent = set()
    for methods in document["paths"].values():
        for operation in methods.values():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            sent.add(body.get("schema", {}).get("$ref", "").rpartition("/")[2])
    renamed = {
        name.old for schema in all_schemas() if schema.__name__ in sent for name in schema.old_names
    }
    assert renamed == {request[3] for request in REQUESTS}


def test_the_document_marks_old_names_as_deprecated(lane):
    schemas = lane.client.get("/v1/openapi.json").json()["components"]["schemas"]
    marked = {
        (title, field)
        for title, schema in schemas.items()
        for field, about in schema.get("properties", {}).items()
        if about.get("deprecated")
    }
    declared = {(schema.__name__, name.old) for schema in all_schemas() for name in schema.old_names}
    assert marked == declared
    for schema in all_schemas():
        for name in schema.old_names:
            assert name.new in schemas[schema.__name__]["properties"]
            assert name.old not in schemas[schema.__name__].get("required", [])
