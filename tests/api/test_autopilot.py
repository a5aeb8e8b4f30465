"""The autopilot by API: settings and their refusals, the queue, the ramp, approvals by keys of people."""

from __future__ import annotations

import pytest

from bakeoff.accounts.edit_keys import KeyDraft, make_key
from bakeoff.accounts.models import ApiKey
from bakeoff.api.application import api
from experiments.models import Metric, Proposal
from tests.support import builders

PATH = "/v1/surfaces/home-feed/autopilot"


@pytest.fixture
def call(lane, shop):
    def call(method, path="", body=None, key=None):
        headers = {"Authorization": f"Bearer {key or shop.secret}"}
        return lane.client.request(method, f"{PATH}{path}", json=body, headers=headers)

    return call


def error_of(answer):
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["field"]


def test_settings_are_shown_changed_and_warned_of(call, shop):
    Metric.objects.create(project=shop.project, key="orders", kind="mean", event="order")
    state = call("GET").json()
    assert state["now"] == {
        "state": "no_primary_metric", "sentence": "No primary metric: no automatic experiment starts.",
        "experiment": None, "since": None, "until": None, "next_step_about": None, "verdict_about": None,
    }  # fmt: skip
    assert state["settings"]["ramp"][0] == {"share": 0.01, "minimum_seconds": 3600.0}
    guardrails = [{"metric": "orders", "margin": 0.03}]
    body = {"primary_metric": "clicks", "guardrails": guardrails, "approval": "two_persons"}
    changed = call("PATCH", body=body)
    assert changed.status_code == 200, changed.text
    assert changed.json()["settings"]["primary_metric"] == "clicks"
    assert changed.json()["warnings"][-1] == (
        "Guardrail 'orders' has no events in the last 28 days: it cannot warn of anything."
    )
    state = call("GET").json()
    assert (state["now"]["state"], state["settings"]["guardrails"]) == ("idle", guardrails)
    assert call("PATCH", body={"primary_metric": None}).json()["settings"]["primary_metric"] is None


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"primary_metric": "unknown"}, 422, "primary_metric"),
        ({"guardrails": [{"metric": "unknown", "margin": 0.1}]}, 422, "guardrails"),
        ({"guardrails": [{"metric": "clicks", "margin": -1}]}, 422, "guardrails"),
        ({"guardrails": [{"metric": "clicks"}]}, 400, "guardrails.0.margin"),
        ({"ramp": [{"share": 0.2, "minimum_seconds": 0}, {"share": 0.1, "minimum_seconds": 0}]}, 422,
         "ramp"),
        ({"ramp": []}, 422, "ramp"),
        ({"holdback_share": 0.3}, 422, "holdback_share"),
        ({"breaker_alpha": 0.5}, 422, "breaker_alpha"),
        ({"approval": "nobody"}, 422, "approval"),
        ({"paused": "perhaps"}, 400, "paused"),
        ({"aproval": "propose"}, 400, "aproval"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused_by_its_field(call, body, status, field):
    before = call("GET").json()["settings"]
    answer = call("PATCH", body=body)
    assert error_of(answer) == (status, "invalid_value", field), answer.text
    assert call("GET").json()["settings"] == before


def test_the_queue_is_held_reordered_and_dropped(call, shop):
    for algorithm in ("first", "second"):
        builders.make_version(shop.surface, [1] * 10, algorithm=algorithm)
    queue = call("POST", "/queue/second@1/priority", {"priority": 5}).json()
    assert [(row["version"], row["place"]) for row in queue] == [("second@1", 1), ("first@1", 2)]
    queue = call("POST", "/queue/second@1/hold", {"reason": "not yet"}).json()
    assert [(row["version"], row["place"], row["reason"]) for row in queue] == [
        ("first@1", 1, ""), ("second@1", 0, "not yet"),
    ]  # fmt: skip
    assert call("POST", "/queue/second@1/release", {}).json()[0]["version"] == "second@1"
    assert [row["version"] for row in call("POST", "/queue/first@1/drop", {}).json()] == ["second@1"]
    again = call("POST", "/queue/first@1/hold", {})
    assert error_of(again) == (409, "wrong_state", None)
    too_high = call("POST", "/queue/second@1/priority", {"priority": 10_000})
    assert error_of(too_high) == (422, "invalid_value", "priority")
    for missing in ("nowhere", "ease@", "ease@99999999999", "@1"):
        assert call("POST", f"/queue/{missing}/hold", {}).status_code == 404


def test_a_person_conducts_the_ramp(call, shop):
    assert error_of(call("POST", "/ramp/stay", {})) == (409, "wrong_state", None)
    needed = builders.start_ramp(shop).ramp[0]["units"]
    ramp = call("GET").json()["ramp"]
    assert ramp["next_step"] == f"next step after {needed} users or 1 minute, whichever is later"
    assert [need["kind"] for need in ramp["needs"]][:2] == ["time", "users"]
    held = call("POST", "/ramp/stay", {"reason": "the campaign"}).json()
    assert held["hold"].endswith("the campaign")
    assert call("GET").json()["now"]["state"] == "held"
    assert call("POST", "/ramp/continue", {}).json()["next_share"] is None
    assert error_of(call("POST", "/ramp/continue", {})) == (409, "wrong_state", None)
    assert call("POST", "/ramp/roll-back", {"reason": "complaints"}).json()["year"]["rolled_back"] == 1


@pytest.mark.parametrize(
    ("step", "status"),
    [
        ({"after_seconds": 60, "allocation": 0.5}, 201),
        ({"after_seconds": 0, "allocation": 0.5, "units": 400, "harm": "errors_times_10"}, 201),
        ({"after_seconds": 0, "allocation": 0.5}, 422),
        ({"after_seconds": 0, "allocation": 0.5, "units": 400}, 422),
        ({"after_seconds": 0, "allocation": 0.5, "units": -1, "harm": "errors_times_10"}, 400),
    ],
)
def test_people_define_ramps_by_the_clock_or_by_evidence(lane, shop, step, status):
    body = {
        "key": "trial", "surface": "home-feed", "allocation": 0.1, "ramp": [step],
        "metrics": [{"metric": "clicks"}],
        "variants": [
            {"key": "a", "model": "popularity@1", "weight": 0.5, "is_control": True},
            {"key": "b", "model": "popularity@1", "weight": 0.5},
        ],
    }  # fmt: skip
    answer = lane.post("/v1/experiments", body, shop.secret)
    assert answer.status_code == status, answer.text
    if status == 201:
        assert answer.json()["ramp"] == [step]


def person_key(shop, name):
    return make_key(project=shop.project, draft=KeyDraft("sk", f"a key of {name}"), by=name)[1]


def test_two_keys_of_one_person_are_one_approval(call, shop):
    builders.set_programme(shop, approval="two_persons")
    proposal = builders.propose_treatment(shop.run_experiment(**builders.QUICK_POLICY))
    approve = f"/proposals/{proposal.pk}/approve"
    keys = [person_key(shop, name) for name in ("ann", "ann", "ben")]
    first = call("POST", approve, {"reason": "well done"}, keys[0])
    assert first.status_code == 200, first.text
    assert [one["by"] for one in first.json()["approvals"]] == ["ann"]
    assert error_of(call("POST", approve, {}, keys[1])) == (409, "wrong_state", None)
    done = call("POST", approve, {}, keys[2]).json()
    assert (done["state"], [one["by"] for one in done["approvals"]]) == ("approved", ["ann", "ben"])
    assert call("GET").json()["champion"]["version"] == "popularity@2"
    listed = call("GET", "/proposals").json()
    assert [(one["id"], one["state"]) for one in listed] == [(proposal.pk, "approved")]


def test_a_key_that_a_key_makes_is_its_owners(lane, shop):
    key = person_key(shop, "ann")
    headers = {"Authorization": f"Bearer {key}"}
    answer = lane.client.post("/v1/keys", json={"kind": "sk", "name": "another"}, headers=headers)
    assert answer.status_code == 201, answer.text
    assert ApiKey.objects.get(project=shop.project, name="another").owner == "ann"


def test_what_is_declined_stays_as_it_is(call, shop):
    proposal = builders.propose_treatment(shop.run_experiment(**builders.QUICK_POLICY))
    declined = call("POST", f"/proposals/{proposal.pk}/decline", {"reason": "too slow"}).json()
    assert (declined["state"], declined["outcome"].partition(": ")[2]) == ("declined", "too slow")
    assert Proposal.objects.open_now().filter(project=shop.project).count() == 0
    assert call("GET").json()["champion"] is None  # of these tests no decision tells


def test_the_document_names_every_operation():
    paths = api.get_openapi_schema()["paths"]
    assert sum("/autopilot" in path for path in paths) == 11
