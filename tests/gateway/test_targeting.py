"""Who is in an experiment: targeting, layers, holdouts, prerequisites, forced variants and links."""

from __future__ import annotations

import time

import pytest
from django.conf import settings
from django.db import connection

from experiments.actions.define_experiment import (
    CannotDefineError,
    define_experiment,
)
from experiments.actions.explain_assignment import assignments_of
from experiments.actions.start_experiment import CannotStartError
from experiments.assignment.qa_links import QaLink, write_link
from experiments.models import Exposure, Holdout, Layer, SavedGroup, Slate, Unit
from tests.support import builders
from tests.support.fast_lane import evaluate_flag

UNITS = [f"u{n}" for n in range(60)]


def test_targeting_reads_context_stored_attributes_and_groups(lane, shop, page):
    SavedGroup.objects.create(project=shop.project, key="staff", attribute="id", values=["u3"])
    condition = {"country": "DE", "unit.plan": "pro", "$not": {"$savedGroup": {"id": "staff"}}}
    builders.experiment(shop, page, condition=condition)
    for unit in ("u1", "u3"):
        Unit.objects.create(project=shop.project, unit_id=unit, attributes={"plan": "pro"})
    lane.refresh()
    assert evaluate_flag(lane, shop, context={"country": "DE"}).json()["reason"] == "SPLIT"
    assert evaluate_flag(lane, shop, context={"country": "FR"}).json()["reason"] == "UNKNOWN"
    assert evaluate_flag(lane, shop, unit="u2", context={"country": "DE"}).json()["reason"] == "UNKNOWN"
    assert evaluate_flag(lane, shop, unit="u3", context={"country": "DE"}).json()["reason"] == "UNKNOWN"


def test_layers_of_one_surface_and_their_refusals(lane, shop):
    layer = Layer.objects.create(project=shop.project, key="home")
    first = builders.experiment(shop, shop.surface, "first", layer=layer, slot=(0.0, 0.5))
    with pytest.raises(
        CannotStartError, match=r"slot == \[0.4, 1\) of layer 'home' overlaps \[0, 0.5\) of 'first'"
    ):
        builders.experiment(shop, shop.surface, "second", layer=layer, slot=(0.4, 1.0))
    with pytest.raises(CannotStartError, match="has a running experiment, 'first': one at a time"):
        builders.experiment(shop, shop.surface, "third")
    with pytest.raises(CannotDefineError, match="must be of a layer"):
        define_experiment(builders.draft(shop, shop.surface, "fourth", slot=(0.0, 0.5)))
    second = builders.experiment(shop, shop.surface, "fifth", layer=layer, slot=(0.5, 1.0))
    lane.refresh()
    entered = set()
    for unit in UNITS:
        answer = lane.post(
            "/v1/recommend", {"surface": "home-feed", "unit_id": unit}, shop.public
        ).json()
        entered.add(answer["experiment"])
    assert entered == {"first", "fifth"}
    both = [
        set(Exposure.objects.filter(experiment=e).values_list("unit_id", flat=True))
        for e in (first, second)
    ]
    assert not both[0] & both[1]
    assert both[0] | both[1] == set(UNITS)


def test_a_holdout_is_served_the_champion(lane, shop):
    Holdout.objects.create(project=shop.project, share=0.5)
    experiment = builders.experiment(shop, shop.surface, "trial")
    lane.refresh()
    for unit in UNITS:
        lane.post("/v1/recommend", {"surface": "home-feed", "unit_id": unit}, shop.public)
    inside = Exposure.objects.filter(experiment=experiment).count()
    assert 15 < inside < 45
    assert Slate.objects.filter(surface=shop.surface, model_version=shop.champion).count() > 60 - inside


def test_prerequisites_and_their_cycles(lane, shop, page):
    builders.experiment(shop, page, "parent")
    builders.experiment(
        shop, page, "child", prerequisites=[{"experiment": "parent", "variants": ["treatment"]}]
    )
    lane.refresh()
    for unit in UNITS[:30]:
        parent, child = (
            evaluate_flag(lane, shop, key, unit=unit).json()["variant"] for key in ("parent", "child")
        )
        assert bool(child) == (parent == "treatment")
    wrong = [
        ([{"experiment": "nobody", "variants": ["a"]}], "must be another experiment"),
        ([{"experiment": "parent", "variants": ["x"]}], "must be one or more of"),
        ([{"experiment": "self", "variants": ["control"]}], "must be another experiment"),
    ]
    for prerequisites, message in wrong:
        with pytest.raises(CannotDefineError, match=message):
            define_experiment(builders.draft(shop, page, "self", prerequisites=prerequisites))
    define_experiment(builders.draft(shop, page, "a"))
    b = define_experiment(
        builders.draft(shop, page, "b", prerequisites=[{"experiment": "a", "variants": ["control"]}])
    )
    b.project.experiments.filter(key="a").update(
        prerequisites=[{"experiment": "c", "variants": ["control"]}]
    )
    with pytest.raises(CannotDefineError, match="wait for each other: c → b → a → c"):
        define_experiment(
            builders.draft(
                shop, page, "c", prerequisites=[{"experiment": "b", "variants": ["control"]}]
            )
        )
    with pytest.raises(CannotDefineError, match="must be growthbook_v2 too"):
        define_experiment(
            builders.draft(
                shop,
                page,
                "d",
                hashing="growthbook_v2",
                prerequisites=[{"experiment": "parent", "variants": ["control"]}],
            )
        )


def test_forced_by_list_by_link_and_by_secret_key_never_counts(lane, shop):
    experiment = builders.experiment(
        shop, shop.surface, "trial", forced_units={"qa": "treatment"}, weights=(1.0, 0.0)
    )
    lane.refresh()
    token = write_link(
        settings.SECRET_KEY, QaLink(shop.project.pk, "trial", "treatment", int(time.time()) + 60)
    )
    asks = [
        ({"unit_id": "qa"}, shop.public),
        ({"unit_id": "u1", "force": token}, shop.public),
        ({"unit_id": "u2", "overrides": {"trial": "treatment"}}, shop.secret),
    ]
    for more, key in asks:
        answer = lane.post("/v1/recommend", {"surface": "home-feed", **more}, key).json()
        assert (answer["variant"], answer["reason"]) == ("treatment", "STATIC")
    assert not Exposure.objects.filter(experiment=experiment).exists()
    assert Slate.objects.filter(experiment=experiment, forced=True).count() == 3


@pytest.mark.parametrize(
    ("link", "message"),
    [
        (
            lambda p: write_link("another secret", QaLink(p, "trial", "treatment", 2**40)),
            "was not made here",
        ),
        (
            lambda p: write_link(settings.SECRET_KEY, QaLink(p + 1, "trial", "treatment", 2**40)),
            "another project",
        ),
        (lambda p: write_link(settings.SECRET_KEY, QaLink(p, "trial", "treatment", 1)), "has expired"),
        (lambda _: "%%%", "was not made here"),
        (lambda _: "abc", "the link"),
    ],
)
def test_links_that_do_not_hold_are_refused(lane, shop, link, message):
    builders.experiment(shop, shop.surface, "trial")
    lane.refresh()
    body = {"surface": "home-feed", "unit_id": "u1", "force": link(shop.project.pk)}
    answer = lane.post("/v1/recommend", body, shop.public)
    assert answer.status_code == 400
    assert message in answer.json()["error"]["message"]
    assert not Slate.objects.filter(surface=shop.surface).exists()


def test_a_unit_is_told_what_it_is_in_and_why(lane, shop, page):
    layer = Layer.objects.create(project=shop.project, key="home")
    builders.experiment(shop, page, condition={"country": "DE"})
    builders.experiment(shop, shop.surface, "trial", layer=layer, slot=(0.0, 0.001))
    Holdout.objects.create(project=shop.project, share=0.0)
    rows = {row.experiment: row for row in assignments_of(shop.project.pk, "u1", {"country": "FR"})}
    assert rows["button"].variant is None
    assert [step.name for step in rows["button"].steps if not step.passed] == ["targeting"]
    assert [step.name for step in rows["trial"].steps if not step.passed] == ["layer home"]
    lane.refresh()
    answer = lane.post(
        "/v1/units/assignments", {"unit_id": "u1", "context": {"country": "DE"}}, shop.secret
    ).json()
    assert {row["experiment"]: row["variant"] for row in answer}["button"] in {"control", "treatment"}


def test_what_is_malformed_in_another_project_hides_nothing(lane, shop, page):
    builders.experiment(shop, page)
    stranger = builders.make_project()
    SavedGroup.objects.create(project=stranger, key="deep", values=["u"])
    deep = '{"a": ' * 2000 + "1" + "}" * 2000
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE experiments_savedgroup SET condition = %s WHERE project_id = %s",
            [deep, stranger.pk],
        )
    (row,) = assignments_of(shop.project.pk, "u1", {})
    assert row.experiment == "button"


def test_conditions_are_refused_when_saved(lane, shop, page):
    with pytest.raises(CannotDefineError, match="operator '\\$gr' is unknown"):
        define_experiment(builders.draft(shop, page, condition={"age": {"$gr": 3}}))
    answer = lane.client.put(
        "/v1/groups",
        json={"key": "loop", "condition": {"$savedGroup": {"id": "loop"}}},
        headers={"Authorization": f"Bearer {shop.secret}"},
    )
    assert answer.status_code == 422
    assert "contains itself" in answer.json()["error"]["message"]
