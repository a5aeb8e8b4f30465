"""`bakeoff power --surface` names the metric that nobody did anything for."""

from __future__ import annotations

from tests.support import builders, commands


def test_a_metric_without_events_is_named(shop, lane):
    for n in range(4):
        builders.make_slate(shop, f"u{n}")
    shop.project.metrics.create(key="orders", kind="mean", event="order")
    output = commands.run(
        "power", "--surface", "home-feed", "--metric", "orders", "--mde", "0.1", "--project",
        shop.project.slug, status=2,
    )  # fmt: skip
    output = " ".join(output.split())
    assert "those with events of metric 'orders' == 0, must be at least 1." in output
