"""Admin of tenants and keys."""

from collections.abc import Iterable

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from bakeoff.accounts.audited_admin import AuditedAdmin
from bakeoff.accounts.edit_keys import revoke_key
from bakeoff.accounts.invite import revoke_invitations_by
from bakeoff.accounts.last_admin import MembershipForm, PersonForm, guard_last_admins
from bakeoff.accounts.models import ApiKey, AuditEntry, Membership, Project, Quota

admin.site.unregister(User)
admin.site.unregister(Group)


class LastAdminsStay:
    """Deletes nothing that would leave a project without an administrator."""

    def changelist_view(self, request: HttpRequest, extra_context=None):  # noqa: ANN001, ANN201
        """Run an action in one transaction: what it checks and locks still holds when it deletes."""
        with transaction.atomic():
            return super().changelist_view(request, extra_context)

    def get_deleted_objects(self, objs, request):  # noqa: ANN001, ANN201  admin's own
        """Name them as protected, which the admin pages refuse to delete."""
        rows, counts, lacking, protected = super().get_deleted_objects(objs, request)
        last_admins = guard_last_admins(self.memberships_of(objs))
        return rows, counts, lacking, [*protected, *last_admins]

    def memberships_of(self, objs) -> QuerySet[Membership]:  # noqa: ANN001  admin's own
        """Return the memberships that would go with rows."""
        raise NotImplementedError


@admin.register(User)
class PersonAdmin(LastAdminsStay, UserAdmin, ModelAdmin):
    """Django's users in unfold's dress; who is a project's last administrator stays.

    Who is shut out or deleted leaves no invitation behind by which they could come back.
    """

    form = PersonForm

    def memberships_of(self, objs) -> QuerySet[Membership]:  # noqa: ANN001  admin's own
        return Membership.objects.filter(user__in=list(objs))

    def save_model(self, request: HttpRequest, obj, form, change) -> None:  # noqa: ANN001  admin's own
        super().save_model(request, obj, form, change)
        if not obj.is_active:
            self._revoke_invitations(request, [obj])

    def delete_model(self, request: HttpRequest, obj) -> None:  # noqa: ANN001  admin's own
        self._revoke_invitations(request, [obj])
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset) -> None:  # noqa: ANN001  admin's own
        self._revoke_invitations(request, queryset)
        super().delete_queryset(request, queryset)

    def _revoke_invitations(self, request: HttpRequest, people: Iterable[User]) -> None:
        for membership in self.memberships_of(people).select_related("project", "user"):
            by = request.user.get_username()
            revoke_invitations_by(project=membership.project, person=membership.user, by=by)


@admin.register(Group)
class PeopleAdmin(GroupAdmin, ModelAdmin):
    """Django's groups in unfold's dress."""


@admin.register(Project)
class ProjectAdmin(AuditedAdmin):
    list_display = ["slug", "name", "timezone", "created_at"]
    search_fields = ["slug", "name"]


@admin.register(Membership)
class MembershipAdmin(LastAdminsStay, AuditedAdmin):
    form = MembershipForm
    list_display = ["user", "project", "role"]
    list_filter = ["project", "role"]

    def memberships_of(self, objs) -> QuerySet[Membership]:  # noqa: ANN001  admin's own
        return Membership.objects.filter(pk__in=[one.pk for one in objs])

    def save_model(self, request: HttpRequest, obj, form, change) -> None:  # noqa: ANN001  admin's own
        """Make it an administrator's word, which groups of an identity provider leave alone."""
        obj.from_groups = False
        super().save_model(request, obj, form, change)
        if obj.role != Membership.Role.ADMIN:
            by = request.user.get_username()
            revoke_invitations_by(project=obj.project, person=obj.user, by=by)

    def delete_model(self, request: HttpRequest, obj) -> None:  # noqa: ANN001  admin's own
        """Revoke the open invitations of who leaves, too."""
        by = request.user.get_username()
        revoke_invitations_by(project=obj.project, person=obj.user, by=by)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset) -> None:  # noqa: ANN001  admin's own
        """Do so one by one."""
        for one in queryset.select_related("project", "user"):
            self.delete_model(request, one)


@admin.register(ApiKey)
class ApiKeyAdmin(AuditedAdmin):
    """Keys are made by `bakeoff keys` or the API, where their text can be shown once."""

    list_display = [
        "name", "project", "kind", "prefix", "created_at", "expires_at", "revoked_at", "last_used_at",
    ]  # fmt: skip
    list_filter = ["project", "kind"]
    readonly_fields = ["project", "kind", "prefix", "digest", "created_at", "last_used_at"]
    actions = ["revoke_keys"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.action(description="Revoke the selected keys")
    def revoke_keys(self, request: HttpRequest, queryset) -> None:  # noqa: ANN001  admin's own
        for key in queryset.usable():
            revoke_key(key=key, by=request.user.get_username())
        self.message_user(request, "Revoked.")


@admin.register(Quota)
class QuotaAdmin(AuditedAdmin):
    """How much a project may use in a month: whoever runs the platform says."""

    list_display = ["project", "answers", "events", "tokens"]


@admin.register(AuditEntry)
class AuditEntryAdmin(ModelAdmin):
    list_display = ["at", "project", "actor", "action", "subject"]
    list_filter = ["project", "action"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj=None) -> bool:  # noqa: ANN001
        return False

    def has_delete_permission(self, request: HttpRequest, obj=None) -> bool:  # noqa: ANN001
        return False
