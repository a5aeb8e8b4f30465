"""Keys, members and the audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from bakeoff.accounts.keys import SCOPES
from bakeoff.accounts.models import Membership
from bakeoff.accounts.set_role import LastAdminError, set_role
from bakeoff.audit_export import FORMATS, audit_text
from bakeoff.dashboard.access import ADMIN, project_for
from bakeoff.dashboard.paging import page_of
from bakeoff.dashboard.refusals import show_refusal
from bakeoff.dashboard.saved_views import views_over

MAX_WORDS = 150  # characters of a filter

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@require_safe
@login_required
def show_team(request: HttpRequest, slug: str) -> HttpResponse:
    """Show keys, members and the audit trail."""
    project = project_for(request, slug)
    filters = {name: request.GET.get(name, "").strip()[:MAX_WORDS] for name in ("actor", "action")}
    # As elsewhere: a part of the name, whatever its case.
    entries = project.audit_entries.filter(
        **{f"{name}__icontains": value for name, value in filters.items() if value}
    )
    context = {
        "project": project,
        **filters,
        **views_over(request, project, "team"),
        "keys": project.api_keys.order_by("-id"),
        "members": project.memberships.select_related("user__second_factor")
        .prefetch_related("user__passkeys")
        .order_by("user__username"),
        "roles": Membership.Role.choices,
        "invitations": project.invitations.usable().order_by("-id"),
        "scopes": SCOPES,
        "page": page_of(request, entries),
    }
    return render(request, "dashboard/team.html", context)


@require_safe
@login_required
def download_audit(request: HttpRequest, slug: str, format: str) -> StreamingHttpResponse:  # noqa: A002
    """Give the whole audit trail as JSON Lines or CSV."""
    project = project_for(request, slug)
    if format not in FORMATS:
        raise Http404
    answer = StreamingHttpResponse(audit_text(project, format), content_type=FORMATS[format][0])
    answer["Content-Disposition"] = f'attachment; filename="audit-{project.slug}.{format}"'
    return answer


@require_POST
@login_required
def set_member(request: HttpRequest, slug: str) -> HttpResponse:
    """Give a person a role, or remove it."""
    project = project_for(request, slug, ADMIN)
    name, role = request.POST.get("username", "").strip(), request.POST.get("role", "")
    person = User.objects.filter(username=name).first()
    if person is None:
        messages.error(
            request,
            _("There is no account with the name '%(name)s'.") % {"name": name[:60]},
        )
        return redirect("team", slug)
    try:
        set_role(project=project, person=person, role=role, by=str(request.user))
    except LastAdminError:
        messages.error(request, _("%(name)s is the last admin of this project.") % {"name": name})
        return redirect("team", slug)
    except ValueError as error:
        show_refusal(request, error)
        return redirect("team", slug)
    messages.success(request, _("Saved."))
    return redirect("team", slug)
