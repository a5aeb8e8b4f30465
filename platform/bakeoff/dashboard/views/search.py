"""Search of a project: experiments, surfaces, models, metrics, and one user by the whole id."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from bakeoff.dashboard.access import project_for
from experiments.models import Experiment, Exposure, Metric, Unit
from inference.models import ModelVersion, Surface

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest, HttpResponse

    from bakeoff.accounts.models import Project

MAX_HITS = 6  # of each kind: more are found by more letters
MAX_WORDS = 200


@dataclass(frozen=True, slots=True)
class Hit:
    """A thing that was found: its name, what kind of thing it is, and where it is."""

    name: str
    kind: str
    address: str


@require_safe
@login_required
def search(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what a project has by these words; a page of its own without script."""
    project = project_for(request, slug)
    words = request.GET.get("q", "").strip()[:MAX_WORDS]
    hits = list(_hits(project, words)) if words else []
    template = "hits" if request.headers.get("HX-Request") else "search"
    context = {"project": project, "words": words, "hits": hits}
    return render(request, f"dashboard/{template}.html", context)


def _hits(project: Project, words: str) -> Iterator[Hit]:
    slug = project.slug
    named = Q(key__icontains=words) | Q(name__icontains=words) | Q(hypothesis__icontains=words)
    experiments = Experiment.objects.filter(named, project=project).order_by("-pk")[:MAX_HITS]
    surfaces = Surface.objects.filter(project=project, key__icontains=words).order_by("key")[:MAX_HITS]
    yield from chain(
        (
            Hit(one.title, _("Experiment"), reverse("report", args=[slug, one.key]))
            for one in experiments
        ),
        (Hit(one.key, _("Surface"), reverse("surface", args=[slug, one.key])) for one in surfaces),
    )
    # A label is ALGORITHM@NUMBER.
    algorithm, _at, number = words.partition("@")
    versions = ModelVersion.objects.filter(surface__project=project, algorithm__icontains=algorithm)
    if number.isascii() and number.isdigit():
        versions = versions.filter(number=min(int(number), 2**31 - 1))
    for version in versions.select_related("surface").order_by("-pk")[:MAX_HITS]:
        yield Hit(version.label, _("Model"), reverse("version", args=[slug, version.pk]))
    labelled = Q(key__icontains=words) | Q(name__icontains=words) | Q(description__icontains=words)
    metrics = Metric.objects.filter(labelled, project=project).order_by("key")
    for metric in metrics[:MAX_HITS]:
        yield Hit(str(metric), _("Metric"), reverse("metric", args=[slug, metric.key]))
    # Ids of users are looked up whole: there are millions, and a part of one is nobody's.
    mine = {"project": project, "unit_id": words}
    if Unit.objects.filter(**mine).exists() or Exposure.objects.filter(**mine).exists():
        yield Hit(words, _("User"), f"{reverse('units', args=[slug])}?{urlencode({'unit': words})}")
