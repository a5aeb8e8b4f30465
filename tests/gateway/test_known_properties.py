"""Rules about properties that items once had: a web process that starts later takes them all the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bakeoff.environment import read_environment
from bakeoff.gateway.config.catalogue_reader import CatalogueReader
from bakeoff.gateway.config.stored_catalogues import StoredCatalogues
from experiments.actions.change_surface import CannotChangeSurfaceError, patch_surface
from experiments.actions.load_catalogue import patch_item, remove_items, write_items
from experiments.actions.save_rules import CannotSaveRulesError, save_rules
from experiments.models import RuleVersion
from inference.actions.known_properties import MAX_NAMES, known_properties
from inference.actions.load_items import ItemDraft
from inference.models import CatalogueState, Item, Surface
from inference.serving.catalogue import Catalogue
from inference.tasks import embed_words
from tests.support.fast_lane import FastLane, test_database_url

RULES = (
    {"filter": {"brand": "Acme"}},
    {"filter": {"brand.name": {"$exists": True}}},
    {"bury": {"brand": "Acme"}},
    {"boost": [{"filter": {"brand": "Acme"}, "by": 2.0}]},
    {"caps": {"brand": 1}},
    {"diversity": {"by": "brand", "strength": 0.5}},
    {"fields": ["brand", "title"]},
)


@pytest.fixture
def restarted(lane):
    """Start a web process that reads the catalogue now."""
    started: list[FastLane] = []

    def start():
        environment = replace(read_environment(), database_url=test_database_url())
        started.append(FastLane(environment, cache_seconds=5))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def branded(shop):
    """A shop whose items had a brand, which the last of them lost."""
    project = shop.project.pk
    items = [ItemDraft(f"i{n}", properties={"brand": "Acme"}) for n in range(10)]
    write_items(project_id=project, items=items)
    write_items(project_id=project, items=[ItemDraft(f"i{n}") for n in range(8)])
    patch_item(
        project_id=project, item_id="i8", changes={"properties": {"brand": None, "maker": "Acme"}}
    )
    remove_items(project_id=project, item_ids=["i9"])
    return shop


def ask(lane, shop, **body):
    body = {"surface": "home-feed", "unit_id": "u1", "k": 4, **body}
    return lane.post("/v1/recommend", body, shop.public)


def test_a_request_may_name_what_is_gone_after_a_restart(restarted, branded):
    lane = restarted()
    for rules in RULES:
        answer = ask(lane, branded, **rules)
        assert answer.status_code == 200, (rules, answer.text)
    empty = ask(lane, branded, filter={"brand": "Acme"}).json()
    assert (empty["items"], empty["fallback"]) == ([], "empty")
    assert len(ask(lane, branded, filter={"brand": {"$ne": "Acme"}}).json()["items"]) == 4
    refused = ask(lane, branded, filter={"makr": "Acme"}).json()["error"]
    assert refused["message"].endswith("Did you mean 'maker'?")


def test_what_a_saved_rule_names_is_known_too(restarted, shop):
    rules = {"filter": {"$not": {"brand": "Acme"}}, "caps": {"maker": 2}}
    Surface.objects.filter(pk=shop.surface.pk).update(rules=rules)  # as from before the first item
    lane = restarted()
    assert len(ask(lane, shop).json()["items"]) == 4
    assert (
        len(ask(lane, shop, filter={"brand": {"$ne": "Zeta"}}, caps={"maker": 1}).json()["items"]) == 4
    )
    assert ask(lane, shop, filter={"brnad": "Zeta"}).status_code == 400


@pytest.mark.parametrize("rules", RULES[:-1])
def test_rules_about_what_was_there_can_be_saved(branded, rules):
    save_rules(surface=branded.surface, rules=rules, by="a test")
    patch_surface(
        surface=branded.surface, changes={"rules": {**rules, "caps": {"brand": 2}}}, by="a test"
    )
    wrong = {"filter": {"makr": 1}}
    with pytest.raises(CannotSaveRulesError, match="Did you mean 'maker'"):
        save_rules(surface=branded.surface, rules=wrong, by="a test")


def test_rules_that_are_saved_can_be_changed_beside_what_they_name(shop):
    RuleVersion.objects.create(surface=shop.surface, number=1, rules=RULES[0], created_by="before")
    changed = {**RULES[0], "caps": {"labels": 2}}
    patch_surface(surface=shop.surface, changes={"rules": changed}, by="a test")
    with pytest.raises(CannotChangeSurfaceError, match="'maker'"):
        patch_surface(surface=shop.surface, changes={"rules": {"bury": {"maker": 1}}}, by="a test")


def test_what_an_older_version_wrote_is_known_after_a_tick_or_once_it_is_deleted(branded):
    project = branded.project.pk
    states = CatalogueState.objects.filter(pk=project)
    states.update(property_names=None, words_number=None)
    Item.objects.filter(project_id=project, item_id="i1").update(properties={"colour": "red"})
    assert known_properties(project) == frozenset()
    remove_items(project_id=project, item_ids=["i1"])
    assert known_properties(project) == {"colour"}
    embed_words(project)
    assert known_properties(project) == {"colour", "maker"}


def test_properties_named_by_data_are_not_remembered_without_end(shop):
    properties = {f"p{n}": n for n in range(MAX_NAMES + 100)}
    write_items(project_id=shop.project.pk, items=[ItemDraft("wide", properties=properties)])
    write_items(project_id=shop.project.pk, items=[ItemDraft("late", properties={"one more": 1})])
    assert len(known_properties(shop.project.pk)) == MAX_NAMES


def test_what_is_known_stays_and_what_joins_it_is_trimmed(shop):
    project = shop.project.pk
    write_items(project_id=project, items=[ItemDraft("first", properties={"zest": 1, "x" * 101: 1})])
    assert known_properties(project) == {"zest"}  # the other is data
    for part in range(2):
        properties = {f"p{part}-{n}": n for n in range(MAX_NAMES - 500)}
        write_items(project_id=project, items=[ItemDraft(f"wide{part}", properties=properties)])
    known = known_properties(project)
    assert (len(known), "zest" in known) == (MAX_NAMES, True)


def test_names_are_read_of_catalogues_that_changed_alone(shop, tmp_path):
    project = shop.project.pk
    reader = CatalogueReader(test_database_url(), StoredCatalogues(tmp_path))
    catalogues: dict[int, Catalogue] = {}
    states = CatalogueState.objects.filter(pk=project)
    try:
        write_items(project_id=project, items=[ItemDraft("i1", properties={"maker": "Acme"})])
        states.update(property_names=["brand"])
        reader.read(catalogues, everything=True)
        assert catalogues[project].has_property("brand")
        states.update(property_names=["brand", "colour"])
        reader.read(catalogues, everything=False)
        assert not catalogues[project].has_property("colour")
        write_items(project_id=project, items=[ItemDraft("i2", properties={"size": 1})])
        reader.read(catalogues, everything=False)
        assert catalogues[project].has_property("colour")
        assert catalogues[project].has_property("size")
    finally:
        reader.close()
