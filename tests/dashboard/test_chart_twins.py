"""Each chart of every page has titles and ticks on its axes, and its numbers as a table."""

from __future__ import annotations

import pytest
from django.urls import reverse

from inference.models import ModelVersion
from tests.support import builders
from tests.support.dashboard import sign_in
from tests.support.dated_looks import run_days
from tests.support.ended_run import ended_run
from tests.support.held_ramp import hold_a_ramp
from tests.support.page_charts import read_charts
from tests.support.seeded_project import seed_project

LONG = builders.QUICK_POLICY | {"planned_units": 10_000, "promote": False}
# Those of themes: tests/themes/test_readings.py.
LABELS = {
    "Effect over time", "clicks per user", "New users", "Challengers over time",
    "Expected change, from logged traffic", "Experiments by surface", "Cumulative impact on home-feed",
    "Usage by month", "Tokens by month", "Loss over steps", "NDCG by training rows",
    "Share correct by confidence, in 10 bins", "Difference over time", "Mean cost of an answer",
    "Latency, 95th percentile (ms)", "Tests that ended by month",
}  # fmt: skip


@pytest.fixture(scope="module")
def pages(tables):
    """Pages with charts, by their addresses."""
    seeded = seed_project()
    shop, slug, read = seeded.shop, seeded.slug, {}
    run_days(seeded.running, [30, 30], clicks={"control": 1, "treatment": 1})
    other = ended_run(shop, 0.2, factors=8)
    waiting = builders.make_version(shop.surface, list(range(10)))
    off_policy = seeded.run.version.gate["about"]["off_policy"]
    ModelVersion.objects.filter(pk=waiting.pk).update(
        gate={"passed": True, "rows": {}, "about": {"off_policy": off_policy}}
    )
    for name, *args in (
        ("home",),
        *(("report", slug, one.key) for one in (seeded.running, seeded.shipped, seeded.halted)),
        ("metric", slug, shop.metric.key),
        ("autopilot", slug, shop.surface.key),
        ("impact", slug),
        ("usage", slug),
        ("programme", slug),
        ("surface-policy", slug, "offers"),
        ("generations", slug, "support"),
        ("run", seeded.run.pk),
    ):
        address = reverse(name, args=args)
        read[address] = seeded.client.get(address).content.decode()
    compared = f"{reverse('run-comparison', args=[seeded.run.pk])}?with={other.pk}"
    read[compared] = seeded.client.get(compared).content.decode()
    held = builders.make_shop()
    hold_a_ramp(held)
    address = reverse("autopilot", args=[held.project.slug, held.surface.key])
    read[address] = sign_in(held.project).get(address).content.decode()
    return read


def test_each_chart_has_axes_and_a_table(pages):
    faults = {address: found for address, page in pages.items() if (found := read_charts(page)[1])}
    assert faults == {}


def test_every_chart_is_on_these_pages(pages):
    labels = set().union(*(read_charts(page)[0] for page in pages.values()))
    assert labels >= LABELS
    assert any(label.startswith("Orders: ") for label in labels)  # why a ramp is held
    assert any(label.startswith("Tests of 20") for label in labels)  # the calendar of a month


def test_a_chart_without_titles_or_table_is_noticed():
    svg = '<svg class="path" role="img" aria-label="x"><text class="tick">1</text></svg>'
    _, faults = read_charts(f"<figure>{svg}</figure>")
    assert faults == [("x", "titles == []"), ("x", "ticks == ['1']"), ("x", "no table")]
    assert read_charts(svg)[1][-1] == ("x", "no figure")
    assert read_charts(f"<table><tr><td>{svg}</td></tr></table>") == (set(), [])
