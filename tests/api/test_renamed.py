"""Both names of a field that was renamed: in requests, in answers, in the document."""

from __future__ import annotations

import pytest

from bakeoff.api.renamed import RenamedSchema
from inference.models import TrainingRun


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


MEAN = {"key": "", "kind": "mean", "event": "buy"}
RATIO = {"key": "", "kind": "ratio", "event": "buy"}
# Method and path, a body without the field, then the old name and the new one, each with its value.
REQUESTS = [
    ("PATCH", "/project", {}, "most_events_per_minute", 20, "max_events_per_minute", 20),
    ("PATCH", "/surfaces/home-feed", {}, "retrain_recommender", "ease", "retrain_algorithm", "ease"),
    ("POST", "/metrics", {"key": "", "kind": "mean"}, "event_name", "buy", "event", "buy"),
    ("POST", "/metrics", RATIO, "denominator_event", "view", "denominator", "view"),
    ("POST", "/metrics", MEAN, "covariate_seconds", 60.0, "lookback_seconds", 60.0),
    ("POST", "/metrics", MEAN, "increase_is_good", False, "direction", "decrease"),
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
    assert renamed == {request[3] for request in REQUESTS} | {"recommender"}


def test_a_training_takes_either_name(api):
    answers = [
        api("POST", "/surfaces/home-feed/training-runs", {name: "oracle"})
        for name in ("recommender", "algorithm")
    ]
    assert [answer.status_code for answer in answers] == [422, 422]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["error"]["field"] == "algorithm"
    both = api(
        "POST", "/surfaces/home-feed/training-runs", {"recommender": "ease", "algorithm": "ease"}
    )
    assert both.json()["error"]["field"] == "algorithm"
    assert both.status_code == 400


def test_every_answer_with_a_renamed_field_has_both_names():
    for schema in all_schemas():
        fields = {name.new: name.to_new(True) for name in schema.old_names}
        row = schema.model_construct(**fields)
        answer = row.model_dump(context={"response_status": 200}, warnings=False)
        for name in schema.old_names:
            assert answer[name.old] is True, schema
            assert answer[name.new] == fields[name.new]
        assert not {name.old for name in schema.old_names} & set(row.model_dump(warnings=False))


def test_runs_and_decisions_are_listed_under_both_names(api, shop):
    TrainingRun.objects.create(surface=shop.surface, algorithm="ease", trigger="a test")
    (run,) = api("GET", "/surfaces/home-feed/training-runs").json()
    assert run["algorithm"] == run["recommender"] == "ease"
    experiment = shop.run_experiment()
    decision = api("POST", f"/experiments/{experiment.key}/stop", {"reason": "enough"}).json()
    assert decision["created_by"] == decision["made_by"]
    assert decision["created_at"] == decision["made_at"]
    report = api("GET", f"/experiments/{experiment.key}/report.json").json()
    assert report["decisions"][0]["made_by"] == report["decisions"][0]["created_by"]


def test_the_document_marks_old_names_as_deprecated(lane):
    schemas = lane.client.get("/v1/openapi.json").json()["components"]["schemas"]
    described = [schema for schema in all_schemas() if schema.__name__ in schemas]  # no base of others
    marked = {
        (title, field)
        for title, schema in schemas.items()
        for field, about in schema.get("properties", {}).items()
        if about.get("deprecated")
    }
    declared = {(schema.__name__, name.old) for schema in described for name in schema.old_names}
    assert marked == declared
    for schema in described:
        for name in schema.old_names:
            assert name.new in schemas[schema.__name__]["properties"]
            assert name.old not in schemas[schema.__name__].get("required", [])
