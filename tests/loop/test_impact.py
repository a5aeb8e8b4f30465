"""The cumulative impact of promotions: adjusted, compounded, taken back, beside the standing holdout."""

from __future__ import annotations

import csv
import io
import math
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from experiments.actions.change_programme import change_programme
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.promote_version import promote_version
from experiments.actions.put_holdout import put_holdout
from experiments.models import Decision, Experiment, Metric
from tests.support import builders
from tests.support.builders import QUICK_POLICY, visits
from tests.support.dashboard import sign_in


@pytest.fixture
def shop(shop):
    Metric.objects.filter(pk=shop.metric.pk).update(window_seconds=60.0)
    change_programme(surface=shop.surface, changes={"primary_metric": "clicks"}, by="a test")
    return shop


def win(shop, algorithm="popularity", clicks=2):
    """Ship a version by its test's verdict, and no holdback's data."""
    shop.champion = shop.surface.versions.champions().get()
    challenger = builders.make_version(shop.surface, list(range(1, 11)), algorithm=algorithm)
    test = builders.start_experiment(experiment=shop.define(challenger, **QUICK_POLICY), by="a test")
    visits(test, {"control": 1, "treatment": clicks})
    look_at_experiment(experiment_id=test.pk)
    test.refresh_from_db()
    assert test.shipped_variant == "treatment"
    return challenger


def read(lane, shop):
    headers = {"Authorization": f"Bearer {shop.secret}"}
    answer = lane.client.get("/v1/impact", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_gains_compound_and_are_taken_back(lane, shop):
    first = win(shop)
    (surface,) = read(lane, shop)["surfaces"]
    assert (surface["surface"], surface["metric"]) == ("home-feed", "clicks")
    (promotion,) = surface["promotions"]
    assert promotion["measured"]["lift"] == pytest.approx(1 / 1.5, abs=0.02)
    # A great gain that is measured well says itself that effects vary by more than the default's 3 %.
    assert 0 < promotion["adjusted"]["lift"] < promotion["measured"]["lift"]
    assert surface["total"] == promotion["adjusted"]
    win(shop, algorithm="ease")
    (surface,) = read(lane, shop)["surfaces"]
    each = [math.log1p(one["adjusted"]["lift"]) for one in surface["promotions"]]
    assert math.log1p(surface["total"]["lift"]) == pytest.approx(sum(each))
    (month,) = surface["months"]
    assert (month["promotions"], month["total"]) == (2, surface["total"])
    # Going back takes what came after with it; a version that nothing tested adds nothing.
    promote_version(version=first, by="a person", reason="back")
    other = builders.make_version(shop.surface, [3] * 10, algorithm="als")
    promote_version(version=other, by="a person", reason="a test")
    (surface,) = read(lane, shop)["surfaces"]
    assert [one["in_effect"] for one in surface["promotions"]] == [False, False, False, True]
    assert surface["promotions"][0]["measured"] is None
    assert surface["total"]["lift"] == pytest.approx(math.expm1(each[1]))


def test_what_a_holdback_finds_counts(lane, shop):
    change_programme(surface=shop.surface, changes={"holdback_share": 0.2}, by="a test")
    win(shop)
    before = read(lane, shop)["surfaces"][0]["total"]["lift"]
    holdback = shop.surface.experiments.get(purpose="holdback")
    visits(holdback, {"former": 2, "promoted": 2})
    look_at_experiment(experiment_id=holdback.pk)
    assert read(lane, shop)["surfaces"][0]["total"]["lift"] < before


def test_months_are_told_apart(lane, shop):
    win(shop)
    win(shop, algorithm="ease")
    first = Decision.objects.filter(surface=shop.surface, action="ship").order_by("pk").first()
    earlier = timezone.now() - timedelta(days=62)
    Decision.objects.filter(pk=first.pk).update(created_at=earlier)
    (surface,) = read(lane, shop)["surfaces"]
    months = surface["months"]
    assert months[0]["month"] == f"{earlier:%Y-%m}"
    assert [month["promotions"] for month in months] == [1, *[0] * (len(months) - 2), 1]
    assert months[1]["gain"]["lift"] == 0
    assert months[1]["total"] == months[0]["total"]


def test_the_holdout_checks_the_sum(lane, shop):
    put_holdout(project=shop.project, share=0.25, by="a test")
    holdout = shop.surface.experiments.get(purpose="holdout")
    win(shop)
    visits(holdout, {"holdout": 1, "everyone": 4})
    look_at_experiment(experiment_id=holdout.pk)
    # The promotion served for all of the measurement but its first moment.
    Experiment.objects.filter(pk=holdout.pk).update(started_at=timezone.now() - timedelta(days=1))
    Decision.objects.filter(surface=shop.surface).update(
        created_at=timezone.now() - timedelta(hours=12)
    )
    (surface,) = read(lane, shop)["surfaces"]
    check, total = surface["holdout"], math.log1p(surface["total"]["lift"])
    assert check["experiment"] == holdout.key
    assert check["measured"]["lift"] > 1
    assert math.log1p(check["expected"]["lift"]) == pytest.approx(total / 2, rel=0.01)
    assert check["agrees"] is False


def test_the_page_shows_it_and_the_file_holds_it(shop):
    client = sign_in(shop.project)
    address = reverse("impact", args=[shop.project.slug])
    empty = client.get(address).content.decode()
    assert "No tested promotion yet" in empty
    assert "PUT /v1/holdout" in empty
    win(shop)
    page = client.get(address).content.decode()
    assert "All promotions that are in effect: +" in page
    assert 'aria-label="Cumulative impact on home-feed"' in page
    assert 'data-promoted="popularity@2"' in page
    assert address in client.get(reverse("home")).content.decode()
    chinese = client.get(address, headers={"accept-language": "zh-hans"}).content.decode()
    assert "当前生效的所有晋升合计" in chinese
    file = client.get(reverse("impact-download", args=[shop.project.slug])).content.decode()
    (row,) = csv.DictReader(io.StringIO(file))
    assert (row["surface"], row["metric"], row["promotions"]) == ("home-feed", "clicks", "1")
    assert 0 < float(row["total_low"]) < float(row["total"]) < float(row["total_high"])


def test_a_stranger_does_not_see_it(shop):
    client = sign_in(builders.make_project())
    assert client.get(reverse("impact", args=[shop.project.slug])).status_code == 404
    assert client.get(reverse("impact-download", args=[shop.project.slug])).status_code == 404
