"""Send a version into shadow: it answers beside what is served, and nobody sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from experiments.models import Experiment
from inference.actions.move_alias import move_alias
from inference.cache import cache_client
from inference.models import ModelVersion, Surface
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from collections.abc import Collection

MOVABLE: Collection[str] = (
    ModelVersion.Alias.CANDIDATE,
    ModelVersion.Alias.CHALLENGER,
    ModelVersion.Alias.RETIRED,
)


class CannotShadowError(Exception):
    """A version that cannot go into shadow; the message says why."""


def shadow_version(*, version: ModelVersion, by: str, reason: str) -> None:
    """Move the alias and tell serving.

    Raises:
        CannotShadowError: it serves, it was rejected, or it is in an experiment.
    """
    with transaction.atomic():
        # Against a promotion at the same time: a champion never goes into shadow.
        locked = ModelVersion.objects.select_for_update(no_key=True).get(pk=version.pk)
        if locked.surface.kind == Surface.Kind.RANK:
            raise CannotShadowError(
                f"surface == '{locked.surface}' of kind '{Surface.Kind.RANK}', must be of another kind "
                "for shadow: what a policy would have earned, its gate says."
            )
        if locked.alias not in MOVABLE:
            raise CannotShadowError(
                f"{locked.label} is {locked.alias}, must be one of {sorted(MOVABLE)} to go into shadow."
            )
        if Experiment.objects.running().filter(variants__model_version=locked).exists():
            raise CannotShadowError(f"{locked.label} is in a running experiment: stop it first.")
        move_alias(version=locked, to=ModelVersion.Alias.SHADOW, by=by, reason=reason)
        record_audit(
            locked.surface.project_id,
            actor=by,
            action="shadow",
            subject=f"{locked.label} for {locked.surface}",
            detail={"reason": reason},
        )
    announce_change(cache_client())
