"""Keys, members and the audit trail."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from bakeoff.accounts.set_role import LastAdminError, set_role
from bakeoff.audit_export import FORMATS, audit_text
from bakeoff.dashboard.access import ADMIN, project_for
from bakeoff.dashboard.paging import page_of
from bakeoff.dashboard.refusals import refused_page
from bakeoff.dashboard.saved_views import views_over
from bakeoff.dashboard.team_forms import MemberForm, key_form, new_forms
from bakeoff.delivery.invitation_mail import why_no_mail

MAX_WORDS = 150  # characters of a filter
TEMPLATE = "dashboard/team.html"

if TYPE_CHECKING:
    from django.forms import Form
    from django.http import HttpRequest, HttpResponse

    from bakeoff.accounts.models import Project


@require_safe
@login_required
def show_team(request: HttpRequest, slug: str) -> HttpResponse:
    """Show keys, members and the audit trail."""
    return team_page(request, project_for(request, slug))


def team_page(request: HttpRequest, project: Project, **refused: Form) -> HttpResponse:
    """Return the page; a form that was refused takes the place of the empty one of its name.

    Args:
        request: for the page, or of a form on it.
        project: whose.
        refused: forms by their names in `team_forms.new_forms`; `key_<id>` is that of a key.
    """
    filters = {name: request.GET.get(name, "").strip()[:MAX_WORDS] for name in ("actor", "action")}
    # As elsewhere: a part of the name, whatever its case.
    entries = project.audit_entries.filter(
        **{f"{name}__icontains": value for name, value in filters.items() if value}
    )
    context = {
        "project": project,
        **filters,
        **views_over(request, project, "team"),
        **new_forms(),
        **refused,
        "keys": [
            (key, refused.get(f"key_{key.pk}") or key_form(key))
            for key in project.api_keys.order_by("-id")
        ],
        "members": project.memberships.select_related("user__second_factor")
        .prefetch_related("user__passkeys")
        .order_by("user__username"),
        "invitations": project.invitations.usable().order_by("-id"),
        "mails": not why_no_mail(),
        "page": page_of(request, entries),
    }
    if refused:
        return refused_page(request, TEMPLATE, context, reverse("team", args=[project.slug]))
    return render(request, TEMPLATE, context)


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
    form = MemberForm(request.POST, auto_id="member-%s")
    if form.is_valid() and _set_role(request, project, form):
        messages.success(request, _("Saved."))
    elif request.POST.get("role"):
        return team_page(request, project, member=form)
    else:  # a row's button removes: the form below the rows would propose another role
        for sentence in chain.from_iterable(form.errors.values()):
            messages.error(request, str(sentence))
    return redirect("team", slug)


def _set_role(request: HttpRequest, project: Project, form: MemberForm) -> bool:
    """Whether it was done; else the form says why not."""
    name = form.cleaned_data["username"]
    person = User.objects.filter(username=name).first()
    if person is None:
        sentence = _("There is no account with the name '%(name)s'.")
        form.add_error("username", sentence % {"name": name[:60]})
        return False
    try:
        set_role(project=project, person=person, role=form.cleaned_data["role"], by=str(request.user))
    except LastAdminError:
        sentence = _("%(name)s is the last admin of this project.")
        form.add_error("username", sentence % {"name": name})
        return False
    return True
