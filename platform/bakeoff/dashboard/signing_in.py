"""Sign in, slowed down for whoever guesses."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from bakeoff.dashboard.sign_in_throttle import MAX_FAILURES, WITHIN_SECONDS, SignInThrottle
from inference.cache import cache_client


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

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add whether an identity provider signs people in, too."""
        return super().get_context_data(**kwargs) | {"single_sign_on": settings.OIDC is not None}
