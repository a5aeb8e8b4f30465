"""Items whose texts are nearest to a question: a worker's vectors, in a search and by themselves."""

from __future__ import annotations

import pytest

from bakeoff.gateway.slates.search import TITLES
from experiments.actions.add_order import add_order, read_order
from experiments.actions.load_catalogue import remove_items, write_items
from inference.actions.load_items import ItemDraft
from inference.encoders import nearest_texts
from inference.encoders.item_vectors import embed_missing
from inference.encoders.nearest_texts import NearestTexts, NotLoadedError
from inference.models import Item, Surface
from inference.serving.nearest_texts import MAX_NEAREST, ask_for, pack, unpack
from inference.worker_threads import start_worker_threads
from tests.support.waiting import wait_until

TEXTS = {"a": "heat rain", "b": "sun", "c": "night city night", "d": "rain rain heat sun"}


@pytest.fixture
def texts(shop, tiny_bert):
    """A shop whose items have texts and their vectors."""
    Item.objects.filter(project=shop.project).delete()
    write(shop, TEXTS)
    return shop


def write(shop, texts):
    drafts = [ItemDraft(name, text) for name, text in texts.items()]
    write_items(project_id=shop.project.pk, items=drafts)
    embed_missing(list(Item.objects.filter(project=shop.project)))


def ids(shop):
    return dict(Item.objects.filter(project=shop.project).values_list("item_id", "pk"))


def ask(index, shop, text):
    """Return the nearest items, once the vectors are here."""
    answers = []

    def answered():
        try:
            answers[:] = index.answer([ask_for(shop.project.pk, text)])
        except NotLoadedError:
            return False
        return True

    wait_until(answered)
    names = {pk: name for name, pk in ids(shop).items()}
    return [names[pk] for pk in unpack(answers[0]) if pk in names]


def test_a_reply_is_a_list_of_one_length():
    reply = pack([(7, 0.9), (12345678901, 0.4)])
    assert len(reply) == 2 * MAX_NEAREST
    assert unpack(reply) == [7, 12345678901]
    assert unpack(pack([])) == []


@pytest.mark.parametrize("max_items", [100, 2])
def test_what_is_nearest_follows_the_catalogue(texts, monkeypatch, tmp_path, max_items):
    """Of few items all are compared, of more than a limit a graph is searched."""
    monkeypatch.setattr(nearest_texts, "MAX_ITEMS", max_items)
    monkeypatch.setattr(nearest_texts, "_folder", lambda project: tmp_path / str(project))
    index = NearestTexts(refresh_seconds=0.0)
    for name, text in TEXTS.items():
        assert ask(index, texts, text)[0] == name
    # Written without its vector first: it is found once it has one.
    write(texts, {"e": "city", "b": "night"})
    wait_until(lambda: ask(index, texts, "city")[0] == "e")
    wait_until(lambda: ask(index, texts, "night")[0] == "b")
    gone = ids(texts)["a"]
    remove_items(project_id=texts.project.pk, item_ids=["a"])
    wait_until(lambda: gone not in unpack(index.answer([ask_for(texts.project.pk, "heat rain")])[0]))


def test_a_worker_that_starts_maps_the_stored_graph(texts, monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(nearest_texts, "MAX_ITEMS", 2)
    monkeypatch.setattr(nearest_texts, "_folder", lambda project: tmp_path / str(project))
    texts_of = nearest_texts._Texts
    first = texts_of()
    first.load(texts.project.pk)
    assert (first.stored.items, first.graph.changes, first.stored.recall) == (4, 0, 1.0)
    write(texts, {"e": "city"})
    remove_items(project_id=texts.project.pk, item_ids=["a"])
    # Another worker reads no row but what changed since.
    monkeypatch.setattr(nearest_texts, "MAX_ITEMS", 10**6)
    second = texts_of()
    second.load(texts.project.pk)
    assert len(second.graph) == 4
    assert second.stored.items == 4
    assert second.stored != first.stored  # more than a twentieth had changed: it is stored anew
    third = texts_of()
    third.load(texts.project.pk)
    assert (third.stored, third.graph.changes) == (second.stored, 0)
    # A damaged file is said, and built anew.
    file = next(tmp_path.glob("*/*.usearch"))
    file.write_bytes(file.read_bytes()[:-1])
    monkeypatch.setattr(nearest_texts, "MAX_ITEMS", 2)
    fourth = texts_of()
    fourth.load(texts.project.pk)
    assert "is built anew: graph" in caplog.text
    assert (len(fourth.graph), fourth.stored.items) == (4, 4)


def test_what_is_like_a_product_goes_by_its_title_which_is_asked_once(texts, lane):
    write(texts, {"i2": "heat rain", "i8": "rain rain heat sun", "i5": "night city night"})
    surface = Surface.objects.create(project=texts.project, key="find")
    add_order(surface=surface, order=read_order("search", {}), by="a test")
    lane.refresh()

    def similar(item_id, surface="home-feed"):
        body = {"surface": surface, "unit_id": "u1", "item_id": item_id, "k": 3}
        data = lane.post("/v1/similar", body, texts.public).json()
        return [item["item_id"] for item in data["items"]], data["fallback"]

    def search(q):
        return lane.post(
            "/v1/search", {"surface": "find", "unit_id": "u1", "q": q}, texts.public
        ).json()

    stopping = start_worker_threads()
    try:
        wait_until(lambda: similar("i2")[1] == "similar_by_text")
        # An order, too: the nearest texts of its whole catalogue, then its own order.
        wait_until(lambda: similar("i2", "find")[1] == "similar_by_text")
        assert {"a", "i8"} <= set(similar("i2", "find")[0])
        assert similar("i2")[0][0] == "i8"
        for _ in range(3):
            lane.gateway._remote.breaker(TITLES).failed()
        assert similar("i2")[0][0] == "i8"  # remembered
        assert similar("i5")[1] == "default_list"
        assert search("heat rain")["fallback"] is None  # its breaker is another
    finally:
        stopping.set()
        lane.gateway._remote._breakers.clear()


def test_a_search_goes_by_words_and_by_vectors(texts, lane):
    for key, params in (("both", {}), ("vectors", {"word_weight": 0}), ("words", {"vector_weight": 0})):
        surface = Surface.objects.create(project=texts.project, key=key)
        add_order(surface=surface, order=read_order("search", params), by="a test")
    lane.refresh()

    def search(key, q):
        body = {"surface": key, "unit_id": "u1", "q": q}
        data = lane.post("/v1/search", body, texts.public).json()
        return [item["item_id"] for item in data["items"]], data["fallback"]

    stopping = start_worker_threads()
    try:
        wait_until(lambda: search("vectors", "heat rain")[1] is None)
        nearest, _ = search("vectors", "heat rain")
        assert (nearest[0], set(nearest) <= set(TEXTS)) == ("a", True)
        by_words, fallback = search("words", "heat rain")
        assert (set(by_words), fallback) == ({"a", "d"}, None)
        both, fallback = search("both", "heat rain")
        assert (both[0], fallback, set(nearest) <= set(both)) == ("a", None, True)
    finally:
        stopping.set()
