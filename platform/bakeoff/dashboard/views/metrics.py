"""Metrics: which there are, and a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.forms import ModelForm
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from bakeoff.dashboard.access import ANALYST, project_for
from bakeoff.dashboard.form_choices import name_choices
from bakeoff.dashboard.paging import page_of
from bakeoff.dashboard.refusals import add_refusal
from experiments.actions.create_metric import CannotCreateError, create_metric
from experiments.models import Metric

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


class MetricForm(ModelForm):  # type: ignore[type-arg]
    """A metric over events."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Name the choices."""
        super().__init__(*args, **options)
        self.fields["covariate"].required = False  # left out, it is the model's default
        name_choices(self)

    def add_error(self, field: str | None, error: Any) -> None:
        """Show over the form what is wrong with a field that it does not have: the steps of a funnel."""
        if field is None and isinstance(error, ValidationError) and hasattr(error, "error_dict"):
            errors = error.error_dict
            for hidden in [name for name in errors if name not in {*self.fields, NON_FIELD_ERRORS}]:
                super().add_error(None, errors.pop(hidden))
        super().add_error(field, error)

    class Meta:
        """The fields that most metrics need; the API sets the others."""

        model = Metric
        fields = (
            "key", "name", "kind", "event", "value", "denominator", "direction",
            "window_seconds", "cap", "lookback_seconds", "covariate", "attributed_only", "trusted_only",
        )  # fmt: skip
        labels: ClassVar = {
            "key": gettext_lazy("Key"),
            "name": gettext_lazy("Name"),
            "kind": gettext_lazy("Kind"),
            "event": gettext_lazy("Event"),
            "value": gettext_lazy("Value per user"),
            "denominator": gettext_lazy("Denominator event"),
            "direction": gettext_lazy("Goal"),
            "window_seconds": gettext_lazy("Conversion window (s)"),
            "cap": gettext_lazy("Cap"),
            "lookback_seconds": gettext_lazy("Lookback before exposure (s)"),
            "covariate": gettext_lazy("Variance reduction"),
            "attributed_only": gettext_lazy("Attributed events only"),
            "trusted_only": gettext_lazy("Trusted events only"),
        }
        help_texts: ClassVar = {
            "direction": "",
            "denominator": gettext_lazy(
                "Ratio only: the event in the denominator; slate counts recommendations served."
            ),
            "window_seconds": gettext_lazy(
                "Events count for this long after a user first sees a variant. Empty: as the policy says."
            ),
            "cap": gettext_lazy("Larger values per user count as this value."),
            "lookback_seconds": gettext_lazy(
                "What users did in this time before exposure narrows the interval. Empty: not used."
            ),
            "covariate": gettext_lazy(
                "By the same number before exposure, or by a prediction learnt before the start."
            ),
            "attributed_only": gettext_lazy(
                "Count only events that name a recommendation of the experiment."
            ),
            "trusted_only": gettext_lazy(
                "Count only events and feedback sent with a secret key: a page's key can be abused."
            ),
        }


@require_http_methods(["GET", "POST"])
@login_required
def list_metrics(request: HttpRequest, slug: str) -> HttpResponse:
    """List metrics and declare one."""
    project = project_for(request, slug, ANALYST if request.method == "POST" else "viewer")
    form = MetricForm(request.POST or None, instance=Metric(project=project))
    if request.method == "POST" and form.is_valid():
        try:
            create_metric(metric=form.instance, by=str(request.user))
        except CannotCreateError as error:
            add_refusal(form, error)
        else:
            messages.success(request, _("Metric created."))
            return redirect("metrics", slug)
    context = {
        "page": page_of(request, project.metrics.order_by("key")),
        "form": form,
        "project": project,
    }
    status = 422 if form.errors else 200
    return render(request, "dashboard/metrics.html", context, status=status)
