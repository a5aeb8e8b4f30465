"""Take out of a surface's queue what needs no experiment any more.

A newer version of the same algorithm supersedes those that wait; nothing is tested that has learnt from
older data than the champion; and a version that lost is not tried again by another name: one of the
same algorithm and parameters on the same data is the same version. What a person holds, or gave a
priority, is superseded by nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.fields.json import KT

from bakeoff.accounts.actors import PLATFORM
from experiments.models import Decision, Experiment
from experiments.programme.queue import changes_by_person, shadowed_versions, waiting_versions
from experiments.programme.queue_types import LeftQueue
from inference.actions.move_alias import move_alias
from inference.cache import cache_client
from inference.models import ModelVersion, Surface
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet


def tidy_queue(surface: Surface) -> int:
    """Make candidates of versions that need no experiment; return how many."""
    left = 0
    with transaction.atomic():
        # Two workers may tidy at once, or one while a person holds a version: each sees what the other
        # has done.
        Surface.objects.select_for_update(no_key=True).get(pk=surface.pk)
        waiting = [*waiting_versions(surface), *shadowed_versions(surface)]
        champion = surface.versions.champions().select_related("snapshot").first()
        going = {version: _why_not_worth_a_test(version, champion) for version in waiting}
        # What leaves by itself supersedes nothing: else the one that it would supersede left with it.
        staying = [version for version, (cause, _) in going.items() if not cause]
        going |= {version: _why_superseded(version, staying) for version in staying}
        for version, (cause, reason) in going.items():
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


def _why_not_worth_a_test(version: ModelVersion, champion: ModelVersion | None) -> tuple[str, str]:
    """Return the cause for programs and in words; both empty for a version that may be tested."""
    if champion is not None and _is_older(version, champion):
        return LeftQueue.OLDER_DATA, f"learnt from older data than the champion, {champion.label}"
    if lost := _loser_like(version):
        return LeftQueue.LOST_BEFORE, f"{lost.label} lost with the same data and parameters"
    return "", ""


def _why_superseded(version: ModelVersion, staying: Sequence[ModelVersion]) -> tuple[str, str]:
    """Return the cause and the newer version in words; both empty where there is none."""
    challenger = changes_by_person(version)
    if challenger is not None and (challenger.held or challenger.priority is not None):
        return "", ""
    newer = [
        other
        for other in staying
        if other.algorithm == version.algorithm and other.pk > version.pk and not _is_held(other)
    ]
    return (LeftQueue.SUPERSEDED, f"superseded by {newer[-1].label}") if newer else ("", "")


def _is_held(version: ModelVersion) -> bool:
    challenger = changes_by_person(version)
    return challenger is not None and challenger.held


def _is_older(version: ModelVersion, than: ModelVersion) -> bool:
    """Whether its data end before another's; what was registered from outside has no known data."""
    if version.is_clean_of(than):
        return False  # what an erasure took away may have been the last of them
    ours, theirs = version.learnt_until, than.learnt_until
    return ours is not None and theirs is not None and ours < theirs


def _loser_like(version: ModelVersion) -> ModelVersion | None:
    """Return an earlier version that lost a test and is the same but for its number."""
    if version.snapshot_id is None:
        same = ModelVersion.objects.filter(artifact_sha256=version.artifact_sha256)
    else:
        same = ModelVersion.objects.filter(snapshot=version.snapshot_id, params=version.params)
    same = same.filter(
        surface=version.surface_id, algorithm=version.algorithm, pk__lt=version.pk
    ).exclude(alias=ModelVersion.Alias.CHAMPION)
    return same.filter(Exists(_losses())).order_by("id").first()


def _losses() -> QuerySet[Decision]:
    """Return the decisions by which the version of the outer query lost a test.

    A holdback decides nothing about its versions, and of several treatments one may have left alone. A
    person who stops a test has not found its treatment worse; one who rolls it back has. Of what an
    interleaving could not decide, the better ones go on to their test.
    """
    variant = F("experiment__variants__key")
    stopped = Q(action=Decision.Action.STOP_INCONCLUSIVE, created_by=PLATFORM)
    stopped &= ~Q(experiment__mode=Experiment.Mode.INTERLEAVE)
    return Decision.objects.annotate(left=KT("evidence__variant")).filter(
        stopped | Q(action=Decision.Action.ROLL_BACK),
        Q(left__isnull=True) | Q(left=variant),
        ~Q(experiment__shipped_variant=variant),
        experiment__purpose=Experiment.Purpose.TEST,
        experiment__variants__model_version=OuterRef("pk"),
        experiment__variants__is_control=False,
    )
