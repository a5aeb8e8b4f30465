"""The report of one experiment: page, print, files, and frozen copies behind links."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bakeoff.dashboard.access import ANALYST, experiment_for, may
from bakeoff.dashboard.links import absolute_url
from bakeoff.dashboard.picture_form import PictureForm
from bakeoff.dashboard.refusals import refused_page
from bakeoff.dashboard.replica_pages import read_page
from bakeoff.dashboard.share_form import ShareForm
from bakeoff.dashboard.views.experiments import acts_for
from experiments.actions.share_report import revoke_share, share_report
from experiments.models import Comment, Experiment, Feedback, ReportShare, digest_of_token
from experiments.reports.downloads import csv_of, workbook_of
from experiments.reports.experiment_report import (
    ExperimentReport,
    report_for_programs,
    report_on,
)
from experiments.reports.feedback_report import report_feedback
from experiments.reports.notebook import notebook_of
from experiments.reports.plot_columns import theme_column
from experiments.reports.small_groups import (
    hide_small_surveys,
    hide_small_themes,
    min_group_users,
)
from experiments.reports.variant_surveys import compare_surveys
from experiments.reports.variant_themes import compare_themes
from experiments.reports.verdict_tiles import tiles_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet

    from experiments.models import Variant

SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# Per variant; all of them stand on the page of feedback.
QUOTES = 3
THEMES = 10  # the most certain differences; all stand in the API


def _context(experiment: Experiment, *, is_copy: bool = False) -> dict[str, Any]:
    """Return what the report's template shows to every reader.

    Args:
        experiment: whose report.
        is_copy: whether it leaves the platform, as a file or behind a link: then it has no surveys and
            themes of few users, and no names of themes.
    """
    items: dict[str, str] = {}
    report = report_on(experiment)
    shown = {item for row in report.serving for slate in row.samples for item in slate}
    if shown:
        items = dict(experiment.project.items.filter(item_id__in=shown).values_list("item_id", "title"))
    has_started = experiment.started_at is not None
    themes = compare_themes(experiment, is_copy=is_copy) if has_started else []
    surveys = compare_surveys(experiment) if has_started else None
    if is_copy:
        themes = hide_small_themes(themes)
        surveys = hide_small_surveys(surveys) if surveys is not None else None
    return {
        "report": report,
        "tiles": tiles_of(report),
        "titles": items,
        "variants": _variants(experiment, is_copy=is_copy),
        "feedback": report_feedback(experiment) if has_started else None,
        "themes": theme_column(themes[:THEMES]),
        "surveys": surveys,
        "is_copy": is_copy,
        "css": _css(),
    }


def _variants(experiment: Experiment, *, is_copy: bool) -> QuerySet[Variant]:
    """Return the variants; a copy stands alone, so it holds their pictures, which a page asks for."""
    variants = experiment.variants.select_related("model_version", "rules", "picture")
    return variants if is_copy else variants.defer("picture__content")


@cache
def _css() -> str:
    """Return the pages' style, for copies that stand alone."""
    return (Path(__file__).parents[1] / "static" / "dashboard" / "page.css").read_text(encoding="utf-8")


def _quotes(experiment: Experiment, report: ExperimentReport) -> list[Feedback]:
    """Return the latest words of each variant that enough users see, redacted as they are stored."""
    quotes: list[Feedback] = []
    large = [row.key for row in report.variants if row.units >= min_group_users()]
    for variant in experiment.variants.filter(key__in=large):
        texts = Feedback.objects.counted().written()
        texts = texts.filter(project=experiment.project_id, variant=variant)
        quotes += list(texts.select_related("variant").order_by("-id")[:QUOTES])
    return quotes


@require_safe
@login_required
def show_report(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Show the report, its times in the project's zone."""
    find = partial(experiment_for, request, slug, key)
    return read_page(request, lambda: report_page(request, find()), permit=find)


def report_page(
    request: HttpRequest,
    experiment: Experiment,
    *,
    is_refused: bool = False,
    refused_picture: Mapping[str, PictureForm] | None = None,
    **more: Any,
) -> HttpResponse:
    """Return the page of a report.

    Args:
        request: of the page, or of a form on it.
        experiment: whose report.
        is_refused: whether that form was refused.
        refused_picture: the form of a picture, by its variant's key, if it was that.
        more: what another form has to say.
    """
    context = _context(experiment)
    context |= {
        "comments": Comment.objects.filter(experiment=experiment).select_related("author"),
        "quotes": _quotes(experiment, context["report"]),
        "acts": acts_for(experiment, request.user),
        "may_share": may(request.user, experiment.project, ANALYST),
        "shares": experiment.shares.open_now(),
        "share_form": ShareForm(),
        "is_picture_refused": refused_picture is not None,
        "picture_forms": [
            (variant, (refused_picture or {}).get(variant.key) or PictureForm(prefix=variant.key))
            for variant in context["variants"]
        ],
        "printed": request.GET.get("print") == "1",
        **more,
    }
    with timezone.override(experiment.project.timezone):
        if is_refused:
            address = reverse("report", args=[experiment.project.slug, experiment.key])
            return refused_page(request, "dashboard/report.html", context, address)
        return render(request, "dashboard/report.html", context)


def _attached(body: str | bytes, kind: str, name: str) -> HttpResponse:
    answer = HttpResponse(body, content_type=kind)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@require_safe
@login_required
def download(request: HttpRequest, slug: str, key: str, form: str) -> HttpResponse:
    """Give the report as a file."""
    find = partial(experiment_for, request, slug, key)
    return read_page(request, lambda: _file(request, find(), form), permit=find)


def _file(request: HttpRequest, experiment: Experiment, form: str) -> HttpResponse:
    name = f"{experiment.key}.{form}"
    if form == "ipynb":
        look = experiment.looks.last()
        if look is None:
            raise Http404(_("No analysis yet: there is nothing to recompute."))
        return _attached(json.dumps(notebook_of(experiment, look)), "application/x-ipynb+json", name)
    if form == "pdf":
        return _pdf(request, experiment, name)
    if form == "csv":
        return _attached(csv_of(report_on(experiment)), "text/csv; charset=utf-8", name)
    if form == "xlsx":
        with timezone.override(experiment.project.timezone):
            return _attached(workbook_of(report_on(experiment)), SHEET, name)
    return JsonResponse(report_for_programs(experiment))


def _pdf(request: HttpRequest, experiment: Experiment, name: str) -> HttpResponse:
    try:
        from weasyprint import HTML  # noqa: PLC0415  an extra with libraries of its own
    except (ImportError, OSError) as error:
        return HttpResponse(
            _(
                "PDF needs WeasyPrint and its libraries (Pango): pip install weasyprint, and on Debian apt install "
                "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0. "
                "Until then, share a copy and print it to a PDF in your browser. (%(error)s)"
            )
            % {"error": str(error)[:200]},
            content_type="text/plain; charset=utf-8",
            status=501,
        )
    page = render_to_string("dashboard/shared.html", _context(experiment, is_copy=True), request)
    return _attached(HTML(string=page).write_pdf(), "application/pdf", name)


def _frozen(experiment: Experiment) -> str:
    """Return a report that stands alone: it has no script that lets the keyboard reach wide tables."""
    page = render_to_string("dashboard/shared.html", _context(experiment, is_copy=True))
    return page.replace("<table", '<table tabindex="0"')


@require_POST
@login_required
def share(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Freeze a copy of the report behind a link; its address is shown once."""
    experiment = experiment_for(request, slug, key, ANALYST)
    form = ShareForm(request.POST)
    if not form.is_valid():
        return report_page(request, experiment, share_form=form, is_refused=True)
    with timezone.override(experiment.project.timezone):
        page = _frozen(experiment)
    until = timezone.now() + timedelta(days=form.cleaned_data["days"])
    token = share_report(experiment=experiment, page=page, until=until, by=str(request.user))
    address = absolute_url(request, reverse("shared", args=[token]))
    messages.success(
        request,
        _(
            "Link created. Anyone who has it can read this report as it is now, until %(until)s: %(address)s"
        )
        % {"until": until.strftime("%Y-%m-%d"), "address": address},
    )
    return redirect("report", slug, key)


@require_POST
@login_required
def revoke(request: HttpRequest, slug: str, key: str, share_id: int) -> HttpResponse:
    """End a link at once."""
    experiment = experiment_for(request, slug, key, ANALYST)
    share = get_object_or_404(ReportShare, pk=share_id, experiment=experiment)
    revoke_share(share=share, by=str(request.user))
    messages.success(request, _("Link revoked."))
    return redirect("report", slug, key)


@require_http_methods(["GET", "HEAD"])
def show_shared(request: HttpRequest, token: str) -> HttpResponse:
    """Show a frozen copy to anyone who has its link; a link that was good once says why it is no more.

    Only who has such a link learns that there was a report, and nothing else about it.
    """
    share = ReportShare.objects.filter(digest=digest_of_token(token)).first()
    if share is None:
        raise Http404
    if share.is_open:
        answer = HttpResponse(share.page)
    else:
        ended = {"is_revoked": share.revoked_at is not None}
        answer = render(request, "dashboard/ended_share.html", ended, status=HTTPStatus.GONE)
    answer["X-Robots-Tag"] = "noindex"
    answer["Referrer-Policy"] = "no-referrer"
    answer["Cache-Control"] = "no-store"
    return answer
