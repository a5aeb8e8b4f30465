"""The catalogue over HTTP: what is written is served within seconds, what is deleted is not."""

from __future__ import annotations

import json
import time

import pytest

from inference.models import Item
from tests.support import builders


@pytest.fixture
def call(lane, shop):
    def call(method, path, body=None, key=None, **options):
        headers = {"Authorization": f"Bearer {key or shop.secret}"}
        return lane.client.request(method, f"/v1{path}", json=body, headers=headers, **options)

    return call


@pytest.fixture
def served(lane, shop):
    def served(**body):
        answer = lane.post(
            "/v1/recommend", {"surface": "home-feed", "unit_id": "u1", **body}, shop.public
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]

    return served


def names(items):
    return [item["item_id"] for item in items]


def wait_for(condition, seconds=20):
    """Return when something is so: nobody calls the reader, an announcement wakes it."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_change_is_served_without_anybody_reloading(call, served):
    assert names(served(k=2)) == ["i0", "i1"]
    assert call("PATCH", "/items/i0", {"available": False}).json()["available"] is False
    wait_for(lambda: names(served(k=2)) == ["i1", "i2"])
    assert call("DELETE", "/items/i1").json() == {"deleted": 1}
    wait_for(lambda: names(served(k=2)) == ["i2", "i3"])
    call("PATCH", "/items/i0", {"available": True})
    wait_for(lambda: names(served(k=2)) == ["i0", "i2"])
    # What is deleted may be written again.
    call("PUT", "/items", {"items": [{"item_id": "i1", "title": "Back"}]})
    wait_for(lambda: [one["title"] for one in served(k=2)] == ["Item i0", "Back"])


def test_an_item_that_is_read_and_written_again_keeps_its_vector(call, shop):
    vector = [0.1, -2.5, 3e-7, 12345.678]
    call("PATCH", "/items/i0", {"vector": vector})
    item = call("GET", "/items/i0").json()
    assert item["vector"] == pytest.approx(vector, rel=1e-7)
    assert item["vector"][:3] == vector[:3]
    before = bytes(shop.project.items.get(item_id="i0").vector)
    assert call("PUT", "/items", {"items": [item | {"title": "New"}]}).json() == {"written": 1}
    after = shop.project.items.get(item_id="i0")
    assert (after.title, bytes(after.vector)) == ("New", before)
    assert call("GET", "/items/i1").json()["vector"] is None
    assert "vector" not in call("GET", "/items").json()["items"][0]


def test_an_answer_says_what_the_catalogue_says_of_an_item(call, served, lane, shop):
    item = {
        "item_id": "i0",
        "title": "Shoe",
        "url": "https://shop.example/i0",
        "image_url": "https://shop.example/i0.webp",
        "price": 49.5,
        "labels": ["shoes", "red"],
        "group_id": "shoe-1",
        "properties": {"brand": "Acme", "stock": 3},
    }
    assert call("PUT", "/items", {"items": [item]}).json() == {"written": 1}
    wait_for(lambda: served(k=1)[0]["title"] == "Shoe")
    (first,) = served(k=1)
    assert first == {
        **{name: value for name, value in item.items() if name != "properties"},
        "position": 1,
        "score": first["score"],
    }
    (first,) = served(k=1, fields=["price", "brand", "no-such"])
    assert (first["price"], first["properties"]) == (49.5, {"brand": "Acme"})
    assert "url" not in first
    body = {"surface": "home-feed", "unit_id": "u1", "fields": ["title", "brnad"]}
    refused = lane.post("/v1/recommend", body, shop.public)
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "fields")
    assert "Did you mean 'brand'?" in refused.json()["error"]["message"]
    assert call("GET", "/items/i0").json().items() >= item.items()


def test_an_item_is_changed_field_by_field(call, shop):
    call("PUT", "/items", {"items": [{"item_id": "a/b c", "title": "T", "price": 3, "labels": ["x"]}]})
    changed = call(
        "PATCH", "/items/a/b%20c", {"price": None, "expires_at": "2030-01-01T00:00:00"}
    ).json()
    assert (changed["title"], changed["price"], changed["labels"]) == ("T", None, ["x"])
    assert changed["expires_at"] == "2030-01-01T00:00:00Z"
    embedded = Item.objects.filter(item_id="a/b c").update(vector_due_at=None)
    assert embedded == 1
    call("PATCH", "/items/a/b%20c", {"available": False})
    assert Item.objects.get(item_id="a/b c").vector_due_at is None
    call("PATCH", "/items/a/b%20c", {"title": "Other"})  # another text has another vector
    assert Item.objects.get(item_id="a/b c").vector_due_at is not None


def test_an_item_that_is_published_may_not_end_before(call):
    assert call("PATCH", "/items/i0", {"published_at": "2030-01-02T00:00:00Z"}).status_code == 200
    refused = call("PATCH", "/items/i0", {"expires_at": "2030-01-01T00:00:00Z"})
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "expires_at")
    assert "must be after published_at, 2030-01-02" in refused.json()["error"]["message"]
    assert call("GET", "/items/i0").json()["expires_at"] is None


def test_properties_are_merged_by_name_and_null_deletes_one(call):
    properties = {"brand": "Acme", "stock": 9, "sale": True, "size": {"w": 4, "h": 2}}
    call("PUT", "/items", {"items": [{"item_id": "i0", "properties": properties}]})

    def patch(changes):
        return call("PATCH", "/items/i0", {"properties": changes}).json()["properties"]

    assert patch({"stock": 3}) == properties | {"stock": 3}
    assert patch({"sale": None, "size": {"h": None, "d": 1}}) == {
        "brand": "Acme",
        "stock": 3,
        "size": {"w": 4, "d": 1},
    }
    assert patch({}) == {"brand": "Acme", "stock": 3, "size": {"w": 4, "d": 1}}
    assert patch({"brand": None, "stock": None, "size": 5}) == {"size": 5}
    # Together they are as bounded as at once.
    patch({"a": "x" * 20_000})
    refused = call("PATCH", "/items/i0", {"properties": {"b": "x" * 20_000}})
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "properties")
    assert "b" not in call("GET", "/items/i0").json()["properties"]
    # PUT stays whole.
    call("PUT", "/items", {"items": [{"item_id": "i0", "properties": {"stock": 1}}]})
    assert call("GET", "/items/i0").json()["properties"] == {"stock": 1}


def test_the_catalogue_is_listed_page_by_page(call):
    first = call("GET", "/items?limit=4").json()
    assert (names(first["items"]), first["next"]) == (["i0", "i1", "i2", "i3"], "i3")
    rest = call("GET", f"/items?limit=100&after={first['next']}").json()
    assert (names(rest["items"])[0], len(rest["items"]), rest["next"]) == ("i4", 6, None)


def test_lines_are_judged_one_by_one(call, shop):
    lines = [
        json.dumps({"item_id": "n1", "title": "One"}),
        "not json",
        json.dumps({"item_id": "n2", "prize": 3}),
        "",
        json.dumps([1]),
        json.dumps({"item_id": "n3", "price": -1}),
        json.dumps({"item_id": "n4"}),
    ]
    # As a spreadsheet saves it: marked as UTF-8, with line ends of Windows.
    answer = call("POST", "/items/bulk", content="\r\n".join(lines).encode("utf-8-sig")).json()
    assert answer["written"] == 2
    assert [one["line"] for one in answer["refused"]] == [2, 3, 5, 6]
    assert "the nearest is 'price'" in answer["refused"][1]["message"]
    assert set(
        Item.objects.filter(project=shop.project, item_id__startswith="n").values_list(
            "item_id", flat=True
        )
    ) == {
        "n1",
        "n4",
    }


@pytest.mark.parametrize(
    ("method", "path", "body", "sentence"),
    [
        ("POST", "/items/delete", {"item_ids": []}, "item_ids: must have at least 1 item, not 0."),
        ("PUT", "/items", [1], "body: must be an object."),
        ("PATCH", "/items/i0", {"properties": 3}, "properties: must be an object."),
        ("PATCH", "/items/i0", {"title": 3}, "title: must be a text."),
    ],
)
def test_a_refusal_says_the_rule_in_plain_words(call, method, path, body, sentence):
    assert call(method, path, body).json()["error"]["message"] == sentence


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PATCH", "/items/i0", {"prize": 3}, "prize"),
        ("PATCH", "/items/i0", {"price": -1}, "price"),
        ("PATCH", "/items/i0", {"url": "javascript:alert(1)"}, "url"),
        ("PATCH", "/items/i0", {"available": None}, "available"),
        ("PATCH", "/items/i0", {"labels": ["x"] * 51}, "labels"),
        ("PATCH", "/items/i0", {"expires_at": "soon"}, "expires_at"),
        ("PATCH", "/items/i0", {"vector": [0, 0.0]}, "vector"),
        (
            "PATCH",
            "/items/i0",
            {"published_at": "2030-02-01", "expires_at": "2030-01-01"},
            "expires_at",
        ),
        (
            "PUT",
            "/items",
            {"items": [{"item_id": "i0", "published_at": "2030-02-01", "expires_at": "2030-02-01"}]},
            "items.0.expires_at",
        ),
        ("PUT", "/items", {"items": [{"item_id": "i0", "image_url": "ftp://x"}]}, "items.0.image_url"),
        ("POST", "/items/delete", {"item_ids": ["x"] * 10_001}, "item_ids"),
        ("POST", "/items/delete", {"item_ids": []}, "item_ids"),
        ("POST", "/items/bulk", None, "lines"),
    ],
)
def test_what_breaks_a_rule_changes_nothing(call, shop, method, path, body, field):
    before = list(Item.objects.filter(project=shop.project).order_by("id").values())
    refused = call(method, path, body)
    assert refused.status_code == 400
    assert refused.json()["error"]["field"].endswith(field)
    assert list(Item.objects.filter(project=shop.project).order_by("id").values()) == before


def test_a_million_deletes_in_one_request_delete_nothing(call, shop):
    refused = call("POST", "/items/delete", {"item_ids": [f"i{n}" for n in range(1_000_000)]})
    assert refused.status_code == 400
    assert not Item.objects.filter(project=shop.project, deleted_at__isnull=False).exists()


def test_an_item_of_another_project_is_not_found(call, lane, shop):
    stranger = builders.make_shop()
    for method, body in (("GET", None), ("PATCH", {"title": "x"}), ("DELETE", None)):
        assert call(method, "/items/nowhere", body).status_code == 404
    assert call("POST", "/items/delete", {"item_ids": ["i0"]}, key=stranger.secret).json() == {
        "deleted": 1
    }
    assert Item.objects.filter(project=shop.project, item_id="i0").exists()


def test_an_item_that_is_too_large_already_can_be_switched_off(call, shop):
    items = Item.objects.filter(project=shop.project, item_id="i0")
    items.update(properties={"story": "x" * 40_000})
    assert call("PATCH", "/items/i0", {"available": False}).status_code == 200
    refused = call("PATCH", "/items/i0", {"properties": {"stock": 0}})
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "properties")
    assert not items.get().available
