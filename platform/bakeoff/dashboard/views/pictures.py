"""Pictures of what users of a variant saw: shown on its report, added and deleted below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from bakeoff.dashboard.access import ANALYST, experiment_for
from bakeoff.dashboard.picture_form import PictureForm
from bakeoff.dashboard.refusals import add_refusal
from bakeoff.dashboard.views.report import report_page
from experiments.actions.picture_variant import (
    CannotPictureError,
    delete_variant_picture,
    put_variant_picture,
)
from experiments.models import VariantPicture

if TYPE_CHECKING:
    from django.http import HttpRequest


@require_safe
@login_required
def show_picture(request: HttpRequest, slug: str, key: str, variant: str) -> HttpResponse:
    """Give the picture to members of the project alone."""
    experiment = experiment_for(request, slug, key)
    picture = get_object_or_404(VariantPicture, variant__experiment=experiment, variant__key=variant)
    answer = HttpResponse(bytes(picture.content), content_type="image/webp")
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


@require_POST
@login_required
def add(request: HttpRequest, slug: str, key: str, variant: str) -> HttpResponse:
    """Add a picture, or replace the one there is."""
    experiment = experiment_for(request, slug, key, ANALYST)
    row = get_object_or_404(experiment.variants, key=variant)
    form = PictureForm(request.POST, request.FILES, prefix=variant)
    if form.is_valid():
        try:
            put_variant_picture(variant=row, content=form.cleaned_data["picture"], by=str(request.user))
        except CannotPictureError as error:
            add_refusal(form, error)
        else:
            return _back(slug, key)
    return report_page(request, experiment, refused_picture={variant: form}, is_refused=True)


@require_POST
@login_required
def remove(request: HttpRequest, slug: str, key: str, variant: str) -> HttpResponse:
    """Delete a picture."""
    experiment = experiment_for(request, slug, key, ANALYST)
    row = get_object_or_404(experiment.variants, key=variant)
    delete_variant_picture(variant=row, by=str(request.user))
    return _back(slug, key)


def _back(slug: str, key: str) -> HttpResponse:
    return redirect(f"{reverse('report', args=[slug, key])}#pictures")
