"""Files of other programs: which column is what, and what the values of a column are."""

from __future__ import annotations

import gzip

import pytest

from bakeoff.accounts.keys import SECRET
from bakeoff.accounts.models import ApiKey
from experiments.models import Event, Unit
from inference.models import Item
from tests.support.load_files import items_of, load, write

BOOKS = (
    "Book ID,Book Title ,Series Name,List Price (EUR),pages,isbn,stock,year\n"
    '1,"Ash, Salt",,"€12,90",300,0012345,true,2011\n'
    "2,Glass,Ember Cycle,4.97,,0099999,false,n/a\n"
    "3,Sea,Ember Cycle,,412,0000001,True,1999\n"
)
NAMED = ("--item-id", "Book ID", "--title", "Book Title ", "--price", "List Price (EUR)")


def test_columns_of_other_names_are_named_by_options(tmp_path, project):
    output = load("items", write(tmp_path, "books.csv", BOOKS), project, *NAMED)
    assert "3 items loaded" in output
    items = items_of(project)
    assert [items[n].title for n in "123"] == ["Ash, Salt", "Glass", "Sea"]
    assert [items[n].price for n in "123"] == [12.9, 4.97, None]


def test_a_column_holds_numbers_truths_or_texts_as_a_whole(tmp_path, project):
    output = load("items", write(tmp_path, "books.csv", BOOKS), project, *NAMED)
    items = items_of(project)
    assert items["1"].properties == {"pages": 300, "isbn": "0012345", "stock": True, "year": "2011"}
    assert items["2"].properties == {
        "Series Name": "Ember Cycle", "isbn": "0099999", "stock": False, "year": "n/a"
    }  # fmt: skip
    assert (
        "Properties are read as numbers pages, as true or false stock, as texts Series Name, isbn, year"
        in output
    )
    assert "'year' is text because of 'n/a', after 1 number." in output


def test_a_column_may_be_kept_as_text(tmp_path, project):
    file = write(tmp_path, "books.csv", BOOKS)
    load("items", file, project, *NAMED, "--as-text", "pages", "--as-text", "stock")
    assert items_of(project)["1"].properties["pages"] == "300"
    assert items_of(project)["3"].properties["stock"] == "True"
    refused = load("items", file, project, *NAMED, "--as-text", "Pages", status=2)
    assert "has no column 'Pages'" in refused
    assert "Did you mean 'pages'?" in refused


def test_numbers_and_truths_of_a_file_are_filtered_by(tmp_path, lane, project):
    """What a filter compares is what the message names: a number is not quoted, false is false."""
    _, secret = ApiKey.make(project, SECRET, name="secret")
    project.surfaces.create(key="shelf", static_list=["1", "2", "3"])
    load("items", write(tmp_path, "books.csv", BOOKS), project, *NAMED)
    lane.refresh()
    ask = {"surface": "shelf", "unit_id": "u", "candidates": ["1", "2", "3"]}

    def names(condition):
        answer = lane.post("/v1/recommend", {**ask, "filter": condition}, secret)
        return answer, sorted(one["item_id"] for one in answer.json().get("items", []))

    assert names({"pages": {"$gte": 400}})[1] == ["3"]
    assert names({"stock": True})[1] == ["1", "3"]
    for value, shown in ((400, "400"), (False, "false"), ({"$eq": 4.5}, "4.5")):
        answer, _ = names({"isbn": value})
        assert answer.status_code == 400
        assert f"filter.isbn == {shown}, must be a text, as the items have" in answer.text


@pytest.mark.parametrize(
    ("kind", "text", "options", "sentence"),
    [
        ("items", "Book ID,title\n1,a\n", (), "has no column 'item_id', it has ['Book ID', 'title']."),
        ("items", "Item_ID,title\n1,a\n", (), "Did you mean 'Item_ID'? Or name another with --item-id"),
        ("items", "item_id,Title\n1,a\n", ("--title", "title"), "Did you mean 'Title'?"),
        ("users", "reader,age\n1,2\n", (), "has no column 'unit_id', it has ['reader', 'age']."),
        ("users", "unit_id,age\n1,2\n", ("--unit-id", "unitid"), "Did you mean 'unit_id'?"),
        ("events", "item_id,reader,seen_at\n1,u,2026-01-01\n", (), "has no column 'event_id', it has ["),
        ("events", "event_id,unit_id,occurred_at\n1,u,2026-01-01\n", (), "has no column 'name', it has"),
        (
            "events",
            "event_id,name,unit_id,occurred_at,Value\n1,a,u,2026-01-01,3\n",
            (),
            "has no column 'value', it has ['event_id', 'name', 'unit_id', 'occurred_at', 'Value']. Did "
            "you mean 'Value'? Name it with --value COLUMN.",
        ),
    ],
)  # fmt: skip
def test_a_file_without_a_column_is_refused_as_a_whole(
    tmp_path, project, kind, text, options, sentence
):
    output = load(kind, write(tmp_path, "rows.csv", text), project, *options, status=2)
    assert sentence in output
    assert "rejected" not in output
    assert not (tmp_path / "rows.csv.rejected.csv").exists()
    for model in (Item, Unit, Event):
        assert not model.objects.filter(project=project).exists()


def test_a_file_whose_rows_are_all_rejected_is_refused(tmp_path, project):
    file = write(tmp_path, "items.csv", "item_id,url\na,ftp://x\n")
    output = load("items", file, project, status=2)
    assert "1 row is rejected" in output
    assert "has no row that can be loaded" in output


def test_rows_that_repeat_an_id_are_counted_once(tmp_path, project):
    rows = "".join(f"i{n % 3},t{n}\n" for n in range(2500))  # more than a statement takes
    output = load("items", write(tmp_path, "items.csv", "item_id,title\n" + rows), project)
    assert "3 items loaded" in output
    assert "2497 rows repeat an item_id: the last one holds." in output
    assert items_of(project)["i0"].title == "t2499"
    users = write(tmp_path, "users.csv", "user_id,age\nu,1\nu,2\nv,3\n")
    output = load("users", users, project)
    assert "2 users loaded. Attributes are read as numbers age" in output
    assert "1 row repeats a unit_id: the last one holds." in output
    assert Unit.objects.get(project=project, unit_id="u").attributes == {"age": 2}


def test_a_price_that_cannot_be_read_does_not_cost_its_row(tmp_path, project):
    text = 'item_id,price\na,"1,299"\nb,"1.299,00"\nc,-1\n'
    output = load("items", write(tmp_path, "items.csv", text), project)
    assert "3 items loaded" in output
    assert (
        "2 prices are left out, the first because price == '1,299', must be clear, such as 12.90: it "
        "can be read in two ways." in output
    )
    items = items_of(project)
    assert [items[one].price for one in "abc"] == [None, 1299.0, None]


def test_a_column_that_only_looks_like_a_field_is_named(tmp_path, project):
    output = load("items", write(tmp_path, "items.csv", "item_id,Title\na,Heat\n"), project)
    assert "'Title' is a property, not the title: --title 'Title' reads it as that." in output


def test_a_log_without_ids_and_names_is_loaded_once(tmp_path, project):
    text = "sku,reader,seen\na,u,2026-01-01\na,v,2026-01-01\na,v,2026-01-01\n"
    file = write(tmp_path, "clicks.csv", text)
    options = (
        *("--item-id", "sku", "--user-id", "reader", "--timestamp", "seen", "--event", "click"),
        "--without-ids",
    )
    output = load("events", file, project, *options)
    assert "2 new events, 1 already loaded." in output
    assert "Of 2 new events with an item, every one names an item that is not in" in output
    assert "0 new events, 3 already loaded." in load("events", file, project, *options)
    event = Event.objects.get(project=project, unit_id="u")
    assert (event.name, event.item_id) == ("click", "a")
    both = load("events", file, project, *options, "--event-id", "sku", status=2)
    assert "give one of --event and --name" in both


def test_one_unknown_item_among_known_ones_is_named(tmp_path, project):
    load("items", write(tmp_path, "items.csv", "item_id\na\n"), project)
    rows = "1,click,u,a,2026-01-01\n2,click,u,x,2026-01-01\n"
    file = write(tmp_path, "e.csv", "event_id,name,unit_id,item_id,occurred_at\n" + rows)
    assert "Of 2 new events with an item, 1 names an item that is not in the catalogue: it is" in load(
        "events", file, project
    )


def test_utf16_and_packed_files_are_read(tmp_path, project):
    load("items", write(tmp_path, "sixteen.csv", "item_id,title\na,Łódź\n", "utf-16"), project)
    packed = tmp_path / "packed.csv.gz"
    packed.write_bytes(gzip.compress("item_id;title\nb;Ärger\n".encode()))
    load("items", str(packed), project)
    assert {one.title for one in items_of(project).values()} == {"Łódź", "Ärger"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            "item_id,title\na,Caf\xe9\n".encode("latin-1"),
            "its encoding must be UTF-8, or UTF-16 with its",
        ),
        (b"PK\x03\x04rest", "is a workbook or an archive, must be CSV or Parquet"),
    ],
)
def test_what_is_no_such_text_is_refused_in_a_sentence(tmp_path, project, content, sentence):
    file = tmp_path / "items.csv"
    file.write_bytes(content)
    assert sentence in load("items", str(file), project, status=2)
    assert not Item.objects.filter(project=project).exists()


def test_a_parquet_file_says_its_types_itself(tmp_path, project):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"item_id": ["a"], "pages": ["007"], "year": [1999], "series": [None]})
    pq.write_table(table, tmp_path / "i.parquet")
    load("items", str(tmp_path / "i.parquet"), project, "--as-text", "year")
    assert items_of(project)["a"].properties == {"pages": "007", "year": "1999"}
