"""Take out of a surface's queue what needs no experiment any more.

A newer version of the same algorithm supersedes those that wait; nothing is tested that has learnt from
older data than the champion; and a version that lost is not tried again by another name: one of the
same algorithm and parameters on the same data is the same version. What a person holds, or gave a
priority, is superseded by nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from bakeoff.accounts.actors import PLATFORM
from experiments.models import Decision
from experiments.programme.queue import changes_by_person, shadowed_versions, waiting_versions
from experiments.programme.queue_types import LeftQueue
from inference.actions.move_alias import move_alias
from inference.cache import cache_client
from inference.models import ModelVersion, Surface
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from inference.models import Snapshot

LOSING = (Decision.Action.ROLL_BACK, Decision.Action.STOP_INCONCLUSIVE)


def tidy_queue(surface: Surface) -> int:
    """Make candidates of versions that need no experiment; return how many."""
    left = 0
    with transaction.atomic():
        # Two workers may tidy at once, or one while a person holds a version: each sees what the other
        # has done.
        Surface.objects.select_for_update().get(pk=surface.pk)
        waiting = [*waiting_versions(surface), *shadowed_versions(surface)]
        champion = surface.versions.champions().select_related("snapshot").first()
        for version in waiting:
            cause, reason = _why_leaving(version, waiting, champion)
            if cause:
                leave_queue(version, cause=cause, by=PLATFORM, reason=reason)
                left += 1
    if left:
        announce_change(cache_client())  # one in shadow answers no more
    return left


def leave_queue(version: ModelVersion, *, cause: str, by: str, reason: str) -> None:
    """Make a waiting version a candidate, inside the caller's transaction."""
    move_alias(
        version=version,
        to=ModelVersion.Alias.CANDIDATE,
        by=by,
        reason=reason,
        evidence={"queue": str(cause)},
    )


def _why_leaving(
    version: ModelVersion, waiting: Sequence[ModelVersion], champion: ModelVersion | None
) -> tuple[str, str]:
    """Return the cause for programs and in words; both empty for a version that stays."""
    if champion is not None and _is_older(version.snapshot, champion.snapshot):
        return LeftQueue.OLDER_DATA, f"learnt from older data than the champion, {champion.label}"
    if lost := _loser_like(version):
        return LeftQueue.LOST_BEFORE, f"{lost.label} lost with the same data and parameters"
    challenger = changes_by_person(version)
    if challenger is not None and (challenger.held or challenger.priority is not None):
        return "", ""
    newer = [
        other
        for other in waiting
        if other.algorithm == version.algorithm and other.pk > version.pk and not _is_held(other)
    ]
    return (LeftQueue.SUPERSEDED, f"superseded by {newer[-1].label}") if newer else ("", "")


def _is_held(version: ModelVersion) -> bool:
    challenger = changes_by_person(version)
    return challenger is not None and challenger.held


def _is_older(snapshot: Snapshot | None, than: Snapshot | None) -> bool:
    """Whether data end before others; what was registered from outside has no known data."""
    if snapshot is None or than is None:
        return False
    return _end_of(snapshot) < _end_of(than)


def _end_of(snapshot: Snapshot) -> datetime:
    return snapshot.watermark or snapshot.created_at


def _loser_like(version: ModelVersion) -> ModelVersion | None:
    """Return an earlier version that lost a test and is the same but for its number."""
    if version.snapshot_id is None:
        same = ModelVersion.objects.filter(artifact_sha256=version.artifact_sha256)
    else:
        same = ModelVersion.objects.filter(snapshot=version.snapshot_id, params=version.params)
    lost = same.filter(
        surface=version.surface_id,
        algorithm=version.algorithm,
        pk__lt=version.pk,
        variant__is_control=False,
        variant__experiment__decisions__action__in=LOSING,
        # A person who stops an experiment has not found the version worse.
        variant__experiment__decisions__created_by=PLATFORM,
    ).exclude(alias=ModelVersion.Alias.CHAMPION)
    return lost.order_by("id").first()
