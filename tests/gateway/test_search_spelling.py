"""Searches by people who write otherwise than the catalogue: accents, widths, typing errors."""

from __future__ import annotations

import pytest
from django.utils import timezone

from bakeoff.gateway.slates import word_search
from experiments.actions.add_order import add_order, read_order
from experiments.actions.load_catalogue import patch_item, remove_items, write_items
from inference.actions import collect_words
from inference.actions.collect_words import EVERY, projects_with_due_words
from inference.actions.load_items import ItemDraft
from inference.cache import cache_client
from inference.lease import lease
from inference.models import CatalogueState, ItemWord, Surface
from inference.sending import COLLECT_WORDS
from inference.serving.word_forms import fold, is_one_error, near_forms
from inference.tasks import embed_words
from tests.support import builders

TITLES = """
    White leather sneakers|Running shoes for women|Red winter boots|Summer sandals|Wool scarf|Straw hat
    Waterproof rain jacket|Denim trousers|Cotton T-shirt|Silk evening dress|Baseball cap|Hiking backpack
    Stainless steel kettle|Ceramic coffee mug|Wooden cutting board|Cast iron skillet|Espresso machine
    Bluetooth headphones|Wireless keyboard|Mechanical pencil|Notebook with lines|Fountain pen
    Desk lamp|Office chair|Bookshelf of oak|Memory foam mattress|Feather pillow|Linen curtains
    Garden hose|Tomato seeds|Watering can|Electric lawnmower|Camping tent|Sleeping bag|Fishing rod
    Mountain bicycle|Tennis racket|Yoga mat|Dumbbells|Basketball|Swimming goggles
    Chocolate biscuits|Organic honey|Strawberry jam|Camembert cheese|Olive oil|Basmati rice
    Children's puzzle|Teddy bear|Building blocks|Picture book of dinosaurs
    Rosa Müller: Café at the corner|Zoë's crème brûlée|Łódź city guide|Smørrebrød recipes
    Straßenkarte von Köln|Ｗｉｒｅｌｅｓｓ　Ｍｏｕｓｅ|Книга о Чёрном море
    红色冬靴|白色运动鞋|赤い冬のブーツ
""".replace("\n", "|").split("|")
ITEMS = [ItemDraft(title.strip(), title.strip()) for title in TITLES if title.strip()]
# What is typed, and the beginning of what is meant: a letter wrong, missing, doubled, swapped.
MISTYPED = {
    "sneekers": "White", "snakers": "White", "sneakkers": "White", "snaekers": "White",
    "leathr sneakers": "White", "runing shoes": "Running", "womem": "Running", "winter botos": "Red",
    "sandels": "Summer", "sumer sandals": "Summer", "scraf": "Wool", "straw hta": "Straw",
    "watreproof": "Waterproof", "rain jaket": "Waterproof", "trowsers": "Denim", "denm": "Denim",
    "coton": "Cotton", "evning dress": "Silk", "basebal cap": "Baseball", "hikking": "Hiking",
    "bakpack": "Hiking", "stainles": "Stainless", "ketle": "Stainless", "cermaic mug": "Ceramic",
    "cofee": "Ceramic", "woden board": "Wooden", "skilet": "Cast", "expresso": "Espresso",
    "bluetoth headphones": "Bluetooth", "headphnoes": "Bluetooth", "keybord": "Wireless k",
    "mechancial": "Mechanical", "noteboook": "Notebook", "fountin pen": "Fountain", "ofice chair": "Office",
    "chiar": "Office", "matress": "Memory", "pilow": "Feather", "curtians": "Linen", "tomatoe": "Tomato",
    "wattering can": "Watering", "lawnmover": "Electric", "campng": "Camping", "sleepin bag": "Sleeping",
    "mountian bicicle": "Mountain", "tenis": "Tennis", "dumbells": "Dumbbells", "googles": "Swimming",
    "chocolat": "Chocolate", "biscits": "Chocolate", "hony": "Organic", "strawbery": "Strawberry",
    "camenbert": "Camembert", "olvie": "Olive", "puzle": "Children", "dinosaures": "Picture",
    "muler": "Rosa", "bruleee": "Zoë", "кнага": "Книга",
}  # fmt: skip
OTHERWISE = {
    "cafe": "Rosa", "CAFÉ": "Rosa", "Muller": "Rosa", "MÜLLER": "Rosa", "zoe": "Zoë", "creme brulee": "Zoë",
    "Crème Brulée": "Zoë", "creme": "Zoë", "lodz": "Łódź", "smorrebrod": "Smørrebrød",
    "strassenkarte": "Straßenkarte", "koln": "Straßenkarte", "wireless mouse": "Ｗｉｒｅ",
    "ｓｎｅａｋｅｒｓ": "White", "SNEAKERS": "White", "черном": "Книга", "ЧЁРНОМ": "Книга", "mull": "Rosa",
    "sneak": "White", "white sneak": "White", "cafe\u0301": "Rosa",
}  # fmt: skip


@pytest.fixture
def find(lane, shop):
    """Titles that a shop with a surface for searches answers, best first."""
    write_items(project_id=shop.project.pk, items=ITEMS)
    surface = Surface.objects.create(project=shop.project, key="find", static_list=["i1"])
    add_order(surface=surface, order=read_order("search", {}), by="a test")

    def search(q):
        lane.refresh()
        body = {"surface": "find", "unit_id": "u1", "q": q, "k": 10}
        answer = lane.post("/v1/search", body, shop.public)
        assert answer.status_code == 200, answer.text
        return [item["item_id"] for item in answer.json()["items"]]

    return search


def wrong_among(find, questions):
    """Questions whose first answer is not the one that is meant, with it."""
    first = {q: (find(q) or [""])[0] for q in questions}
    return {q: title for q, title in first.items() if not title.startswith(questions[q])}


def test_accents_widths_and_case_do_not_matter(find):
    assert wrong_among(find, OTHERWISE) == {}


def test_errors_of_one_letter_find_what_is_meant(find):
    assert wrong_among(find, MISTYPED) == {}


def test_what_is_written_exactly_stands_first(find, shop):
    write_items(
        project_id=shop.project.pk,
        items=[
            ItemDraft("boats", "Boats in many colours"),
            *(ItemDraft(f"cake{n}", "cake") for n in range(3)),
            ItemDraft("lake", "lake"),
        ],
    )
    # Two have the word or begin with it, so the one that is near follows; three are enough.
    assert find("boots") == ["Red winter boots", "boats"]
    assert sorted(find("cake")) == ["cake0", "cake1", "cake2"]
    # A word that is known stays, beside one that is not.
    assert find("red winter bots")[0] == "Red winter boots"
    assert "lake" not in find("cake machne")


@pytest.mark.parametrize("q", ["mta", "bok", "kettles of copper", "sneeekkers", "12345", "ab-cd'ef\\"])
def test_what_is_further_away_is_not_guessed(find, q):
    assert "White leather sneakers" not in find(q)


def test_languages_without_spaces_are_found_as_before(find):
    assert find("红色冬靴") == ["红色冬靴"]
    assert find("白色") == ["白色运动鞋"]  # its beginning
    assert find("红色冬鞋") == []  # another word, not an error
    assert find("赤い冬のブーツ") == ["赤い冬のブーツ"]


def test_words_follow_what_is_written_and_go_with_it(find, shop):
    project = shop.project.pk
    patch_item(project_id=project, item_id="Garden hose", changes={"title": "Façade paint"})
    assert find("facade") == ["Garden hose"]
    assert find("fasade") == ["Garden hose"]
    remove_items(project_id=project, item_ids=["Garden hose", "Yoga mat"])
    assert find("facade") == []
    assert embed_words(project) == 0  # not due
    assert ItemWord.objects.filter(project_id=project, word="façade").exists()
    CatalogueState.objects.filter(pk=project).update(words_collected_at=timezone.now() - EVERY)
    embed_words(project)
    words = set(ItemWord.objects.filter(project_id=project).values_list("word", flat=True))
    assert "sneakers" in words
    assert not {"façade", "yoga"} & words


def test_items_written_by_an_older_version_have_their_words_after_a_tick(find, shop):
    project = shop.project.pk
    states = CatalogueState.objects.filter(pk=project)
    ItemWord.objects.filter(project=shop.project).delete()
    assert find("cafe") == []
    assert project not in projects_with_due_words()
    states.update(words_number=None, words_collected_at=None)  # as an upgrade leaves them
    assert project in projects_with_due_words()
    assert embed_words(project) > 100
    assert project not in projects_with_due_words()
    assert find("cafe")[0].startswith("Rosa")


def test_a_day_after_a_change_all_words_are_collected_again(find, shop):
    project = shop.project.pk
    states = CatalogueState.objects.filter(pk=project)
    write_items(project_id=project, items=[ItemDraft("late", "Late café")])
    assert project not in projects_with_due_words()
    states.update(words_collected_at=timezone.now() - EVERY)
    assert project in projects_with_due_words()
    assert embed_words(project) == 0
    states.update(words_collected_at=timezone.now() - EVERY)
    assert project not in projects_with_due_words()  # nothing changed since


def test_one_worker_collects_a_while_and_the_next_goes_on(find, shop, monkeypatch):
    project = shop.project.pk
    states = CatalogueState.objects.filter(pk=project)
    words = ItemWord.objects.filter(project=shop.project)
    every = set(words.values_list("word", flat=True))
    words.delete()
    states.update(words_number=None, words_collected_at=None)
    monkeypatch.setattr(collect_words, "CHUNK", 20)
    sent = []
    monkeypatch.setattr(collect_words, "send_once", lambda *message: sent.append(message))
    client = cache_client()
    with lease(client, f"words:{project}", seconds=60):
        assert embed_words(project) == 0  # another worker has it, and sends what is left
    assert (sent, words.count()) == ([], 0)
    new = collect_words.collect_words(project_id=project, seconds=0)
    assert 0 < new == words.count() < len(every)
    assert sent == [(COLLECT_WORDS, project)]
    assert project in projects_with_due_words()
    assert new + embed_words(project) == len(every)  # none is read twice
    assert set(words.values_list("word", flat=True)) == every
    assert len(sent) == 1
    assert project not in projects_with_due_words()


def test_a_question_of_hundreds_of_words_without_blanks_is_cut(find, monkeypatch):
    compared = []
    monkeypatch.setattr(
        word_search, "is_one_error", lambda *both: compared.append(both) or is_one_error(*both)
    )
    sought = []
    plain = word_search.near_forms
    monkeypatch.setattr(word_search, "near_forms", lambda term: sought.append(term) or plain(term))
    q = ",".join(["sneekers", *(f"boot{one}{two}" for one in "abcdefghij" for two in "abcdefghij")])
    assert find(q) == ["White leather sneakers"]
    assert len(sought) == word_search.MAX_CORRECTED
    assert all(set(plain(term)) & set(plain(word)) for term, word in compared)
    assert len(find(",".join(TITLES)[:1000])) == 10


@pytest.mark.parametrize(
    ("part", "q", "found"),
    [("_NEAR", "scarf", ["Wool scarf"]), ("_NEAR", "scraf", []), ("_HITS", "scarf", ["i1"])],
)
def test_what_was_found_in_time_is_the_answer(find, monkeypatch, part, q, found):
    """A step that takes too long ends, and leaves what was found before it and the connection."""
    slow = f"{getattr(word_search, part)} OFFSET length(pg_sleep(30)::text)"
    with monkeypatch.context() as patch:
        patch.setattr(word_search, part, slow)
        assert find(q) == found
    assert find("sneekers") == ["White leather sneakers"]


def test_a_shop_does_not_know_the_words_of_another(find):
    stranger = builders.make_shop()
    items = [ItemDraft("x", "Ztamarind"), ItemDraft("y", "Zòo")]
    write_items(project_id=stranger.project.pk, items=items)
    assert find("ztamerind") == find("zoo") == []


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Ｃａｆé", "cafe"), ("ŁÓDŹ", "lodz"), ("Straße", "strasse"), ("İzmir ılık", "izmir ilik"),
        ("ΆΝΘΡΩΠΟΣ", "ανθρωποσ"), ("Чёрный йод", "черный йод"), ("ﬁne Việt", "fine viet"),
        ("红色靴子", "红色靴子"), ("ﾊﾟﾝ", "パン"), ("हिन्दी 한국어", "हिन्दी 한국어"), ("", ""),
    ],
)  # fmt: skip
def test_fold(text, folded):
    assert fold(text) == folded


@pytest.mark.parametrize(
    ("left", "right", "near"),
    [
        ("sneekers", "sneakers", True), ("snakers", "sneakers", True), ("sneakkers", "sneakers", True),
        ("snaekers", "sneakers", True), ("boot", "boots", True), ("sneakers", "sneakers", False),
        ("abcd", "bcde", False), ("abcd", "dbca", False), ("sneaker", "snacks", False),
    ],
)  # fmt: skip
def test_words_one_error_apart_share_a_number(left, right, near):
    assert is_one_error(left, right) == is_one_error(right, left) == near
    assert not near or set(near_forms(left)) & set(near_forms(right))


@pytest.mark.parametrize("word", ["", "ab", "x" * 34, "a1234", "红色靴子", "한국어로"])
def test_what_is_no_word_of_letters_is_near_to_nothing(word):
    assert near_forms(word) == []
