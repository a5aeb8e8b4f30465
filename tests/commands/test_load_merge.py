"""A file of some columns changes these, and keeps the rest of each item."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from experiments.actions import load_catalogue
from inference.actions.load_items import ItemDraft, load_items
from tests.support.load_files import items_of, load, write

FULL = (
    "item_id,title,text,available,published_at,group_id,labels,url,price,brand,stock\n"
    "a,Heat,Crime,true,2020-01-01,g1,x|y,https://shop.example/a,9.5,Acme,4\n"
    "b,Glass,Drama,false,2021-01-01,g2,z,https://shop.example/b,5,Zeta,7\n"
)
NAMES = ("title", "text", "available", "published_at", "group_id", "labels", "url", "price")
UNCHANGED = "What the file has no column for stayed as it was (--replace empties it)."


def values_of(project):
    return {
        key: {name: getattr(item, name) for name in (*NAMES, "properties")}
        for key, item in items_of(project).items()
    }


def test_a_price_feed_keeps_the_rest_of_each_item(tmp_path, project):
    assert UNCHANGED not in load("items", write(tmp_path, "full.csv", FULL), project)
    before = values_of(project)
    output = load("items", write(tmp_path, "prices.csv", "item_id,price\na,12.90\nc,3\n"), project)
    assert "2 items loaded" in output
    assert UNCHANGED in output
    after = values_of(project)
    assert after["a"] == before["a"] | {"price": 12.9}
    assert after["b"] == before["b"]
    assert (after["c"]["title"], after["c"]["price"], after["c"]["available"]) == ("", 3.0, True)


def test_an_empty_cell_empties_what_has_a_column(tmp_path, project):
    load("items", write(tmp_path, "full.csv", FULL), project)
    load("items", write(tmp_path, "some.csv", "item_id,price,stock,sale\na,,,true\nb,6,8,\n"), project)
    after = values_of(project)
    assert (after["a"]["price"], after["a"]["properties"]) == (None, {"brand": "Acme", "sale": True})
    assert (after["b"]["price"], after["b"]["properties"]) == (6.0, {"brand": "Zeta", "stock": 8})
    assert after["a"]["labels"] == ["x", "y"]


def test_replace_writes_items_as_a_whole(tmp_path, project):
    load("items", write(tmp_path, "full.csv", FULL), project)
    output = load("items", write(tmp_path, "ids.csv", "item_id,title\na,Heat\n"), project, "--replace")
    assert UNCHANGED not in output
    after = values_of(project)
    assert (after["a"]["title"], after["a"]["price"], after["a"]["properties"]) == ("Heat", None, {})
    assert after["b"]["price"] == 5.0


def test_a_column_that_an_option_names_is_merged_as_its_field(tmp_path, project):
    load("items", write(tmp_path, "full.csv", FULL), project)
    file = write(tmp_path, "p.csv", "id,now\na,4.5\n")
    load("items", file, project, "--item-id", "id", "--price", "now")
    after = values_of(project)["a"]
    assert (after["price"], after["title"], after["properties"]["brand"]) == (4.5, "Heat", "Acme")


def test_a_vector_that_a_file_cannot_hold_is_kept(tmp_path, project):
    draft = ItemDraft("v", "Old", vector=[0.1, -2.5])
    load_items(project_id=project.pk, items=[draft])
    load("items", write(tmp_path, "titles.csv", "item_id,title\nv,New\n"), project)
    item = items_of(project)["v"]
    assert item.title == "New"
    assert bytes(item.vector) == np.array([0.1, -2.5], dtype="<f4").tobytes()


def test_a_row_that_ends_before_it_begins_is_set_aside(tmp_path, project):
    text = "item_id,published_at,expires_at\na,2030-02-01,2030-01-01\nb,2030-01-01,2030-02-01\n"
    load("items", write(tmp_path, "i.csv", text), project)
    assert list(items_of(project)) == ["b"]
    assert "must be after published_at" in (tmp_path / "i.csv.rejected.csv").read_text()


def test_a_row_that_makes_its_item_too_large_is_set_aside(tmp_path, project):
    stored = {"story": "x" * 20_000}
    drafts = [ItemDraft("a", title="Old", properties=stored), ItemDraft("b")]
    load_items(project_id=project.pk, items=drafts)
    text = f"item_id,title,notes\na,New,{'y' * 20_000}\nb,New,short\n"
    output = load("items", write(tmp_path, "notes.csv", text), project)
    assert "1 item loaded" in output
    items = items_of(project)
    assert (items["a"].title, items["a"].properties) == ("Old", stored)
    assert (items["b"].title, items["b"].properties) == ("New", {"notes": "short"})
    rejected = (tmp_path / "notes.csv.rejected.csv").read_text()
    assert rejected.rstrip().endswith("2,\"properties == '…', must be at most 32768 bytes of JSON.\"")


def test_a_row_that_ends_its_stored_item_before_it_begins_is_set_aside(tmp_path, project):
    begins = "item_id,published_at\na,2030-02-01\nb,2030-02-01\n"
    load("items", write(tmp_path, "begins.csv", begins), project)
    ends = write(tmp_path, "ends.csv", "item_id,expires_at\na,2030-01-01\nb,2030-03-01\n")
    assert "1 item loaded" in load("items", ends, project)
    items = items_of(project)
    assert items["a"].expires_at is None
    assert items["b"].expires_at is not None
    assert "must be after published_at" in (tmp_path / "ends.csv.rejected.csv").read_text()
    alone = write(tmp_path, "alone.csv", "item_id,expires_at\na,2030-01-01\n")
    assert "has no row that can be loaded" in load("items", alone, project, status=2)


def test_a_column_of_objects_is_replaced_and_not_merged(tmp_path, project):
    stored = {"size": {"width": 2, "depth": 3}, "brand": "Acme"}
    load_items(project_id=project.pk, items=[ItemDraft("a", properties=stored)])
    file = tmp_path / "sizes.parquet"
    pq.write_table(pa.table({"item_id": ["a"], "size": [{"width": 4}]}), file)
    load("items", str(file), project)
    assert items_of(project)["a"].properties == {"size": {"width": 4}, "brand": "Acme"}


def test_a_price_feed_has_only_new_items_embedded(tmp_path, project, monkeypatch):
    load("items", write(tmp_path, "full.csv", FULL), project)
    project.items.update(vector_due_at=None)
    sent = []
    monkeypatch.setattr(load_catalogue, "send", lambda _task, ids: sent.extend(ids))
    load("items", write(tmp_path, "prices.csv", "item_id,price\na,12.90\nc,3\n"), project)
    due = project.items.filter(vector_due_at__isnull=False)
    assert list(due.values_list("item_id", flat=True)) == ["c"]
    assert sent == list(due.values_list("pk", flat=True))
    load("items", write(tmp_path, "titles.csv", "item_id,title\na,Warmth\n"), project)
    assert set(due.values_list("item_id", flat=True)) == {"a", "c"}
    assert project.words.filter(word="warmth").exists()
