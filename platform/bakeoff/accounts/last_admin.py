"""Keep a project's last administrator on Django's admin pages, as `set_role` does on ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth.forms import UserChangeForm
from django.db import transaction

from bakeoff.accounts.models import Membership, Project
from bakeoff.accounts.set_role import ADMIN, is_last_admin

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet


class MembershipForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's is not generic at run time
    """A role in a project; the last administrator of one keeps it."""

    def clean(self) -> dict[str, Any] | None:
        """Lock the project, as every change of roles does, and refuse to leave it without one.

        The page runs in a transaction, so the lock is held until the role is stored.
        """
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        held = Membership.objects.filter(pk=self.instance.pk).first()
        projects = {one.pk for one in (cleaned.get("project"),) if one is not None}
        _lock(projects | ({held.project_id} if held is not None else set()))
        held = Membership.objects.filter(pk=self.instance.pk).select_related("project", "user").first()
        if held is None:
            return cleaned
        stays = (cleaned.get("user"), cleaned.get("project")) == (held.user, held.project)
        if (not stays or cleaned.get("role") != ADMIN) and is_last_admin(held.project, held.user):
            self.add_error("role", _sentence(held.user.get_username(), held.project.slug))
        return cleaned


class PersonForm(UserChangeForm):  # type: ignore[type-arg]  # Django's is not generic at run time
    """An account; that of a project's last administrator stays active."""

    def clean(self) -> dict[str, Any] | None:
        """Refuse to shut out who is needed; the page runs in a transaction, as above."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        # `is_active` is not among the fields of who may not change it.
        if cleaned.get("is_active") is False and self.instance.pk:
            for sentence in guard_last_admins(Membership.objects.filter(user=self.instance.pk)):
                self.add_error("is_active", sentence)
        return cleaned


def guard_last_admins(memberships: QuerySet[Membership]) -> list[str]:
    """Return what would leave a project without an administrator if these memberships went away.

    Args:
        memberships: that are to be deleted, or whose people are shut out; their projects stay locked
            until the transaction ends.
    """
    with transaction.atomic():
        _lock(memberships.values_list("project_id", flat=True))
        going = memberships.filter(role=ADMIN).select_related("project", "user")
        active = Membership.objects.filter(role=ADMIN, user__is_active=True)
        staying = active.exclude(pk__in=[one.pk for one in going])
        safe = set(
            staying.filter(project__in=[one.project_id for one in going]).values_list(
                "project_id", flat=True
            )
        )
        return [
            _sentence(one.user.get_username(), one.project.slug)
            for one in going
            if one.project_id not in safe
        ]


def _lock(projects: Iterable[int]) -> None:
    """Lock projects in the order of their ids: two who change roles wait in one order."""
    rows = Project.objects.select_for_update(no_key=True).filter(pk__in=list(projects))
    list(rows.order_by("pk").values_list("pk", flat=True))


def _sentence(name: str, project: str) -> str:
    return f"{name} is the last administrator of project {project}: make another one first."
