"""Register a version of an order: it needs no training, so no gate judges it."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models import Max

from inference.models import AliasMove, ModelVersion, Surface
from inference.serving.artifact import save_artifact
from inference.serving.orders import draft_order

if TYPE_CHECKING:
    from inference.serving.orders import LiveOrder

REASON = "an order of items, which learns nothing"


def register_order(*, surface_id: int, order: LiveOrder, by: str) -> ModelVersion:
    """Create the version as a candidate, inside the caller's transaction.

    Args:
        surface_id: whose version.
        order: what it goes by.
        by: who registers it.
    """
    # Two registrations at the same time: the row lock keeps their numbers apart.
    surface = Surface.objects.select_for_update(no_key=True).get(pk=surface_id)
    last = surface.versions.filter(algorithm=order.name).aggregate(last=Max("number"))["last"]
    version = ModelVersion.objects.create(
        surface=surface,
        algorithm=order.name,
        number=(last or 0) + 1,
        alias=ModelVersion.Alias.CANDIDATE,
        artifact_sha256=save_artifact(settings.BAKEOFF.artifacts, draft_order(order)),
        params=order.params,
        # It learnt nothing that could be wrong: it may be promoted without a word against it.
        gate={"passed": True, "rows": {}, "reasons": [], "about": {"notes": [REASON]}},
        code_version=installed_version("bakeoff"),
    )
    AliasMove.objects.create(version=version, after=version.alias, moved_by=by, reason=REASON)
    return version
