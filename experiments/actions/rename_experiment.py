"""Change what an experiment is called or tagged, in any state: nothing that is counted contains it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from experiments.actions.define_experiment import check_name, check_tags_of
from experiments.models import Experiment

if TYPE_CHECKING:
    from collections.abc import Sequence


def rename_experiment(
    *, experiment: Experiment, by: str, name: str | None = None, tags: Sequence[str] | None = None
) -> Experiment:
    """Change the name that pages show beside the key, and the tags by which people find it.

    Args:
        experiment: whose.
        by: who.
        name: an empty one takes it away; None: it stays.
        tags: all of them; None: they stay.

    Raises:
        CannotDefineError: the name or a tag is too long, or tags are too many or repeated.
    """
    wanted: dict[str, object] = {}
    if name is not None:
        check_name(name)
        wanted["name"] = name
    if tags is not None:
        check_tags_of(tags)
        wanted["tags"] = list(tags)
    with transaction.atomic():
        # Of two who rename at once, the second records the first one's name as the one before.
        locked = Experiment.objects.select_for_update(of=("self",), no_key=True).get(pk=experiment.pk)
        changed = {
            field: [getattr(locked, field), value]
            for field, value in wanted.items()
            if getattr(locked, field) != value
        }
        if not changed:
            return locked
        for field in changed:
            setattr(locked, field, wanted[field])
        locked.save(update_fields=list(changed))
        record_audit(
            locked.project_id,
            actor=by,
            action="rename" if "name" in changed else "edit",
            subject=locked.key,
            detail={"changed": changed},
        )
    return locked
