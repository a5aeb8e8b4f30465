"""The page of a surface's list: what it takes, saved as a version, served, refused."""

from __future__ import annotations

import re
from html import unescape

import orjson
import pytest
from django.urls import reverse

from bakeoff.accounts.models import AuditEntry
from bakeoff.dashboard.views.surface_lists import WORDS
from experiments.actions.add_order import add_order, read_order
from experiments.actions.load_catalogue import write_items
from experiments.actions.start_experiment import start_experiment
from experiments.slate_rules.rules import NAMES
from inference.actions.load_items import ItemDraft
from inference.models import Surface
from inference.serving.orders import LISTS, PARAMS
from tests.support.dashboard import sign_in
from tests.support.html import has

TRENDING = {"half_life_hours": 24.0, "by_value": False}


@pytest.fixture
def trending(shop) -> Surface:
    """A surface whose champion is what trends."""
    surface = Surface.objects.create(project=shop.project, key="trends")
    add_order(surface=surface, order=read_order("trending", {}), by="a test")
    return surface


@pytest.fixture
def client(shop):
    return sign_in(shop.project, role="operator")


def page_of(surface, query=""):
    return reverse("surface-list", args=[surface.project.slug, surface.key]) + query


def test_a_parameter_is_changed_and_serves(trending, client):
    page = client.get(page_of(trending)).content.decode()
    assert has(page, data_list="trending", data_surface="trends")
    assert 'name="half_life_hours" value="24.0"' in page
    body = {"list": "trending", "half_life_hours": "6", "by_value": "on", "serve": "1"}
    page = client.post(page_of(trending), body, follow=True).content.decode()
    assert "trending@2 serves: Trending." in page
    assert has(page, data_version="trending@2", data_alias="champion")
    assert has(page, data_version="trending@1", data_alias="retired")
    champion = trending.versions.champions().get()
    assert champion.params == {"half_life_hours": 6.0, "by_value": True}
    assert 'value="6.0"' in page
    assert "Half-life (hours): 6 · Count by value: yes" in page
    entries = AuditEntry.objects.filter(project=trending.project)
    assert {"add order", "promote"} <= set(entries.values_list("action", flat=True))
    shown = client.get(reverse("surface", args=[trending.project.slug, "trends"])).content.decode()
    assert "Half-life (hours) 6" in shown


def test_to_serve_what_was_served_before_adds_no_version(trending, client):
    for hours in ("6", "24", "6", "6"):
        body = {"list": "trending", "half_life_hours": hours, "serve": "1"}
        assert client.post(page_of(trending), body).status_code == 302
    assert trending.versions.count() == 2
    assert trending.versions.champions().get().params["half_life_hours"] == 6.0


def test_a_version_to_test_leaves_the_champion(trending, client):
    body = {"list": "trending", "half_life_hours": "2", "keep": "1"}
    page = client.post(page_of(trending), body, follow=True).content.decode()
    assert "trending@2 saved. Promote it, or test it in an experiment." in page
    assert trending.versions.champions().get().params == TRENDING
    assert trending.versions.get(number=2).alias == "candidate"


def test_while_an_experiment_runs_it_is_saved_and_does_not_serve(shop, client):
    shop.surface = Surface.objects.create(project=shop.project, key="trends")
    shop.champion = add_order(surface=shop.surface, order=read_order("trending", {}), by="a test")
    rival = add_order(surface=shop.surface, order=read_order("latest", {}), by="a test")
    start_experiment(experiment=shop.define(rival), by="a test")
    for _ in range(2):
        body = {"list": "trending", "half_life_hours": "2", "serve": "1"}
        answer = client.post(page_of(shop.surface), body)
        assert answer.status_code == 422
        assert "trending@2 is saved, but it does not serve yet." in answer.content.decode()
    assert shop.surface.versions.filter(algorithm="trending").count() == 2
    assert shop.surface.versions.champions().get() == shop.champion


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"list": "trending", "half_life_hours": "0"}, "greater than or equal to 0.25"),
        ({"list": "trending", "half_life_hours": "9e9"}, "less than or equal to 87600"),
        ({"list": "trending", "half_life_hours": "nan"}, "Enter a number."),
        ({"list": "trending"}, "Fill this in; it must not be empty."),
        ({"list": "search", "word_weight": "-1", "vector_weight": "1"}, "greater than or equal to 0"),
        ({"list": "search", "word_weight": "0", "vector_weight": "0"}, "One of the two weights"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(trending, client, body, sentence):
    answer = client.post(page_of(trending), {**body, "serve": "1"})
    page = answer.content.decode()
    assert (answer.status_code, trending.versions.count()) == (422, 1)
    assert sentence in page.split('<div class="field wrong">')[1].split("</div>")[0]


@pytest.mark.parametrize("name", LISTS)
def test_the_page_shows_all_that_a_list_takes(trending, client, name):
    page = client.get(page_of(trending, f"?list={name}")).content.decode()
    assert has(page, data_list=name)
    for param in WORDS:
        assert (f'name="{param}"' in page) == (param in PARAMS[LISTS[name][0]])
    assert ("no parameters" in page) == (name == "latest")


def test_a_viewer_sees_and_changes_nothing(trending, shop):
    viewer = sign_in(shop.project, role="viewer")
    page = viewer.get(page_of(trending)).content.decode()
    assert "Save and serve" not in page
    body = {"list": "trending", "half_life_hours": "6", "serve": "1"}
    assert viewer.post(page_of(trending), body).status_code == 403
    assert trending.versions.count() == 1


def test_a_surface_that_ranks_no_items_has_no_list(shop, client):
    surface = Surface.objects.create(project=shop.project, key="ask", kind="classify")
    assert client.get(page_of(surface)).status_code == 404
    shown = client.get(reverse("surface", args=[shop.project.slug, "ask"])).content.decode()
    assert page_of(surface) not in shown


def test_a_surface_without_versions_starts_with_the_first_that_is_saved(shop, client):
    surface = Surface.objects.create(project=shop.project, key="new")
    body = {"list": "search", "word_weight": "2", "vector_weight": "1", "keep": "1"}
    assert client.post(page_of(surface), body).status_code == 302
    assert surface.versions.champions().get().params == {"word_weight": 2.0, "vector_weight": 1.0}


def test_the_page_of_a_search_offers_no_training_and_misses_no_metric(trending, shop, client):
    search = Surface.objects.create(project=shop.project, key="find", start_experiments=True)
    add_order(surface=search, order=read_order("search", {}), by="a test")
    Surface.objects.filter(pk=trending.pk).update(start_experiments=True)
    shown = {
        key: client.get(reverse("surface", args=[shop.project.slug, key])).content.decode()
        for key in ("find", "trends")
    }
    for words in ("Start training", "No primary metric: no automatic experiment starts."):
        assert words not in shown["find"]
        assert words in shown["trends"]  # what counts likes can be trained and judged


def test_the_page_of_rules_has_an_example_of_each(trending, client):
    address = reverse("surface-rules", args=[trending.project.slug, "trends"])
    page = unescape(client.get(address).content.decode())
    example = orjson.loads(re.search(r"<pre><code>(\{.*?)</code></pre>", page, re.DOTALL)[1])
    assert set(example) == set(NAMES)
    items = [ItemDraft("i9", price=9.0, labels=["shoes", "sale"], properties={"brand": "Zeta"})]
    write_items(project_id=trending.project_id, items=items)
    answer = client.post(address, {"rules": orjson.dumps(example).decode(), "k": "5", "save": "1"})
    assert answer.status_code == 302  # a refusal is shown beside the field
    trending.refresh_from_db()
    assert trending.rules == example
