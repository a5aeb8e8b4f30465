"""The OpenAPI document against the running server: no 5xx, and nothing that it does not describe."""

from __future__ import annotations

import hypothesis
import pytest
import schemathesis
from django.db import connection
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.ranking import make_rank_surface

CHECKS = [
    not_a_server_error,
    response_schema_conformance,
    content_type_conformance,
    status_code_conformance,
]
RECORDS = ("event", "eventid", "slate", "exposure", "feedback", "link", "excludedunit")
FAST = [
    "/v1/recommend", "/v1/classify", "/v1/chat/completions", "/v1/compare", "/v1/events", "/v1/feedback", "/v1/batch", "/v1/track", "/v1/page",
    "/v1/screen", "/v1/identify", "/v1/alias", "/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/{key}",
    "/personalizer/v1.0/rank", "/personalizer/v1.0/events/{key}/reward", "/personalizer/v1.0/events/{key}/activate",
]  # fmt: skip


@pytest.fixture(scope="module")
def document(shared_lane):
    # The loader waits for ten seconds; the document is built at its first request, which takes some.
    address = f"{shared_lane.url}/v1/openapi.json"
    shared_lane.client.get(address, timeout=120)
    return schemathesis.openapi.from_url(address)


def count_records() -> dict[str, int]:
    counts = ", ".join(f"(SELECT count(*) FROM experiments_{table})" for table in RECORDS)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {counts}")
        return dict(zip(RECORDS, cursor.fetchone(), strict=True))


def test_it_describes_both_lanes(lane):
    from bakeoff.gateway.app import Gateway

    assert isinstance(lane.gateway, Gateway)
    paths = lane.client.get("/v1/openapi.json", timeout=120).json()["paths"]
    assert {route.path for route in lane.gateway.routes} <= set(paths)
    assert {"get", "post"} <= set(paths["/v1/feedback"])


def test_each_operation_has_a_name_of_its_own(lane):
    paths = lane.client.get("/v1/openapi.json", timeout=120).json()["paths"]
    names = [operation["operationId"] for methods in paths.values() for operation in methods.values()]
    assert len(set(names)) == len(names)
    assert not any("bakeoff" in name for name in names)  # no file's name


def test_the_document_is_built_once():
    from bakeoff.api.application import api

    assert api.get_openapi_schema() is api.get_openapi_schema()
    elsewhere = api.get_openapi_schema(path_prefix="/below/")
    assert "/below/v1/surfaces" in elsewhere["paths"]
    assert "/v1/surfaces" in api.get_openapi_schema()["paths"]


@pytest.mark.parametrize("path", FAST)
def test_the_fast_lane_answers_as_described(document, shop, shared_lane, path):
    """Whatever the document allows, and what it does not; a refusal writes nothing."""
    if path.startswith("/personalizer/"):
        make_rank_surface(shop.project)
        shared_lane.refresh()
    headers = {"Authorization": f"Bearer {shop.public}"}

    @hypothesis.settings(
        max_examples=hypothesis.settings.default.max_examples // 20,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=document[path]["POST"].as_strategy())
    def answer(case):
        before = count_records()
        response = case.call(headers=headers)
        case.validate_response(response, checks=CHECKS)
        if response.status_code >= 400:
            assert count_records() == before

    answer()
