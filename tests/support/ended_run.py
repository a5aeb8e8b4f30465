"""A training run that has ended, as if a worker had trained."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from inference.models import ModelVersion, TrainingRun

if TYPE_CHECKING:
    from tests.support.builders import Shop


def ended_run(shop: Shop, ndcg: float, **params: int) -> TrainingRun:
    """Return a run whose version was refused, with two points of its loss."""
    now = timezone.now()
    number = ModelVersion.objects.filter(surface=shop.surface, algorithm="two-tower").count() + 1
    version = ModelVersion.objects.create(
        surface=shop.surface,
        algorithm="two-tower",
        number=number,
        alias="rejected",
        artifact_sha256="0" * 64,
        params=params,
        gate={
            "passed": False,
            "reasons": [],
            "units": 50,
            "rival": "popularity@1",
            "rows": {"ndcg": {"challenger": ndcg, "champion": 0.2, "difference": ndcg - 0.2}},
        },
    )
    return TrainingRun.objects.create(
        surface=shop.surface,
        algorithm="two-tower",
        trigger="a test",
        state="refused",
        params=params,
        version=version,
        curve=[["seed 0", 10, 2.5], ["seed 0", 20, 1.25]],
        started_at=now - timedelta(seconds=90),
        ended_at=now,
    )
