"""Admin of the catalogue and the registry; versions and runs are read only."""

from django.contrib import admin

from bakeoff.accounts.read_only_admin import ReadOnlyAdmin
from inference.models import (
    Item,
    ItemVector,
    ModelVersion,
    PolicyCount,
    Snapshot,
    Surface,
    TrainingRun,
)


@admin.register(Item)
class ItemAdmin(ReadOnlyAdmin):
    """Changed by the API and by loads, which let web processes know."""

    list_display = ["item_id", "title", "project", "available", "updated_at"]
    list_filter = ["project", "available"]
    exclude = ["vector"]
    search_fields = ["item_id", "title"]


@admin.register(Surface)
class SurfaceAdmin(ReadOnlyAdmin):
    """Changed on its own page, which checks the rules and writes the audit trail."""

    list_display = ["key", "project", "kind", "retrain_algorithm", "last_retrained_at"]
    list_filter = ["project", "kind"]


@admin.register(ItemVector)
class ItemVectorAdmin(ReadOnlyAdmin):
    list_display = ["text_sha256", "encoder_sha256"]
    fields = ["text_sha256", "encoder_sha256"]


@admin.register(PolicyCount)
class PolicyCountAdmin(ReadOnlyAdmin):
    """Written by the worker that counts."""

    list_display = ["surface", "since", "watermark"]


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnlyAdmin):
    list_display = ["sha256", "surface", "rows", "units", "created_at"]


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    list_display = ["label", "surface", "alias", "artifact_sha256", "created_at"]
    list_filter = ["surface", "alias"]


@admin.register(TrainingRun)
class TrainingRunAdmin(ReadOnlyAdmin):
    list_display = ["id", "surface", "algorithm", "trigger", "state", "progress", "queued_at"]
    list_filter = ["state", "algorithm"]
