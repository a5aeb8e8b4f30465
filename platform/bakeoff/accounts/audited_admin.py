"""Django's admin pages, which write the audit trail of the project as every other face does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unfold.admin import ModelAdmin

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.models import Project

if TYPE_CHECKING:
    from django.db.models import Model
    from django.http import HttpRequest


class AuditedAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Rows of a project that people change; each change has its entry."""

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Record a new row."""
        self._record(request, obj, "add")
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Record a changed row, with the names of its changed fields."""
        self._record(request, obj, "change", message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """Record each row that goes away."""
        for obj in queryset:
            self._record(request, obj, "delete")
        return super().log_deletions(request, queryset)

    def _record(self, request: HttpRequest, obj: Any, action: str, message: Any = None) -> None:
        if isinstance(obj, Project):
            if action == "delete":  # its trail goes with it; Django's own log keeps the fact
                return
            project_id = obj.pk
        else:
            project_id = obj.project_id
        record_audit(
            project_id,
            actor=request.user.get_username(),
            action=f"{action} {obj._meta.verbose_name}",  # noqa: SLF001  Django's documented interface
            subject=str(obj),
            detail={"by": "admin", "message": message} if message else {"by": "admin"},
        )
