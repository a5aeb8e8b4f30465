"""The management API through its own port, as a product's engineer would use it."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from django.db import connection

from bakeoff.api.fast_lane import SOURCE
from inference.models import Item, ModelVersion
from tests.support import builders


class Api:
    def __init__(self, lane, key) -> None:
        self.lane, self.headers = lane, {"Authorization": f"Bearer {key}"}

    def __call__(self, method, path, body=None):
        return self.lane.client.request(method, f"/v1{path}", json=body, headers=self.headers)


@pytest.fixture
def api(lane, shop):
    return Api(lane, shop.secret)


def draft(shop, **fields):
    challenger = builders.make_version(shop.surface, [1] * 10)
    return {
        "key": "new-model",
        "surface": "home-feed",
        "hypothesis": "It is better.",
        "variants": [
            {"key": "control", "model": "popularity@1", "weight": 0.5, "is_control": True},
            {"key": "treatment", "model": challenger.label, "weight": 0.5},
        ],
        "metrics": [{"metric": "clicks"}],
        **fields,
    }


def test_an_experiment_is_defined_started_looked_at_and_stopped(api, shop):
    created = api("POST", "/experiments", draft(shop))
    assert created.status_code == 201
    assert created.json()["state"] == "draft"
    started = api("POST", "/experiments/new-model/start").json()
    assert started["state"] == "running"
    assert started["confirmed"] is True
    assert len(started["policy_sha256"]) == 64
    report = api("GET", "/experiments/new-model/report.json").json()
    assert report["verdict"]["sentence"] == "No analysis yet."
    stopped = api("POST", "/experiments/new-model/stop", {"reason": "enough"}).json()
    assert (stopped["action"], stopped["reason"]) == ("stop_inconclusive", "enough")
    assert len(api("GET", "/experiments/new-model/decisions").json()) == 1
    assert [e["state"] for e in api("GET", "/experiments?state=ended").json()] == ["ended"]


def test_a_person_ships_a_variant(api, shop):
    api("POST", "/experiments", draft(shop))
    api("POST", "/experiments/new-model/start")
    unknown = api("POST", "/experiments/new-model/ship", {"variant": "third"})
    assert unknown.status_code == 422
    assert api("POST", "/experiments/new-model/ship", {"variant": "treatment"}).status_code == 200
    assert api("GET", "/surfaces").json()[0]["champion"] == "popularity@2"


@pytest.mark.parametrize(
    ("fields", "status", "text"),
    [
        ({"policy": {"alpha": 2.0}}, 422, "alpha == 2.0, must be in (0, 1)"),
        ({"policy": {"colour": 1}}, 422, "policy field 'colour' is unknown"),
        ({"allocation": 0}, 400, "allocation"),
        ({"surface": "nowhere"}, 404, ""),
        ({"metrics": [{"metric": "joy"}]}, 422, "metric == 'joy'"),
        ({"key": "no spaces"}, 400, "key"),
        ({"variants": []}, 400, "variants"),
    ],
)
def test_a_wrong_definition_is_refused_with_its_reason(api, shop, fields, status, text):
    answer = api("POST", "/experiments", draft(shop, **fields))
    assert answer.status_code == status
    assert text in answer.json()["error"]["message"] or text in str(answer.json()["error"]["field"])
    assert api("GET", "/experiments").json() == []


def test_weights_must_sum_to_one(api, shop):
    body = draft(shop)
    body["variants"][0]["weight"] = 0.4
    answer = api("POST", "/experiments", body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "variants")


def test_a_version_of_the_surface_must_exist(api, shop):
    body = draft(shop)
    body["variants"][1]["model"] = "popularity@99"
    assert (
        "model == 'popularity@99', not found"
        in api("POST", "/experiments", body).json()["error"]["message"]
    )


def test_a_key_is_used_once(api, shop):
    body = draft(shop)
    assert api("POST", "/experiments", body).status_code == 201
    again = api("POST", "/experiments", body)
    assert (again.status_code, again.json()["error"]["field"]) == (422, "key")


def test_a_state_that_does_not_allow_it_is_a_conflict(api, shop):
    api("POST", "/experiments", draft(shop))
    stopped = api("POST", "/experiments/new-model/stop", {})
    assert (stopped.status_code, stopped.json()["error"]["code"]) == (409, "wrong_state")
    api("POST", "/experiments/new-model/start")
    assert api("POST", "/experiments/new-model/start").status_code == 409


def test_surfaces_are_made_and_changed(api):
    body = {"key": "inbox", "static_list": ["i1"], "liked_events": ["rating>=4"]}
    assert api("PUT", "/surfaces", body).json()["champion"] is None
    changed = api("PUT", "/surfaces", {**body, "exploration": 0.5})
    assert changed.json()["exploration"] == 0.5
    assert len(api("GET", "/surfaces").json()) == 2


@pytest.mark.parametrize(
    "fields",
    [{"liked_events": ["rating>="]}, {"retrain_algorithm": "oracle"}],
)
def test_a_surface_that_breaks_a_rule_is_refused(api, fields):
    assert api("PUT", "/surfaces", {"key": "inbox", **fields}).status_code == 422


def test_items_are_added_and_changed(api, shop):
    body = {"items": [{"item_id": "i0", "title": "New title"}, {"item_id": "new", "title": "Newcomer"}]}
    assert api("PUT", "/items", body).json() == {"written": 2}
    assert Item.objects.get(project=shop.project, item_id="i0").title == "New title"
    assert api("PUT", "/items", {"items": [{"item_id": ""}]}).status_code == 400
    assert api("PUT", "/items", {"items": [{"item_id": "a\0"}]}).status_code == 400


def test_metrics_are_declared(api):
    body = {"key": "rate", "kind": "ratio", "event": "click", "denominator": "slate"}
    assert api("POST", "/metrics", body).status_code == 201
    assert api("POST", "/metrics", body).status_code == 409
    assert api("GET", "/metrics/rate").json()["denominator"] == "slate"
    missing = api("POST", "/metrics", {**body, "key": "other", "denominator": ""})
    assert missing.status_code == 422


def test_labels_of_a_metric_are_patched(api, shop):
    change = {"description": "Clicks per user.", "owner": "Discovery", "tags": ["engagement", "feed"]}
    patched = api("PATCH", "/metrics/clicks", change).json()
    assert {name: patched[name] for name in change} == change
    assert api("GET", "/metrics/clicks").json() == patched
    assert (patched["event"], patched["kind"]) == ("click", "mean")  # not named: as they were


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"kind": "ratio"}, 400, "unknown field"),
        ({"tags": ["a", "a"]}, 422, "tags == ['a', 'a'], must be different texts."),
        ({"tags": ["a,b"]}, 422, "tags == 'a,b', must be without commas and outer spaces."),
        ({"tags": ["x"] * 11}, 400, "at most 10 items"),
        ({"description": "x" * 2001}, 400, "at most 2000 characters"),
        ({"denominator": "order"}, 422, "denominator == 'order', must be an event, of a ratio only."),
    ],
)
def test_a_refused_patch_of_a_metric_changes_nothing(api, shop, change, status, message):
    before = api("GET", "/metrics/clicks").json()
    refused = api("PATCH", "/metrics/clicks", {"owner": "x", **change})
    assert refused.status_code == status, refused.text
    assert message in refused.text
    assert api("GET", "/metrics/clicks").json() == before


def test_models_are_listed_and_promoted(api, shop):
    builders.make_version(shop.surface, [1] * 10)
    assert [v["label"] for v in api("GET", "/surfaces/home-feed/models").json()] == [
        "popularity@2",
        "popularity@1",
    ]
    path = "/surfaces/home-feed/models/popularity/2/promote"
    assert api("POST", path, {"reason": "a test"}).json()["alias"] == "champion"
    assert api("POST", path, {}).status_code == 409
    assert ModelVersion.objects.get(surface=shop.surface, number=1).alias == "retired"


def test_training_without_likes_is_refused(api, shop):
    answer = api("POST", "/surfaces/home-feed/training-runs", {"algorithm": "popularity"})
    assert answer.status_code == 422
    assert "has no liked items to learn from" in answer.json()["error"]["message"]
    assert api("GET", "/surfaces/home-feed/training-runs").json() == []


PATHS = [
    ("GET", "/surfaces/home-feed/models"),
    ("GET", "/experiments/{key}"),
    ("POST", "/experiments/{key}/start"),
    ("POST", "/experiments/{key}/stop"),
    ("GET", "/experiments/{key}/report.json"),
    ("GET", "/experiments/{key}/decisions"),
    ("GET", "/metrics/clicks-of-another"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_what_is_anothers_is_not_found(lane, shop, method, path):
    stranger = builders.make_project()
    from bakeoff.accounts.models import ApiKey

    _, key = ApiKey.make(stranger, "sk", name="stranger")
    challenger = builders.make_version(shop.surface, [1] * 10)
    experiment = shop.define(challenger)
    answer = Api(lane, key)(method, path.format(key=experiment.key), {} if method == "POST" else None)
    assert answer.status_code == 404


def _addresses(lane):
    """Return every management operation whose address names something that is not there."""
    described = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))["paths"]
    for path, methods in lane.client.get("/v1/openapi.json").json()["paths"].items():
        for method in methods:
            if "{" in path and method not in described.get(path, ()):
                yield method, path


# What operations that need a body ask for; each gets the fields that it knows.
FIELDS = {
    "text": "why",
    "variant": "control",
    "reason": "why",
    "algorithm": "ease",
    "how": "int8",
    "state": "hidden",
    "allocation": 0.5,
    "values": {},
    "enabled": True,
    "priority": None,
    "list": "latest",
    "rules": {},
    "data_set": "k",
    "prompt": {},
    "theme": 1,
}
ROWS = [{"messages": [{"role": "user", "content": "why"}]}]


def test_every_operation_says_what_is_not_there(lane, shop, api):
    judged = 0
    for method, path in _addresses(lane):
        address = path.removeprefix("/v1")
        address = re.sub(r"{\w+_id}", "987654", address).replace("{number}", "7")
        address = re.sub(r"{\w+}", "nowhere", address)
        for body in (
            None,
            {},
            *({name: value} for name, value in FIELDS.items()),
            {"key": "k", "rows": ROWS},
            {"provider": "test", "model": "strong"},
            {"file": "", "sha256": ""},
            {"key": "k", "kind": "nps", "question": "Good?"},
        ):
            answer = api(method, address, body)
            if answer.status_code not in {400, 422}:
                break
        assert answer.status_code == 404, f"{method} {path}: {answer.text}"
        message = answer.json()["error"]["message"]
        assert re.match(r"No [a-z ]+ '(nowhere|987654)' in this project\.$", message), (
            f"{path}: {message}"
        )
        judged += 1
    assert judged >= 25


def test_a_404_names_the_nearest_there_is(api, shop):
    api("POST", "/experiments", draft(shop))
    answers = [
        api("GET", path) for path in ("/experiments/new-modle", "/experimnts", "/experiments/x/strat")
    ]
    assert [answer.status_code for answer in answers] == [404] * 3
    assert [answer.json()["error"]["message"] for answer in answers] == [
        "No experiment 'new-modle' in this project. Did you mean 'new-model'?",
        "No such path. Did you mean /v1/experiments? /v1/openapi.json lists all.",
        "No such path. Did you mean /v1/experiments/x/start? /v1/openapi.json lists all.",
    ]


def write(statement: str, *values) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


HUGE = '{"alpha": 1%s}' % ("0" * 5000)  # Python reads integers of 4,300 digits at most


@pytest.mark.parametrize("policy", [HUGE, "5"])
def test_an_experiment_that_cannot_be_read_hides_no_other(api, shop, policy):
    api("POST", "/experiments", draft(shop))
    api("POST", "/experiments", draft(shop, key="broken"))
    write("UPDATE experiments_experiment SET policy = %s WHERE key = 'broken'", policy)
    answer = api("GET", "/experiments")
    assert answer.status_code == 200
    assert [row["key"] for row in answer.json()] == ["new-model"]
    assert answer.headers["Bakeoff-Unreadable"] == "broken"
    for path in ("/experiments/broken", "/experiments/broken/report.json"):
        one = api("GET", path)
        assert (one.status_code, one.json()["error"]["code"]) == (503, "unreadable_row"), one.text
    assert "Bakeoff-Unreadable" not in api("GET", "/surfaces").headers


def test_a_group_that_makes_no_sense_hides_no_other(api):
    for key in ("a", "b"):
        assert api("PUT", "/groups", {"key": key, "values": ["u1"]}).status_code == 200
    write("UPDATE experiments_savedgroup SET values = '5' WHERE key = 'a'")
    answer = api("GET", "/groups")
    assert [row["key"] for row in answer.json()] == ["b"]
    assert answer.headers["Bakeoff-Unreadable"] == "a"


@pytest.mark.parametrize(("method", "path"), [*PATHS, ("GET", "/surfaces"), ("PUT", "/items")])
def test_a_secret_key_is_needed(lane, shop, method, path):
    for key in ("nothing", shop.public):
        answer = Api(lane, key)(method, path.format(key="x"), {})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "no_valid_key")


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({}, "A secret key is missing."),
        ({"Authorization": "Basic sk_x"}, "A secret key is missing."),
        ({"Authorization": "Bearer sk_x"}, "The secret key is not known."),
        ({"X-API-Key": "sk_x"}, "The secret key is not known."),
        ({"Authorization": "Bearer pk_x"}, "A public key may not do this: a secret key is needed."),
    ],
)
def test_a_key_that_is_refused_hears_why(lane, headers, why):
    error = lane.client.get("/v1/surfaces", headers=headers).json()["error"]
    assert error["message"] == f"{why} Send Authorization: Bearer sk_…."


def test_the_openapi_document_is_complete(lane):
    document = lane.client.get("/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description"), f"{method} {path} has no description"
            assert "401" in operation["responses"]


def test_the_documentation_page_loads_nothing_from_elsewhere(lane):
    page = lane.client.get("/docs").text
    assert "cdn" not in page.lower()


@pytest.mark.parametrize("path", ["/experiments/a%00b", "/metrics/a%00b", "/experiments?state=a%00b"])
def test_a_nul_in_the_address_is_a_refusal(api, path):
    assert api("GET", path).status_code in {400, 404}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/surfaces", {"key": "k", "static_list": ["a\0"]}),
        ("POST", "/experiments", {"hypothesis": "\0"}),
        (
            "POST",
            "/surfaces/home-feed/training-runs",
            {"algorithm": "popularity", "params": {"\0": 1}},
        ),
    ],
)
def test_a_nul_in_a_body_is_a_refusal(api, method, path, body):
    answer = api(method, path, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "nul_character")


def test_not_json_is_a_400(lane, shop):
    headers = {"Authorization": f"Bearer {shop.secret}", "Content-Type": "application/json"}
    answer = lane.client.put("/v1/items", content=b"{", headers=headers)
    assert answer.status_code == 400
    json.loads(answer.text)


def test_a_surface_for_flags_needs_no_model(lane, shop):
    headers = {"Authorization": f"Bearer {shop.secret}"}
    answer = lane.client.put("/v1/surfaces", json={"key": "page", "kind": "flag"}, headers=headers)
    assert answer.status_code == 200
    refused = lane.client.put(
        "/v1/surfaces",
        json={"key": "page", "kind": "flag", "retrain_algorithm": "ease"},
        headers=headers,
    )
    assert refused.status_code == 422
