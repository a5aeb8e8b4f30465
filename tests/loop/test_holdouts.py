"""The standing holdout is measured: who is held out against a slice that lives as everybody does."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pytest

from experiments.actions.change_programme import change_programme
from experiments.actions.erase_unit import erase_unit
from experiments.actions.exclude_units import exclude_units
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.measure_holdout import first_champion, measure_holdout, quarter_of
from experiments.actions.promote_version import promote_version
from experiments.models import Exposure, Holdout, Metric
from experiments.tasks import halt_unservable_experiments, measure_holdouts
from inference.models import ModelVersion, Surface
from tests.support import builders

SHARE = 0.25


@pytest.fixture
def held(lane, shop):
    """The shop with a holdout of a quarter of its units, set by HTTP."""
    Metric.objects.filter(pk=shop.metric.pk).update(window_seconds=60.0)
    change_programme(surface=shop.surface, changes={"primary_metric": "clicks"}, by="a test")
    put_holdout(lane, shop, SHARE)
    return shop


def headers(shop):
    return {"Authorization": f"Bearer {shop.secret}"}


def put_holdout(lane, shop, share):
    answer = lane.client.put("/v1/holdout", json={"share": share}, headers=headers(shop))
    assert answer.status_code == 200, answer.text
    lane.refresh()


def holdouts(shop, **which):
    return shop.surface.experiments.filter(purpose="holdout", **which)


def serve(lane, shop, units=60, **body):
    """Ask for units; return models and units by experiment and variant of the answers."""
    models, answered = defaultdict(Counter), defaultdict(set)
    for n in range(units):
        visit = {"surface": shop.surface.key, "unit_id": f"u{n}", **body}
        answer = lane.post("/v1/recommend", visit, shop.public).json()
        place = (answer["experiment"], answer["variant"])
        models[place][answer["model"]] += 1
        answered[place].add(f"u{n}")
    return models, answered


def exposed(experiment):
    """Units by variant."""
    units = defaultdict(set)
    for variant, unit in Exposure.objects.filter(experiment=experiment).values_list(
        "variant__key", "unit_id"
    ):
        units[variant].add(unit)
    return units


def test_who_is_held_out_keeps_the_first_champion_of_the_quarter(lane, held):
    holdout = holdouts(held).get()
    new = builders.make_version(held.surface, list(range(1, 11)))
    promote_version(version=new, by="a person", reason="a test")
    test = held.run_experiment()
    lane.refresh()
    models, answered = serve(lane, held)
    place = (holdout.key, "holdout")
    assert set(models[place]) == {"popularity@1"}
    assert set(models[test.key, "control"]) == {"popularity@1"}  # of the test's own draft
    units = exposed(holdout)
    # The hash that keeps units out of every other experiment is the one that measures them.
    assert units["holdout"] == answered[place]
    others = set.union(*(who for key, who in answered.items() if key != place))
    assert units["everyone"] < others
    assert 5 <= len(units["holdout"]) <= 27
    assert 5 <= len(units["everyone"]) <= 27
    # They enter no other analysis, and a second answer writes nothing more.
    assert set.union(*exposed(test).values()) == others
    serve(lane, held)
    assert Exposure.objects.filter(experiment=holdout).count() == sum(map(len, units.values()))


def test_forced_variants_do_not_count_and_flags_know_nothing_of_it(lane, held):
    test = held.run_experiment()
    lane.refresh()
    body = {"surface": "home-feed", "overrides": {test.key: "treatment"}}
    for n in range(20):
        answer = lane.post("/v1/recommend", body | {"unit_id": f"u{n}"}, held.secret).json()
        assert answer["variant"] == "treatment"
    assert not exposed(holdouts(held).get())
    flags = lane.post("/ofrep/v1/evaluate/flags", {"context": {"targetingKey": "u1"}}, held.public)
    assert [flag["key"] for flag in flags.json()["flags"]] == [test.key]


def test_its_difference_is_shown_and_people_are_told_how_to_end_it(lane, held):
    holdout = holdouts(held).get()
    assert holdout.parsed_policy.rule == "always_valid"
    builders.visits(holdout, {"holdout": 1, "everyone": 3})
    assert look_at_experiment(experiment_id=holdout.pk).action == "keep_running"
    path = f"/v1/experiments/{holdout.key}"
    report = lane.client.get(f"{path}/report.json", headers=headers(held)).json()
    assert report["purpose"] == "holdout"
    assert report["gain"]["status"] == "confirmed"
    assert report["gain"]["sentence"].startswith("everybody against the holdout: +133% (+")
    refused = lane.post(f"{path}/stop", {"reason": "enough"}, held.secret)
    assert refused.status_code == 409
    assert "set its share to 0" in refused.json()["error"]["message"]
    put_holdout(lane, held, 0.0)
    holdout.refresh_from_db()
    assert holdout.state == "ended"
    assert holdout.decisions.get().reason.endswith("there is no holdout any more")
    assert not holdouts(held, state="running").exists()


def test_another_share_is_another_measurement(lane, held):
    put_holdout(lane, held, 0.1)
    assert list(holdouts(held).order_by("pk").values_list("state", "allocation")) == [
        ("ended", 0.5), ("running", 0.2),
    ]  # fmt: skip
    held.run_experiment()
    answer = lane.client.put("/v1/holdout", json={"share": 0.2}, headers=headers(held))
    assert answer.status_code == 409


def test_a_quarter_begins_with_its_champion(held):
    assert quarter_of(datetime(2027, 2, 28, 23, tzinfo=UTC)) == (
        datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 4, 1, tzinfo=UTC)
    )  # fmt: skip
    assert quarter_of(datetime(2027, 12, 31, tzinfo=UTC))[1] == datetime(2028, 1, 1, tzinfo=UTC)
    first = holdouts(held).get()
    new = builders.make_version(held.surface, list(range(1, 11)))
    promote_version(version=new, by="a person", reason="a test")
    measure_holdouts()
    assert holdouts(held).get() == first
    assert measure_holdout(surface=held.surface, now=first.ends_at - timedelta(seconds=1)) is None
    second = measure_holdout(surface=held.surface, now=first.ends_at)
    first.refresh_from_db()
    assert (first.state, first.control.model_version.label) == ("ended", "popularity@1")
    assert first.decisions.get().reason == "nothing is measured yet; the quarter is over"
    assert (second.control.model_version, second.ends_at) == (new, quarter_of(first.ends_at)[1])


def test_the_first_champion_is_found_in_the_moves(held):
    before = datetime.now(UTC)
    new = builders.make_version(held.surface, list(range(1, 11)))
    promote_version(version=new, by="a person", reason="a test")
    assert first_champion(held.surface, before) == new  # nothing is known of an earlier one
    other = builders.make_version(held.surface, [3] * 10, algorithm="als")
    middle = datetime.now(UTC)
    promote_version(version=other, by="a person", reason="a test")
    assert first_champion(held.surface, middle) == new
    # A version that did harm serves nobody.
    ModelVersion.objects.filter(pk=new.pk).update(alias="rejected")
    assert first_champion(held.surface, middle) == other


def test_without_a_champion_the_static_list_is_measured(lane, shop):
    shop.surface.versions.update(alias="candidate")
    change_programme(surface=shop.surface, changes={"primary_metric": "clicks"}, by="a test")
    put_holdout(lane, shop, SHARE)
    promote_version(version=shop.champion, by="a person", reason="a test")
    lane.refresh()
    models, _ = serve(lane, shop)
    holdout = holdouts(shop).get()
    assert holdout.control.model_version is None
    assert {model: set(found) for model, found in models.items()} == {
        (holdout.key, "holdout"): {None}, (None, None): {"popularity@1"},
    }  # fmt: skip


def test_surfaces_of_flags_and_those_without_a_metric_are_not_measured(lane, shop):
    page = Surface.objects.create(project=shop.project, key="page", kind=Surface.Kind.FLAG)
    change_programme(surface=page, changes={"primary_metric": "clicks"}, by="a test")
    put_holdout(lane, shop, SHARE)
    assert not shop.project.experiments.exists()
    change_programme(surface=shop.surface, changes={"primary_metric": "clicks"}, by="a test")
    measure_holdouts()
    assert shop.project.experiments.get().surface == shop.surface


def test_the_inspector_says_who_is_held_out(lane, held):
    holdout = holdouts(held).get()
    _, answered = serve(lane, held, units=30)
    unit = min(answered[holdout.key, "holdout"])
    answer = lane.post("/v1/units/assignments", {"unit_id": unit}, held.secret).json()
    (row,) = [one for one in answer if one["experiment"] == holdout.key]
    assert (row["variant"], row["met"]) == ("holdout", "holdout")


def test_erased_and_excluded_units_leave_it(lane, held):
    serve(lane, held, units=30)
    holdout = holdouts(held).get()
    units = exposed(holdout)
    erased, excluded = min(units["everyone"]), max(units["everyone"])
    erase_unit(project_id=held.project.pk, unit_id=erased, by="a test")
    exclude_units(project_id=held.project.pk, unit_ids=[excluded], by="a test")
    assert exposed(holdout)["everyone"] == units["everyone"] - {erased}
    look = look_at_experiment(experiment_id=holdout.pk)
    counts, _weights = look.parsed_inputs.exposures[0]
    assert counts["everyone"] == len(units["everyone"]) - 2


def test_what_cannot_be_served_is_not_tried_again_in_its_quarter(lane, held):
    holdout = holdouts(held).get()
    new = builders.make_version(held.surface, list(range(1, 11)))
    promote_version(version=new, by="a person", reason="a test")
    ModelVersion.objects.filter(pk=held.champion.pk).update(artifact_sha256="0" * 64)
    lane.refresh()
    halt_unservable_experiments()
    holdout.refresh_from_db()
    assert holdout.decisions.get().action == "halt"
    measure_holdouts()
    assert not holdouts(held, state="running").exists()
    assert Holdout.objects.get(project=held.project).share == SHARE
