"""Register a version that generates: it needs no training; what it may be judged by comes later."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.models import Max

from inference.models import AliasMove, ModelVersion, Surface
from inference.serving.artifact import save_artifact

if TYPE_CHECKING:
    from inference.serving.prompts import Prompt

REASON = "a prompt, which was not trained"


def register_prompt(*, surface_id: int, prompt: Prompt, algorithm: str, by: str) -> ModelVersion:
    """Create the version as a candidate, inside the caller's transaction.

    Args:
        surface_id: whose version.
        prompt: what it asks.
        algorithm: its name before the number.
        by: who registers it.
    """
    # Two registrations at the same time: the row lock keeps their numbers apart.
    surface = Surface.objects.select_for_update(no_key=True).get(pk=surface_id)
    last = surface.versions.filter(algorithm=algorithm).aggregate(last=Max("number"))["last"]
    version = ModelVersion.objects.create(
        surface=surface,
        algorithm=algorithm,
        number=(last or 0) + 1,
        alias=ModelVersion.Alias.CANDIDATE,
        artifact_sha256=save_artifact(settings.BAKEOFF.artifacts, prompt.as_draft()),
        params={"provider": prompt.provider, "model": prompt.model},
        gate=_gate(),
        code_version=installed_version("bakeoff"),
    )
    AliasMove.objects.create(version=version, after=version.alias, moved_by=by, reason=REASON)
    return version


def _gate() -> dict[str, Any]:
    # Nothing was measured that could speak against it: it may be tested and promoted.
    return {"passed": True, "rows": {}, "reasons": [], "about": {"notes": [REASON]}}
