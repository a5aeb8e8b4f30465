"""Set how much a project may use in a month: the operator's act, not that of the project's people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.models import Project, Quota
from bakeoff.accounts.refused import RefusedError
from bakeoff.accounts.usage_kinds import QUOTAS

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_QUOTA = 10**15


class QuotaRuleError(RefusedError):
    """A quota that cannot be."""


def set_quota(*, project: Project, changes: Mapping[str, int | None], by: str) -> Quota:
    """Change the named quotas of a project; all others stay.

    Web processes follow within seconds.

    Args:
        project: whose.
        changes: answers, events or tokens a calendar month; None lifts the limit, 0 refuses all.
        by: who.

    Raises:
        QuotaRuleError: a value breaks its rule; nothing is changed.
    """
    for name, limit in changes.items():
        if name not in QUOTAS:
            raise QuotaRuleError(f"quota == '{name}', must be one of {list(QUOTAS)}.", field="quota")
        if limit is not None and not 0 <= limit <= MAX_QUOTA:
            rule = f"a whole number in [0, {MAX_QUOTA:,}], or none"
            raise QuotaRuleError(f"{name} == {limit}, must be {rule}.", field=name)
    with transaction.atomic():
        # Two changes at once: each keeps what the other set.
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        quota, _ = Quota.objects.update_or_create(project=project, defaults=dict(changes))
        record_audit(project.pk, actor=by, action="set quota", subject="quota", detail=dict(changes))
    return quota
