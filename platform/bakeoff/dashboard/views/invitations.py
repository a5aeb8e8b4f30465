"""Invitations: made and revoked on the Team page, accepted by who has the link."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django import forms
from django.contrib import messages
from django.contrib.auth import authenticate, login
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from bakeoff.accounts.add_user import UserRuleError
from bakeoff.accounts.invite import (
    InvitationError,
    accept_as,
    accept_as_new,
    find_invitation,
    invite,
    renew_invitation,
    revoke_invitation,
)
from bakeoff.accounts.models import Invitation
from bakeoff.dashboard.access import ADMIN, project_for
from bakeoff.dashboard.links import absolute_url
from bakeoff.dashboard.refusals import add_refusal
from bakeoff.dashboard.sign_in_throttle import InvitationThrottle
from bakeoff.dashboard.team_forms import InvitationForm
from bakeoff.dashboard.views.team import team_page
from bakeoff.delivery.invitation_mail import mail_invitation, why_no_mail
from inference.cache import cache_client

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse


class AcceptForm(forms.Form):
    """The account of somebody who was invited."""

    username = forms.CharField(label=gettext_lazy("Username"), max_length=150)
    password = forms.CharField(
        label=gettext_lazy("Password"), widget=forms.PasswordInput(), strip=False
    )


@require_POST
@login_required
def make_invitation(request: HttpRequest, slug: str) -> HttpResponse:
    """Make an invitation; its link is shown once."""
    project = project_for(request, slug, ADMIN)
    form = InvitationForm(request.POST, auto_id="invited-%s")
    if not form.is_valid():
        return team_page(request, project, invitation=form)
    try:
        invitation, token = invite(project=project, by=str(request.user), **form.cleaned_data)
    except InvitationError as error:
        add_refusal(form, error)
        return team_page(request, project, invitation=form)
    why = why_no_mail() or (_why_slowed_down(request, invitation) if invitation.email else "")
    _hand_out(request, invitation, token, why=why)
    return redirect("team", slug)


@require_POST
@login_required
def renew(request: HttpRequest, slug: str, invitation_id: int) -> HttpResponse:
    """Make a new link in place of the previous one, and send it again."""
    project = project_for(request, slug, ADMIN)
    invitation = get_object_or_404(Invitation, pk=invitation_id, project=project)
    why = why_no_mail()
    # Before the previous link stops working: what was to be sent again would be lost with it.
    if invitation.email and not why and (slowed := _why_slowed_down(request, invitation)):
        sentence = _("No e-mail was sent, and the previous link still works: %(why)s")
        messages.warning(request, sentence % {"why": slowed})
        return redirect("team", slug)
    try:
        renewed, token = renew_invitation(invitation=invitation, by=str(request.user))
    except InvitationError:
        messages.error(request, _("This invitation was used or revoked, or has expired."))
    else:
        _hand_out(request, renewed, token, why=why)
    return redirect("team", slug)


def _hand_out(request: HttpRequest, invitation: Invitation, token: str, *, why: str) -> None:
    """Show a link, once, and send it to whom it is for, unless `why` says what is against it."""
    path = reverse("invited", args=[token])
    link = absolute_url(request, path)
    messages.success(request, _("Send this link, it is shown only once: %(link)s") % {"link": link})
    if not invitation.email:
        return
    if why := why or mail_invitation(invitation, path=path, by=str(request.user)):
        messages.warning(request, _("No e-mail was sent: %(why)s") % {"why": why})
    else:
        sentence = _("An e-mail with this link was sent to %(email)s.")
        messages.success(request, sentence % {"email": invitation.email})


def _why_slowed_down(request: HttpRequest, invitation: Invitation) -> str:
    person = cast("User", request.user)  # who is signed in
    return InvitationThrottle(cache_client(), person_id=person.pk, email=invitation.email).count()


@require_POST
@login_required
def end_invitation(request: HttpRequest, slug: str, invitation_id: int) -> HttpResponse:
    """Make a link useless."""
    project = project_for(request, slug, ADMIN)
    invitation = get_object_or_404(Invitation, pk=invitation_id, project=project)
    revoke_invitation(invitation=invitation, by=str(request.user))
    messages.success(request, _("Invitation revoked."))
    return redirect("team", slug)


@require_http_methods(["GET", "HEAD", "POST"])
def show_invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Show what a link offers, and take it."""
    invitation = find_invitation(token)
    if invitation is None:
        return render(request, "dashboard/invited.html", {"invitation": None}, status=404)
    form = AcceptForm(request.POST if request.method == "POST" else None)
    try:
        if request.method == "POST" and _accept(request, token, form):
            return redirect(f"{reverse('home')}?project={invitation.project.slug}")
    except InvitationError:  # somebody was faster
        return render(request, "dashboard/invited.html", {"invitation": None}, status=404)
    return render(request, "dashboard/invited.html", {"invitation": invitation, "form": form})


def _accept(request: HttpRequest, token: str, form: AcceptForm) -> bool:
    """Let the person in; False where the form says what is wrong."""
    if request.user.is_authenticated:
        accept_as(token=token, person=request.user)
        return True
    if not form.is_valid():
        return False
    name, password = form.cleaned_data["username"], form.cleaned_data["password"]
    try:
        name = accept_as_new(token=token, username=name, password=password)
    except UserRuleError as error:
        form.add_error(error.field if error.field in form.fields else None, error.why)
        return False
    person = authenticate(request, username=name, password=password)
    if person is not None:
        login(request, person)
    return True
