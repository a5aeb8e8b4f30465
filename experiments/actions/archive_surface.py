"""Archive a surface that nobody uses any more, restore it, or delete one that was never used.

Only what is archived is deleted: a surface that serves may have its first answer at that moment.

Guarantees: what was recorded on an archived surface stays, with its versions and ended experiments;
nothing runs there, is trained, promoted or served until it is restored.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.refused import RefusedError
from experiments.actions.close_holdback import close_holdback
from experiments.actions.create_serving_metrics import create_serving_metrics
from experiments.actions.find_uses import archived_needs, listed, missing_needs, uses_of_surface
from experiments.actions.mark_units import mark_later
from experiments.models import Decision, Experiment, Holdout, Slate
from inference.cache import cache_client
from inference.models import Surface
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import QuerySet


class CannotArchiveError(RefusedError):
    """What cannot be archived, restored or deleted now; the message says why.

    Attributes:
        code: for programs: `in_use`, `has_history` or `wrong_state`.
    """

    def __init__(self, message: str, *, code: str) -> None:
        """Say why, and the code for programs."""
        super().__init__(message)
        self.code = code


def archive_surface(*, surface: Surface, by: str) -> Surface:
    """Take a surface out of lists, serving, schedule and autopilot; everything of it stays.

    The measurement of a holdout that runs there ends.

    Raises:
        CannotArchiveError: it is archived, or in use; the message names by whom.
    """
    with transaction.atomic():
        # Before the surface, as `lock_order` says: who measures holdouts opens none meanwhile.
        list(Holdout.objects.select_for_update().filter(project=surface.project_id))
        measured = surface.experiments.running().filter(purpose=Experiment.Purpose.HOLDOUT)
        measurements = list(measured.select_for_update(no_key=True).order_by("pk"))
        locked = _locked(surface)
        if locked.archived_at is not None:
            raise CannotArchiveError(f"surface '{locked.key}' is archived already.", code="wrong_state")
        refuse_used(f"surface '{locked.key}'", uses_of_surface(locked))
        for measurement in measurements:
            close_holdback(holdback=measurement, by=by, why="the surface is archived")
        locked.archived_at = timezone.now()
        _save(locked, by=by, action="archive surface")
    return locked


def restore_surface(*, surface: Surface, by: str) -> Surface:
    """Put an archived surface back: its champion serves, and schedule and autopilot go on.

    Raises:
        CannotArchiveError: it is not archived, or its settings name what is, or what is gone.
    """
    with transaction.atomic():
        locked = _locked(surface)
        if locked.archived_at is None:
            raise CannotArchiveError(f"surface '{locked.key}' is not archived.", code="wrong_state")
        create_serving_metrics(locked.project, locked.kind)  # they may be archived, too, or gone
        if needs := archived_needs(locked):
            raise CannotArchiveError(
                f"surface '{locked.key}' names what is archived: {listed(needs)}. Restore this first.",
                code="wrong_state",
            )
        if needs := missing_needs(locked):
            raise CannotArchiveError(
                f"surface '{locked.key}' names what does not exist: {listed(needs)}. "
                "Create this first.",
                code="wrong_state",
            )
        locked.archived_at = None
        _save(locked, by=by, action="restore surface")
    # What units did meanwhile was noted for other surfaces only.
    mark_later(project_id=locked.project_id, surface_id=locked.pk)
    return locked


def delete_surface(*, surface: Surface, by: str) -> None:
    """Delete an archived surface for good that was never used.

    Raises:
        CannotArchiveError: something depends on it, or it is not archived.
    """
    with transaction.atomic():
        locked = _locked(surface)
        refuse_used(f"surface '{locked.key}'", uses_of_surface(locked, with_archived=True))
        if has := list(_history_of(locked)):
            raise CannotArchiveError(
                f"surface '{locked.key}' has {', '.join(has)}: archive it instead, which keeps them.",
                code="has_history",
            )
        if locked.archived_at is None:
            raise CannotArchiveError(
                f"surface '{locked.key}' is not archived: archive it first.", code="wrong_state"
            )
        record_audit(locked.project_id, actor=by, action="delete surface", subject=locked.key)
        locked.delete()
        transaction.on_commit(partial(announce_change, cache_client()))


def refuse_used(what: str, uses: list[str]) -> None:
    """Refuse to put away what somebody uses.

    Raises:
        CannotArchiveError: there are uses.
    """
    if uses:
        raise CannotArchiveError(
            f"{what} is in use: {listed(uses)}. End or change this first.", code="in_use"
        )


def _locked(surface: Surface) -> Surface:
    # Two people may press at once; and no experiment starts while its surface is put away.
    return Surface.objects.select_for_update(no_key=True).get(pk=surface.pk)


def _save(surface: Surface, *, by: str, action: str) -> None:
    surface.save(update_fields=["archived_at"])
    record_audit(surface.project_id, actor=by, action=action, subject=surface.key)
    transaction.on_commit(partial(announce_change, cache_client()))


def _history_of(surface: Surface) -> Iterator[str]:
    """Yield in words what depends on a surface, or would be lost with it."""
    kept: dict[str, QuerySet[Any]] = {
        "experiments": surface.experiments.all(),
        "model versions": surface.versions.all(),
        "training runs": surface.training_runs.all(),
        "recorded answers": Slate.objects.filter(surface=surface),
        "decisions": Decision.objects.filter(surface=surface),
        "proposals": surface.proposals.all(),
        "labelled examples": surface.examples.all(),
        "data sets": surface.data_sets.all(),
        "surveys": surface.surveys.all(),
        "texts to label": surface.label_tasks.all(),
        "themes": surface.themes.all(),
    }
    for words, rows in kept.items():
        if rows.exists():
            yield words
