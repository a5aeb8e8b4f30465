"""Admin of experiments; records and analysis are read only."""

from datetime import timedelta

from django.contrib import admin, messages
from django.db import models
from django.db.models.functions import Now
from django.forms import ModelForm
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from bakeoff.accounts.audited_admin import AuditedAdmin
from bakeoff.accounts.read_only_admin import ReadOnlyAdmin
from experiments.actions.create_metric import create_metric
from experiments.actions.edit_metric import FIXED, edit_metric
from experiments.actions.review_feedback import review_feedback
from experiments.actions.start_experiment import CannotStartError, start_experiment
from experiments.actions.stop_experiment import stop_experiment
from experiments.models import (
    BlockSum,
    Decision,
    Epoch,
    Event,
    ExcludedUnit,
    Experiment,
    ExperimentMetric,
    Exposure,
    ExposureTotal,
    Feedback,
    Holdout,
    Layer,
    Link,
    Look,
    Metric,
    Observation,
    ReportShare,
    Review,
    RuleVersion,
    SavedGroup,
    SegmentsAtStart,
    Slate,
    Total,
    Unit,
    Variant,
)
from experiments.models.experiment import WrongStateError


class VariantInline(TabularInline):
    model = Variant
    extra = 0


class RoleInline(TabularInline):
    model = ExperimentMetric
    extra = 0


@admin.register(Experiment)
class ExperimentAdmin(AuditedAdmin):
    list_display = ["key", "name", "surface", "state", "against_gate", "started_at", "ended_at"]
    list_filter = ["project", "state"]
    inlines = [VariantInline, RoleInline]
    readonly_fields = ["state", "started_at", "ended_at", "policy_sha256"]
    actions = ["start", "stop"]

    def has_change_permission(self, request: HttpRequest, obj: Experiment | None = None) -> bool:
        """A rule that was fixed at the start stays as it was."""
        started = obj is not None and obj.state != Experiment.State.DRAFT
        return not started and super().has_change_permission(request, obj)

    @admin.action(description="Start the selected experiments")
    def start(self, request: HttpRequest, queryset: models.QuerySet[Experiment]) -> None:
        for experiment in queryset:
            try:
                start_experiment(experiment=experiment, by=request.user.get_username())
            except (WrongStateError, CannotStartError) as error:
                self.message_user(request, str(error), messages.ERROR)

    @admin.action(description="Stop the selected experiments; the champion stays")
    def stop(self, request: HttpRequest, queryset: models.QuerySet[Experiment]) -> None:
        for experiment in queryset:
            try:
                stop_experiment(experiment=experiment, by=request.user.get_username())
            except WrongStateError as error:
                self.message_user(request, str(error), messages.ERROR)


@admin.register(Metric)
class MetricAdmin(ModelAdmin):
    """Metrics are written by their actions, which write the trail; the form has checked the rules."""

    exclude = ["created_at"]
    list_display = ["key", "project", "kind", "event", "value"]
    list_filter = ["project", "kind"]

    def get_readonly_fields(self, request: HttpRequest, obj: Metric | None = None) -> tuple[str, ...]:
        return () if obj is None else ("project", *FIXED)

    def save_model(self, request: HttpRequest, obj: Metric, form: ModelForm, change: bool) -> None:  # noqa: FBT001  admin's own
        person = request.user.get_username()
        if change:
            changes = {name: form.cleaned_data[name] for name in form.changed_data}
            edit_metric(metric=obj, changes=changes, by=person)
        else:
            create_metric(metric=obj, by=person)


@admin.register(Unit)
class UnitAdmin(AuditedAdmin):
    list_display = ["unit_id", "project", "attributes", "updated_at"]
    list_filter = ["project"]
    search_fields = ["unit_id"]


@admin.register(Slate)
class SlateAdmin(ReadOnlyAdmin):
    list_display = ["recommendation_id", "unit_id", "surface", "variant", "fallback", "served_at"]
    show_full_result_count = False


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ["event_id", "name", "unit_id", "item_id", "item_known", "occurred_at", "source"]
    list_filter = ["project", "source", "item_known"]
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Event]:
        """Show what came in the last day: reading all of it would take minutes."""
        found: models.QuerySet[Event] = super().get_queryset(request)
        return found.filter(received_at__gt=Now() - timedelta(days=1))


@admin.register(Feedback)
class FeedbackAdmin(ReadOnlyAdmin):
    """The text is redacted, and shown as text: whatever markup it holds is escaped."""

    list_display = ["kind", "value", "text", "state", "flags", "unit_id", "variant", "received_at"]
    list_filter = ["project", "kind", "state", "withdrawn"]
    show_full_result_count = False
    actions = ["accept", "hide", "mark_as_spam"]

    @admin.action(description="Accept", permissions=["view"])
    def accept(self, request: HttpRequest, queryset: models.QuerySet[Feedback]) -> None:
        self._review(request, queryset, Feedback.State.OK, "")

    @admin.action(description="Hide: unfit to be shown or counted", permissions=["view"])
    def hide(self, request: HttpRequest, queryset: models.QuerySet[Feedback]) -> None:
        self._review(request, queryset, Feedback.State.HIDDEN, "unfit, by a person")

    @admin.action(description="Mark as spam", permissions=["view"])
    def mark_as_spam(self, request: HttpRequest, queryset: models.QuerySet[Feedback]) -> None:
        self._review(request, queryset, Feedback.State.SPAM, "spam, by a person")

    def _review(
        self, request: HttpRequest, queryset: models.QuerySet[Feedback], state: str, reason: str
    ) -> None:
        for feedback in queryset:
            review_feedback(
                feedback=feedback, state=state, reason=reason, by=request.user.get_username()
            )


@admin.register(Link)
class LinkAdmin(ReadOnlyAdmin):
    list_display = ["anonymous_id", "user_id", "unit_id", "other_unit_id", "linked_at"]
    list_filter = ["project"]


@admin.register(ExcludedUnit)
class ExcludedUnitAdmin(ReadOnlyAdmin):
    list_display = ["unit_id", "project", "reason", "excluded_at"]
    list_filter = ["project", "reason"]


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "surface", "experiment", "action", "created_by"]
    list_filter = ["project", "action"]


@admin.register(Look)
class LookAdmin(ReadOnlyAdmin):
    list_display = ["experiment", "number", "taken_at", "information", "action"]


for plain in (
    Epoch,
    Exposure,
    Observation,
    SegmentsAtStart,
    Total,
    ExposureTotal,
    BlockSum,
    RuleVersion,
):
    admin.site.register(plain, ReadOnlyAdmin)


@admin.register(Layer)
class LayerAdmin(AuditedAdmin):
    list_display = ("key", "project", "created_at")
    search_fields = ("key",)


@admin.register(Holdout)
class HoldoutAdmin(AuditedAdmin):
    list_display = ("project", "share")


@admin.register(SavedGroup)
class SavedGroupAdmin(AuditedAdmin):
    list_display = ("key", "project", "attribute", "created_at")
    search_fields = ("key",)


@admin.register(ReportShare)
class ReportShareAdmin(ReadOnlyAdmin):
    list_display = ("experiment", "created_by", "created_at", "expires_at", "revoked_at")


@admin.register(Review)
class ReviewAdmin(ReadOnlyAdmin):
    list_display = ("feedback", "reviewer", "state", "at")
