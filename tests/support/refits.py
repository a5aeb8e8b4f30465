"""Refits of a shop's champion, as their gate leaves them."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from inference.models import ModelVersion, Snapshot
from tests.support import builders

TASTE = [1] * 10
NOW = timezone.now()


def make_refreshed_shop() -> builders.Shop:
    """A shop whose champion learnt from data of 40 days ago, and was never beaten."""
    shop = builders.make_shop()
    shop.champion.snapshot = data_of(shop, days=-40)
    shop.champion.save()
    builders.set_programme(shop)
    return shop


def data_of(shop, days) -> Snapshot:
    return Snapshot.objects.create(
        surface=shop.surface,
        sha256=f"data of day {days}",
        rows=1,
        units=1,
        watermark=NOW + timedelta(days=days),
    )


def make_refit(shop, days=0, *, difference=-0.0001, alias="challenger", **view) -> ModelVersion:
    """A refit whose nDCG differs so much from the last tested version's 0.2, give or take 0.004."""
    interval = [difference - 0.004, difference + 0.004]
    row = {"champion": 0.2, "challenger": 0.2 + difference, "difference": difference}
    version = builders.make_version(shop.surface, TASTE, alias=alias, snapshot=data_of(shop, days))
    version.gate["about"] = {
        "refit": {
            "tested_version": "popularity@1",
            "against": "tested_version",
            "bounds": [],
            "metric": "ndcg",
            "units": 500,
            "rows": {"ndcg": row | {"interval": interval}},
            "non_inferior": interval[0] > -0.01,
            "superior": interval[0] > 0,
            "reasons": [],
            **view,
        }
    }
    version.save()
    return version
