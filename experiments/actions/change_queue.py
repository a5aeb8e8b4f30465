"""What people do to a challenger that waits: hold, release, drop, give it a priority."""

from __future__ import annotations

from django.db import transaction

from bakeoff.accounts.actors import reason_of
from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.refused import RefusedError
from experiments.actions.tidy_queue import leave_queue
from experiments.models import Challenger
from experiments.programme.queue import read_queue, shadowed_versions, waiting_versions
from experiments.programme.queue_types import LeftQueue
from inference.cache import cache_client
from inference.models import ModelVersion, Surface
from inference.serving.changes import announce_change

MAX_PRIORITY = 1000


class NotQueuedError(RefusedError):
    """A version that does not wait for its experiment."""


def hold_challenger(*, version: ModelVersion, by: str, reason: str = "") -> Challenger:
    """Let a version wait until somebody releases it.

    Raises:
        NotQueuedError: it does not wait.
    """
    return _change(version, "hold challenger", by, reason, held=True)


def release_challenger(*, version: ModelVersion, by: str, reason: str = "") -> Challenger:
    """Give a held version its place in the queue again.

    Raises:
        NotQueuedError: it does not wait.
    """
    return _change(version, "release challenger", by, reason, held=False)


def drop_challenger(*, version: ModelVersion, by: str, reason: str = "") -> Challenger:
    """Take a version out of the queue: a candidate that no experiment is started for.

    Raises:
        NotQueuedError: it does not wait.
    """
    return _change(version, "drop challenger", by, reason, dropped=True)


def prioritise_challenger(
    *, version: ModelVersion, priority: int | None, by: str, reason: str = ""
) -> Challenger:
    """Give a version a place before those of lower priority; None orders it by value and gate again.

    Raises:
        NotQueuedError: it does not wait.
        RefusedError: a priority out of bounds.
    """
    if priority is not None and not -MAX_PRIORITY <= priority <= MAX_PRIORITY:
        raise RefusedError(
            f"priority == {priority}, must be in [-{MAX_PRIORITY}, {MAX_PRIORITY}].", field="priority"
        )
    return _change(version, "prioritise challenger", by, reason, priority=priority)


def move_to_front(*, version: ModelVersion, by: str, reason: str = "") -> Challenger:
    """Give a version a priority above that of all others.

    Raises: as `prioritise_challenger`.
    """
    priority = max(_other_priorities(version), default=0) + 1
    return prioritise_challenger(version=version, priority=priority, by=by, reason=reason)


def move_to_end(*, version: ModelVersion, by: str, reason: str = "") -> Challenger:
    """Give a version a priority below that of all others.

    Raises: as `prioritise_challenger`.
    """
    priority = min(_other_priorities(version), default=0) - 1
    return prioritise_challenger(version=version, priority=priority, by=by, reason=reason)


def _other_priorities(version: ModelVersion) -> list[int]:
    return [row.priority or 0 for row in read_queue(version.surface) if row.version != version]


def _change(
    version: ModelVersion, action: str, by: str, reason: str, **fields: bool | int | None
) -> Challenger:
    with transaction.atomic():
        # Against the loop, which tidies the queue under this lock and drafts the next experiment.
        surface = Surface.objects.select_for_update(no_key=True).get(pk=version.surface_id)
        queued = [*waiting_versions(surface), *shadowed_versions(surface)]
        place = next((one for one in queued if one.pk == version.pk), None)
        if place is None:
            version.refresh_from_db(fields=["alias"])
            raise NotQueuedError(
                f"{version.label} is {version.alias}, must wait for its experiment: a challenger that "
                "is in none."
            )
        challenger, _ = Challenger.objects.update_or_create(
            version=place, defaults={**fields, "reason": reason}
        )
        if "dropped" in fields:
            words = reason or reason_of("dropped", by)
            leave_queue(place, cause=LeftQueue.DROPPED, by=by, reason=words)
        record_audit(
            surface.project_id,
            actor=by,
            action=action,
            subject=f"{place.label} for {surface}",
            detail={"reason": reason, "priority": challenger.priority},
        )
    announce_change(cache_client())
    return challenger
