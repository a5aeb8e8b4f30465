"""A policy is counted anew: aside, at most from what is still stored, whoever deleted it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.urls import reverse

from experiments.actions import count_decisions as counting
from experiments.actions.erase_unit import erase_unit
from experiments.actions.exclude_units import exclude_units
from experiments.actions.maintain_partitions import maintain_partitions
from experiments.looks import policy_points
from experiments.models import Slate
from experiments.reports.policy_report import report_policy
from inference.models import PolicyCount
from tests.support import builders
from tests.support.dashboard import sign_in
from tests.support.ranking import make_rank_surface, report_counted, write_hourly_decisions

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture
def offers(shop, monkeypatch):
    shop.surface = make_rank_surface(shop.project)
    monkeypatch.setattr(counting, "AT_ONCE", 16)
    # Points are far apart, as those of a million decisions are.
    monkeypatch.setattr(policy_points, "MAX_POINTS", 2)
    monkeypatch.setattr(policy_points, "LATEST", 2)
    return shop


def test_what_retention_took_between_two_points_stays_counted(offers):
    builders.make_shop(items=1)  # keeps rows for longer, so no month is dropped
    units = [f"u{n}" for n in range(60)]
    write_hourly_decisions(offers, offers.surface, units, begin=builders.now() - 10 * DAY)
    before = report_counted(offers.surface).value
    assert before.decisions == 60
    type(offers.project).objects.filter(pk=offers.project.pk).update(retention_days=9)
    maintain_partitions(builders.now())
    stored = Slate.objects.filter(surface=offers.surface).order_by("recommendation_id")
    assert stored.count() in (35, 36)  # one may pass the bound meanwhile
    # Back to the first that is stored, over what is not.
    exclude_units(project_id=offers.project.pk, unit_ids=[stored[0].unit_id], by="a test")
    assert report_counted(offers.surface).value.decisions == 59
    erase_unit(project_id=offers.project.pk, unit_id=stored[1].unit_id, by="a test")
    assert report_counted(offers.surface).value.decisions == 58
    # A second time, from the bound kept before.
    write_hourly_decisions(offers, offers.surface, ["late"] * 20, begin=builders.now() - 2 * DAY)
    maintain_partitions(builders.now() + 6 * HOUR)
    exclude_units(project_id=offers.project.pk, unit_ids=[stored.all()[1].unit_id], by="a test")
    assert report_counted(offers.surface).value.decisions == 77


def test_a_recount_is_made_aside_and_what_changes_meanwhile_waits_for_its_end(offers):
    write_hourly_decisions(
        offers, offers.surface, [f"u{n}" for n in range(60)], begin=builders.now() - 3 * DAY
    )
    complete = report_counted(offers.surface)
    assert complete.counting is None
    for n in range(3):  # in the order of decisions, each before all that was counted anew
        exclude_units(project_id=offers.project.pk, unit_ids=[f"u{2 - n}"], by="a test")
        assert counting.count_decisions(offers.surface)
        report = report_policy(offers.surface)
        assert report.value == complete.value
        assert (report.counting.decisions, report.counting.expected) == (16 * (n + 1), 59)
    assert not counting.count_decisions(offers.surface)
    report = report_policy(offers.surface)
    assert (report.value.decisions, report.counting) == (59, None)  # as at the recount's beginning
    assert report_counted(offers.surface).value.decisions == 57


def test_a_first_count_of_many_shows_how_far_it_is_and_no_verdict(offers, lane):
    write_hourly_decisions(
        offers, offers.surface, [f"u{n}" for n in range(60)], begin=builders.now() - 3 * DAY
    )
    assert counting.count_decisions(offers.surface)
    url = reverse("surface-policy", args=[offers.project.slug, "offers"])
    page = sign_in(offers.project).get(url).content.decode()
    assert "Counting: 16 of about 60 decisions." in page
    assert "data-policy=" not in page
    assert "No decisions yet" not in page
    headers = {"Authorization": f"Bearer {offers.secret}"}
    body = lane.client.get("/v1/surfaces/offers/policy", headers=headers).json()
    assert body["counting"] == {"decisions": 16, "expected": 60}
    assert (body["value"]["decisions"], body["course"]) == (0, [])
    report_counted(offers.surface)
    page = sign_in(offers.project).get(url).content.decode()
    assert "data-counting" not in page
    assert "data-policy=" in page
    assert lane.client.get("/v1/surfaces/offers/policy", headers=headers).json()["counting"] is None


def test_what_a_process_that_knows_no_counts_deletes_is_counted_no_more(offers):
    write_hourly_decisions(
        offers, offers.surface, [f"u{n}" for n in range(40)], begin=builders.now() - 3 * DAY
    )
    assert report_counted(offers.surface).value.decisions == 40
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM experiments_slate WHERE unit_id = 'u5'")
    assert report_counted(offers.surface).value.decisions == 39


def test_an_erasure_before_the_first_count_is_marked(offers):
    write_hourly_decisions(offers, offers.surface, ["u1", "u2"], begin=builders.now() - 3 * DAY)
    first = Slate.objects.get(surface=offers.surface, unit_id="u1").recommendation_id
    erase_unit(project_id=offers.project.pk, unit_id="u1", by="a test")
    assert PolicyCount.objects.get(surface=offers.surface).recount_from == first
    assert report_counted(offers.surface).value.decisions == 1
