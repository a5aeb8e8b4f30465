"""How a screening ends, or stands, on the autopilot's page: the words of its stage, and its lanes."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from django.urls import reverse
from django.utils import timezone

from experiments.actions.advance_challenger import advance_challenger
from experiments.actions.carry_out import Verdict, carry_out
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.models import Experiment, programme_of
from experiments.programme.start_conditions import find_obstacle
from experiments.reports.lanes_chart import read_lanes
from experiments.reports.read_autopilot import read_autopilot
from tests.support import builders
from tests.support.dashboard import sign_in
from tests.support.interleaving import OURS, THEIRS, Visits

EASE, KNN = "ease@1", "item-knn@1"
RANKINGS = (OURS, THEIRS, ("i4", "i5", "i6", "i7"))  # of the control, ease and item-knn


@pytest.fixture
def screening(shop):
    """A screening of two challengers, whose windows close after a minute."""
    builders.set_programme(shop, interleave_first=2)
    for name, likes in (("ease", range(1, 11)), ("item-knn", range(3, 13))):
        builders.make_version(shop.surface, list(likes), algorithm=name)
    screening = advance_challenger(surface=shop.surface)
    screening.policy["window_seconds"] = 60.0
    screening.save()
    for metric in screening.metrics.all():
        metric.spec["window_seconds"] = 60.0
        metric.save()
    return screening


def look(shop, screening, *, likes, units=160, failing=None):
    visits = Visits(shop, screening, rankings=RANKINGS)
    for n in range(units):
        failed = visits.variants[failing] if failing is not None and n % 20 == 0 else None
        visits.serve(f"u{n}", likes=likes, failed=failed)
    visits.commit()
    return look_at_experiment(experiment_id=screening.pk).action


def row_of(shop, label):
    pipeline = read_autopilot(shop.surface, timezone.now()).pipeline
    return next(row for row in pipeline if row.version.label == label)


def stage_of(shop, label):
    row = row_of(shop, label)
    (stage,) = (one for one in row.stages if one.stage == "screening")
    return row.state, stage.state, stage.label


def lanes_of(shop):
    now = timezone.now()
    return {lane.label: lane for lane in read_lanes(read_autopilot(shop.surface, now).pipeline, now)}


def test_it_says_whom_users_prefer_so_far(shop, screening):
    assert look(shop, screening, likes=("i9",), units=8) == "keep_running"
    assert stage_of(shop, EASE) == ("screening", "now", "Preferred so far")
    (stage,) = (one for one in row_of(shop, EASE).stages if one.stage == "screening")
    assert stage.detail.startswith("8 of ")
    assert look(shop, screening, likes=("i0",), units=16) == "keep_running"
    assert stage_of(shop, EASE) == ("screening", "now", "Not preferred so far")


def test_one_leaves_while_it_runs(shop, screening):
    assert look(shop, screening, likes=("i0", "i9"), units=300) == "keep_running"
    assert stage_of(shop, KNN) == ("not_preferred", "stopped", "Not preferred")
    (stage,) = (one for one in row_of(shop, KNN).stages if one.stage == "screening")
    assert stage.detail.startswith("Users prefer the control: p = ")
    assert stage_of(shop, EASE)[:2] == ("screening", "now")
    running = Experiment.objects.running().filter(surface=shop.surface)
    assert running.get() == screening


def test_the_second_best_that_users_prefer_too_is_not_preferred(shop, screening):
    assert look(shop, screening, likes=("i9", "i8", "i4")) == "prefer"
    assert stage_of(shop, EASE) == ("waiting", "done", "Preferred")
    assert stage_of(shop, KNN) == ("inconclusive", "stopped", "Not preferred")
    (stage,) = (one for one in row_of(shop, KNN).stages if one.stage == "screening")
    assert stage.detail == ""


def test_users_who_prefer_the_control_reject_all(shop, screening):
    assert look(shop, screening, likes=("i0", "i1")) == "roll_back"
    for label in (EASE, KNN):
        assert stage_of(shop, label) == ("not_preferred", "stopped", "Not preferred")


def test_without_a_verdict_it_says_so_of_who_goes_on_and_who_does_not(shop, screening):
    screening.ends_at = builders.now()
    screening.save()
    assert look(shop, screening, likes=("i9",), units=8) == "stop_inconclusive"
    assert stage_of(shop, EASE) == ("waiting", "done", "No verdict")
    assert stage_of(shop, KNN) == ("inconclusive", "stopped", "No verdict")


def test_what_a_person_ends_before_any_analysis_has_no_verdict(shop, screening):
    verdict = Verdict(action="stop_inconclusive", reason="ended by ann")
    carry_out(experiment=screening, verdict=verdict, by="ann")
    for label in (EASE, KNN):
        assert stage_of(shop, label) == ("inconclusive", "stopped", "No verdict")


def test_what_a_person_rolls_back_is_not_preferred(shop, screening):
    carry_out(experiment=screening, verdict=Verdict(action="roll_back", reason="slow"), by="ann")
    for label in (EASE, KNN):
        assert stage_of(shop, label) == ("not_preferred", "stopped", "Not preferred")


def test_where_the_champion_fails_it_halts_and_the_challengers_wait_on(shop, screening):
    assert look(shop, screening, likes=(), failing=0) == "halt"
    for label in (EASE, KNN):
        assert stage_of(shop, label) == ("waiting", "stopped", "Halted")
    builders.set_programme(shop, interleave_first=2, cooldown_days=3)
    assert advance_challenger(surface=shop.surface) is None  # it would halt again at once
    assert find_obstacle(programme_of(shop.surface), timezone.now()).experiment == screening
    builders.set_programme(shop, interleave_first=2)
    again = advance_challenger(surface=shop.surface)  # nobody was judged
    assert (again.mode, again.treatments.count()) == ("interleave", 2)
    assert again.key == f"{screening.key}-try-2"


def test_a_version_that_fails_leaves_and_the_other_is_screened_on(shop, screening):
    assert look(shop, screening, likes=(), failing=2) == "keep_running"
    assert stage_of(shop, KNN)[1:] == ("stopped", "Failed")
    (stage,) = (one for one in row_of(shop, KNN).stages if one.stage == "screening")
    assert stage.detail == ("treatment-2 failed in 5.0% of the recommendations; at most 1% are allowed")
    assert stage_of(shop, EASE)[:2] == ("screening", "now")
    assert shop.surface.versions.get(algorithm="item-knn").alias == "rejected"


def test_a_screened_version_has_a_lane_while_it_shares_lists(shop, screening):
    lane = lanes_of(shop)[EASE]
    (bar,) = lane.bars
    assert (bar.kind, bar.start) == ("screening", screening.started_at)
    assert bar.share == pytest.approx(1 / 3)
    assert bar.title.startswith("Screening 33.3%: ")
    assert lane.action == ""  # it has no test that could have ended
    look(shop, screening, likes=("i0", "i9"), units=300)  # item-knn leaves, ease stays
    ease, knn = (lanes_of(shop)[label].bars for label in (EASE, KNN))
    assert [round(bar.share, 3) for bar in ease] == [0.333, 0.5]
    assert [bar.kind for bar in knn] == ["screening"]
    assert knn[0].end == ease[1].start


def test_a_version_that_was_only_screened_is_drawn_on_the_page(shop, screening, lane):
    look(shop, screening, likes=("i0", "i1"))
    address = reverse("autopilot", args=[shop.project.slug, shop.surface.key])
    for language, word in (("en", "Screening"), ("zh-hans", "筛选")):
        page = sign_in(shop.project).get(address, headers={"accept-language": language})
        figure = re.search(r'<figure id="lanes">.*?</figure>', page.content.decode(), re.DOTALL)[0]
        svg = ET.fromstring(figure[figure.index("<svg") : figure.index("</div>")])
        assert {one.text for one in svg.findall("*[@class='name']")} >= {EASE, KNN}
        bars = svg.findall("*[@class='screening']")
        assert len(bars) == 2
        assert all(one.find("title").text.startswith(f"{word} 33.3%: ") for one in bars)
        assert {float(one.get("height")) for one in bars} == {13.1}


def test_reading_lanes_takes_as_many_queries_for_more_versions(
    shop, screening, django_assert_max_num_queries
):
    now = timezone.now()
    rows = read_autopilot(shop.surface, now).pipeline
    with django_assert_max_num_queries(6):
        assert len(read_lanes(rows, now)) == 2
