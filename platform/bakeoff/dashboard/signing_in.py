"""Sign in, slowed down for whoever guesses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from bakeoff.accounts.passkeys import RelyingParty
from bakeoff.accounts.second_factor import has_second_factor
from bakeoff.dashboard.pending_sign_in import wait_for_code
from bakeoff.dashboard.sign_in_throttle import MAX_FAILURES, WITHIN_SECONDS, SignInThrottle
from inference.cache import cache_client

if TYPE_CHECKING:
    from django.http import HttpResponse


class SlowedForm(AuthenticationForm):
    """Refuses a name or address that failed too often, for a quarter of an hour."""

    def clean(self) -> dict[str, Any]:
        """Check the password, unless there were too many failures.

        Raises:
            ValidationError: wrong, or too often wrong.
        """
        throttle = SignInThrottle(
            cache_client(),
            address=self.request.META.get("REMOTE_ADDR", "") if self.request is not None else "",
            name=str(self.cleaned_data.get("username", "")),
        )
        if not throttle.admits():
            raise ValidationError(
                _(
                    "Too many failed attempts: at most %(maximum)s in %(minutes)s minutes. Wait, then try again."
                )
                % {"maximum": MAX_FAILURES, "minutes": WITHIN_SECONDS // 60},
                code="throttled",
            )
        cleaned = super().clean()
        throttle.succeeded()
        return cleaned


class SignIn(LoginView):
    """The page."""

    form_class = SlowedForm
    template_name = "dashboard/sign_in.html"
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Sign in, or first ask for the code or passkey of who has a second factor."""
        person = form.get_user()
        if not has_second_factor(person):
            return super().form_valid(form)
        wait_for_code(self.request, person, self.get_success_url())
        return redirect("second-factor")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add whether an identity provider and passkeys sign people in, too."""
        return super().get_context_data(**kwargs) | {
            "single_sign_on": settings.OIDC is not None,
            "passkeys": RelyingParty.of(settings.PUBLIC) is not None,
        }
