"""Move a version's alias, and record why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference.models import AliasMove

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference.models import ModelVersion


def move_alias(
    *,
    version: ModelVersion,
    to: str,
    by: str,
    reason: str,
    evidence: Mapping[str, Any] | None = None,
) -> None:
    """Move, inside the caller's transaction.

    Args:
        version: whose alias.
        to: the alias that it has from now on.
        by: who moves it.
        reason: the evidence in words.
        evidence: where to find it: a run, an experiment.
    """
    before, version.alias = version.alias, to
    version.save(update_fields=["alias"])
    AliasMove.objects.create(
        version=version,
        before=before,
        after=to,
        moved_by=by,
        reason=reason,
        evidence=dict(evidence or {}),
    )
