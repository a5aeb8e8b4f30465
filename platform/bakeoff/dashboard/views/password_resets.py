"""A new password by a link: made on the Team page or sent by e-mail, used by who has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from bakeoff.accounts.add_user import UserRuleError
from bakeoff.accounts.reset_by_link import ResetError, find_reset, make_reset_link, use_reset
from bakeoff.dashboard.access import ADMIN, project_for
from bakeoff.dashboard.links import absolute_url
from bakeoff.dashboard.reset_mail import PLACE, mail_links_later, mails_links
from bakeoff.dashboard.sign_in_throttle import WITHIN_SECONDS, MailThrottle
from bakeoff.dashboard.team_forms import reset_form
from bakeoff.dashboard.views.team import team_page
from inference.cache import cache_client

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse


class NewPasswordForm(forms.Form):
    """The new password of who has a link."""

    password = forms.CharField(
        label=gettext_lazy("New password"),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        strip=False,
    )


class ForgotForm(forms.Form):
    """The address of somebody who forgot their password."""

    email = forms.EmailField(label=gettext_lazy("E-mail"), max_length=254)


@require_POST
@login_required
def make_link(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a link for a member; it is shown once."""
    project = project_for(request, slug, ADMIN)
    maker = cast("User", request.user)  # who is signed in
    form = reset_form(request.POST)
    if not form.is_valid():
        return team_page(request, project, reset=form)
    name = form.cleaned_data["username"]
    try:
        token = make_reset_link(username=name, project=project, maker=maker)
    except ResetError as error:
        form.add_error("username", str(error))
        return team_page(request, project, reset=form)
    link = absolute_url(request, reverse("reset-password", args=[token]))
    messages.success(request, _("Send this link, it is shown only once: %(link)s") % {"link": link})
    return redirect("team", slug)


@require_http_methods(["GET", "HEAD", "POST"])
def reset_password(request: HttpRequest, token: str) -> HttpResponse:
    """Take the new password of who has a link; they sign in with it."""
    reset = find_reset(token)
    if reset is None:
        return render(request, "dashboard/reset.html", {"reset": None}, status=404)
    form = NewPasswordForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            use_reset(token=token, password=form.cleaned_data["password"])
        except UserRuleError as error:
            form.add_error("password", error.why)
        except ResetError:  # somebody was faster
            return render(request, "dashboard/reset.html", {"reset": None}, status=404)
        else:
            messages.success(request, _("The password is set. Sign in with it."))
            return redirect("sign-in")
    return render(request, "dashboard/reset.html", {"reset": reset, "form": form})


@require_http_methods(["GET", "HEAD", "POST"])
def forgot_password(request: HttpRequest) -> HttpResponse:
    """Send a link to an address, where e-mail is set up; else say whom to ask."""
    if not mails_links():
        return render(request, "dashboard/forgot.html", {"form": None})
    form = ForgotForm(request.POST if request.method == "POST" else None)
    if request.method != "POST" or not form.is_valid():
        return render(request, "dashboard/forgot.html", {"form": form})
    email = form.cleaned_data["email"]
    throttle = MailThrottle(cache_client(), address=request.META.get("REMOTE_ADDR", ""), email=email)
    if not throttle.admits():
        sentence = _("Too many requests. Wait %(minutes)s minutes, then try again.")
        form.add_error(None, sentence % {"minutes": WITHIN_SECONDS // 60})
        return render(request, "dashboard/forgot.html", {"form": form})
    mail_links_later(email, absolute_url(request, reverse("reset-password", args=[PLACE])))
    messages.success(
        request, _("If an account has this address, a link is on its way. It is good for one hour.")
    )
    return redirect("sign-in")
