"""Texts of items that break something elsewhere: each is stored as it is or refused by its field."""

from __future__ import annotations

import json

import pytest

from inference.models import Item
from tests.support.commands import run

ESCAPES = {
    "nul": "a\\u0000b",
    "half": "cut \\ud83d",
    "halves": "\\udc00\\ud800",
    "long": "x" * 1_000_000,
}
FIELDS = {
    "item_id": '{{"item_id": "{0}"}}',
    "title": '{{"item_id": "i0", "title": "{0}"}}',
    "text": '{{"item_id": "i0", "text": "{0}"}}',
    "labels": '{{"item_id": "i0", "labels": ["{0}"]}}',
    "group_id": '{{"item_id": "i0", "group_id": "{0}"}}',
    "url": '{{"item_id": "i0", "url": "https://a.example/{0}"}}',
    "image_url": '{{"item_id": "i0", "image_url": "https://a.example/{0}"}}',
    "properties": '{{"item_id": "i0", "properties": {{"brand": "{0}"}}}}',
    "a property's name": '{{"item_id": "i0", "properties": {{"{0}": "brand"}}}}',
    "a list of a property": '{{"item_id": "i0", "properties": {{"deep": {{"list": ["{0}"]}}}}}}',
}
# Stored as they are: at the limits, and in scripts that a search splits otherwise.
WHOLE = {
    "every field full": {
        "title": "𝕏" * 500, "text": "é " * 10_000, "labels": ["ü" * 200] * 50, "group_id": "名" * 200,
        "properties": {f"p{n}": "w" * 300 for n in range(100)},
    },
    "a word as long as a text": {"title": "a" * 500, "text": "a" * 20_000},
    "20,000 words": {"text": " ".join(chr(0x4E00 + n) for n in range(10_000))},
    "marks without letters": {"title": "\u0301" * 500, "text": "e" + "\u0301" * 10_000},
    "what folding makes longer": {"title": "\ufdfa" * 500, "text": "\ufdfa " * 10_000},
    "no characters to see": {"title": "\u200b\u202e\ufeff", "text": "\u0085\u2028\x0b\x1f"},
    "quotes and backslashes": {"title": "it's \\ 'x':* & | !", "labels": ["'", "\\", ":*"]},
    "emoji": {"title": "👩‍👩‍👧‍👦 🇩🇪", "properties": {"👍": "👎"}},
}  # fmt: skip


@pytest.fixture
def send(lane, shop):
    def send(method, path, content, kind="application/json"):
        headers = {"Authorization": f"Bearer {shop.secret}", "Content-Type": kind}
        return lane.client.request(method, f"/v1{path}", content=content, headers=headers)

    return send


@pytest.mark.parametrize("kind", ESCAPES)
@pytest.mark.parametrize("field", FIELDS)
def test_what_cannot_be_stored_is_refused_and_changes_nothing(send, shop, field, kind):
    before = Item.objects.get(project=shop.project, item_id="i0").title
    body = FIELDS[field].format(ESCAPES[kind])
    whole = send("PUT", "/items", f'{{"items": [{body}]}}'.encode())
    assert 400 <= whole.status_code < 500, whole.text
    lines = f'{body}\n{{"item_id": "good {kind}", "title": "Good"}}\n'.encode()
    bulk = send("POST", "/items/bulk", lines, "application/x-ndjson")
    if bulk.status_code == 200:  # a line is judged by itself
        assert (bulk.json()["written"], [one["line"] for one in bulk.json()["refused"]]) == (1, [1])
    else:
        assert 400 <= bulk.status_code < 500, bulk.text
    if '"i0", ' in body:
        patch = send("PATCH", "/items/i0", body.replace('"item_id": "i0", ', "").encode())
        assert 400 <= patch.status_code < 500, patch.text
    assert Item.objects.get(project=shop.project, item_id="i0").title == before


@pytest.mark.parametrize("about", WHOLE)
def test_what_can_be_stored_is_answered_as_it_was_sent(send, lane, shop, about):
    item = {"item_id": "i0", **WHOLE[about]}
    written = send("PUT", "/items", json.dumps({"items": [item]}).encode())
    assert written.status_code == 200, written.text
    stored = send("GET", "/items/i0", b"").json()
    assert {name: stored[name] for name in item} == item
    lane.refresh()
    body = {
        "surface": "home-feed",
        "unit_id": "u1",
        "candidates": ["i0"],
        "fields": ["title", "labels"],
    }
    answer = lane.post("/v1/recommend", body, shop.public)
    assert answer.status_code == 200
    assert answer.json()["items"][0]["title"] == item.get("title", "")


@pytest.mark.parametrize("name", ["%00", "a%00b", "%ed%a0%80", "%ff", "..%2f..%2fetc", "x" * 5000])
def test_names_in_addresses_are_no_errors(send, name):
    for method in ("GET", "DELETE"):
        assert send(method, f"/items/{name}", b"").status_code in {400, 404, 414, 422}
    assert send("PATCH", f"/items/{name}", b'{"title": "x"}').status_code in {400, 404, 414, 422}
    image = send("PUT", f"/item-images/{name}", b"no image", "image/png")
    assert image.status_code in {400, 404, 414, 422}, image.text


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "image/png"), (b"\x00" * 100, "image/png"), (b"GIF89a", "image/gif"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/png"), (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"), (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"x", "text/html"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused(send, content, kind):
    refused = send("PUT", "/item-images/i0", content, kind)
    assert refused.status_code in {400, 415, 422}, refused.text


def test_a_file_with_such_texts_is_loaded_but_for_their_rows(shop, tmp_path):
    file = tmp_path / "items.csv"
    rows = [
        "item_id,title",
        "n1,Good",
        "n2,a\x00b",
        f"n3,{'x' * 1_000_000}",
        "n4,also good",
        "n\x005,x",
    ]
    file.write_bytes("\n".join(rows).encode() + b"\n")
    output = " ".join(run("load", "items", str(file), "--project", shop.project.slug).split())
    assert "2 items loaded" in output
    assert "3 rows are rejected" in output
    loaded = Item.objects.filter(project=shop.project, item_id__startswith="n")
    assert set(loaded.values_list("item_id", flat=True)) == {"n1", "n4"}


def test_a_quote_that_is_not_closed_is_found(shop, tmp_path):
    file = tmp_path / "items.csv"
    file.write_text('item_id,title\nn1,Good\nn2,"not closed\n' + "n3,lost\n" * 600_000)
    refused = run("load", "items", str(file), "--project", shop.project.slug, status=2)
    assert "has more than 4194304 characters: is a quote before it not closed?" in " ".join(
        refused.split()
    )
