"""Rules of a request and of its surface: filter, boost, bury, caps, pins, diversity, repetition."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bakeoff.accounts.models import ApiKey
from bakeoff.gateway.slates import recommend
from experiments.actions.change_surface import patch_surface
from experiments.actions.load_catalogue import remove_items, write_items
from experiments.models import Slate
from inference.actions.load_items import ItemDraft
from inference.models import Surface
from inference.serving.rule_draw import propensity_of
from tests.support import builders


def ask(lane, shop, **body):
    return lane.post("/v1/recommend", {"surface": "home-feed", "unit_id": "u1", **body}, shop.public)


def catalogue_of_shoes(shop, lane):
    brands = ["Acme", "Zeta"]
    write_items(
        project_id=shop.project.pk,
        items=[
            ItemDraft(
                f"i{n}",
                labels=["shoes" if n < 6 else "bags", "sale" if n % 3 == 0 else "new"],
                price=10.0 * n,
                properties={"brand": brands[n % 2], "organic": n > 4},
            )
            for n in range(10)
        ],
    )
    lane.refresh()


def names(answer):
    assert answer.status_code == 200, answer.text
    return [item["item_id"] for item in answer.json()["items"]]


def test_a_request_rules_its_slate(lane, shop):
    catalogue_of_shoes(shop, lane)
    bags = {"labels": "bags"}
    assert names(ask(lane, shop, filter=bags)) == ["i6", "i7", "i8", "i9"]
    budget = {"price": {"$lte": {"$context": "budget"}}}
    assert names(ask(lane, shop, filter=budget, context={"budget": 20})) == ["i0", "i1", "i2"]
    assert len(names(ask(lane, shop, filter=budget))) == 10
    brand = {"brand": {"$context": "brand"}}
    assert names(ask(lane, shop, k=2, filter=brand, context={"brand": "Zeta"})) == ["i1", "i3"]
    assert names(ask(lane, shop, k=3, boost=[{"filter": bags, "by": 100}])) == ["i6", "i7", "i8"]
    assert names(ask(lane, shop, k=2, bury={"labels": "shoes"})) == ["i6", "i7"]
    assert names(ask(lane, shop, k=4, caps={"brand": 1})) == ["i0", "i1"]
    assert names(ask(lane, shop, k=3, pin=[{"item_id": "i9", "position": 2}])) == ["i0", "i9", "i1"]
    diverse = names(ask(lane, shop, k=3, diversity={"by": "labels", "strength": 0.9}))
    assert diverse[0] == "i0"
    assert "i7" in diverse  # new bags, where the first are shoes on sale
    pinned = ask(lane, shop, k=3, pin=[{"item_id": "i9", "position": 1}], caps={"brand": 1})
    assert names(pinned) == ["i9", "i0"]


def test_a_short_list_says_why(lane, shop):
    catalogue_of_shoes(shop, lane)
    for caps, filters, k, why in (
        ({"brand": 1}, None, 4, "caps"),
        ({"brand": 3}, {"labels": "bags"}, 10, "candidates"),
        (None, {"labels": "bags"}, 10, "candidates"),
        (None, {"labels": "bags"}, 4, None),
        ({"brand": 2}, None, 4, None),
    ):
        rules = {"caps": caps or {}, **({"filter": filters} if filters else {})}
        answer = ask(lane, shop, k=k, **rules).json()
        assert (answer.get("short_because"), len(answer["items"]) < k) == (why, why is not None)


def test_items_are_chosen_and_aged_by_when_they_were_published(lane, shop):
    now = builders.now()
    write_items(
        project_id=shop.project.pk,
        items=[
            # i0 is the best and the oldest; i9 says nothing, and came now.
            ItemDraft(f"i{n}", published_at=None if n == 9 else now - timedelta(days=10 - n))
            for n in range(10)
        ],
    )
    lane.refresh()
    since = (now - timedelta(days=3, hours=1)).isoformat()
    assert names(ask(lane, shop, filter={"published_at": {"$gt": since}})) == ["i7", "i8"]
    between = {"published_at": {"$gte": {"$context": "from"}, "$lt": since}}
    context = {"from": (now - timedelta(days=5, hours=1)).isoformat()}
    assert names(ask(lane, shop, filter=between, context=context)) == ["i5", "i6"]
    assert names(ask(lane, shop, filter={"published_at": {"$exists": False}})) == ["i9"]
    refused = ask(lane, shop, filter=between, context={"from": "soon"})
    assert refused.json()["error"]["field"] == "context"
    # Of rank 10 and new, 9 and half, 1 and a twentieth: all were loaded at once.
    for half_life in ({"half_life_days": 2}, {"half_life_hours": 48}):
        assert names(ask(lane, shop, k=3, freshness=half_life)) == ["i9", "i8", "i0"]


def test_a_number_is_compared_with_a_property_of_the_name_of_a_time(lane, shop):
    since = {"published_at": {"$gte": {"$context": "since"}}}
    number = {"$or": [{"published_at": {"$gte": 20261104}}, {"item_id": "i0"}]}
    # As an earlier release took it: of items that have no such property any more, too.
    Surface.objects.filter(pk=shop.surface.pk).update(rules={"filter": number})
    lane.refresh()
    assert names(ask(lane, shop)) == ["i0"]
    # A property that a saved rule names stays known.
    patch_surface(surface=shop.surface, changes={"exploration": 0.0}, by="a test")
    assert names(ask(lane, shop, filter=since, context={"since": 20261104})) == []
    write_items(
        project_id=shop.project.pk,
        items=[ItemDraft(f"i{n}", properties={"published_at": 20261100 + n}) for n in range(6)],
    )
    lane.refresh()
    assert names(ask(lane, shop)) == ["i0", "i4", "i5"]
    assert names(ask(lane, shop, filter={"published_at": {"$in": [20261105, 1]}})) == ["i5"]
    assert names(ask(lane, shop, filter=since, context={"since": 20261105})) == ["i5"]
    patch_surface(surface=shop.surface, changes={"rules": {"filter": since}}, by="a test")
    lane.refresh()
    assert names(ask(lane, shop, context={"since": 20261103})) == ["i3", "i4", "i5"]
    assert names(ask(lane, shop, context={"since": "2026-11-01"})) == []  # a time, and no item has one
    soon = ask(lane, shop, context={"since": "soon"}).json()["error"]
    assert (soon["code"], soon["field"]) == ("invalid_value", "context")


def test_a_number_for_a_stored_time_is_refused_where_no_item_has_such_a_property(lane, shop):
    since = {"published_at": {"$gte": {"$context": "since"}}}
    patch_surface(surface=shop.surface, changes={"rules": {"filter": since}}, by="a test")
    lane.refresh()
    error = ask(lane, shop, context={"since": 20261103}).json()["error"]
    assert (error["code"], error["field"]) == ("invalid_value", "context")


def test_a_property_that_no_item_has_any_more_is_missing_and_no_mistake(lane, shop):
    catalogue_of_shoes(shop, lane)
    assert len(names(ask(lane, shop, filter={"brand": "Acme"}))) == 5
    items = [ItemDraft(f"i{n}", properties={"maker": "Acme"}) for n in range(9)]
    write_items(project_id=shop.project.pk, items=items)
    lane.refresh()
    assert names(ask(lane, shop, filter={"brand": "Zeta"})) == ["i9"]
    remove_items(project_id=shop.project.pk, item_ids=["i9"])
    lane.refresh()
    # As with what is sold out, when the last such item is back.
    assert names(ask(lane, shop, filter={"brand": "Zeta"})) == []
    assert len(names(ask(lane, shop, filter={"brand": {"$ne": "Zeta"}}))) == 9
    error = ask(lane, shop, filter={"brnad": "Zeta"}).json()["error"]
    assert error["message"].startswith("filter: no item has a property 'brnad'.")
    assert "brand" not in error["message"].partition("'brnad'")[2]
    assert len(names(ask(lane, shop, filter={"maker": "Acme"}))) == 9


def named_with_newcomers(lane, shop, **rules):
    """Ask for two items that the version knows and six of one brand that nobody has learnt."""
    return ask(lane, shop, candidates=["i0", "i1", *(f"n{n}" for n in range(6))], k=5, **rules).json()


@pytest.mark.parametrize("alias", ["champion", "retired"])
def test_what_nothing_ranks_keeps_the_rules_too(lane, shop, alias):
    catalogue_of_shoes(shop, lane)
    shop.surface.versions.champions().update(alias=alias)
    newcomers = [
        ItemDraft(
            f"n{n}",
            labels=["shoes" if n < 3 else "bags"],
            available=n != 5,
            properties={"brand": "Acme" if n < 5 else "Zeta", "old": n == 0},
        )
        for n in range(6)
    ]
    write_items(project_id=shop.project.pk, items=newcomers)
    lane.refresh()

    def listed(**rules):
        answer = named_with_newcomers(lane, shop, **rules)
        return [item["item_id"] for item in answer["items"]], answer.get("short_because")

    known = ["i0", "i1"]
    # i0 and all newcomers are of one brand.
    assert listed(caps={"brand": 1}) == (known, "caps")
    assert listed(caps={"brand": 3}) == ([*known, "n0", "n1"], "caps")
    assert listed(caps={"labels": 2, "brand": 4}) == ([*known, "n3", "n4"], "caps")
    assert listed(bury={"brand": "Acme", "old": True}) == ([*known, "n1", "n2", "n3"], None)
    assert listed(bury={"price": {"$gte": 10}})[0][:4] == ["i0", "n0", "n1", "n2"]
    assert listed(pin=[{"item_id": "n4", "position": 4}]) == ([*known, "n0", "n4", "n1"], None)
    one = listed(diversity={"by": "labels", "strength": 1})[0]
    assert one.index("n3") < one.index("n1")
    lane.post("/v1/events", {"name": "hide", "unit_id": "u1", "item_id": "n0"}, shop.public)
    assert listed() == ([*known, "n1", "n2", "n3"], None)
    assert listed(caps={"brand": 9}) == listed()


def test_a_pin_of_an_item_that_may_not_be_shown_is_passed_over(lane, shop):
    catalogue_of_shoes(shop, lane)
    rules = {"pin": [{"item_id": "i9", "position": 1}]}
    patch_surface(surface=shop.surface, changes={"rules": rules}, by="a test")
    lane.refresh()
    assert names(ask(lane, shop, k=2)) == ["i9", "i0"]
    write_items(project_id=shop.project.pk, items=[ItemDraft("i9", available=False)])
    lane.refresh()
    assert names(ask(lane, shop, k=2)) == ["i0", "i1"]


def test_a_pin_of_an_item_that_nobody_knows_is_passed_over(lane, shop):
    catalogue_of_shoes(shop, lane)
    pins = [{"item_id": "nowhere", "position": 1}, {"item_id": "i5", "position": 2}]
    assert names(ask(lane, shop, k=3, pin=pins)) == ["i0", "i5", "i1"]
    patch_surface(surface=shop.surface, changes={"rules": {"pin": pins}}, by="a test")
    lane.refresh()
    assert names(ask(lane, shop, k=3)) == ["i0", "i5", "i1"]
    # Who names a candidate knows it; a pin stands beside the candidates that are named.
    named = ask(lane, shop, candidates=["i3", "nowhere", "elsewhere"])
    assert names(named) == ["nowhere", "i5", "i3", "elsewhere"]


def test_rules_may_name_items(lane, shop):
    catalogue_of_shoes(shop, lane)
    assert names(ask(lane, shop, filter={"item_id": {"$in": ["i4", "i2", "nowhere"]}})) == ["i2", "i4"]
    assert names(ask(lane, shop, k=2, filter={"item_id": {"$nin": ["i0", "i2"]}})) == ["i1", "i3"]
    assert names(ask(lane, shop, k=2, bury={"item_id": "i0"})) == ["i1", "i2"]
    boost = [{"filter": {"item_id": {"$eq": "i9"}}, "by": 100}]
    assert names(ask(lane, shop, k=2, boost=boost)) == ["i9", "i0"]
    other = {"item_id": {"$ne": {"$context": "page"}}, "labels": "sale"}
    assert names(ask(lane, shop, filter=other, context={"page": "i3"})) == ["i0", "i6", "i9"]


def test_a_project_without_a_catalogue_serves_what_it_names(lane):
    project = builders.make_project()
    Surface.objects.create(project=project, key="home-feed", static_list=["a", "b"])
    _, key = ApiKey.make(project, "pk", name="public")
    lane.refresh()
    pins = [{"item_id": "c", "position": 1}]
    body = {"surface": "home-feed", "unit_id": "u1"}
    assert names(lane.post("/v1/recommend", body, key)) == ["a", "b"]
    assert names(lane.post("/v1/recommend", {**body, "pin": pins}, key)) == ["c", "a", "b"]


def test_a_surface_rules_its_slates_with_the_request(lane, shop):
    catalogue_of_shoes(shop, lane)
    rules = {"filter": {"labels": "shoes"}, "caps": {"brand": 2}, "bury": {"gone": 1}}
    write_items(project_id=shop.project.pk, items=[ItemDraft("i9", properties={"gone": 1})])
    patch_surface(surface=shop.surface, changes={"rules": rules}, by="a test")
    catalogue_of_shoes(shop, lane)  # rules outlive the items that they name
    lane.refresh()
    assert names(ask(lane, shop)) == ["i0", "i1", "i2", "i3"]
    assert names(ask(lane, shop, filter={"labels": "sale"})) == ["i0", "i3"]
    assert names(ask(lane, shop, caps={"brand": 1})) == ["i0", "i1"]
    static = lane.post(
        "/v1/recommend",
        {"surface": "home-feed", "unit_id": "u1", "candidates": ["i9", "i4", "i5"]},
        shop.public,
    )
    assert names(static) == ["i4", "i5"]


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"filter": {"prise": 3}}, "filter", "Did you mean 'price'?"),
        ({"filter": {"price": {"$lte": "cheap"}}}, "filter", "must be a number, as the items have"),
        ({"filter": {"price": {"$near": 3}}}, "filter", "operator '$near' is unknown"),
        (
            {"filter": {"item_id": {"$regex": "^i"}}},
            "filter",
            "must be a text, or $eq, $ne, $in or $nin",
        ),
        ({"bury": {"$or": [{"item_id": 3}]}}, "bury", "bury.item_id == 3, must be a text"),
        ({"caps": {"item_id": 1}}, "caps", "no item has a property 'item_id'"),
        (
            {"filter": {"price": {"lte": 3}}},
            "filter",
            "must be a number, as the items have. Did you mean '$lte'?",
        ),
        (
            {"filter": {"price": {"$in": [10, "20"]}}},
            "filter",
            "filter.price == '20', must be a number",
        ),
        ({"filter": {"organic": "true"}}, "filter", "filter.organic == 'true', must be true or false"),
        ({"filter": {"organic": {"$ne": 1}}}, "filter", "filter.organic == 1, must be true or false"),
        (
            {"boost": [{"filter": {"$not": {"organic": "yes"}}, "by": 2}]},
            "boost",
            "boost.organic == 'yes', must be true or false, as the items have",
        ),
        ({"filter": {"labels": ["a", "b"]}}, "filter", 'must be {"$in": […]} for any of them'),
        ({"filter": {"brand": ["a"]}}, "filter", 'must be a text, as the items have. {"$in": […]}'),
        ({"filter": {"price": {"$not": {"$lt": "x"}}}}, "filter", "filter.price == 'x', must be a n"),
        ({"filter": {"labels": 3}}, "filter", "filter.labels == 3, must be a text"),
        (
            {"boost": [{"filter": {"brand": True}, "by": 2}]},
            "boost",
            "boost.brand == true, must be a text",
        ),
        (
            {"rules": {"filter": {"price": 3}}},
            "rules",
            "Rules of a request stand beside its other fields",
        ),
        ({"label": "shoes"}, "label", 'Did you mean "filter": {"labels": "…"}?'),
        ({"excludes": ["i0"]}, "excludes", "Did you mean 'exclude'?"),
        ({"filters": {"price": 3}}, "filters", "Did you mean 'filter'?"),
        ({"boost": [{"filter": {}, "by": 0}]}, "boost.0.by", "must be in [0.001, 1000]"),
        ({"pin": [{"item_id": "i1", "position": 0}]}, "pin.0.position", "must be in [1, 100]"),
        (
            {"pin": [{"item_id": "i1", "position": 1}, {"item_id": "i2", "position": 1}]},
            "pin.1.position",
            "pin.1.position == 1, must be another: 'i1' is pinned there.",
        ),
        (
            {"pin": [{"item_id": "i1", "position": 1}, {"item_id": "i1", "position": 2}]},
            "pin.1.item_id",
            "'i1' is pinned already",
        ),
        ({"boost": [{"filter": {}, "by": "2"}]}, "boost.0.by", "== '2', must be a number in [0.001,"),
        ({"fields": "brand"}, "fields", "must be a list of names of fields and properties."),
        ({"explain": 3, "k": True}, "k", "k == true, must be a whole number"),
        ({"filter": {"brand": {"$regex": "a("}}}, "filter", "of RE2's syntax: missing ): a("),
        ({"caps": {"brnd": 1}}, "caps", "Did you mean 'brand'?"),
        ({"caps": {"brand": 0}}, "caps.brand", "must be in [1, 100]"),
        ({"diversity": {"by": "labels", "strength": 2}}, "diversity.strength", "must be in [0, 1]"),
        ({"freshness": {}}, "freshness.half_life_days", "== null"),
        ({"freshness": {"half_life_hours": 0.5}}, "freshness.half_life_hours", "must be in [1, 87600]"),
        (
            {"freshness": {"half_life_hours": 6, "half_life_days": 1}},
            "freshness",
            "must be one of half",
        ),
        ({"filter": {"published_at": "2026-11-30"}}, "filter", "must be $lt, $lte, $gt or $gte of a"),
        ({"filter": {"published_at": {"$gt": "yesterday"}}}, "filter", "such as '2026-11-30T08:00"),
        ({"filter": {"expires_at": {"$lt": 1764460800}}}, "filter", 'filter.expires_at == {"$lt":17'),
        ({"filter": {"publishd_at": {"$gt": "2026"}}}, "filter", "Did you mean 'published_at'?"),
        ({"caps": {"published_at": 1}}, "caps", "no item has a property 'published_at'"),
        ({"filter": {"brand": {"$context": ["x"]}}}, "filter", "$context must name one value"),
        ({"filter": {"brand": {"$in": {"$context": "b"}}}, "context": {"b": 1}}, "context", "list"),
        ({"filter": {"brand": {"$regex": {"$context": "b"}}}, "context": {"b": "("}}, "context", "RE2"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(lane, shop, body, field, message):
    catalogue_of_shoes(shop, lane)
    refused = ask(lane, shop, **body)
    assert refused.status_code == 400
    assert refused.json()["error"]["field"] == field
    assert message in refused.json()["error"]["message"]


def test_what_is_logged_of_a_ruled_slate_gives_its_chances_again(lane, shop):
    catalogue_of_shoes(shop, lane)
    patch_surface(surface=shop.surface, changes={"exploration": 1.0}, by="a test")
    lane.refresh()
    rules = {"caps": {"brand": 2}, "pin": [{"item_id": "i7", "position": 2}]}
    write_items(project_id=shop.project.pk, items=[ItemDraft("n10", properties={"brand": "Acme"})])
    lane.refresh()
    for n in range(20):
        known = [f"i{n}" for n in range(10)]
        candidates = [*known, "n10"] if n % 2 else None  # which no version has learnt
        data = ask(lane, shop, k=4, unit_id=f"u{n}", candidates=candidates, **rules).json()
        shown = [int(item["item_id"][1:]) for item in data["items"]]
        assert shown[1] == 7
        assert sorted(one % 2 for one in shown) == [0, 0, 1, 1]
        slate = Slate.objects.get(recommendation_id=data["recommendation_id"])
        for _item, _score, rank, propensity, _explored, allowed in slate.slots:
            assert propensity_of(rank, allowed, 4, temperature=1.0) == propensity


def test_what_caps_leave_open_is_filled_from_the_whole_catalogue(lane, shop, monkeypatch):
    items = [ItemDraft(f"i{n}", properties={"brand": f"b{n // 2}"}) for n in range(10)]
    write_items(project_id=shop.project.pk, items=items)
    shop.surface.candidates = 3  # i0 and i1 of one brand, i2 of another
    shop.surface.save()
    lane.refresh()
    caps = {"caps": {"brand": 1}}
    assert names(ask(lane, shop, k=5, **caps)) == ["i0", "i2", "i4", "i6", "i8"]
    assert ask(lane, shop, k=6, **caps).json()["short_because"] == "caps"
    assert names(ask(lane, shop, k=3, exclude=["i4", "i5"], **caps)) == ["i0", "i2", "i6"]
    pin = {"pin": [{"item_id": "i9", "position": 4}]}
    assert names(ask(lane, shop, k=5, **caps, **pin)) == ["i0", "i2", "i4", "i9", "i6"]
    body = {"surface": "home-feed", "unit_id": "u1", "k": 3, **caps}
    shown = lane.post("/v1/recommend/preview", body, shop.secret).json()["items"]
    assert [item["reasons"][0]["code"] for item in shown] == ["model", "model", "widened"]
    shop.surface.exploration = 1.0
    shop.surface.save()
    lane.refresh()
    for n in range(20):
        if n == 10:  # a version that is drawn from beside the event loop, as a large one is
            monkeypatch.setattr(recommend, "MAX_DRAWN", 0)
        data = ask(lane, shop, unit_id=f"u{n}", k=5, **caps, **pin).json()
        shown = [int(item["item_id"][1:]) for item in data["items"]]
        assert shown[3] == 9
        assert {one // 2 for one in shown} == {0, 1, 2, 3, 4}
        slate = Slate.objects.get(recommendation_id=data["recommendation_id"])
        for _item, _score, rank, propensity, _explored, allowed in slate.slots:
            assert propensity_of(rank, allowed, 5, temperature=1.0) == propensity
        # Of three candidates, then of one brand's, then of what is neither theirs nor the pin's.
        assert [slot[5] for slot in slate.slots] == [3, slate.slots[1][5], 4, 1, 2]
