"""What every page shows around itself: the person's projects and where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from bakeoff.dashboard.access import ADMIN, ANALYST, OPERATOR, may, projects_of
from bakeoff.page_tickets import write_ticket

if TYPE_CHECKING:
    from django.http import HttpRequest

SECTIONS = (
    ("experiments", _("Experiments")),
    ("impact", _("Impact")),
    ("metrics", _("Metrics")),
    ("surfaces", _("Surfaces")),
    ("models", _("Models")),
    ("units", _("Users")),
    ("events", _("Events")),
    ("feedback", _("Feedback")),
    ("alerts", _("Alerts")),
    ("team", _("Team")),
)


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Return projects, the present one, its sections, and what the person may do in it."""
    person = getattr(request, "user", None)
    if person is None or not person.is_authenticated:
        return {}
    projects = list(projects_of(person).order_by("slug")[:200])
    match = request.resolver_match
    slug = (match.kwargs.get("slug") if match is not None else None) or request.GET.get("project")
    current = next((p for p in projects if p.slug == slug), projects[0] if projects else None)
    return {
        "projects": projects,
        "current": current,
        "sections": SECTIONS,
        "ticket": write_ticket(settings.SECRET_KEY, current.pk) if current is not None else "",
        "section": match.url_name.split(":")[0].split("-")[0] if match and match.url_name else "",
        "may": {
            "analyse": current is not None and may(person, current, ANALYST),
            "operate": current is not None and may(person, current, OPERATOR),
            "administer": current is not None and may(person, current, ADMIN),
        },
    }
