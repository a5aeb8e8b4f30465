"""What the policy of a surface earns beside its default action."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from bakeoff.dashboard.access import project_for
from bakeoff.dashboard.templatetags.numbers import four
from experiments.reports.chart_frame import Chart
from experiments.reports.chart_texts import translated
from experiments.reports.path_chart import PathPoint, draw_path
from experiments.reports.policy_report import report_policy
from inference.models import Surface

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from experiments.reports.policy_report import PolicyReport


@require_safe
@login_required
def show_policy(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Show the value of a surface of kind `rank`."""
    project = project_for(request, slug)
    surface = get_object_or_404(Surface, project=project, key=key, kind=Surface.Kind.RANK)
    report = report_policy(surface)
    context = {"project": project, "surface": surface, "report": report, "chart": _draw(report)}
    return render(request, "dashboard/policy.html", context)


def _draw(report: PolicyReport) -> Chart:
    points = [
        PathPoint(point.value.decisions, point.value.difference, *point.value.interval)
        for point in report.course
    ]
    title, counted = _("Difference from the default action"), _("Decisions")
    texts = replace(
        translated(),
        point=_("{units} decisions: {estimate} ({low} to {high})"),
        difference=title,
        analysed=counted,
    )
    label = _("Difference over time")
    rows = [
        (f"{point.at:%Y-%m-%d %H:%M}", f"{one.units:,}", *map(four, (one.estimate, one.low, one.high)))
        for point, one in reversed(list(zip(report.course, points, strict=True)))
    ]
    head = (_("Date"), counted, title, _("Lower bound"), _("Upper bound"))
    svg = draw_path(points, planned_units=0, label=label, texts=texts)
    return Chart("policy", label, svg, head, rows)
