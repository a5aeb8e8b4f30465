"""What a report leaves out of groups of few users."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest
from django.urls import reverse

from experiments.models import ExposureTotal, Feedback
from experiments.reports.small_groups import hide_small_ratios, hide_small_segments
from experiments.stats.segments import SegmentEffect
from experiments.stats.srm import SegmentRatio
from tests.support import builders
from tests.support.dashboard import sign_in


def test_numbers_of_small_segments_are_left_out(settings):
    few = SegmentEffect("country=LI", "treatment", 19, 0.1, 0.3, 0.2, 2.0, (0.1, 0.3), 0.01)
    many = replace(few, segment="country=DE", units=20)
    none = SegmentEffect("country=FR", "treatment", why_not="no users")
    hidden, shown, unknown = hide_small_segments([few, many, none])
    assert (shown, unknown) == (many, none)
    assert (hidden.segment, hidden.units, hidden.estimate, hidden.interval) == (
        "country=LI",
        0,
        None,
        None,
    )
    assert hidden.why_not == "fewer than 20 users"
    ratios = [SegmentRatio(name, {"a": n, "b": 9}, 0.01, None) for name, n in (("x", 10), ("y", 11))]
    assert [row.segment for row in hide_small_ratios(ratios)] == ["y"]
    settings.BAKEOFF = replace(settings.BAKEOFF, min_group_users=0)
    assert hide_small_segments([few]) == [few]


@pytest.mark.parametrize(("users", "is_shown"), [(19, False), (20, True)])
def test_quotes_are_of_variants_that_enough_users_see(shop, users, is_shown):
    experiment = builders.experiment(shop, shop.surface)
    variant = experiment.variants.get(is_control=False)
    ExposureTotal.objects.create(experiment=experiment, variant=variant, epoch=1, units=users)
    Feedback.objects.create(
        project=shop.project, feedback_id="f1", recommendation_id=uuid4(), unit_id="ann", kind="text",
        text="too blue", variant=variant,
    )  # fmt: skip
    client = sign_in(shop.project)
    page = client.get(reverse("report", args=[shop.project.slug, experiment.key])).content.decode()
    assert ("too blue" in page) == is_shown
