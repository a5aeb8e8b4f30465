"""The metric library: which metrics there are, one metric with what it showed, and its changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from bakeoff.dashboard.access import ANALYST, project_for
from bakeoff.dashboard.metric_form import MetricChangeForm, MetricForm
from bakeoff.dashboard.paging import page_of
from bakeoff.dashboard.refusals import add_refusal
from bakeoff.dashboard.saved_views import views_over
from bakeoff.dashboard.views.archiving import ARCHIVED
from experiments.actions.create_metric import CannotCreateError, create_metric
from experiments.actions.edit_metric import edit_metric
from experiments.models import Experiment, Metric
from experiments.reports.metric_library import read_changes, usage_of, uses_of
from experiments.reports.metric_words import describe_metric

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

    from bakeoff.accounts.models import Project

MAX_WORDS = 200


@require_http_methods(["GET", "POST"])
@login_required
def list_metrics(request: HttpRequest, slug: str) -> HttpResponse:
    """List metrics by words, kind and tag, and declare one."""
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
    wanted = {name: request.GET.get(name, "").strip() for name in ("q", "kind", "tag")}
    archived = ARCHIVED in request.GET
    page = page_of(request, _matching(project, wanted).filter(archived_at__isnull=not archived))
    usage = usage_of(page)
    tags = project.metrics.exclude(tags=[]).values_list("tags", flat=True)
    context = {
        "page": page,
        "rows": [(metric, usage.get(metric.pk)) for metric in page],
        "form": form,
        "project": project,
        **views_over(request, project, "metrics"),
        "archived": archived,
        "archived_count": project.metrics.filter(archived_at__isnull=False).count(),
        "words": wanted["q"],
        "kind": wanted["kind"],
        "tag": wanted["tag"],
        "kinds": Metric.Kind.values,
        "tags": sorted({tag for of_metric in tags for tag in of_metric}),
    }
    status = 422 if form.errors else 200
    return render(request, "dashboard/metrics.html", context, status=status)


def _matching(project: Project, wanted: dict[str, str]) -> QuerySet[Metric]:
    metrics, words = project.metrics.order_by("key"), wanted["q"][:MAX_WORDS]
    if words:
        fields = ("key", "name", "description", "owner", "event", "tags")
        any_of = Q()
        for field in fields:
            any_of |= Q(**{f"{field}__icontains": words})
        metrics = metrics.filter(any_of)
    if wanted["kind"] in Metric.Kind.values:
        metrics = metrics.filter(kind=wanted["kind"])
    if wanted["tag"]:
        metrics = metrics.filter(tags__contains=[wanted["tag"]])
    return metrics


@require_safe
@login_required
def show_metric(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Show a metric: what it counts, what it showed in experiments, and who changed it."""
    project = project_for(request, slug)
    metric = get_object_or_404(Metric, project=project, key=key)
    changes = read_changes(metric)
    experiments = (
        Experiment.objects.tests()
        .filter(project=project, metrics__metric=metric)
        .select_related("project", "surface")
    )
    page = page_of(request, experiments)
    uses, axis = uses_of(metric, page, changes)
    context = {
        "project": project,
        "metric": metric,
        "sentences": describe_metric(metric),
        "changes": changes,
        "version": changes[0].version if changes else 1,
        "page": page,
        "uses": uses,
        "axis": axis,
    }
    with timezone.override(project.timezone):
        return render(request, "dashboard/metric.html", context)


@require_http_methods(["GET", "POST"])
@login_required
def edit(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Change a metric; fields that are not on the form stay as they are."""
    project = project_for(request, slug, ANALYST)
    metric = get_object_or_404(Metric, project=project, key=key)
    form = MetricChangeForm(request.POST or None, instance=metric)
    if request.method == "POST" and form.is_valid():
        try:
            edit_metric(metric=metric, changes=form.changes(), by=str(request.user))
        except CannotCreateError as error:
            add_refusal(form, error)
        else:
            messages.success(request, _("Saved."))
            return redirect("metric", slug, key)
    context = {"form": form, "project": project, "metric": metric, "key": key}
    return render(request, "dashboard/metric_edit.html", context, status=422 if form.errors else 200)
