"""Generations of a surface: the latest, one of them, and prompts tried side by side."""

from __future__ import annotations

import contextlib
from operator import attrgetter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson
from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe
from redis.exceptions import RedisError

from bakeoff.accounts.refused import RefusedError
from bakeoff.dashboard.access import OPERATOR, project_for
from bakeoff.dashboard.paging import page_of
from bakeoff.dashboard.plain_fields import PairsField
from bakeoff.dashboard.refusals import add_refusal
from bakeoff.dashboard.saved_views import views_over
from bakeoff.dashboard.text_box import TextBoxField
from bakeoff.event_inspector import keep_watched
from bakeoff.page_services import PLAYGROUND, find_service
from experiments.models import Feedback, Slate
from experiments.reports.chart_frame import Chart
from experiments.reports.generation_series import SPAN, read_series
from experiments.reports.series_chart import SeriesPoint, draw_series
from inference.actions.read_prompt import NoPromptError, read_prompt
from inference.cache import cache_client
from inference.models import ModelVersion, Surface

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

    from bakeoff.accounts.models import Project

MAX_TEXT = 20_000  # characters of each message that the page shows


def _surface_for(project: Project, key: str) -> Surface:
    return get_object_or_404(Surface, project=project, key=key, kind=Surface.Kind.GENERATE)


@require_safe
@login_required
def list_generations(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """List the latest generations of a surface."""
    project = project_for(request, slug)
    surface = _surface_for(project, key)
    # By the ids, which begin with the time and have the index.
    rows = Slate.objects.filter(surface=surface, generation__isnull=False).select_related(
        "variant", "experiment", "model_version"
    )
    if outcome := request.GET.get("outcome", ""):
        rows = rows.filter(generation__outcome=outcome)
    page = page_of(request, rows.order_by("-recommendation_id"))
    # Live is the first page alone: on others rows would move away under the reader.
    live = page.number == 1 and "paused" not in request.GET
    if live:
        with contextlib.suppress(RedisError):  # without a cache the page polls
            keep_watched(cache_client(), project.pk)
    context = {
        "project": project,
        "surface": surface,
        "page": page,
        "outcome": outcome,
        "live": live,
        "filter": f"outcome={quote(outcome)}&" if outcome else "",
    }
    if request.headers.get("HX-Request"):
        return render(request, "dashboard/generation_rows.html", context)
    more = {"charts": _charts(surface), **views_over(request, project, "generations", surface.key)}
    return render(request, "dashboard/generations.html", {**context, **more})


def _charts(surface: Surface) -> list[Chart]:
    """Return what is drawn over time."""
    now = timezone.now()
    series = read_series(surface, now)
    drawn = []
    for label, value_of, form in (
        (_("Mean cost of an answer"), attrgetter("cost"), "{:.6g}"),
        (_("Latency, 95th percentile (ms)"), attrgetter("latency_ms"), "{:.0f}"),
    ):
        lines = {
            name: [
                SeriesPoint(
                    point.at,
                    value_of(point),
                    _("{version}, {at}: {value} ({answers} answers)").format(
                        version=name,
                        at=point.at.strftime("%Y-%m-%d %H:%M"),
                        value=form.format(value_of(point)),
                        answers=point.answers,
                    ),
                )
                for point in points
            ]
            for name, points in series.items()
        }
        if svg := draw_series(lines, label=label, start=now - SPAN, end=now):
            rows = [
                (
                    f"{point.at:%Y-%m-%d %H:%M}", name, f"{point.answers:,}",
                    form.format(value_of(point)),
                )
                for name, points in series.items()
                for point in reversed(points)
            ]  # fmt: skip
            head = (_("Date"), _("Version"), _("Answers"), label)
            drawn.append(Chart("generations", label, svg, head, rows))
    return drawn


@require_safe
@login_required
def show_generation(request: HttpRequest, slug: str, generation_id: UUID) -> HttpResponse:
    """Show a generation: the prompt as it was sent, the answer, what it cost, what was said of it."""
    project = project_for(request, slug)
    slate = (
        Slate.objects.filter(project=project, recommendation_id=generation_id)
        .filter(generation__isnull=False)
        .select_related("surface", "variant", "experiment", "model_version")
        .first()
    )
    if slate is None:
        raise Http404
    context = {
        "project": project,
        "slate": slate,
        "facts": slate.generation,
        "messages_sent": [_shown(one) for one in slate.context.get("messages") or ()],
        "answer": _shown(slate.context.get("answer") or {}),
        "variables": slate.context.get("variables") or {},
        "feedback": Feedback.objects.current().filter(project=project, recommendation_id=generation_id),
    }
    return render(request, "dashboard/generation.html", context)


def _shown(message: dict[str, Any]) -> dict[str, str]:
    """Return a message as two texts: who, and what."""
    content = message.get("content")
    text = content if isinstance(content, str) else orjson.dumps(content).decode() if content else ""
    calls = message.get("tool_calls")
    more = orjson.dumps(calls, option=orjson.OPT_INDENT_2).decode() if calls else ""
    shown = "\n".join(part for part in (text, more) if part)
    return {"role": str(message.get("role", "")), "text": shown[:MAX_TEXT]}


class PlaygroundForm(forms.Form):
    """Two versions, and what both are asked."""

    first = forms.ChoiceField(label=gettext_lazy("Version"))
    second = forms.ChoiceField(label=gettext_lazy("Other version"), required=False)
    message = TextBoxField(
        label=gettext_lazy("Message"),
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=gettext_lazy("What a user says. Empty: the messages of the version alone."),
    )
    variables = PairsField(
        label=gettext_lazy("Variables"),
        help_text=gettext_lazy("Of the version's templates, one a line: order = 1234."),
    )

    def __init__(self, surface: Surface, *args: Any, **options: Any) -> None:
        """Offer the versions of a surface."""
        super().__init__(*args, **options)
        versions = [(str(one.pk), one.label) for one in surface.versions.order_by("-id")[:100]]
        self.fields["first"].choices = versions  # type: ignore[attr-defined]
        self.fields["second"].choices = [("", "–"), *versions]  # type: ignore[attr-defined]

    def body(self, surface: Surface) -> dict[str, Any]:
        """Return the request."""
        typed = self.cleaned_data
        text = typed["message"].strip()
        messages = [{"role": "user", "content": text}] if text else []
        return {"model": surface.key, "messages": messages, "variables": typed["variables"]}


@require_http_methods(["GET", "POST"])
@login_required
def show_playground(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Try one version or two; nothing is recorded, and the surface's budgets count it."""
    project = project_for(request, slug, OPERATOR if request.method == "POST" else "viewer")
    surface = _surface_for(project, key)
    form = PlaygroundForm(surface, request.POST or None)
    answers = _try(request, form, project, surface) if form.is_valid() else None
    context = {"project": project, "surface": surface, "form": form, "answers": answers}
    return render(request, "dashboard/playground.html", context, status=422 if form.errors else 200)


def _try(request: HttpRequest, form: PlaygroundForm, project: Project, surface: Surface) -> Any:
    """Return the answers, or put what is wrong on the form."""
    playground = find_service(request.META, PLAYGROUND)
    if playground is None:
        form.add_error(None, _("This process serves no answers, so there is no playground."))
        return None
    ids = [form.cleaned_data["first"], form.cleaned_data["second"]]
    try:
        trials = [
            playground.trial_of(
                version.pk,
                version.label,
                version.artifact_sha256,
                read_prompt(settings.BAKEOFF.artifacts, version),
            )
            for one in ids
            if one
            for version in ModelVersion.objects.filter(surface=surface, pk=one)
        ]
        return playground.ask(project.pk, project.slug, trials, form.body(surface))
    except NoPromptError as error:
        form.add_error(None, str(error))
    except RefusedError as error:
        add_refusal(form, error)
    return None
