"""Rules are saved with versions, tested as variants, and shipped by a verdict."""

from __future__ import annotations

import json

import pytest
from django.db import DatabaseError, connection

from experiments.actions import rule_values
from experiments.actions.carry_out import Verdict, carry_out
from experiments.actions.change_surface import CannotChangeSurfaceError, patch_surface
from experiments.actions.load_catalogue import write_items
from experiments.actions.mark_units import mark_all_units, surfaces_to_mark
from experiments.actions.refresh_surface import refresh_surface
from experiments.actions.start_experiment import start_experiment
from experiments.models import Decision, Experiment, RuleVersion
from inference.actions.load_items import ItemDraft
from inference.cache import cache_client
from inference.models import Item, ModelVersion
from inference.serving.keys import dirty_key, other_actions_key
from tests.support import builders

PINNED = {"pin": [{"item_id": "i7", "position": 1}]}
BURIED = {"caps": {"labels": 1}}


@pytest.fixture
def call(lane, shop):
    def call(method, path, body=None):
        headers = {"Authorization": f"Bearer {shop.secret}"}
        return lane.client.request(method, f"/v1{path}", json=body, headers=headers)

    return call


@pytest.fixture
def first_items(lane, shop):
    """The first item of so many new units, by variant."""

    def first_items(count=40):
        seen: dict[str | None, set[str]] = {}
        for n in range(count):
            body = {"surface": "home-feed", "unit_id": f"u{n}", "k": 2}
            answer = lane.post("/v1/recommend", body, shop.public).json()
            seen.setdefault(answer["variant"], set()).add(answer["items"][0]["item_id"])
        return seen

    return first_items


def versions(call) -> list[tuple[int, dict, bool]]:
    rows = call("GET", "/surfaces/home-feed/rules").json()
    return [(one["number"], one["rules"], one["is_served"]) for one in rows]


def define(call, **treatment):
    body = {
        "key": "rules",
        "surface": "home-feed",
        "metrics": [{"metric": "clicks"}],
        "variants": [
            {"key": "control", "model": "popularity@1", "weight": 0.5, "is_control": True},
            {"key": "treatment", "model": "popularity@1", "weight": 0.5, **treatment},
        ],
    }
    return call("POST", "/experiments", body)


def test_every_state_that_was_served_or_saved_is_a_version(call):
    saved = call("POST", "/surfaces/home-feed/rules", {"rules": PINNED, "name": "autumn"})
    assert (saved.status_code, saved.json()["number"], saved.json()["is_served"]) == (201, 1, False)
    again = call("POST", "/surfaces/home-feed/rules", {"rules": PINNED, "name": "autumn"})
    assert again.json()["number"] == 1
    call("PATCH", "/surfaces/home-feed", {"rules": BURIED})
    assert versions(call) == [(3, BURIED, True), (2, {}, False), (1, PINNED, False)]
    assert call("POST", "/surfaces/home-feed/rules/1/serve").json()["is_served"] is True
    assert versions(call)[-1] == (1, PINNED, True)
    assert call("GET", "/surfaces/home-feed").json()["rules"] == PINNED


UNKNOWN = [
    ({"caps": {"brnad": 2}}, "caps: no item has a property 'brnad'. Did you mean 'brand'?"),
    ({"diversity": {"by": "brnad", "strength": 0.5}}, "diversity: no item has a property 'brnad'."),
    ({"filter": {"$or": [{"labels": "x"}, {"$not": {"brnad": "b"}}]}}, "filter: no item has"),
    ({"bury": {"brnad.name": "b"}}, "bury: no item has a property 'brnad'."),
    ({"boost": [{"filter": {"brnad": "b"}, "by": 2}]}, "boost: no item has a property 'brnad'."),
]


@pytest.mark.parametrize(("rules", "sentence"), UNKNOWN)
def test_rules_about_what_no_item_has_are_not_saved(call, shop, rules, sentence):
    corrected = json.loads(json.dumps(rules).replace("brnad", "brand"))
    write_items(project_id=shop.project.pk, items=[ItemDraft("i1", properties={"brand": "b"})])
    for method, path, body in (
        ("POST", "/surfaces/home-feed/rules", {"rules": rules}),
        ("PATCH", "/surfaces/home-feed", {"rules": rules}),
        ("PUT", "/surfaces", {"key": "another", "kind": "recommend", "rules": rules}),
    ):
        refused = call(method, path, body)
        error = refused.json()["error"]
        assert (refused.status_code, error["code"], error["field"]) == (422, "invalid_rule", "rules")
        assert sentence in error["message"]
    assert not RuleVersion.objects.filter(surface=shop.surface).exists()
    assert call("POST", "/surfaces/home-feed/rules", {"rules": corrected}).status_code == 201
    # Saved rules outlive their items, and other fields can be changed beside them.
    call("PATCH", "/surfaces/home-feed", {"rules": corrected})
    write_items(project_id=shop.project.pk, items=[ItemDraft("i1")])
    assert call("PATCH", "/surfaces/home-feed", {"exploration": 0.2}).status_code == 200
    call("PATCH", "/surfaces/home-feed", {"rules": {}})
    assert call("POST", "/surfaces/home-feed/rules/1/serve").status_code == 200


MISTYPED = [
    (
        {"filter": {"price": {"lt": 3}}},
        "filter.price",
        "a number, as the items have. Did you mean '$lt'?",
    ),
    ({"filter": {"price": {"$lte": "cheap"}}}, "filter.price == 'cheap'", "must be a number"),
    ({"filter": {"brand": {"$gt": 3}}}, "filter.brand == 3", "must be a text, as the items have"),
    ({"filter": {"organic": "true"}}, "filter.organic == 'true'", "must be true or false"),
    ({"bury": {"$or": [{"size.w": "4"}, {"price": 3}]}}, "bury.size.w == '4'", "must be a number"),
    ({"bury": {"mixed": {"in": [1]}}}, "bury.mixed", "operators such as $lte. Did you mean '$in'?"),
    ({"filter": {"labels": ["a", "b"]}}, "filter.labels", 'must be {"$in": […]} for any of them'),
    ({"filter": {"tags": ["a", "b"]}}, "filter.tags", 'must be {"$in": […]} for any of them'),
    (
        {"boost": [{"filter": {"brand": "b"}, "by": 2}, {"filter": {"organic": 1}, "by": 2}]},
        "boost.1.filter.organic == 1",
        "must be true or false",
    ),
]
PROPERTIES = {"brand": "b", "organic": True, "size": {"w": 4}, "mixed": 1, "tags": ["a"]}


@pytest.mark.parametrize(("rules", "value", "sentence"), MISTYPED)
def test_rules_that_no_value_could_pass_are_not_saved(call, shop, rules, value, sentence):
    items = [
        ItemDraft("i1", properties=PROPERTIES, price=2),
        ItemDraft("i2", properties={"mixed": "x"}),
    ]
    write_items(project_id=shop.project.pk, items=items)
    for method, path, body in (
        ("POST", "/surfaces/home-feed/rules", {"rules": rules}),
        ("PATCH", "/surfaces/home-feed", {"rules": rules}),
        ("PUT", "/surfaces", {"key": "another", "kind": "recommend", "rules": rules}),
    ):
        error = call(method, path, body).json()["error"]
        assert (error["code"], error["field"]) == ("invalid_rule", "rules")
        assert value in error["message"]
        assert sentence in error["message"]
    assert not RuleVersion.objects.filter(surface=shop.surface).exists()


def test_rules_of_the_right_kinds_are_saved(call, shop):
    items = [
        ItemDraft("i1", properties=PROPERTIES, price=2),
        ItemDraft("i2", properties={"mixed": "x"}),
    ]
    write_items(project_id=shop.project.pk, items=items)
    for number, condition in enumerate(
        (
            {"price": {"$lt": 3, "$ne": 2}, "organic": True, "size.w": {"$in": [4, 5]}, "labels": "a"},
            {"price": {"$lte": {"$context": "budget"}}, "brand": {"$in": {"$context": "brands"}}},
            {"tags": {"$all": ["a"]}, "labels": {"$eq": ["a", "b"]}, "mixed": {"$in": [1, "x"]}},
            {"size": {"w": 4}, "brand": None, "title": {"$regex": "^A"}, "labels": {"$size": 2}},
        ),
        1,
    ):
        saved = call("POST", "/surfaces/home-feed/rules", {"rules": {"filter": condition}})
        assert (saved.status_code, saved.json().get("number")) == (201, number), saved.text


def test_rules_may_come_before_the_first_item(call, shop):
    Item.objects.filter(project=shop.project).delete()
    saved = call("POST", "/surfaces/home-feed/rules", {"rules": {"caps": {"brand": 2}}})
    assert saved.status_code == 201
    assert call("PATCH", "/surfaces/home-feed", {"rules": {"filter": {"new": 3}}}).status_code == 200
    objects = {"filter": {"size": {"w": 4}}}  # of what the items will have
    assert call("PATCH", "/surfaces/home-feed", {"rules": objects}).status_code == 200
    for rules in ({"filter": {"price": "cheap"}}, {"filter": {"title": {"w": 4}}}):
        assert call("PATCH", "/surfaces/home-feed", {"rules": rules}).status_code == 422


def test_items_are_looked_at_before_the_surface_is_locked_and_not_for_long(call, shop, monkeypatch):
    write_items(project_id=shop.project.pk, items=[ItemDraft("i1", properties=PROPERTIES)])
    wrong = {"rules": {"filter": {"brand": 3}}}
    refused = pytest.raises(CannotChangeSurfaceError, match="must be a text")
    with refused, connection.execute_wrapper(sent := Statements()):
        patch_surface(surface=shop.surface, changes=wrong, by="a test")
    assert any("jsonb_typeof" in one for one in sent.seen)
    assert not any("FOR NO KEY UPDATE" in one for one in sent.seen)
    slow = rule_values._KINDS.replace("SELECT DISTINCT", "SELECT DISTINCT pg_sleep(5)::text ||", 1)
    monkeypatch.setattr(rule_values, "_KINDS", slow)
    monkeypatch.setattr(rule_values, "MAX_MILLISECONDS", 50)
    assert call("PATCH", "/surfaces/home-feed", wrong).status_code == 200  # not checked


class Statements:
    """What is sent to the database."""

    def __init__(self):
        self.seen = []

    def __call__(self, execute, sql, params, many, context):
        self.seen.append(sql)
        return execute(sql, params, many, context)


def test_what_cannot_be_followed_is_not_saved(call, shop):
    refused = call("POST", "/surfaces/home-feed/rules", {"rules": {"capz": {}}})
    assert refused.status_code == 422
    assert "Did you mean 'caps'?" in refused.json()["error"]["message"]
    assert call("POST", "/surfaces/home-feed/rules/4/serve").status_code == 404
    assert define(call, rules=4).json()["error"]["code"] == "unknown_rules"
    other = builders.make_shop()
    RuleVersion.objects.create(surface=other.surface, number=4, rules=PINNED)
    assert define(call, rules=4).json()["error"]["code"] == "unknown_rules"
    assert not RuleVersion.objects.filter(surface=shop.surface).exists()


def test_a_variant_serves_its_rules_and_what_wins_becomes_the_surfaces(call, shop, lane, first_items):
    number = call("POST", "/surfaces/home-feed/rules", {"rules": PINNED}).json()["number"]
    assert define(call, rules=number).status_code == 201
    experiment = Experiment.objects.get(project=shop.project, key="rules")
    start_experiment(experiment=experiment, by="a test")
    lane.refresh()
    assert first_items() == {"control": {"i0"}, "treatment": {"i7"}}
    verdict = Verdict(action=Decision.Action.SHIP, reason="better", variant="treatment")
    decision = carry_out(experiment=experiment, verdict=verdict, by="a test")
    assert decision.evidence["rules"] == number
    lane.refresh()
    assert first_items() == {None: {"i7"}}
    shop.champion.refresh_from_db()
    assert shop.champion.alias == ModelVersion.Alias.CHAMPION
    assert call("GET", "/surfaces/home-feed").json()["rules"] == PINNED


def test_losing_rules_leave_the_surface_and_its_champion_as_they_were(call, shop, lane, first_items):
    number = call("POST", "/surfaces/home-feed/rules", {"rules": PINNED}).json()["number"]
    define(call, rules=number)
    experiment = Experiment.objects.get(project=shop.project, key="rules")
    start_experiment(experiment=experiment, by="a test")
    verdict = Verdict(action=Decision.Action.ROLL_BACK, reason="worse", variant="treatment")
    carry_out(experiment=experiment, verdict=verdict, by="a test")
    lane.refresh()
    assert first_items(5) == {None: {"i0"}}
    shop.champion.refresh_from_db()
    assert shop.champion.alias == ModelVersion.Alias.CHAMPION


def test_malformed_rules_of_a_variant_hold_up_nothing(call, shop, lane, first_items):
    number = call("POST", "/surfaces/home-feed/rules", {"rules": PINNED}).json()["number"]
    define(call, rules=number)
    start_experiment(experiment=Experiment.objects.get(project=shop.project, key="rules"), by="a test")
    RuleVersion.objects.filter(surface=shop.surface).update(rules={"pin": 3})
    lane.refresh()
    assert set(first_items()) == {"control", "treatment"}
    issues = [one.subject for one in lane.gateway._config.current.issues]
    assert "variant treatment of rules" in issues


def test_a_version_that_a_variant_serves_stays(call, shop):
    number = call("POST", "/surfaces/home-feed/rules", {"rules": PINNED}).json()["number"]
    define(call, rules=number)
    with pytest.raises(DatabaseError):
        RuleVersion.objects.filter(surface=shop.surface, number=number).delete()


def test_what_a_variants_rule_is_about_is_remembered_while_it_runs(lane, shop, call):
    mark_all_units(surface=shop.surface)
    saved = call("POST", "/surfaces/home-feed/rules", {"rules": {"repeat": {"view": "never"}}})
    assert define(call, rules=saved.json()["number"]).status_code == 201
    assert call("POST", "/experiments/rules/start").status_code == 200
    lane.refresh()
    mark_all_units(surface=shop.surface)
    assert shop.surface not in surfaces_to_mark()
    hidden: dict[str, set[bool]] = {}
    for n in range(20):
        unit = {"unit_id": f"u{n}"}
        view = {"name": "view", "item_id": "i0", **unit}
        assert lane.post("/v1/events", view, shop.public).status_code == 202
        if n % 2:  # read again from what is stored
            cache_client().delete(other_actions_key(shop.project.pk, unit["unit_id"]))
            cache_client().sadd(dirty_key(shop.surface.pk), unit["unit_id"])
            refresh_surface(surface=shop.surface)
        answer = lane.post("/v1/recommend", {"surface": "home-feed", **unit}, shop.public).json()
        shown = {item["item_id"] for item in answer["items"]}
        hidden.setdefault(answer["variant"], set()).add("i0" not in shown)
    assert hidden == {"control": {False}, "treatment": {True}}
