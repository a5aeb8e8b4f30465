"""Cells as files have them: blanks, versions, lists; kinds that are stored; loads that are corrected."""

from __future__ import annotations

import gzip
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from experiments.models import Event, Unit
from tests.support.load_files import items_of, load, write


def attributes_of(project):
    return {unit.unit_id: unit.attributes for unit in Unit.objects.filter(project=project)}


def test_a_cell_of_blanks_is_no_value_of_any_kind(tmp_path, project):
    text = 'item_id,pages,stock,note,published_at,price\na,1,true,x,,\nb," "," "," "," "," "\n'
    load("items", write(tmp_path, "i.csv", text), project, "--as-text", "note")
    items = items_of(project)
    assert items["a"].properties == {"pages": 1, "stock": True, "note": "x"}
    assert items["b"].properties == {}
    assert items["b"].price is None
    load("users", write(tmp_path, "u.csv", 'user_id,age,paid\nu,7,true\nv," "," "\n'), project)
    assert attributes_of(project) == {"u": {"age": 7, "paid": True}, "v": {}}


@pytest.mark.parametrize(
    ("values", "stored"),
    [
        (["2.9", "2.10", "2.1"], ["2.9", "2.10", "2.1"]),
        (["5.00", "5"], ["5.00", "5"]),
        (["1.0", "1.1", "2"], ["1.0", "1.1", "2"]),
        (["1E5", "10E4"], ["1E5", "10E4"]),
        (["12", "1e5"], ["12", "1e5"]),
        (["12.90", "5.00", "4.97"], [12.9, 5.0, 4.97]),
        (["3.0", "10.25"], [3.0, 10.25]),  # as programs write floats
        (["5", "12.5", "4.97"], [5, 12.5, 4.97]),
        (["0.5", "-3"], [0.5, -3]),
    ],
)
def test_numbers_are_those_that_no_text_is_lost_by(tmp_path, project, values, stored):
    rows = "".join(f"u{n},{value}\n" for n, value in enumerate(values))
    load("users", write(tmp_path, "u.csv", "user_id,v\n" + rows), project)
    attributes = attributes_of(project)
    assert [attributes[f"u{n}"]["v"] for n in range(len(values))] == stored


def test_a_column_of_versions_is_named(tmp_path, project):
    file = write(tmp_path, "u.csv", "user_id,v\na,2.9\nb,2.10\n")
    assert "'v' is text: '2.10' beside '2.9' are versions or codes" in load("users", file, project)


def test_what_is_stored_as_text_stays_text(tmp_path, project):
    load("users", write(tmp_path, "u.csv", "user_id,tier,age\nu,1,7\nv,L,8\n"), project)
    more = write(tmp_path, "v.csv", "user_id,tier,age\nw,2,9\n")
    output = load("users", more, project)
    assert "as numbers age" in output
    assert "'tier' stays text, as stored" in output
    assert attributes_of(project)["w"] == {"tier": "2", "age": 9}
    output = load("users", more, project, "--new-kinds")
    assert "stays text" not in output
    assert attributes_of(project)["w"] == {"tier": 2, "age": 9}
    # Items likewise; true and false too.
    load("items", write(tmp_path, "i.csv", "item_id,size,new\na,38,true\nb,L,maybe\n"), project)
    output = load("items", write(tmp_path, "j.csv", "item_id,size,new\nc,39,false\n"), project)
    assert "'new' stays text, as stored" in output
    assert items_of(project)["c"].properties == {"size": "39", "new": "false"}


def test_what_most_rows_hold_is_the_stored_kind(tmp_path, project):
    for n, value in enumerate([1, 2, "L"]):
        Unit.objects.create(project=project, unit_id=f"u{n}", attributes={"tier": value})
    file = write(tmp_path, "v.csv", "user_id,tier\nw,2\n")
    assert "stays text" not in load("users", file, project)
    assert attributes_of(project)["w"] == {"tier": 2}


def test_a_column_of_the_text_is_still_the_title(tmp_path, project):
    file = write(tmp_path, "i.csv", "item_id,title,description\na,Heat,Crime\nb,,Sea\n")
    load("items", file, project, "--text", "title", "--text", "description")
    items = items_of(project)
    assert [(one.title, one.text, one.properties) for one in (items["a"], items["b"])] == [
        ("Heat", "Heat. Crime", {}), ("", "Sea", {})
    ]  # fmt: skip


def test_lists_and_missing_values_of_a_parquet_file(tmp_path, project):
    nan = float("nan")
    table = pa.table({
        "item_id": ["a", "b"], "title": ["Heat", None], "tags": [["crime", None, "film"], None],
        "weight": [nan, 3.0], "group_id": [nan, nan], "labels": [["x", None], []], "price": [nan, 3.0],
        "available": [nan, nan],
    })  # fmt: skip
    pq.write_table(table, tmp_path / "i.parquet")
    load("items", str(tmp_path / "i.parquet"), project, "--text", "title", "--text", "tags")
    one, other = (items_of(project)[name] for name in "ab")
    assert (one.title, one.text, other.title, other.text) == ("Heat", "Heat. crime. film", "", "")
    assert (one.properties, other.properties) == ({}, {"weight": 3.0})
    assert (one.group_id, one.labels, one.price, one.available) == ("", ["x"], None, True)
    load("items", str(tmp_path / "i.parquet"), project, "--text", "tags")
    assert items_of(project)["a"].text == "crime. film"


def test_a_missing_item_or_value_of_an_event_is_none(tmp_path, project):
    nan = float("nan")
    table = pa.table({
        "event_id": ["1", "2"], "name": ["buy"] * 2, "unit_id": ["u"] * 2, "item_id": [nan, 7.0],
        "occurred_at": ["2026-01-01"] * 2, "value": [nan, 2.5],
    })  # fmt: skip
    pq.write_table(table, tmp_path / "e.parquet")
    load("events", str(tmp_path / "e.parquet"), project)
    events = Event.objects.filter(project=project).order_by("event_id")
    assert [(one.item_id, one.value) for one in events] == [(None, None), ("7", 2.5)]
    blank = write(tmp_path, "e.csv", "event_id,name,unit_id,occurred_at\n3,buy, ,2026-01-01\n")
    assert "unit_id == ''" in load("events", blank, project, status=2)


def test_a_thousand_is_not_read_as_one_beside_decimal_commas(tmp_path, project):
    file = write(tmp_path, "i.csv", 'item_id,price\na,1.299\nb,"12,90"\n')
    output = load("items", file, project)
    assert "1 price is left out, the first because price == '1.299', must be clear" in output
    assert [items_of(project)[one].price for one in "ab"] == [None, 12.9]
    head = "event_id,name,unit_id,occurred_at,value\n"
    rows = '1,buy,u,2026-01-01,1.299\n2,buy,u,2026-01-01,"12,90"\n'
    assert "1 row is rejected" in load("events", write(tmp_path, "e.csv", head + rows), project)
    assert Event.objects.get(project=project).value == 12.9


def test_a_load_whose_rows_were_all_rejected_begins_anew(tmp_path, project):
    rows = "".join(f"{n},click,u,,2026-01-0{n}\n" for n in range(1, 6))
    file = write(tmp_path, "e.csv", "event_id,name,unit_id,at,occurred_at\n" + rows)
    refused = load("events", file, project, "--occurred-at", "at", status=2)
    assert "has no row that can be loaded" in refused
    assert not (tmp_path / "e.csv.progress.json").exists()
    output = load("events", file, project)
    assert "Resuming" not in output
    assert "5 new events" in output


def test_a_load_with_other_options_begins_anew(tmp_path, project, monkeypatch):
    from experiments.ingest import load_events as module

    rows = "".join(f"{n},v{n},2026-01-0{n}\n" for n in range(1, 6))
    file = write(tmp_path, "e.csv", "event_id,unit_id,occurred_at\n" + rows)
    load_chunk, calls = module._load_chunk, []

    def break_at_the_second(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return load_chunk(*arguments)

    monkeypatch.setattr(module, "CHUNK", 2)
    monkeypatch.setattr(module, "_load_chunk", break_at_the_second)
    load("events", file, project, "--event", "click", status=1)
    monkeypatch.setattr(module, "_load_chunk", load_chunk)
    output = load("events", file, project, "--event", "view", "--without-ids")
    assert "Resuming" not in output
    assert "5 new events" in output
    assert Event.objects.filter(project=project, name="view").count() == 5


def test_a_folder_that_cannot_be_written_ends_no_load(tmp_path, project):
    rows = "1,click,u,2026-01-01\n2,,u,2026-01-01\n"
    file = write(tmp_path, "e.csv", "event_id,name,unit_id,occurred_at\n" + rows)
    for name in ("e.csv.rejected.csv", "e.csv.progress.new", "e.csv.progress.json"):
        (tmp_path / name).mkdir()
    output = load("events", file, project)
    assert "1 new event" in output
    assert "1 row is rejected" in output
    assert "cannot be written: " in output
    assert "a load that is interrupted begins anew" in output


def test_a_packed_file_that_is_damaged_is_refused(tmp_path, project):
    packed = bytearray(gzip.compress(("item_id,title\n" + "a,b\n" * 5000).encode()))
    packed[10] = 0xFF  # the kind of the first block
    with pytest.raises(zlib.error):
        gzip.decompress(bytes(packed))
    (tmp_path / "i.csv.gz").write_bytes(bytes(packed))
    output = load("items", str(tmp_path / "i.csv.gz"), project, status=2)
    assert "i.csv.gz' cannot be read" in output
