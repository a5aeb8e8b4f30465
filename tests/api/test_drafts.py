"""Drafts, changed field by field over the API: what is not named stays."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bakeoff.accounts.models import AuditEntry
from bakeoff.api.experiment_schemas import ExperimentIn
from experiments.actions.define_experiment import CannotDefineError
from experiments.actions.rename_experiment import rename_experiment
from experiments.actions.start_experiment import start_experiment
from experiments.models import Experiment, Metric, SavedGroup
from tests.support import builders
from tests.support.dashboard import make_user, report_path, sign_in


@pytest.fixture
def draft(shop, lane):
    """A draft with everything that a form does not show."""
    guardrail = Metric.objects.create(
        project=shop.project, key="hides", kind="mean", event="hide", direction="decrease"
    )
    other = builders.make_version(shop.surface, list(range(1, 11)))
    body = {
        "key": "careful",
        "name": "Careful clicks",
        "surface": "home-feed",
        "hypothesis": "More clicks.",
        "variants": [
            {"key": "old", "model": "popularity@1", "weight": 0.5, "is_control": True},
            {"key": "new", "model": other.label, "weight": 0.3},
            {"key": "newer", "model": other.label, "weight": 0.2},
        ],
        "metrics": [
            {"metric": "clicks"},
            {"metric": guardrail.key, "role": "guardrail", "margin": 0.02},
        ],
        "policy": {"alpha": 0.01, "planned_units": 5000},
        "forced_units": {"me": "new"},
        "ramp": [{"after_seconds": 60, "allocation": 0.5}],
        "allocation": 0.1,
    }
    answer = lane.post("/v1/experiments", body, shop.secret)
    assert answer.status_code == 201, answer.text
    return Experiment.objects.get(project=shop.project, key="careful")


def patch(lane, key, secret, body):
    headers = {"Authorization": f"Bearer {secret}"}
    return lane.client.patch(f"/v1/experiments/{key}", json=body, headers=headers)


def everything_of(draft):
    """All that is stored of a draft, its rows' ids included."""
    row = Experiment.objects.filter(pk=draft.pk).values().get()
    return row, list(draft.variants.values()), list(draft.metrics.values())


def test_a_patch_changes_what_it_names_and_nothing_else(lane, shop, draft):
    row, variants, metrics = everything_of(draft)
    answer = patch(
        lane, "careful", shop.secret, {"hypothesis": "Fewer hides.", "policy": {"alpha": 0.02}}
    )
    assert answer.status_code == 200, answer.text
    row |= {"hypothesis": "Fewer hides.", "policy": {"alpha": 0.02, "planned_units": 5000}}
    assert everything_of(draft) == (row, variants, metrics)
    entry = AuditEntry.objects.get(project=shop.project, action="edit")
    assert entry.detail["changed"]["hypothesis"] == ["More clicks.", "Fewer hides."]
    assert set(entry.detail["changed"]) == {"hypothesis", "policy"}


def test_variants_keep_their_rows_by_key(lane, shop, draft):
    before = {v.key: v.pk for v in draft.variants.all()}
    answer = patch(
        lane, "careful", shop.secret,
        {"variants": [
            {"key": "old", "model": "popularity@1", "weight": 0.5},
            {"key": "new", "model": "popularity@2", "weight": 0.5, "is_control": True},
        ], "forced_units": {}},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    after = {v.key: v.pk for v in draft.variants.all()}
    assert after == {"old": before["old"], "new": before["new"]}
    assert draft.control.key == "new"


def test_null_in_a_policy_takes_a_field_back_to_its_default(lane, shop, draft):
    assert patch(lane, "careful", shop.secret, {"policy": {"alpha": None}}).status_code == 200
    draft.refresh_from_db()
    assert draft.policy == {"planned_units": 5000}


def test_nothing_changed_writes_nothing(lane, shop, draft):
    assert patch(lane, "careful", shop.secret, {"hypothesis": "More clicks."}).status_code == 200
    assert not AuditEntry.objects.filter(project=shop.project, action="edit").exists()


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"allocation": 2}, 400, "allocation"),
        ({"allocation": None}, 400, "allocation"),
        ({"key": ""}, 400, "key"),
        ({"surface": "nowhere"}, 404, None),
        ({"layer": "nowhere"}, 422, "layer"),
        ({"policy": {"alpha": 7}}, 422, "policy"),
        ({"metrics": [{"metric": "nothing"}]}, 422, "metrics"),
        (
            {"metrics": [{"metric": "clicks"}, {"metric": "clicks", "role": "secondary"}]},
            422,
            "metrics",
        ),
        ({"metrics": [{"metric": "clicks", "role": "secondary"}]}, 422, "metrics"),
        (
            {
                "variants": [{"key": "a", "model": "popularity@1", "weight": 0.5, "is_control": True}]
                * 2
            },
            422,
            "variants",
        ),
        ({"forced_units": {"me": "nobody"}}, 422, "forced_units"),
        ({"condition": {"country": "x" * 300_000}}, 422, "condition"),
        ({"ramp": [{"after_seconds": 60, "allocation": 0.05}]}, 422, "ramp"),
        ({"condition": {"age": {"$gt": 10**20}}}, 422, "condition"),
    ],
)
def test_a_refused_patch_changes_nothing(lane, shop, draft, body, status, field):
    before = everything_of(draft)
    answer = patch(lane, "careful", shop.secret, {"hypothesis": "changed", **body})
    assert answer.status_code == status, answer.text
    assert field is None or field in answer.json()["error"]["field"]
    assert everything_of(draft) == before
    assert not AuditEntry.objects.filter(project=shop.project, action="edit").exists()


def test_a_flags_number_is_one_that_64_bits_hold(lane, shop):
    """PostgreSQL gives 1e20 back as a whole number, which no JSON writer takes."""
    shop.project.surfaces.create(key="button", kind="flag")
    body = {"key": "limits", "surface": "button", "metrics": [{"metric": "clicks"}]}
    large = {"most": 2**64 - 1, "least": -(2**63), "share": 1.5}

    def define(value):
        variants = [
            {"key": "old", "value": large, "weight": 0.5, "is_control": True},
            {"key": "new", "value": value, "weight": 0.5},
        ]
        return lane.post("/v1/experiments", body | {"variants": variants}, shop.secret)

    for value in (2**64, -(2**63) - 2048, 1e300, {"deep": [10**20 + 1]}):
        answer = define(value)
        assert answer.status_code == 422, answer.text
        error = answer.json()["error"]
        assert error["field"] == "variants"
        assert "must be from -9223372036854775808 to 18446744073709551615" in error["message"]
    answer = define(2**63)
    assert answer.status_code == 201, answer.text
    assert [one["value"] for one in answer.json()["variants"]] == [large, 2**63]


def test_a_key_that_is_taken_is_refused(lane, shop, draft):
    shop.define(builders.make_version(shop.surface, list(range(1, 11))))
    taken = Experiment.objects.filter(project=shop.project).exclude(pk=draft.pk).get().key
    answer = patch(lane, "careful", shop.secret, {"key": taken})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "key")


def test_what_was_started_neither_changes_nor_goes_away(lane, shop, draft):
    patch(lane, "careful", shop.secret, {"ramp": []})
    start_experiment(experiment=draft, by="a test")
    headers = {"Authorization": f"Bearer {shop.secret}"}
    assert patch(lane, "careful", shop.secret, {"hypothesis": "late"}).status_code == 409
    assert lane.client.delete("/v1/experiments/careful", headers=headers).status_code == 409
    assert Experiment.objects.filter(pk=draft.pk, hypothesis="More clicks.").exists()


def test_a_draft_is_discarded_with_a_copy_in_the_trail(lane, shop, draft):
    headers = {"Authorization": f"Bearer {shop.secret}"}
    assert lane.client.delete("/v1/experiments/careful", headers=headers).status_code == 204
    assert not Experiment.objects.filter(pk=draft.pk).exists()
    entry = AuditEntry.objects.get(project=shop.project, action="discard")
    assert entry.detail["draft"]["forced_units"] == {"me": "new"}


def test_a_draft_that_is_deleted_under_a_change_is_gone(lane, shop, draft):
    """The change found it, and waits for its lock while somebody deletes it."""
    answers = []
    change = threading.Thread(
        target=lambda: answers.append(patch(lane, "careful", shop.secret, {"hypothesis": "Late."}))
    )
    with transaction.atomic():
        draft.delete()
        change.start()
        deadline = time.monotonic() + 60
        while not _waits_for_a_lock():
            assert time.monotonic() < deadline
            time.sleep(0.02)
    change.join(60)
    assert (answers[0].status_code, answers[0].json()["error"]["code"]) == (404, "not_found")


def _waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone()[0] > 0


def test_another_tenants_draft_does_not_exist(lane, shop, draft):
    stranger = builders.make_shop()
    lane.refresh()
    headers = {"Authorization": f"Bearer {stranger.secret}"}
    assert patch(lane, "careful", stranger.secret, {"hypothesis": "mine"}).status_code == 404
    assert lane.client.delete("/v1/experiments/careful", headers=headers).status_code == 404


def test_a_group_of_a_megabyte_is_refused(lane, shop):
    headers = {"Authorization": f"Bearer {shop.secret}"}
    body = {"key": "all", "values": [f"{n}" + "x" * 900 for n in range(1500)]}
    answer = lane.client.put("/v1/groups", json=body, headers=headers)
    assert answer.status_code in {400, 413, 422}, answer.text
    assert not SavedGroup.objects.filter(project=shop.project).exists()


def test_a_name_changes_in_any_state_and_is_part_of_no_rule(lane, shop, draft):
    patch(lane, "careful", shop.secret, {"ramp": []})
    running = start_experiment(experiment=draft, by="a test")
    row, variants, metrics = everything_of(draft)
    assert "Careful clicks" not in str(running.rule())
    for name in ("Careful clicks, spring", "Careful clicks, spring", ""):
        answer = patch(lane, "careful", shop.secret, {"name": name})
        assert (answer.status_code, answer.json()["name"]) == (200, name)
        assert everything_of(draft) == (row | {"name": name}, variants, metrics)
    entries = AuditEntry.objects.filter(project=shop.project, action="rename").order_by("pk")
    assert [entry.detail["changed"]["name"] for entry in entries] == [
        ["Careful clicks", "Careful clicks, spring"],
        ["Careful clicks, spring", ""],
    ]
    assert patch(lane, "careful", shop.secret, {"name": "x", "sticky": True}).status_code == 409


def test_an_owner_is_a_member_in_any_state_and_the_platform_stays_one(lane, shop, draft):
    person = make_user(shop.project).username
    start_experiment(experiment=draft, by="a test")
    answer = patch(lane, "careful", shop.secret, {"owner": person, "name": "Spring"})
    assert (answer.status_code, answer.json()["owner"]) == (200, person)
    (entry,) = AuditEntry.objects.filter(project=shop.project, action="rename")
    assert entry.detail["changed"]["owner"][1] == person
    for body, status in (
        ({"owner": "nobody-here"}, 422),
        ({"owner": "platform"}, 422),
        ({"owner": ""}, 400),
        ({"owner": person, "sticky": True}, 422),
    ):
        refused = patch(lane, "careful", shop.secret, body)
        assert (refused.status_code, refused.json()["error"]["field"]) == (status, "owner")
    headers = {"Authorization": f"Bearer {shop.secret}"}
    for owner, keys in ((person, ["careful"]), ("nobody-here", [])):
        listed = lane.client.get("/v1/experiments", params={"owner": owner}, headers=headers)
        assert [one["key"] for one in listed.json()] == keys
    Experiment.objects.filter(pk=draft.pk).update(owner="platform")
    refused = patch(lane, "careful", shop.secret, {"owner": person})
    assert "must stay 'platform'" in refused.json()["error"]["message"]
    client = sign_in(shop.project, role="analyst")
    page = client.post(report_path(draft, "act/rename/"), {"name": "Autumn", "owner": person})
    assert "The platform conducts this one, and stays its owner." in page.content.decode()
    shown = client.get(report_path(draft, "act/rename/")).content.decode()
    assert 'value="Spring"' in shown  # the refused name was not stored
    surface = client.get(f"/p/{shop.project.slug}/surfaces/{draft.surface.key}/").content.decode()
    assert ">Spring</a>" in surface


def test_a_name_goes_with_a_draft_and_has_a_longest(lane, shop, draft):
    assert draft.name == draft.title == "Careful clicks"
    answer = patch(lane, "careful", shop.secret, {"name": "", "hypothesis": "Fewer hides."})
    assert (answer.status_code, answer.json()["name"]) == (200, "")
    draft.refresh_from_db()
    assert draft.title == "careful"
    answer = patch(lane, "careful", shop.secret, {"name": "x" * 201})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "name")
    with pytest.raises(CannotDefineError, match=r"name == 201 characters, must be at most 200\."):
        rename_experiment(experiment=draft, name="x" * 201, by="a test")


def test_a_draft_has_a_breaker_which_an_editor_sets(lane, shop, draft):
    """Drafts of before the upgrade have none."""
    assert draft.breaker_alpha == 0.001
    Experiment.objects.filter(pk=draft.pk).update(breaker_alpha=0)
    shown = lane.client.get(
        "/v1/experiments/careful", headers={"Authorization": f"Bearer {shop.secret}"}
    )
    assert shown.json()["breaker_alpha"] == 0
    answer = patch(lane, "careful", shop.secret, {"breaker_alpha": 0.05})
    assert (answer.status_code, answer.json()["breaker_alpha"]) == (200, 0.05)
    entry = AuditEntry.objects.get(project=shop.project, action="edit")
    assert entry.detail["changed"] == {"breaker_alpha": [0.0, 0.05]}
    for wrong in (-0.001, 0.051, "much"):
        refused = patch(lane, "careful", shop.secret, {"breaker_alpha": wrong})
        assert (refused.status_code, refused.json()["error"]["field"]) == (400, "breaker_alpha")


def test_what_an_answer_states_defines_the_same_experiment(lane, shop, draft):
    """Variants and metrics with it; a list has them too, in a fixed number of queries."""
    headers = {"Authorization": f"Bearer {shop.secret}"}
    shown = lane.client.get("/v1/experiments/careful", headers=headers).json()
    assert [(v["key"], v["model"], v["weight"], v["is_control"]) for v in shown["variants"]] == [
        ("old", "popularity@1", 0.5, True),
        ("new", "popularity@2", 0.3, False),
        ("newer", "popularity@2", 0.2, False),
    ]
    assert shown["metrics"][1] == {
        "metric": "hides", "role": "guardrail", "margin": 0.02, "margin_floor": 0.0
    }  # fmt: skip
    assert not ExperimentIn.model_fields.keys() - shown.keys()
    definition = {name: shown[name] for name in ExperimentIn.model_fields}
    browser, counts = Client(), []
    for key in ("careful-2", "careful-3"):
        answer = lane.post("/v1/experiments", definition | {"key": key}, shop.secret)
        assert answer.status_code == 201, answer.text
        with CaptureQueriesContext(connection) as queries:
            rows = browser.get("/v1/experiments", headers=headers).json()
        assert rows[0] == shown | {"key": key}
        assert len(rows) == len(counts) + 2
        counts.append(len(queries))
    assert counts[0] == counts[1]
