"""Sign in, slowed down for whoever guesses."""

from __future__ import annotations

import hashlib
from typing import Any

import redis.exceptions
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from inference.cache import cache_client

MOST_FAILURES = 10
WITHIN_SECONDS = 900


def _counter(request: Any, username: str) -> str:
    """Name the counter of a name at an address; neither is kept in the clear."""
    where = f"{request.META.get('REMOTE_ADDR', '')}|{username.lower()}"
    return f"signin:{hashlib.sha256(where.encode()).hexdigest()[:24]}"


class SlowedForm(AuthenticationForm):
    """Refuses a name at an address after ten failures, for a quarter of an hour."""

    def clean(self) -> dict[str, Any]:
        """Check the password, unless there were too many failures.

        Raises:
            ValidationError: wrong, or too often wrong.
        """
        name = _counter(self.request, str(self.cleaned_data.get("username", "")))
        cache = cache_client()
        try:
            failures = int(cache.get(name) or 0)
        except redis.exceptions.RedisError:
            failures = 0  # without a cache, passwords alone protect
        if failures >= MOST_FAILURES:
            raise ValidationError(
                _(
                    "Too many failed attempts: at most %(most)s in %(minutes)s minutes. Wait, then try again."
                )
                % {"most": MOST_FAILURES, "minutes": WITHIN_SECONDS // 60},
                code="throttled",
            )
        try:
            return super().clean()
        except ValidationError:
            try:
                cache.incr(name)
                cache.expire(name, WITHIN_SECONDS)
            except redis.exceptions.RedisError:
                pass
            raise


class SignIn(LoginView):
    """The page."""

    form_class = SlowedForm
    template_name = "dashboard/sign_in.html"
    redirect_authenticated_user = True
