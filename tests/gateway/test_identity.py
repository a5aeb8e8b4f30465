"""Which unit a visitor is: before and after a login, on one device and on two."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from experiments.actions.look_at_experiment import look_at_experiment
from experiments.models import Event, Exposure, Link, Slate


@pytest.fixture
def visit(lane, shop):
    shop.experiment = shop.run_experiment(promote=False)
    lane.refresh()

    def visit(**ids) -> str:
        """Ask as these ids; return the variant."""
        answer = lane.post("/v1/recommend", {"surface": "home-feed", **ids}, shop.public)
        assert answer.status_code == 200, answer.text
        return answer.json()["variant"]

    return visit


def units(shop) -> set[str]:
    return set(Slate.objects.filter(project=shop.project).values_list("unit_id", flat=True))


def test_a_login_keeps_the_variant_for_every_visitor(shop, lane, visit):
    for n in range(10):
        before = visit(anonymous_id=f"a{n}")
        assert visit(anonymous_id=f"a{n}", unit_id=f"u{n}") == before
        assert visit(unit_id=f"u{n}") == before  # another device, after the first login
        assert visit(anonymous_id=f"b{n}", unit_id=f"u{n}") == before  # a new browser
        assert visit(anonymous_id=f"b{n}") == before  # logged out there
    assert units(shop) == {f"a{n}" for n in range(10)}
    assert Exposure.objects.filter(project=shop.project).count() == 10


def test_a_device_that_was_met_keeps_its_variant_and_the_split_is_measured(shop, lane, visit):
    across = 0
    for n in range(20):
        at_home, at_work = visit(unit_id=f"u{n}"), visit(anonymous_id=f"w{n}")
        assert visit(anonymous_id=f"w{n}", unit_id=f"u{n}") == at_work
        assert visit(unit_id=f"u{n}") == at_home
        across += at_home != at_work
    look = look_at_experiment(experiment_id=shop.experiment.pk)
    assert look.inputs["split"] == across > 0
    assert look.inputs["doubled"] == 0


def test_a_shared_device_does_not_make_two_people_one(shop, lane, visit):
    visit(anonymous_id="tv", unit_id="ann")
    visit(anonymous_id="tv", unit_id="ben")
    visit(unit_id="ben")
    assert units(shop) == {"ann", "ben"}


def test_both_new_means_the_users_id(shop, lane, visit):
    visit(anonymous_id="a", unit_id="u")
    visit(anonymous_id="a")
    assert units(shop) == {"u"}
    assert Link.objects.get(project=shop.project).alias == "a"


def test_events_and_feedback_are_the_units_too(shop, lane, visit):
    visit(anonymous_id="a")
    visit(anonymous_id="a", unit_id="u")
    body = {"events": [{"name": "click", "unit_id": "u"}, {"name": "click", "anonymous_id": "a"}]}
    assert lane.post("/v1/events", body, shop.public).json()["accepted"] == 2
    assert set(Event.objects.filter(project=shop.project).values_list("unit_id", flat=True)) == {"a"}


def test_many_logins_at_once_make_no_chains(shop, lane, visit):
    pairs = [(f"a{n % 7}", f"u{n % 5}") for n in range(70)]

    def login(pair):
        return visit(anonymous_id=pair[0], unit_id=pair[1])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(login, pairs))
    links = Link.objects.filter(project=shop.project)
    aliases = set(links.exclude(alias=None).values_list("alias", flat=True))
    assert not aliases & set(links.values_list("unit_id", flat=True))
    assert links.count() == len(set(pairs))


def test_projects_do_not_share_ids(shop, lane, visit):
    from tests.support import builders

    visit(anonymous_id="a", unit_id="u")
    other = builders.make_shop()
    lane.refresh()
    ask = {"surface": "home-feed", "anonymous_id": "a"}
    assert lane.post("/v1/recommend", ask, other.public).status_code == 200
    assert units(other) == {"a"}


@pytest.mark.parametrize("ids", [{}, {"anonymous_id": ""}, {"anonymous_id": 7}, {"unit_id": "x" * 201}])
def test_an_id_is_needed(shop, lane, ids):
    answer = lane.post("/v1/recommend", {"surface": "home-feed", **ids}, shop.public)
    assert answer.status_code == 400
