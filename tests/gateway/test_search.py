"""Items that words find."""

from __future__ import annotations

import pytest
from django.db.models.functions import Now

from experiments.actions.add_order import add_order, read_order
from experiments.actions.load_catalogue import write_items
from experiments.actions.mark_units import history_of
from experiments.actions.start_experiment import start_experiment
from experiments.models import Exposure, Slate
from inference.actions.load_items import ItemDraft
from inference.cache import cache_client
from inference.models import Item, Surface
from inference.serving.keys import recent_key
from tests.support.dashboard import sign_in

ITEMS = [
    ItemDraft("boots", "Red winter boots", "Warm boots for snow.", labels=["shoes"], price=80.0),
    ItemDraft("sandals", "Summer sandals", "Light, for the beach.", labels=["shoes"], price=20.0),
    ItemDraft("scarf", "Red scarf", "Goes with winter boots.", labels=["wool"], price=15.0),
    ItemDraft("hat", "Straw hat", "", labels=["summer"], properties={"brand": "Acme"}),
    ItemDraft("gone", "Red boots of last year", "", labels=["shoes"], available=False),
]


@pytest.fixture
def seeker(lane, shop):
    """A shop with a surface for searches."""
    write_items(project_id=shop.project.pk, items=ITEMS)
    surface = Surface.objects.create(project=shop.project, key="find", static_list=["i1"])
    add_order(surface=surface, order=read_order("search", {}), by="a test")
    lane.refresh()
    return surface


def search(lane, shop, q, **body):
    body = {"surface": "find", "unit_id": "u1", "q": q, **body}
    return lane.post("/v1/search", body, shop.public)


def find(lane, shop, q, **body):
    answer = search(lane, shop, q, **body)
    assert answer.status_code == 200, answer.text
    return [item["item_id"] for item in answer.json()["items"]]


def test_words_find_items_best_first(lane, shop, seeker):
    assert find(lane, shop, "red winter boots") == ["boots", "scarf"]
    assert find(lane, shop, "winter boo") == ["boots", "scarf"]  # a word that is being typed
    assert set(find(lane, shop, "shoes")) == {"sandals", "boots"}  # a label
    assert find(lane, shop, "ACME") == ["hat"]
    # What has all words comes before what has some.
    assert find(lane, shop, "red scarf of wool")[0] == "scarf"
    assert search(lane, shop, "red").json()["fallback"] == "words_alone"  # no worker answers here


@pytest.mark.parametrize("q", ["zebra", "!!! ???", "'", "a & b | !c", "x" * 1000, "':*", "\\", "%"])
def test_what_nothing_is_found_for_is_an_empty_list(lane, shop, seeker, q):
    answer = search(lane, shop, q)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["items"], answer.json()["fallback"]) == ([], "empty")


def test_a_search_is_a_list_with_rules_and_its_own_log(lane, shop, seeker):
    cache_client().rpush(recent_key(history_of(seeker), "u1"), "boots")
    answer = search(lane, shop, "red, write to jo@example.com", context={"country": "DE"}, k=1)
    data = answer.json()
    assert len(data["items"]) == 1
    slate = Slate.objects.get(recommendation_id=data["recommendation_id"])
    assert slate.context["country"] == "DE"
    assert "red" in slate.context["$query"]
    assert "jo@example.com" not in slate.context["$query"]
    # What was liked before may be sought again.
    assert "boots" in find(lane, shop, "red")
    assert find(lane, shop, "red", filter={"price": {"$lt": 50}}) == ["scarf"]
    assert find(lane, shop, "red", label="shoes") == ["boots"]
    assert find(lane, shop, "red", exclude=["boots"]) == ["scarf"]
    assert find(lane, shop, "red", pin=[{"item_id": "hat", "position": 1}])[0] == "hat"


def test_searches_compete(lane, shop, seeker):
    shop.surface, shop.champion = seeker, seeker.versions.get()
    order = read_order("search", {"word_weight": 2})
    experiment = shop.define(add_order(surface=seeker, order=order, by="a test"))
    start_experiment(experiment=experiment, by="a test")
    lane.refresh()
    variants = {search(lane, shop, "red", unit_id=f"u{n}").json()["variant"] for n in range(20)}
    assert variants == {"control", "treatment"}
    assert Exposure.objects.filter(experiment=experiment).count() == 20


def test_a_surface_for_searches_shows_what_is_new_to_who_asks_nothing(lane, shop, seeker):
    body = {"surface": "find", "unit_id": "u1", "k": 2}
    data = lane.post("/v1/recommend", body, shop.public).json()
    assert (len(data["items"]), data["fallback"]) == (2, None)


def test_another_surface_finds_nothing_and_says_what_to_do(lane, shop):
    answer = lane.post("/v1/search", {"surface": "home-feed", "unit_id": "u", "q": "a"}, shop.public)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "wrong_order")
    assert '"list": "search"' in answer.json()["error"]["message"]


@pytest.mark.parametrize("q", [None, "", 7, ["a"], "x" * 1001, "x" * 10_000])
def test_a_question_has_up_to_a_thousand_characters(lane, shop, seeker, q):
    answer = search(lane, shop, q)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "q")
    assert "must be a text of 1 to 1000 characters" in answer.json()["error"]["message"]


def test_an_empty_list_says_how_many_texts_wait_for_their_vectors(lane, shop, seeker):
    Item.objects.filter(project=shop.project).update(vector_due_at=None)
    data = search(lane, shop, "zebra").json()
    assert (data["items"], data["fallback"]) == ([], "empty")
    assert data["hint"].startswith("Words alone were sought: no worker has said in time")
    Item.objects.filter(project=shop.project, item_id__in=["boots", "hat"]).update(vector_due_at=Now())
    data = search(lane, shop, "zebra").json()
    assert data["hint"] == "2 texts wait for their vectors: words alone find them until then."
    assert "hint" not in search(lane, shop, "boots").json()
    assert "hint" not in search(lane, shop, "boots", filter={"price": {"$lt": 0}}).json()
    page = sign_in(shop.project).get("/health/").content.decode()
    assert 'data-texts="2"' in page
