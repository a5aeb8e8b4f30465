"""Surfaces and metrics are archived from their pages: who uses them is said first."""

from __future__ import annotations

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from experiments.models import Programme
from inference.models import Surface
from tests.support.browser import Visit
from tests.support.dashboard import make_user, sign_in
from tests.support.html import elements, has


def get(client, name, *names, query=""):
    return client.get(f"{reverse(name, args=names)}{query}").content.decode()


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("verb", ["archive", "delete"])
def test_what_is_in_use_names_its_users_and_has_no_button(shop, language, verb):
    experiment = shop.run_experiment()
    Programme.objects.create(surface=shop.surface, primary_metric=shop.metric)
    client = sign_in(shop.project, role="operator")
    client.cookies["django_language"] = language
    slug = shop.project.slug
    for kind, key in [("surface", "home-feed"), ("metric", "clicks")]:
        address = reverse(f"{kind}-act", args=[slug, key, verb])
        for answer in (client.get(address), client.post(address)):
            page = answer.content.decode()
            assert has(page, data_uses="")
            assert experiment.key in page
            assert not has(page, **{"class": "danger"})
            assert ("is running" in page) == (language == "en")
    assert not Surface.objects.filter(project=shop.project, archived_at__isnull=False).exists()


def test_what_has_a_history_is_not_deleted_and_the_page_says_what_to_do(shop):
    client = sign_in(shop.project, role="operator")
    address = reverse("surface-act", args=[shop.project.slug, "home-feed", "delete"])
    answer = client.post(address)
    assert answer.status_code == 409
    assert "archive it instead" in answer.content.decode()
    assert client.get(address.replace("delete", "explode")).status_code == 404


def test_a_surface_is_deleted_from_its_page_once_it_is_archived(shop):
    client = sign_in(shop.project, role="operator")
    names = [shop.project.slug, "tpyo"]
    Surface.objects.create(project=shop.project, key="tpyo")
    address = reverse("surface-act", args=[*names, "delete"])
    assert not has(get(client, "surface", *names), href=address)
    client.cookies["django_language"] = "zh-hans"
    answer = client.post(address)
    assert answer.status_code == 409
    assert "推荐位“tpyo”未归档：请先归档" in answer.content.decode()
    client.post(reverse("surface-act", args=[*names, "archive"]))
    assert has(get(client, "surface", *names), href=address)
    client.post(address)
    assert not Surface.objects.filter(project=shop.project, key="tpyo").exists()


def test_forms_offer_nothing_that_is_archived(shop):
    client = sign_in(shop.project, role="operator")
    slug = shop.project.slug

    def offered(name):
        options = elements(get(client, name, slug), tag="option")
        return {one["value"] for one in options}

    assert {str(shop.surface.pk), str(shop.metric.pk)} <= offered("experiments-new")
    for kind, key in [("surface", "home-feed"), ("metric", "clicks")]:
        client.post(reverse(f"{kind}-act", args=[slug, key, "archive"]))
    for name in ("experiments-new", "plan"):
        assert not {str(shop.surface.pk), str(shop.metric.pk)} & offered(name)
    assert has(get(client, "surfaces", slug), data_archived_count="1")
    assert not has(get(client, "surfaces", slug), data_surface="home-feed")
    assert has(get(client, "surfaces", slug, query="?archived"), data_surface="home-feed")
    assert has(get(client, "metrics", slug, query="?archived"), data_metric="clicks")
    surface = get(client, "surface", slug, "home-feed")
    assert has(surface, data_archived="")
    assert not has(surface, id="algorithm")


@pytest.fixture
def visit(chromium, lane, shop):
    seen = Visit(chromium, lane, make_user(shop.project, role="operator"))
    yield seen
    seen.close()


def test_a_person_archives_a_surface_and_takes_it_back(shop, visit):
    page = visit.page
    page.goto(reverse("surface", args=[shop.project.slug, "home-feed"]))
    page.get_by_role("link", name="Archive").click()
    expect(page.get_by_text("Requests for it will be refused.")).to_be_visible()
    page.get_by_role("button", name="Archive surface").click()
    expect(page.get_by_text("Surface archived.")).to_be_visible()
    page.get_by_role("link", name="Restore").click()
    page.get_by_role("button", name="Restore surface").click()
    expect(page.get_by_text("Surface restored.")).to_be_visible()
    expect(page.get_by_role("link", name="Archive")).to_be_visible()
    assert not visit.errors
