"""Where a second factor is required, a session without one leads to the account page alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.conf import settings
from django.contrib import messages
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from bakeoff.accounts.second_factor import has_second_factor
from bakeoff.paths import is_api

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse

# Set in a session that gave a code or a passkey, or came by the identity provider, which asks for its own.
PASSED = "second_factor_passed"
# Where a person sets one up or leaves, and what is for everybody.
OPEN = frozenset(
    {"account", "account-second-factor", "account-second-factor-begin", "account-second-factor-off",
     "account-passkey-add", "account-passkey-options", "account-passkey-remove", "account-session-end", "account-sessions-end", "sign-out", "set_language", "sdk", "sdk-file", "sdk-version", "sample-picture", "shared"}
)  # fmt: skip


def owes_code(request: HttpRequest) -> bool:
    """Whether a code is required of who is signed in, and this session gave none."""
    if settings.BAKEOFF.second_factor != "required":
        return False
    return request.user.is_authenticated and not request.session.get(PASSED)


def owes_proof(request: HttpRequest) -> bool:
    """Whether an account has a second factor that this session did not give.

    Such a session, from before it was set up, changes no factor: it may be whom the factor shuts out.
    """
    person = cast("User", request.user)
    return has_second_factor(person) and not request.session.get(PASSED)


def refuse_without_proof(request: HttpRequest) -> bool:
    """Tell a session that did not give the account's second factor so, and return whether it is one."""
    if owes_proof(request):
        messages.error(request, _("Sign out, sign in with your second factor, then try again."))
        return True
    return False


class SecondFactorGate:
    """Sends who has not given a code where they can."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Wrap what answers."""
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer."""
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *_: Any) -> HttpResponse | None:
        """Redirect before the view runs; programs, who have keys, are not asked."""
        if is_api(request.path_info) or not owes_code(request):
            return None
        match = request.resolver_match
        if match is not None and match.url_name in OPEN and not match.namespaces:
            return None
        return _lead_on(request)


def _lead_on(request: HttpRequest) -> HttpResponse:
    messages.error(request, _("This platform requires a second factor. Set one up, then go on."))
    return redirect("account")
