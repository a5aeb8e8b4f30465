"""The page of a policy: what it earns beside the default action, over time."""

from __future__ import annotations

from django.urls import reverse

from experiments.actions.change_surface import patch_surface
from tests.support.dashboard import sign_in
from tests.support.ranking import make_decisions, make_rank_surface, report_counted, write_decisions


def page_of(shop, key="offers"):
    return sign_in(shop.project).get(reverse("surface-policy", args=[shop.project.slug, key]))


def test_it_shows_the_value_of_each_version_and_its_course(shop):
    surface = make_rank_surface(shop.project)
    write_decisions(shop, surface, make_decisions(60))
    report_counted(surface)
    page = page_of(shop).content.decode()
    assert 'data-policy="open"' in page
    assert "60 of 60 decisions got a reward in time." in page
    assert '<svg class="path"' in page
    surface_page = sign_in(shop.project).get(reverse("surface", args=[shop.project.slug, surface.key]))
    assert "/surfaces/offers/policy/" in surface_page.content.decode()


def test_the_value_begins_anew_where_the_settings_of_rewards_change(shop):
    surface = make_rank_surface(shop.project)
    write_decisions(shop, surface, make_decisions(20))
    patch_surface(surface=surface, changes={"rank": {"explore": 0.2}}, by="ann")
    assert report_counted(surface).value.decisions == 20  # no reward has another value
    patch_surface(surface=surface, changes={"rank": {"explore": 0.2, "default_reward": 0.5}}, by="ann")
    report = report_counted(surface)
    assert report.value.decisions == 0
    page = page_of(shop).content.decode()
    assert f"Decisions count since {report.since:%Y-%m-%d %H:%M}: the default reward" in page
    patch_surface(surface=surface, changes={"rank": {"default_reward": 0.5}}, by="ann")
    assert report_counted(surface).since == report.since


def test_a_surface_without_decisions_says_so_and_another_kind_has_no_such_page(shop):
    make_rank_surface(shop.project)
    assert "No decisions yet whose time for rewards is over." in page_of(shop).content.decode()
    assert page_of(shop, shop.surface.key).status_code == 404
