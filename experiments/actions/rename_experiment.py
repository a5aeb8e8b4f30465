"""Change what an experiment is called, its tags and its owner, in any state: no count contains them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from bakeoff.accounts.actors import PLATFORM
from bakeoff.accounts.audit import record_audit
from experiments.actions.define_experiment import CannotDefineError, check_name, check_tags_of
from experiments.models import Experiment

if TYPE_CHECKING:
    from collections.abc import Sequence


def rename_experiment(
    *,
    experiment: Experiment,
    by: str,
    name: str | None = None,
    tags: Sequence[str] | None = None,
    owner: str | None = None,
) -> Experiment:
    """Change the name that pages show beside the key, the tags by which people find it, and its owner.

    Args:
        experiment: whose.
        by: who.
        name: an empty one takes it away; None: it stays.
        tags: all of them; None: they stay.
        owner: whom questions about it go to, a member of the project; None: it stays.

    Raises:
        CannotDefineError: the name or a tag is too long, tags are too many or repeated, or the owner
            breaks a rule.
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
        if owner is not None and owner != locked.owner:
            _check_owner(locked, owner)
            wanted["owner"] = owner
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


def _check_owner(experiment: Experiment, owner: str) -> None:
    # The autopilot conducts what the platform owns: to give it away would stop that.
    if experiment.owner == PLATFORM:
        raise CannotDefineError(
            f"owner == '{owner[:80]}', must stay '{PLATFORM}', which conducts it.", field="owner"
        )
    if not experiment.project.memberships.filter(user__username=owner).exists():
        raise CannotDefineError(
            f"owner == '{owner[:80]}', must be a member of the project.", field="owner"
        )
