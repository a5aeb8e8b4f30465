"""Archive, restore and delete surfaces and metrics: what an act will do is said first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from bakeoff.dashboard.access import ANALYST, OPERATOR, project_for
from experiments.actions.archive_metric import archive_metric, delete_metric, restore_metric
from experiments.actions.archive_surface import (
    CannotArchiveError,
    archive_surface,
    delete_surface,
    restore_surface,
)
from experiments.actions.find_uses import uses_of_metric, uses_of_surface
from experiments.models import Metric
from inference.models import Surface

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

ARCHIVED = "archived"  # the query by which lists show what is archived


@dataclass(frozen=True, slots=True)
class ArchiveAct:
    """The texts of an act, and what does it."""

    title: Any
    says: Any
    done: Any
    do: Callable[..., object]
    danger: bool = False


SURFACE_ACTS = {
    "archive": ArchiveAct(
        gettext_lazy("Archive surface"),
        gettext_lazy(
            "Requests for it will be refused. It is no longer trained or listed, and its autopilot "
            "stops. Its history stays, and you can restore it."
        ),
        gettext_lazy("Surface archived"),
        lambda row, by: archive_surface(surface=row, by=by),
    ),
    "restore": ArchiveAct(
        gettext_lazy("Restore surface"),
        gettext_lazy("Its champion serves again, and its schedule and autopilot go on."),
        gettext_lazy("Surface restored"),
        lambda row, by: restore_surface(surface=row, by=by),
    ),
    "delete": ArchiveAct(
        gettext_lazy("Delete surface"),
        gettext_lazy(
            "It will be deleted for good, which cannot be undone. Only an archived surface that was "
            "never used can be deleted."
        ),
        gettext_lazy("Surface deleted"),
        lambda row, by: delete_surface(surface=row, by=by),
        danger=True,
    ),
}
METRIC_ACTS = {
    "archive": ArchiveAct(
        gettext_lazy("Archive metric"),
        gettext_lazy(
            "No new experiment can use it. Reports show it as before, and you can restore it."
        ),
        gettext_lazy("Metric archived"),
        lambda row, by: archive_metric(metric=row, by=by),
    ),
    "restore": ArchiveAct(
        gettext_lazy("Restore metric"),
        gettext_lazy("New experiments can use it again."),
        gettext_lazy("Metric restored"),
        lambda row, by: restore_metric(metric=row, by=by),
    ),
    "delete": ArchiveAct(
        gettext_lazy("Delete metric"),
        gettext_lazy(
            "It will be deleted for good, which cannot be undone. Only a metric that no experiment has "
            "used can be deleted: archive any other."
        ),
        gettext_lazy("Metric deleted"),
        lambda row, by: delete_metric(metric=row, by=by),
        danger=True,
    ),
}


@require_http_methods(["GET", "POST"])
@login_required
def act_on_surface(request: HttpRequest, slug: str, key: str, verb: str) -> HttpResponse:
    """Say what an act on a surface will do, and do it when it is confirmed."""
    project = project_for(request, slug, OPERATOR)
    surface = get_object_or_404(Surface, project=project, key=key)
    deletes = verb == "delete"
    uses = uses_of_surface(surface, with_archived=deletes) if verb != "restore" else []
    return _act(request, slug, surface, (SURFACE_ACTS.get(verb), verb, uses))


@require_http_methods(["GET", "POST"])
@login_required
def act_on_metric(request: HttpRequest, slug: str, key: str, verb: str) -> HttpResponse:
    """Say what an act on a metric will do, and do it when it is confirmed."""
    project = project_for(request, slug, ANALYST)
    metric = get_object_or_404(Metric, project=project, key=key)
    deletes = verb == "delete"
    uses = uses_of_metric(metric, with_archived=deletes) if verb != "restore" else []
    return _act(request, slug, metric, (METRIC_ACTS.get(verb), verb, uses))


def _act(
    request: HttpRequest,
    slug: str,
    row: Surface | Metric,
    chosen: tuple[ArchiveAct | None, str, list[str]],
) -> HttpResponse:
    act, verb, uses = chosen
    if act is None:
        raise Http404
    name = "surface" if isinstance(row, Surface) else "metric"
    problem = ""
    if request.method == "POST":
        try:
            act.do(row, str(request.user))
        except CannotArchiveError as error:
            problem = str(error)
        else:
            messages.success(request, f"{act.done}.")
            return redirect(f"{name}s", slug) if verb == "delete" else redirect(name, slug, row.key)
    context = {
        "project": row.project,
        "row": row,
        "act": act,
        "problem": problem if not uses else "",  # the page names the uses anyway
        "uses": uses,
        "back": reverse(name, args=[slug, row.key]),
    }
    return render(request, "dashboard/confirm_archive.html", context, status=409 if problem else 200)
