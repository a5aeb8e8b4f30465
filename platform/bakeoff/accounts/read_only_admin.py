"""Django's admin pages of rows that nobody changes by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unfold.admin import ModelAdmin

if TYPE_CHECKING:
    from django.http import HttpRequest


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Rows that only the platform writes: facts, and what has a page and rules of its own."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Nobody adds a row here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Nobody changes one here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Nobody deletes one here."""
        return False
