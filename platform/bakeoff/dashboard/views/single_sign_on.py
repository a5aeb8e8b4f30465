"""Sign in by the identity provider: the way there, and the way back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.http import Http404, HttpRequest
from django.shortcuts import redirect, resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_safe

from bakeoff.accounts.single_sign_on import SignInRefusedError, sign_in_external
from bakeoff.dashboard.links import absolute_url
from bakeoff.dashboard.oidc_provider import ProviderError, read_answer, send_to_provider
from bakeoff.dashboard.refusals import show_refusal
from bakeoff.dashboard.second_factor_gate import PASSED

if TYPE_CHECKING:
    from django.http import HttpResponseBase

    from bakeoff.oidc_settings import OidcSettings

# Who lost a group at the provider loses its role here within half a day: a span is counted from the
# sign-in, where a number of seconds would be counted from the last write of the session.
SESSION_LENGTH = timedelta(hours=12)
NEXT = "single_sign_on_next"
MAX_NEXT = 2000  # characters: anybody can make us store them
BACKEND = "django.contrib.auth.backends.ModelBackend"


@require_safe
def begin(request: HttpRequest) -> HttpResponseBase:
    """Send the browser to the provider."""
    provider = _provider()
    # A link, not a form: the policy of our pages lets no form lead to another host.
    request.session[NEXT] = request.GET.get("next", "")[:MAX_NEXT]
    try:
        return send_to_provider(
            request, provider, absolute_url(request, reverse("single-sign-on-back"))
        )
    except ProviderError as error:
        messages.error(request, str(error))
        return redirect("sign-in")


@require_safe
def callback(request: HttpRequest) -> HttpResponseBase:
    """Sign in whom the provider vouches for."""
    provider = _provider()
    target = request.session.pop(NEXT, "")
    try:
        person, groups = read_answer(request, provider)
        user = sign_in_external(person, provider.roles_of(groups))
    except ProviderError as error:
        messages.error(request, str(error))
        return redirect("sign-in")
    except SignInRefusedError as error:
        show_refusal(request, error)
        return redirect("sign-in")
    login(request, user, backend=BACKEND)
    request.session.set_expiry(SESSION_LENGTH)
    request.session[PASSED] = True  # a second factor is the provider's to ask for
    hosts = {request.get_host()}
    safe = url_has_allowed_host_and_scheme(target, hosts, require_https=request.is_secure())
    return redirect(target if safe else resolve_url(settings.LOGIN_REDIRECT_URL))


def _provider() -> OidcSettings:
    provider: OidcSettings | None = settings.OIDC
    if provider is None:
        raise Http404
    return provider
