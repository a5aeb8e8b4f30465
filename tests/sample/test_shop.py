"""The sample shop: its goods and people, what its removal leaves, and whom it asks for a picture."""

from __future__ import annotations

import random
from xml.etree import ElementTree as ET

import pytest
from django.db import connection
from django.test import Client

from bakeoff.accounts.create_project import create_sample_project
from bakeoff.accounts.models import Project
from bakeoff.sample.goods import COUNT, KINDS, draw, good, number_of
from bakeoff.sample.people import EVENTS, PAST_DAYS, PEOPLE, past_events, person, visitor
from experiments.actions.remove_sample import NotASampleError, remove_sample
from experiments.models import Experiment
from tests.support.dashboard import sign_in
from tests.support.seeded_project import seed_project

DAY = 86_400.0


def test_two_thousand_goods_have_names_and_pictures_of_their_own():
    goods = [good(number) for number in range(COUNT)]
    assert COUNT == 2000
    assert len({one.title for one in goods}) == COUNT
    assert [number_of(one.item_id) for one in goods] == list(range(COUNT))
    pictures = {draw(one) for one in goods}
    assert len(pictures) == COUNT
    for picture in random.Random(1).sample(sorted(pictures), 50):
        assert ET.fromstring(picture).tag.endswith("svg")


@pytest.mark.parametrize("name", ["", "g", "g2000", "g00001", "x0001", "g-001", "g١٢٣٤", "g1.00"])
def test_what_the_shop_does_not_have_has_no_number(name):
    assert number_of(name) is None


def test_the_past_is_the_same_at_each_start_and_people_open_what_they_like():
    events = past_events()
    assert len(events) == EVENTS
    assert events[:100] == past_events()[:100]
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert 0 <= events[0].at <= events[-1].at <= PAST_DAYS * DAY
    people = {person(number).unit_id: person(number) for number in range(PEOPLE)}
    liked = sum(good(number_of(one.item_id)).kind in people[one.unit_id].kinds for one in events)
    assert 0.7 < liked / EVENTS < 0.8


def test_a_list_that_knows_a_person_is_clicked_more_often():
    by_kind = COUNT // len(KINDS)
    known = unknown = 0
    for number in range(400):
        one, comer = person(number), visitor(number, visit="first")
        liked = [n for n, (kind, _) in enumerate(KINDS) if kind in one.kinds]
        known += sum(
            good(n * by_kind + place).item_id in comer.likes for n in liked for place in range(5)
        )
        unknown += sum(good(n * 137 % COUNT).item_id in comer.likes for n in range(15))
    assert known > 1.3 * unknown


def test_a_visit_is_repeatable_and_only_what_is_clicked_is_bought():
    first, again, other = (visitor(7, visit=name) for name in ("a", "a", "b"))
    assert set(first.likes) == set(again.likes) != set(other.likes)
    bought = [item for item in first.likes if item in first.buys]
    assert 0 < len(bought) < len(first.likes)
    items = [good(number).item_id for number in range(COUNT)]
    assert all(item in first.likes for item in items if item in first.buys)
    assert "no such thing" not in first.likes
    with pytest.raises(KeyError):
        first.likes["no such thing"]


def test_anybody_sees_a_picture_and_nobody_what_is_not_there(tables):
    answer = Client().get("/sample/g0042.svg")
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/svg+xml")
    assert "public" in answer["Cache-Control"]
    assert Client().get("/sample/g9999.svg").status_code == 404
    assert Client().post("/sample/g0042.svg").status_code == 405


def rows_of(project_id: int) -> dict[str, int]:
    """Count the rows of each table that names its project."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE a.attname = 'project_id' AND c.relkind IN ('r', 'p') AND NOT c.relispartition"""
        )
        counts = {}
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT count(*) FROM "{table}" WHERE project_id = %s', [project_id])
            counts[table] = cursor.fetchone()[0]
    return {table: count for table, count in counts.items() if count}


def test_the_removal_takes_every_row_of_the_shop_and_none_of_others(lane):
    mine, other = seed_project(), seed_project()
    project, before = mine.shop.project, rows_of(other.shop.project.pk)
    Project.objects.filter(pk=project.pk).update(is_sample=True)
    project.refresh_from_db()
    assert set(rows_of(project.pk)) == set(before)
    assert remove_sample(project=project, by="a test") > sum(before.values()) / 2
    assert rows_of(project.pk) == {}
    assert not Project.objects.filter(pk=project.pk).exists()
    assert rows_of(other.shop.project.pk) == before
    # The web process knows the key no more, and serves the others.
    assert (
        lane.post(
            "/v1/recommend", {"surface": "home-feed", "unit_id": "u"}, mine.shop.public
        ).status_code
        == 401
    )
    assert (
        lane.post(
            "/v1/recommend", {"surface": "home-feed", "unit_id": "u"}, other.shop.public
        ).status_code
        == 200
    )


def test_a_project_that_people_made_is_not_removed(shop):
    with pytest.raises(NotASampleError, match="must be the sample shop"):
        remove_sample(project=shop.project, by="a test")
    assert Experiment.objects.filter(project=shop.project).count() == 0
    assert Project.objects.filter(pk=shop.project.pk).exists()


def test_the_overview_says_that_it_is_a_sample_and_how_to_remove_it(shop):
    assert "data-sample" not in sign_in(shop.project).get("/").content.decode()
    Project.objects.filter(pk=shop.project.pk).update(is_sample=True)
    experiment = shop.run_experiment()
    page = sign_in(shop.project).get("/").content.decode()
    assert "data-sample" in page
    assert "bakeoff up --sample" in page  # no visitors come now
    assert f"/experiments/{shop.project.slug}/{experiment.key}/" in page
    assert "bakeoff sample remove" in page


def test_a_slug_that_is_taken_is_left_to_its_project(tables):
    Project.objects.get_or_create(slug="sample", defaults={"name": "A taken one"})
    project = create_sample_project(by="a test")
    assert project.slug.startswith("sample-")
    assert project.is_sample
    assert not Project.objects.get(slug="sample").is_sample
