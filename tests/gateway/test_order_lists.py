"""Orders that need no training: popular, trending, latest."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from bakeoff.accounts.models import AuditEntry
from bakeoff.gateway.slates import live_orders
from experiments.actions import count_orders as counting
from experiments.actions.count_orders import count_orders
from experiments.actions.load_catalogue import write_items
from experiments.actions.start_experiment import start_experiment
from experiments.ingest.rows import Rows
from experiments.models import Exposure, Slate
from experiments.tasks import refresh_orders
from inference.actions.load_items import ItemDraft
from inference.cache import cache_client
from inference.models import Item, ModelVersion, Surface
from inference.serving.keys import totals_key
from inference.serving.order_totals import OrderTotals
from tests.support import builders
from tests.support.waiting import wait_until


def manage(lane, shop, method, path, body):
    headers = {"Authorization": f"Bearer {shop.secret}"}
    return lane.client.request(method, f"/v1{path}", json=body, headers=headers)


def make_list(lane, shop, name="trending", **fields):
    """Make a surface whose champion is an order, by one request."""
    body = {"key": f"{name}-list", "list": name, **fields}
    answer = manage(lane, shop, "PUT", "/surfaces", body)
    assert answer.status_code == 200, answer.text
    lane.refresh()
    return Surface.objects.get(project=shop.project, key=body["key"])


def ask(lane, shop, name="trending", **body):
    body = {"surface": f"{name}-list", "unit_id": "u1", **body}
    return lane.post(f"/v1/{name}", body, shop.public)


def listed(lane, shop, name="trending", **body):
    answer = ask(lane, shop, name, **body)
    assert answer.status_code == 200, answer.text
    data = answer.json()
    return [item["item_id"] for item in data["items"]], data["fallback"]


def click(shop, clicks, *, hours_ago=0.0, **fields):
    """Commit so many clicks on items, each of another unit."""
    at = (builders.now() - timedelta(hours=hours_ago)).isoformat()
    rows = [
        builders.event(shop.project, unit=f"{item}-{n}", item_id=item, at=at, **fields)
        for item, count in clicks.items()
        for n in range(count)
    ]
    builders.write(Rows(events=rows))


def test_one_request_makes_a_surface_that_shows_what_trends(lane, shop):
    click(shop, {"i1": 9, "i2": 3}, hours_ago=72)  # three half-lives: they count an eighth
    click(shop, {"i3": 2, "i4": 1})
    make_list(lane, shop)
    refresh_orders()  # as beat has it done every few seconds
    items, fallback = listed(lane, shop, k=4)
    assert (items, fallback) == (["i3", "i1", "i4", "i2"], None)
    data = ask(lane, shop, k=1).json()
    assert data["model"] == "trending@1"
    slate = Slate.objects.get(recommendation_id=data["recommendation_id"])
    assert slate.model_version.params == {"half_life_hours": 24.0, "by_value": False}
    actions = AuditEntry.objects.filter(project=shop.project).values_list("action", flat=True)
    assert {"make surface", "promote"} <= set(actions)


def test_it_counts_each_event_once_and_lets_it_fade(lane, shop):
    surface = make_list(lane, shop)
    click(shop, {"i5": 4})
    count_orders(surface=surface)
    count_orders(surface=surface)
    version = surface.versions.get()
    client = cache_client()
    first = OrderTotals.read(client, version.pk)
    assert first.by_country[""]["i5"] == pytest.approx(4, rel=0.01)
    # As if a day had passed since: half is left, and a new one counts 1.
    aged = OrderTotals.read(client, version.pk)
    object.__setattr__(aged.about, "at", aged.about.at - 86_400)
    aged.write(client, version.pk)
    click(shop, {"i5": 1})
    count_orders(surface=surface)
    assert OrderTotals.read(client, version.pk).by_country[""]["i5"] == pytest.approx(3, rel=0.01)


def test_what_is_new_comes_into_the_list_while_it_is_served(lane, shop):
    surface = make_list(lane, shop)
    count_orders(surface=surface)
    assert listed(lane, shop, k=1)[0] != ["fresh"]
    write_items(project_id=shop.project.pk, items=[ItemDraft("fresh", labels=["shoes"])])
    click(shop, {"fresh": 5})
    count_orders(surface=surface)
    lane.refresh()
    wait_until(lambda: listed(lane, shop, k=1)[0] == ["fresh"])
    write_items(project_id=shop.project.pk, items=[ItemDraft("fresh", available=False)])
    lane.refresh()
    assert "fresh" not in listed(lane, shop, k=20)[0]


def test_the_whole_catalogue_of_a_label_is_ranked(lane, shop):
    items = [ItemDraft(f"lace-{n}", labels=["boots" if n % 2 else "hats"]) for n in range(300)]
    write_items(project_id=shop.project.pk, items=items)
    surface = make_list(lane, shop, candidates=20)
    click(shop, {"i0": 9, "lace-1": 1, "lace-299": 2, "lace-4": 5})
    count_orders(surface=surface)
    names, fallback = listed(lane, shop, label="boots", k=15)
    assert (names[:2], len(names), fallback) == (["lace-299", "lace-1"], 15, None)
    assert {int(name.removeprefix("lace-")) % 2 for name in names} == {1}
    caps = ask(lane, shop, label="boots", filter={"labels": "hats"}).json()
    assert (caps["items"], caps["fallback"], "hint" in caps) == ([], "empty", False)


def test_a_label_that_no_item_has_is_an_empty_list_with_a_hint(lane, shop):
    write_items(project_id=shop.project.pk, items=[ItemDraft("i1", labels=["shoes"])])
    make_list(lane, shop, "latest")
    data = ask(lane, shop, "latest", label="shoos").json()
    assert (data["items"], data["fallback"]) == ([], "empty")
    assert data["hint"] == "label == 'shoos': no item has it. Did you mean 'shoes'?"


def test_countries_have_orders_of_their_own(lane, shop):
    surface = make_list(lane, shop, "popular")
    click(shop, {"i1": 30, "i2": 5}, properties={"country": "DE"})
    click(shop, {"i3": 40}, properties={"country": "FR"})
    click(shop, {"i4": 50, "i5": 1})
    click(shop, {"i6": 2}, properties={"country": "IT"})
    # A slate's context says it where the event does not.
    seen = builders.make_slate(shop, "u9", ("i7",), context={"country": "DE"})
    click(shop, {"i7": 10}, recommendation_id=seen)
    count_orders(surface=surface)
    assert listed(lane, shop, "popular", k=3) == (["i4", "i3", "i1"], None)
    assert listed(lane, shop, "popular", country="DE", k=3) == (["i1", "i7", "i2"], None)
    # What nobody likes there comes in the order of all countries.
    assert listed(lane, shop, "popular", country="FR", k=2) == (["i3", "i4"], None)
    for few in ("IT", "XX"):
        assert listed(lane, shop, "popular", country=few, k=1) == (["i4"], "all_countries")


def test_likes_may_count_by_their_value(lane, shop):
    surface = make_list(lane, shop, list_params={"half_life_hours": 6, "by_value": True})
    click(shop, {"i1": 3}, value=1.0)
    click(shop, {"i2": 1}, value=80.0)
    click(shop, {"i3": 5})
    count_orders(surface=surface)
    assert listed(lane, shop, k=2)[0] == ["i2", "i1"]


def test_a_surface_counts_what_it_calls_a_like(lane, shop):
    surface = make_list(lane, shop, liked_events=["rating>=4"])
    click(shop, {"i1": 9})
    click(shop, {"i2": 2}, name="rating", value=5.0)
    click(shop, {"i3": 4}, name="rating", value=3.0)
    count_orders(surface=surface)
    assert listed(lane, shop, k=1)[0] == ["i2"]


def test_a_list_that_counts_no_likes_has_no_country(lane, shop):
    make_list(lane, shop, "latest")
    refused = ask(lane, shop, "latest", country="DE")
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "country")
    assert "/v1/trending and /v1/popular" in refused.json()["error"]["message"]


def test_the_latest_come_by_publication_or_arrival(lane, shop):
    make_list(lane, shop, "latest")
    now = builders.now()
    items = [
        ItemDraft("published", published_at=now + timedelta(seconds=-1)),
        ItemDraft("announced", published_at=now + timedelta(days=1)),
    ]
    Item.objects.filter(project=shop.project).update(created_at=now - timedelta(days=9))
    Item.objects.filter(project=shop.project, item_id="i4").update(created_at=now - timedelta(days=2))
    written = [*items, *(ItemDraft(name) for name in shop.items)]
    write_items(project_id=shop.project.pk, items=written)
    lane.refresh()
    wait_until(lambda: listed(lane, shop, "latest", k=2) == (["published", "i4"], None))
    assert "announced" not in listed(lane, shop, "latest", k=20)[0]


def test_an_archive_that_is_loaded_today_is_as_old_as_it_says(lane, shop):
    make_list(lane, shop, "latest")
    now = builders.now()
    write_items(
        project_id=shop.project.pk,
        items=[
            *(ItemDraft(f"old-{n}", published_at=now - timedelta(days=700 + n)) for n in range(5)),
            ItemDraft("hours-old", published_at=now - timedelta(hours=3)),
            ItemDraft("announced", published_at=now + timedelta(days=30)),
        ],
    )
    Item.objects.filter(project=shop.project, item_id__in=shop.items).update(
        created_at=now - timedelta(days=9)
    )
    written = [ItemDraft(name) for name in shop.items]
    write_items(project_id=shop.project.pk, items=written)
    lane.refresh()
    answer = ask(lane, shop, "latest", k=20).json()["items"]
    order = [item["item_id"] for item in answer]
    assert (order[0], order[-5:]) == ("hours-old", [f"old-{n}" for n in range(5)])
    # In hours before the newest that is shown: what is yet to come shifts nothing.
    assert [answer[0]["score"], answer[-5]["score"]] == pytest.approx([0.0, 3 - 700 * 24], abs=1)


def test_the_first_answer_after_a_quiet_time_has_what_came(lane, shop, monkeypatch):
    make_list(lane, shop, "latest")
    assert listed(lane, shop, "latest", k=1)[0] != ["fresh"]
    # As if nobody had asked for a while.
    monkeypatch.setattr(live_orders, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(live_orders, "ARRIVAL_SECONDS", 0.0)
    write_items(project_id=shop.project.pk, items=[ItemDraft("fresh")])
    lane.refresh()
    assert listed(lane, shop, "latest", k=1)[0] == ["fresh"]
    # Where many ask, nobody waits: the order before answers while the next one is made.
    monkeypatch.setattr(live_orders, "QUIET_SECONDS", 3600.0)
    write_items(project_id=shop.project.pk, items=[ItemDraft("fresher")])
    lane.refresh()
    assert listed(lane, shop, "latest", k=1)[0] == ["fresh"]
    wait_until(lambda: listed(lane, shop, "latest", k=1)[0] == ["fresher"])


def test_without_totals_the_newest_come_first_and_the_answer_says_so(lane, shop):
    surface = make_list(lane, shop)
    cache_client().delete(totals_key(surface.versions.get().pk))  # as if the cache had lost them
    items, fallback = listed(lane, shop, k=5)
    assert (len(items), fallback) == (5, "no_totals")


@pytest.mark.parametrize("seconds", ["started", "promoted"])
def test_the_first_users_of_a_version_get_its_own_list(lane, shop, seconds):
    """No worker counts here: what is about to serve was counted before."""
    click(shop, {"i3": 5, "i4": 2})
    surface = make_list(lane, shop)
    assert listed(lane, shop, k=2) == (["i3", "i4"], None)
    body = {"list": "trending", "list_params": {"half_life_hours": 2}}
    manage(lane, shop, "POST", f"/surfaces/{surface.key}/orders", body)
    second = surface.versions.get(number=2)
    if seconds == "started":
        shop.surface, shop.champion = surface, surface.versions.get(number=1)
        start_experiment(experiment=shop.define(second), by="a test")
    else:
        lane.refresh()
        answer = manage(
            lane,
            shop,
            "POST",
            f"/surfaces/{surface.key}/models/trending/2/promote",
            {"reason": "faster"},
        )
        assert answer.status_code == 200, answer.text
    lane.refresh()
    answers = [ask(lane, shop, k=1, unit_id=f"u{n}").json() for n in range(12)]
    assert {answer["fallback"] for answer in answers} == {None}
    assert {answer["items"][0]["item_id"] for answer in answers} == {"i3"}
    assert "trending@2" in {answer["model"] for answer in answers}


def test_a_start_waits_for_no_count_for_long(lane, shop, monkeypatch, caplog):
    surface = make_list(lane, shop)
    order = {"list": "trending", "list_params": {"half_life_hours": 2}}
    manage(lane, shop, "POST", f"/surfaces/{surface.key}/orders", order)
    shop.surface, shop.champion = surface, surface.versions.get(number=1)
    experiment = shop.define(surface.versions.get(number=2))
    monkeypatch.setattr(counting, "MAX_START_SECONDS", 0.001)
    monkeypatch.setattr(
        counting, "read_watermark", lambda: connection.cursor().execute("SELECT pg_sleep(9)")
    )
    started = start_experiment(experiment=experiment, by="a test")
    assert started.state == "running"
    assert "trending@2 is counted later: canceling statement due to statement timeout" in caplog.text


def test_orders_compete_in_experiments(lane, shop):
    surface = make_list(lane, shop)
    body = {"list": "trending", "list_params": {"half_life_hours": 2}}
    answer = manage(lane, shop, "POST", f"/surfaces/{surface.key}/orders", body)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["label"], answer.json()["alias"]) == ("trending@2", "candidate")
    click(shop, {"i1": 8}, hours_ago=8)
    click(shop, {"i2": 3})
    shop.surface, shop.champion = surface, surface.versions.get(number=1)
    experiment = shop.define(surface.versions.get(number=2))
    start_experiment(experiment=experiment, by="a test")
    count_orders(surface=surface)
    lane.refresh()
    first = {}
    for n in range(30):
        data = ask(lane, shop, k=1, unit_id=f"u{n}").json()
        first.setdefault(data["variant"], set()).add(data["items"][0]["item_id"])
    assert first == {"control": {"i1"}, "treatment": {"i2"}}
    assert Exposure.objects.filter(experiment=experiment).count() == 30


def test_a_surface_of_another_order_says_what_to_do(lane, shop):
    answer = lane.post("/v1/trending", {"surface": "home-feed", "unit_id": "u"}, shop.public)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (409, "wrong_order")
    assert error["message"].startswith(
        "surface 'home-feed' has champion popularity@1, not an order of trending: ask /v1/recommend"
    )
    # A champion that was trained is what is popular, too.
    popular = lane.post("/v1/popular", {"surface": "home-feed", "unit_id": "u", "k": 2}, shop.public)
    assert [item["item_id"] for item in popular.json()["items"]] == ["i0", "i1"]
    assert popular.json()["fallback"] is None
    ModelVersion.objects.filter(surface=shop.surface).update(alias="retired")
    lane.refresh()
    answer = lane.post("/v1/popular", {"surface": "home-feed", "unit_id": "u"}, shop.public)
    assert "has no champion" in answer.json()["error"]["message"]


def test_an_experiment_with_another_order_is_refused_for_all(lane, shop):
    surface = make_list(lane, shop)
    shop.surface, shop.champion = surface, surface.versions.get()
    experiment = shop.define(builders.make_version(surface, [1] * 10))
    start_experiment(experiment=experiment, by="a test")
    lane.refresh()
    answers = [ask(lane, shop, unit_id=f"u{n}") for n in range(6)]
    assert {answer.status_code for answer in answers} == {409}
    assert f"has popularity@1 in experiment '{experiment.key}'" in answers[0].json()["error"]["message"]
    for n in range(6):
        body = {"surface": surface.key, "unit_id": f"u{n}"}
        assert lane.post("/v1/recommend", body, shop.public).status_code == 200


def test_to_state_a_surface_again_changes_nothing(lane, shop):
    surface = make_list(lane, shop)
    assert manage(lane, shop, "GET", f"/surfaces/{surface.key}", None).json()["list"] == "trending"
    make_list(lane, shop)
    assert surface.versions.count() == 1
    body = {"key": surface.key, "list": "trending", "list_params": {"half_life_hours": 1}}
    answer = manage(lane, shop, "PUT", "/surfaces", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "has_champion")


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"list": "newest"}, 400, "list"),
        ({"list": "trending", "list_params": {"half_life_hours": 0}}, 422, "list_params"),
        ({"list": "trending", "list_params": {"half_life_hours": "1"}}, 422, "list_params"),
        ({"list": "trending", "list_params": {"by_value": 1}}, 422, "list_params"),
        ({"list": "latest", "list_params": {"half_life_hours": 1}}, 422, "list_params"),
        ({"list": "search", "list_params": {"word_weight": 0, "vector_weight": 0}}, 422, "list_params"),
        ({"list": "latest", "kind": "classify"}, 422, "list"),
    ],
)
def test_a_list_that_cannot_be_is_refused(lane, shop, body, status, field):
    answer = manage(lane, shop, "PUT", "/surfaces", {"key": "wrong", **body})
    assert (answer.status_code, answer.json()["error"]["field"]) == (status, field), answer.text
    assert not Surface.objects.filter(project=shop.project, key="wrong").exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"k": 101}, "k"),
        ({"label": 7}, "label"),
        ({"label": ""}, "label"),
        ({"labels": ["shoes"]}, "labels"),
        ({"country": "x" * 65}, "country"),
        ({"country": ["DE"]}, "country"),
    ],
)
def test_a_refusal_of_a_list_names_the_field(lane, shop, body, field):
    make_list(lane, shop)
    answer = ask(lane, shop, **body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)
