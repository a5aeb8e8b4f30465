"""Large catalogues: mapped from disk, they answer as those in memory do; what is damaged is read anew."""

from __future__ import annotations

import fcntl
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from bakeoff.gateway.config import stored_catalogues
from bakeoff.gateway.config.catalogue_reader import CatalogueReader
from bakeoff.gateway.config.stored_catalogues import StoredCatalogues
from experiments.actions.load_catalogue import remove_items, write_items
from experiments.slate_rules.filters import Filters
from inference.actions.load_items import ItemDraft
from inference.models import Item
from inference.serving.catalogue import Catalogue
from inference.serving.catalogue_row import CatalogueRow
from inference.serving.stored_catalogue import CatalogueWriter, StoredCatalogue, StoredCatalogueError
from tests.support import builders
from tests.support.fast_lane import test_database_url

PROJECT = 987_654  # no project of this database
NOW = time.time()


def make_rows(count=300) -> list[CatalogueRow]:
    return [
        CatalogueRow(
            item_id=f"ä{n}",
            exists=n % 13 != 1,
            available=n % 7 != 2,
            published_at=NOW + 50 if n % 11 == 3 else -np.inf,
            expires_at=NOW - 50 if n % 17 == 4 else np.inf,
            fields={"title": f"Café {n}", "labels": ("new", f"l{n % 3}"), "price": n / 4}
            if n % 5
            else {},
            properties={"brand": f"b{n % 4}", "price": 1000, "deep": {"size": n % 6}} if n % 2 else {},
            created_at=float(n),
            neighbours=((f"ä{n - 1}", 0.5), ("elsewhere", 0.25)) if n % 9 == 5 else (),
            change=n,
        )
        for n in range(count)
    ]


def store(root, rows, change=299) -> StoredCatalogue:
    writer = CatalogueWriter(root)
    for row in rows:
        writer.add(row)
    return writer.finish(PROJECT, change)


FILTERS = (
    {"labels": "l1"},
    {"price": {"$lt": 20}},
    {"brand": "b3"},
    {"deep.size": {"$gte": 4}},
    {"title": "Café 12"},
    {"brand": {"$exists": False}},
    {"published_at": {"$gt": "2001-01-01"}},
    {"expires_at": {"$exists": False}},
)


def assert_alike(stored: Catalogue, plain: Catalogue) -> None:
    assert (len(stored), stored.change) == (len(plain), plain.change)
    assert [stored.rows[row] for row in range(len(plain))] == list(plain.rows)
    assert [stored.item_id(row) for row in range(len(plain))] == [row.item_id for row in plain.rows]
    assert [stored.find(row.item_id) for row in plain.rows] == list(range(len(plain)))
    assert stored.find("nobody") is None
    assert np.array_equal(stored.shown(NOW), plain.shown(NOW))
    rows = np.arange(len(plain), dtype=np.int32)
    assert np.array_equal(stored.dates_of(rows), plain.dates_of(rows))
    assert np.array_equal(stored.visible_since_of(rows), plain.visible_since_of(rows))
    assert sorted(stored.placed_rows()) == sorted(plain.placed_rows())
    assert stored.property_names == plain.property_names
    assert stored.count_existing() == plain.count_existing()
    theirs, ours = Filters(plain), Filters(stored)
    for condition in FILTERS:
        assert np.array_equal(ours.mask(condition, {}), theirs.mask(condition, {})), condition


def test_a_stored_catalogue_is_the_same_as_one_in_memory(tmp_path):
    rows, plain = make_rows(), Catalogue()
    plain.apply(rows, 299)
    stored = Catalogue(store(tmp_path, rows))
    assert_alike(stored, plain)
    filters = Filters(stored)
    filters.mask({"brand": "b3"}, {})
    changes = [
        CatalogueRow("ä3", properties={"brand": "b3"}, fields={"title": "Other"}, change=300),
        CatalogueRow("ä5", exists=False, change=301),
        CatalogueRow("late", properties={"brand": "b3", "colour": "red"}, change=302),
        CatalogueRow("ä8", neighbours=(("ä1", 1.0),), change=303),
    ]
    for catalogue in (stored, plain):
        catalogue.apply(changes, 303)
    assert_alike(stored, plain)
    assert (
        filters.mask({"brand": "b3"}, {}).tolist() == Filters(plain).mask({"brand": "b3"}, {}).tolist()
    )
    assert stored.rows.in_memory == 4
    assert stored.rows[-1:] == [changes[2]]
    again = StoredCatalogues(tmp_path)
    folded = store(tmp_path, stored.rows.each(), 303)
    assert_alike(Catalogue(folded), plain)
    assert [path.name for path in tmp_path.iterdir()] == [f"{PROJECT}-303"]  # the older one is gone
    assert again.find(PROJECT, 303) is not None
    assert again.find(PROJECT, 302) is None  # of a database that has not come so far


@pytest.mark.parametrize(
    "name", ["bodies.bin", "ids.text.npy", "exists.npy", "column0.json", "catalogue.json"]
)
@pytest.mark.parametrize("how", ["flip", "cut", "delete"])
def test_a_damaged_file_is_refused_and_deleted(tmp_path, name, how, caplog):
    store(tmp_path, make_rows(30))
    (path,) = tmp_path.glob(f"*/{name}")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    if how == "delete":
        path.unlink()
    else:
        path.write_bytes(content if how == "flip" else content[:-3])
    if name == "catalogue.json" and how == "flip":
        path.write_bytes(b'{"schema": 99}')
    with pytest.raises(StoredCatalogueError):
        StoredCatalogue(path.parent)
    assert StoredCatalogues(tmp_path).find(PROJECT, 299) is None
    where = f"{PROJECT}-299"
    assert f"catalogue {where}" in caplog.text or f"schema of {where} == 99, must be 2" in caplog.text
    assert not path.parent.exists()


@pytest.fixture
def shop(tables, monkeypatch):
    """A project with 40 items, where 30 are many."""
    monkeypatch.setattr("bakeoff.gateway.config.catalogue_reader.MIN_STORED", 30)
    shop = builders.make_shop(items=10)
    put(shop, [f"n{n}" for n in range(30)])
    return shop


def put(shop, names, **fields) -> None:
    drafts = [ItemDraft(name, f"Title of {name}", **fields) for name in names]
    write_items(project_id=shop.project.pk, items=drafts)


class Process:
    """What a web process reads of catalogues."""

    def __init__(self, root) -> None:
        self.reader = CatalogueReader(test_database_url(), StoredCatalogues(root))
        self.catalogues: dict[int, Catalogue] = {}

    def read(self, shop, *, everything=False) -> Catalogue:
        try:
            self.reader.read(self.catalogues, everything=everything)
        finally:
            self.reader.close()
        return self.catalogues[shop.project.pk]


def titles(catalogue) -> dict[str, str]:
    every = (catalogue.rows[row] for row in range(len(catalogue)))
    return {row.item_id: row.fields["title"] for row in every if row.exists}


def test_one_process_stores_and_all_map(shop, tmp_path):
    first = Process(tmp_path)
    stored = first.read(shop, everything=True)
    assert len(stored.stored) == 40
    put(shop, ["n3", "new"], labels=["x"])
    remove_items(project_id=shop.project.pk, item_ids=["n4"])
    second = Process(tmp_path)
    for catalogue in (first.read(shop), second.read(shop, everything=True)):
        assert catalogue.stored.change == stored.stored.change  # not read as a whole again
        assert len(catalogue) == 41
        assert catalogue.rows.in_memory == 3
        assert catalogue.rows[catalogue.find("n3")].fields["labels"] == ("x",)
        assert "n4" not in titles(catalogue)
        assert len(titles(catalogue)) == 40


def test_what_is_stored_of_another_database_is_read_anew(shop, tmp_path, caplog):
    Process(tmp_path).read(shop, everything=True)
    # As after a restore: the same numbers were given to other changes.
    Item.objects.filter(project=shop.project, item_id="n7").update(title="Restored", change=1)
    catalogue = Process(tmp_path).read(shop, everything=True)
    assert titles(catalogue)["n7"] == "Restored"
    assert "is of other items, read anew" in caplog.text


def test_many_changes_are_stored_anew(shop, tmp_path, monkeypatch):
    process = Process(tmp_path)
    before = process.read(shop, everything=True)
    monkeypatch.setattr(stored_catalogues, "MAX_IN_MEMORY", 5)
    put(shop, [f"n{n}" for n in range(4)])
    assert process.read(shop) is before
    put(shop, [f"more{n}" for n in range(4)])
    after = process.read(shop)
    assert after is not before
    assert (len(after.stored), after.rows.in_memory) == (44, 0)
    assert titles(after) == titles(before)


def test_a_folder_that_cannot_be_written_leaves_catalogues_in_memory(shop, tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    catalogue = Process(blocked).read(shop, everything=True)
    assert catalogue.stored is None
    assert len(titles(catalogue)) == 40
    assert "is held in memory" in caplog.text


def test_who_waits_too_long_for_another_process_reads_alone(shop, tmp_path, monkeypatch):
    monkeypatch.setattr(stored_catalogues, "WAIT_SECONDS", 0.2)
    with (tmp_path / f"{shop.project.pk}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        catalogue = Process(tmp_path).read(shop, everything=True)
    assert catalogue.stored is None
    assert len(titles(catalogue)) == 40


def test_processes_that_start_at_once_map_the_same(shop, tmp_path):
    with ThreadPoolExecutor(3) as pool:
        reads = [pool.submit(Process(tmp_path).read, shop, everything=True) for _ in range(3)]
        catalogues = [one.result() for one in reads]
    assert all(len(catalogue.stored) == 40 for catalogue in catalogues)
    assert len(list(tmp_path.glob(f"{shop.project.pk}-*"))) == 1


def test_what_is_stored_of_projects_that_are_gone_is_deleted(shop, tmp_path):
    gone = store(tmp_path, make_rows(5))
    assert len(gone) == 5
    Process(tmp_path).read(shop, everything=True)
    assert not list(tmp_path.glob(f"{PROJECT}-*"))
    assert len(list(tmp_path.glob(f"{shop.project.pk}-*"))) == 1
