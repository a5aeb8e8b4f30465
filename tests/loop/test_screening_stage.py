"""The stage of a screening on the autopilot's page: between shadow and ramp, apart from the test."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from experiments.actions.advance_challenger import advance_challenger
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.reports.read_autopilot import read_autopilot
from tests.support import builders
from tests.support.dashboard import sign_in
from tests.support.interleaving import OURS, THEIRS, Visits


@pytest.fixture
def screened(shop):
    """A surface that screens two challengers at once, with two that wait."""
    builders.set_programme(shop, interleave_first=2)
    for name, likes in (("ease", range(1, 11)), ("item-knn", range(3, 13))):
        builders.make_version(shop.surface, list(likes), algorithm=name)
    return shop


def read(shop):
    return read_autopilot(shop.surface, timezone.now())


def row_of(report, label):
    return next(row for row in report.pipeline if row.version.label == label)


def stages(row):
    return {stage.stage: (stage.state, stage.label) for stage in row.stages}


def page(shop, language="en"):
    address = reverse("autopilot", args=[shop.project.slug, shop.surface.key])
    return sign_in(shop.project).get(address, headers={"accept-language": language}).content.decode()


def decide(shop, screening):
    screening.policy["window_seconds"] = 60.0
    screening.save()
    for metric in screening.metrics.all():
        metric.spec["window_seconds"] = 60.0
        metric.save()
    visits = Visits(shop, screening, rankings=(OURS, THEIRS, ("i4", "i5", "i6", "i7")))
    for n in range(160):
        visits.serve(f"u{n}", likes=("i9", "i8", "i0") if n % 4 else ("i9",))
    visits.commit()
    assert look_at_experiment(experiment_id=screening.pk).action == "prefer"


def test_a_version_is_screened_preferred_and_then_tested(screened):
    assert stages(row_of(read(screened), "ease@1"))["screening"] == ("none", "Waiting")
    screening = advance_challenger(surface=screened.surface)
    report = read(screened)
    assert (report.now.state, report.now.until) == ("screening", screening.ends_at)
    row = row_of(report, "ease@1")
    assert (row.state, row.experiment) == ("screening", None)
    assert stages(row)["screening"] == ("now", "Running")
    assert (stages(row)["ramp"], stages(row)["verdict"]) == (("none", ""), ("none", ""))
    assert row.stages[3].detail.startswith("0 of ")
    assert row.stages[3].experiment == screening
    decide(screened, screening)
    report = read(screened)
    preferred, other = row_of(report, "ease@1"), row_of(report, "item-knn@1")
    assert (preferred.state, stages(preferred)["screening"]) == ("waiting", ("done", "Preferred"))
    assert (other.state, stages(other)["screening"]) == ("not_preferred", ("stopped", "Not preferred"))
    assert (stages(preferred)["verdict"], stages(other)["verdict"]) == (("none", ""), ("none", ""))
    assert (report.year.tested, report.year.screened) == (0, 1)
    test = advance_challenger(surface=screened.surface)
    row = row_of(read(screened), "ease@1")
    assert (row.experiment, stages(row)["screening"]) == (test, ("done", "Preferred"))
    assert stages(row)["verdict"] == ("now", "Testing")


def test_the_page_says_so_in_both_languages(screened, lane):
    screening = advance_challenger(surface=screened.surface)
    english, chinese = page(screened), page(screened, "zh-hans")
    report = reverse("report", args=[screened.project.slug, screening.key])
    assert "<th>Screening</th>" in english
    assert f'<a href="{report}">Running</a>' in english
    assert "screens challengers by interleaving" in english
    assert "<th>筛选</th>" in chinese
    assert "正以交错实验筛选挑战者" in chinese
    decide(screened, screening)
    assert f'<a href="{report}">Not preferred</a>' in page(screened)
    assert f'<a href="{report}">未更受偏好</a>' in page(screened, "zh-hans")


def test_a_surface_that_screens_nothing_has_no_such_stage(shop, lane):
    assert "screening" not in stages(read(shop).pipeline[0])
    assert "<th>Screening</th>" not in page(shop)
