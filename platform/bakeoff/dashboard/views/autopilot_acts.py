"""What people do on the page of an autopilot: with its ramp, its queue, its proposals and its switch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from bakeoff.accounts.refused import RefusedError
from bakeoff.dashboard.access import OPERATOR, project_for
from bakeoff.dashboard.refusals import show_page_again
from experiments.actions.change_programme import change_programme
from experiments.actions.change_queue import (
    drop_challenger,
    hold_challenger,
    move_to_end,
    move_to_front,
    release_challenger,
)
from experiments.actions.decide_proposal import approve_proposal, decline_proposal
from experiments.actions.step_ramp import continue_ramp, hold_ramp, roll_back_experiment
from experiments.models import Experiment, Proposal
from experiments.models.experiment import WrongStateError
from inference.actions.move_champion import CannotPromoteError
from inference.models import ModelVersion, Surface

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

RAMP_ACTS: dict[str, Callable[..., object]] = {
    "continue": continue_ramp,
    "stay": hold_ramp,
    "roll-back": roll_back_experiment,
}


QUEUE_ACTS: dict[str, Callable[..., object]] = {
    "hold": hold_challenger,
    "release": release_challenger,
    "drop": drop_challenger,
    "front": move_to_front,
    "end": move_to_end,
}


def _approve(*, proposal: Proposal, by: str, reason: str) -> None:
    approve_proposal(proposal=proposal, by=by, note=reason)


PROPOSAL_ACTS: dict[str, Callable[..., object]] = {"approve": _approve, "decline": decline_proposal}


@require_POST
@login_required
def act_on_ramp(request: HttpRequest, slug: str, key: str, verb: str) -> HttpResponse:
    """Take the next step, stay, or roll the treatment of the running test back."""
    surface, act = _surface(request, slug, key), _find(RAMP_ACTS, verb)
    test = Experiment.objects.running().tests().filter(surface=surface).first()
    if test is None:  # it ended while the page was open
        messages.error(request, _("No experiments running."))
        return redirect("autopilot", slug, key)
    return _do(request, surface, act, experiment=test)


@require_POST
@login_required
def act_on_queue(request: HttpRequest, slug: str, key: str, version_id: int, verb: str) -> HttpResponse:
    """Hold, release, drop or move a version that waits."""
    surface, act = _surface(request, slug, key), _find(QUEUE_ACTS, verb)
    version = get_object_or_404(ModelVersion, surface=surface, pk=version_id)
    return _do(request, surface, act, version=version)


@require_POST
@login_required
def decide(request: HttpRequest, slug: str, key: str, proposal_id: int, verb: str) -> HttpResponse:
    """Approve or decline a proposal."""
    surface, act = _surface(request, slug, key), _find(PROPOSAL_ACTS, verb)
    proposal = get_object_or_404(Proposal, surface=surface, pk=proposal_id)
    return _do(request, surface, act, proposal=proposal)


@require_POST
@login_required
def switch(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Pause the autopilot, or let it go on."""
    surface = _surface(request, slug, key)
    paused = request.POST.get("paused") == "true"
    change_programme(surface=surface, changes={"paused": paused}, by=str(request.user))
    messages.success(request, _("Saved."))
    return redirect("autopilot", slug, key)


def _surface(request: HttpRequest, slug: str, key: str) -> Surface:
    return get_object_or_404(Surface, project=project_for(request, slug, OPERATOR), key=key)


def _find(acts: dict[str, Callable[..., object]], verb: str) -> Callable[..., object]:
    if verb not in acts:
        raise Http404
    return acts[verb]


def _do(
    request: HttpRequest, surface: Surface, act: Callable[..., object], **subject: object
) -> HttpResponse:
    """Carry out an act in the person's name; what it refuses is shown over the page, with the reason kept."""
    reason = request.POST.get("reason", "")[:200]
    try:
        act(**subject, by=str(request.user), reason=reason)
    except (RefusedError, WrongStateError, CannotPromoteError) as error:
        address = reverse("autopilot", args=[surface.project.slug, surface.key])
        form = request.path  # each act has an address of its own
        return show_page_again(request, address, error, form=form, fields=("reason",))
    messages.success(request, _("Saved."))
    return redirect("autopilot", surface.project.slug, surface.key)
